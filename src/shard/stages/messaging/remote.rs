//! Messages that move: they wait on their channel's shard, and one with slack serves them.
//!
//! The channel stays where it is, and so does an entry for the message, which counts as in flight on the channel. The
//! message goes to the other shard with the permit that was taken for it there, becomes an entry of that shard, and is
//! served as any other. Everything about the client comes back as mail:
//!
//! ```text
//! the channel's shard                                     the shard that serves it
//! Queued ─ permit taken ─► Moving ─ bytes kept ─► Away ── StolenMessage ──► Calling …
//!            what its call says ─► outbox  ◄───────────── Relayed::Said ──┤
//!                 its answer    ─► outbox, gone  ◄─────── Relayed::Over ──┴─► gone
//! the client left ─► gone ─────────────────────────────── Recalled ──► cancelled, or finishes unheard
//! ```
//!
//! A cancellation reaches all shards, and the one that serves the message once more from here, should it have been on
//! its way. The answer to a question of its call goes to that shard by the question's own place. A large answer is
//! charged to the heap of the shard that made it until it was taken here.
//!
//! Invariant: each message has one entry that waits for its answer, and exactly one answer, refusal or cancellation
//! ends it. A shard that ends first says so.

use std::sync::Arc;

use crate::jsonrpc::RequestId;
use crate::mcp::{OverloadReason, Reply, SessionToken};
use crate::metrics::WaitEnd;
use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;
use crate::session::live::LiveEvent;

