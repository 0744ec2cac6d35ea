//! A channel's messages as entries of their own: from their bytes to their answers.

use std::rc::Rc;

use crate::jsonrpc::RequestId;
use crate::mcp::{OverloadReason, Reply, RequestContext, SessionToken, Via};
use crate::metrics::Stage;
use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;

use super::super::reading::ReadOutcome;
use crate::shard::admission::Claim;
use crate::shard::connections::{Exchange, ExchangeState, Parent};
use crate::shard::inbox::MessageEnd;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Serves one message of a channel.
    pub(in crate::shard) fn take_message(&mut self, parent: ConnectionKey, message: &[u8]) {
        self.open_announcements(parent);
        let Some(connection) = self.table.connection(parent) else {
            return;
        };
        let request = &connection.request;
        let (view, is_browser, began) = (request.view, request.is_browser, request.began);
        let exchange = Exchange::new(Parent::Here(parent), view, is_browser, began, self.clock.now());
        let key = self.table.insert_exchange(exchange);
        self.clock.reserve(key);
        if let Some(channel) = self.table.channel(parent) {
            channel.exchanges.push(key);
        }
        self.serve_window(key, message, Claim::New);
    }

    /// Decodes an exchange's message, which is the whole window.
    pub(in crate::shard) fn take_exchange(
        &mut self,
        key: ConnectionKey,
        message: &[u8],
        claim: Claim,
    ) -> ReadOutcome {
        let Some(Exchange {
            state,
            parent,
            request,
            ..
        }) = self.table.exchange(key)
        else {
            return ReadOutcome::Ended;
        };
        let view = request.view;
        if *state != ExchangeState::Reading {
            return ReadOutcome::Incomplete;
        }
        let (principal, now) = (self.service.principal(), self.clock.unix_now());
        let via = match parent {
            Parent::Elsewhere(home) => Via::Channel(home.context),
            Parent::Here(channel) => {
                let channel = *channel;
                let Some(channel) = self.table.channel(channel) else {
                    return ReadOutcome::Ended;
                };
                Via::Channel(channel.context())
            }
        };
        if claim == Claim::New {
            self.metrics.in_flight.up();
        }
        self.service.refresh();
        let service = Rc::clone(self.service.view(view));
        let out = self.writer.take_buffer();
        let request_context = RequestContext { via, principal, now };
        self.decode(key, &service, &request_context, message, out, claim);
        match self.table.exchange(key).map(|exchange| exchange.state) {
            Some(ExchangeState::Queued(_) | ExchangeState::Moving) => ReadOutcome::Queued,
            _ => ReadOutcome::Consumed(message.len()),
        }
    }

    /// Why a channel's next call may not even wait: as many calls are in flight as may be, this one counted, or the
    /// channel ends when its calls have ended, which further calls would put off for ever.
    pub(in crate::shard) fn refusal_by_channel(&mut self, exchange: ConnectionKey) -> Option<OverloadReason> {
        let in_flight_max = self.service.channels.settings.in_flight_max as usize;
        let parent = self.table.parent(exchange)?;
        let channel = self.table.channel(parent)?;
        if channel.ending.is_some() {
            Some(OverloadReason::Draining)
        } else if channel.exchanges.len() > in_flight_max {
            Some(OverloadReason::Connections)
        } else {
            None
        }
    }

    /// Answers an exchange, if there is anything to say, and ends it.
    pub(in crate::shard) fn reply_on_channel(
        &mut self,
        key: ConnectionKey,
        parent: ConnectionKey,
        mut buffer: Vec<u8>,
        handler: Option<HandlerKey>,
        reply: &Reply,
    ) {
        if let Some(id) = &reply.session {
            self.adopt_session(parent, id);
        }
        if reply.has_body {
            buffer = self.post(parent, buffer);
        }
        self.writer.put_buffer(buffer);
        self.end_message_work(key, handler);
        self.end_exchange(key);
    }

    /// The answer to a message is on its way: what worked for it is free.
    pub(super) fn end_message_work(&mut self, key: ConnectionKey, handler: Option<HandlerKey>) {
        if let Some(handler) = handler {
            self.end_lease(handler);
        }
        if let Some(exchange) = self.table.exchange(key) {
            let began = exchange.request.began;
            self.metrics.record(Stage::Total, began, self.clock.read());
        }
        self.metrics.in_flight.down();
    }

    /// An exchange's client wants no answer any more: it gets none.
    pub(in crate::shard) fn drop_unstarted(&mut self, key: ConnectionKey, out: Vec<u8>) {
        self.writer.put_buffer(out);
        self.metrics.in_flight.down();
        self.end_exchange(key);
    }

    /// A client cancels a message that no call of this shard works for: a subscription, or one that another shard
    /// serves.
    pub(in crate::shard) fn cancel_message(&mut self, conversation: SessionToken, request: &RequestId) {
        let is_it = |exchange: &Exchange| match (&exchange.away, &exchange.request.stream) {
            (Some(away), _) => away.is_request(conversation, request),
            (None, stream) => stream.as_deref().is_some_and(|open| open.is_listening(request)),
        };
        for key in self.table.exchanges_where(is_it) {
            self.cancel_away(key, conversation, request);
            self.cancel_subscription(key, conversation);
        }
    }

    /// An exchange is over; its channel goes on.
    pub(in crate::shard) fn end_exchange(&mut self, key: ConnectionKey) {
        let Some(parent) = self.table.parent(key) else {
            return self.end_visit(key, MessageEnd::Silent);
        };
        if let Some(channel) = self.table.channel(parent) {
            channel.forget(key);
        }
        self.abort(key);
        self.close_if_over(parent);
    }

    /// Ends the exchanges of a channel whose client is gone. Legacy calls that run finish without a listener, unless
    /// `all` are to end.
    pub(super) fn drop_exchanges(&mut self, exchanges: Vec<ConnectionKey>, all: bool) {
        for key in exchanges {
            if let Some(handler) = self.table.handler(key)
                && (all || self.calls.is_cancelled_by_leaving(handler))
            {
                self.cancel_call(handler);
            }
            self.recall(key, all);
            self.abort(key);
        }
    }

    /// The session of a channel is over.
    pub(super) fn end_channel_session(&mut self, channel: ConnectionKey, token: SessionToken) {
        self.view_of(channel).store.live().end_session(token);
    }
}