use crate::shard::admission::{Claim, Waiter};
use crate::shard::channels::{Away, ChannelPlace, Close, Home};
use crate::shard::connections::{Exchange, ExchangeState, Parent};
use crate::shard::inbox::{MessageEnd, MovedMessage, Relayed, ShardEvent};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    // The channel's shard.

    /// A message that waited is to move to a shard whose permit was taken for it.
    pub(in crate::shard) fn begin_message_move(
        &mut self,
        key: ConnectionKey,
        target: usize,
        waiter: Option<Waiter>,
    ) {
        let Some(exchange) = self.table.exchange(key) else {
            drop(self.admission.take_moving(key));
            return self.admission.give_back_to(target);
        };
        let request = waiter.and_then(|waiter| waiter.request);
        exchange.state = ExchangeState::Moving;
        exchange.away = Some(Box::new(Away::new(target as u16, request)));
        self.go_on_moving(key);
    }

    /// A message is about to move whose client can cancel it.
    pub(in crate::shard) fn note_moving(
        &mut self,
        key: ConnectionKey,
        conversation: SessionToken,
        id: &RequestId,
    ) {
        if let Some(away) = self
            .table
            .exchange(key)
            .and_then(|exchange| exchange.away.as_mut())
        {
            away.request = Some(Box::new((conversation, id.clone())));
        }
    }

    /// Sends a message off that is about to move, if its bytes are kept: one that has just joined the queue is still
    /// being read.
    pub(in crate::shard) fn complete_message_move(&mut self, key: ConnectionKey) {
        let (Some(target), Some(exchange)) = (self.table.target_of_move(key), self.table.exchange(key))
        else {
            return;
        };
        let Some(assembly) = exchange.request.assembly.take() else {
            return;
        };
        let message = assembly.window().to_vec();
        self.intake.give_back(assembly);
        let Some(moved) = self.moved_message(key, message) else {
            return self.abort(key);
        };
        let waited = self.clock.now().saturating_duration_since(moved.queued_at);
        self.metrics.on_wait_ended(WaitEnd::Stolen, waited);
        self.metrics.in_flight.down();
        let event = ShardEvent::StolenMessage(Box::new(moved));
        self.admission.post(target, event);
    }

    /// What travels of a message, whose entry stands for it from now on.
    fn moved_message(&mut self, key: ConnectionKey, message: Vec<u8>) -> Option<MovedMessage> {
        let channel = self.table.channel_place(key, self.metrics.shard.0)?;
        let of = self.table.channel(channel.channel)?;
        let (context, origin) = (of.context(), Arc::clone(&of.origin));
        let exchange = self.table.exchange(key)?;
        let unheard = exchange.away.as_ref()?.unheard.clone();
        exchange.state = ExchangeState::Away;
        Some(MovedMessage {
            home: Home {
                channel,
                exchange: key,
                context,
                origin,
                unheard,
            },
            view: exchange.request.view,
            message,
            request_at: exchange.request.began,
            queued_at: exchange.request.phase_began,
            is_browser: exchange.request.is_browser,
            tool_permit: self.admission.take_moving(key),
        })
    }

    /// Something has come of a message that another shard serves.
    pub(in crate::shard) fn handle_relayed(&mut self, relayed: Relayed) {
        match relayed {
            Relayed::Said {
                exchange,
                message,
                may_be_dropped,
            } => self.relay_said(exchange, &message, may_be_dropped),
            Relayed::Over { exchange, end } => self.end_away(exchange, end),
            Relayed::TaskBegun(channel) => {
                if let Some(channel) = self.table.channel(channel) {
                    channel.tasks.begin();
                }
            }
            Relayed::TaskOver(channel) => self.on_channel_task_over(channel),
        }
    }

    /// The call of a message has said something elsewhere. A client that has left does not hear it.
    fn relay_said(&mut self, key: ConnectionKey, message: &[u8], may_be_dropped: bool) {
        let Some(away) = self
            .table
            .exchange(key)
            .and_then(|exchange| exchange.away.as_ref())
        else {
            return;
        };
        away.unheard.remove(message.len());
        if let Some(channel) = self.table.parent(key) {
            self.emit_on_channel(channel, message, may_be_dropped);
        }
    }

    /// A message is over elsewhere.
    fn end_away(&mut self, key: ConnectionKey, end: MessageEnd) {
        if let MessageEnd::Answer { charged, shard, .. } = end
            && charged > 0
        {
            self.admission
                .post(shard.into(), ShardEvent::AnswerTaken(charged));
        }
        let (Some(channel), Some(away)) = (self.table.parent(key), self.table.take_away(key)) else {
            return;
        };
        match end {
            MessageEnd::Silent => {}
            MessageEnd::Answer { buffer, .. } if self.writer.has_room_for(&buffer) => {
                let spare = self.post(channel, buffer);
                self.writer.put_buffer(spare);
            }
            MessageEnd::Answer { .. } => self.refuse_away(channel, &away, OverloadReason::Memory),
            MessageEnd::Refused(reason) => self.refuse_away(channel, &away, reason),
        }
        self.end_exchange(key);
    }

    /// Refuses a message that was to be served elsewhere. If it has no id of its own, as a batch has none, its client
    /// would wait for ever, and the channel is closed.
    fn refuse_away(&mut self, channel: ConnectionKey, away: &Away, reason: OverloadReason) {
        let overload = self.overload(reason);
        let Some((_, id)) = away.request.as_deref() else {
            let close = match reason {
                OverloadReason::Draining => Close::Draining,
                _ => Close::Memory,
            };
            return self.close_channel(channel, close);
        };
        let mut out = self.writer.take_buffer();
        let protocol = &self.service.main().protocol;
        let reply = protocol.refuse(Some(id.as_id()), &overload, &mut out);
        if reply.has_body {
            out = self.post(channel, out);
        }
        self.writer.put_buffer(out);
    }

    /// A client cancels a request that another shard serves. That shard is told of it again: it may have heard of it
    /// before the request came.
    pub(super) fn cancel_away(
        &mut self,
        key: ConnectionKey,
        conversation: SessionToken,
        request: &RequestId,
    ) {
        let exchange = self.table.exchange(key);
        if let Some(away) = exchange.and_then(|exchange| exchange.away.as_ref()) {
            let cancel = LiveEvent::Cancel {
                session: conversation,
                request: request.clone(),
            };
            self.admission.post(away.shard.into(), ShardEvent::Live(cancel));
        }
    }

    /// Nobody waits for the answer to a message any more; if another shard serves it, that one is told.
    pub(in crate::shard) fn recall(&mut self, key: ConnectionKey, ends_call: bool) {
        let away = self.table.take_away(key);
        self.post_recall(key, away.as_deref(), ends_call);
    }

    fn post_recall(&self, exchange: ConnectionKey, away: Option<&Away>, ends_call: bool) {
        if let Some(away) = away {
            let event = ShardEvent::Recalled {
                home: self.metrics.shard.0,
                exchange,
                ends_call,
            };
            self.admission.post(away.shard.into(), event);
        }
    }

    /// A message was given up. If another shard has to do with it, that one is told.
    pub(in crate::shard) fn part(&mut self, key: ConnectionKey, exchange: &Exchange) {
        match &exchange.parent {
            Parent::Elsewhere(home) => {
                let end = MessageEnd::Refused(OverloadReason::Draining);
                self.tell_home(home.channel.shard, home.exchange, end);
            }
            Parent::Here(_) if exchange.state == ExchangeState::Away => {
                self.post_recall(key, exchange.away.as_deref(), true);
            }
            Parent::Here(_) => {}
        }
    }

    // The shard that serves it.

    /// A message arrives from another shard. The permit for it was taken here.
    pub(in crate::shard) fn receive_message(&mut self, moved: MovedMessage) {
        let now = self.clock.now();
        let MovedMessage {
            home,
            view,
            message,
            request_at,
            queued_at,
            is_browser,
            tool_permit,
        } = moved;
        let waited = now.saturating_duration_since(queued_at);
        self.metrics.on_stolen_in(waited);
        self.admission.receive_permit();
        self.admission.receive_tool_permit(tool_permit);
        let (shard, exchange) = (home.channel.shard, home.exchange);
        let parent = Parent::Elsewhere(Box::new(home));
        let key = self
            .table
            .insert_exchange(Exchange::new(parent, view, is_browser, request_at, now));
        self.clock.reserve(key);
        self.channels.visitors.insert(shard, exchange, key);
        if self.drain.is_aborted() {
            // What runs was cancelled; this would never be.
            self.abort(key);
        } else {
            self.metrics.in_flight.up();
            self.metrics.record_wait(waited);
            self.table.note_wait(key, waited);
            self.serve_window(key, &message, Claim::Granted);
        }
        self.admission.return_permit(self.clock.now());
    }

    /// Answers a message of another shard's channel, if there is anything to say, and ends it here.
    pub(in crate::shard) fn reply_elsewhere(
        &mut self,
        key: ConnectionKey,
        buffer: Vec<u8>,
        handler: Option<HandlerKey>,
        reply: &Reply,
    ) {
        let end = if reply.has_body {
            self.pack_answer(buffer)
        } else {
            self.writer.put_buffer(buffer);
            MessageEnd::Silent
        };
        self.end_message_work(key, handler);
        self.end_visit(key, end);
    }

    /// An answer as it travels: a small one in memory of its own, a large one as it is, and charged here.
    fn pack_answer(&mut self, buffer: Vec<u8>) -> MessageEnd {
        match self.writer.charge(&buffer) {
            Ok(charged) if charged > 0 => MessageEnd::Answer {
                buffer,
                charged,
                shard: self.metrics.shard.0,
            },
            Ok(charged) => {
                let answer = buffer.clone();
                self.writer.put_buffer(buffer);
                MessageEnd::Answer {
                    buffer: answer,
                    charged,
                    shard: self.metrics.shard.0,
                }
            }
            Err(_) => MessageEnd::Refused(OverloadReason::Memory),
        }
    }

    /// A message of another shard's channel is over here; if that waits for it, it is told.
    pub(in crate::shard) fn end_visit(&mut self, key: ConnectionKey, end: MessageEnd) {
        let Some(home) = self.table.home(key) else { return };
        let (shard, exchange) = (home.channel.shard, home.exchange);
        self.tell_home(shard, exchange, end);
        self.abort(key);
    }

    /// Tells the channel's shard that a message is over, unless it does not wait for it.
    fn tell_home(&mut self, shard: u16, exchange: ConnectionKey, end: MessageEnd) {
        if self.channels.visitors.remove(shard, exchange).is_some() {
            self.relay(shard, Relayed::Over { exchange, end });
        }
    }

    /// Passes on what the call of a message has said.
    pub(in crate::shard) fn say_elsewhere(
        &mut self,
        key: ConnectionKey,
        message: &[u8],
        may_be_dropped: bool,
    ) {
        let Some(home) = self.table.home(key) else { return };
        if home.unheard.add(message.len(), may_be_dropped) {
            let (shard, exchange) = (home.channel.shard, home.exchange);
            let said = Relayed::Said {
                exchange,
                message: message.to_vec(),
                may_be_dropped,
            };
            self.relay(shard, said);
        }
    }

    /// A task begins that was asked for on this channel, which stays for it.
    pub(in crate::shard) fn on_task_of_channel(&mut self, place: ChannelPlace) {
        self.relay(place.shard, Relayed::TaskBegun(place.channel));
    }

    /// It is over.
    pub(in crate::shard) fn on_task_of_channel_over(&mut self, place: ChannelPlace) {
        self.relay(place.shard, Relayed::TaskOver(place.channel));
    }

    /// Tells the shard of a channel, which may be this one.
    fn relay(&mut self, shard: u16, relayed: Relayed) {
        if shard == self.metrics.shard.0 {
            return self.handle_relayed(relayed);
        }
        self.admission
            .post(shard.into(), ShardEvent::Relayed(Box::new(relayed)));
    }

    /// Nobody waits for the answer to a message any more: what its leaving would have meant here, it means.
    pub(in crate::shard) fn handle_recalled(&mut self, home: u16, exchange: ConnectionKey, ends_call: bool) {
        if let Some(key) = self.channels.visitors.remove(home, exchange) {
            self.drop_exchanges(vec![key], ends_call);
        }
    }
}
