//! How a channel ends: closed by either side, too long silent, broken, or drained.

use crate::children::ClientKey;
use crate::metrics::Eviction;
use crate::ring::ConnectionKey;
use crate::wire::websocket;

use crate::shard::channels::{Close, Ending, Framing};
use crate::shard::connections::{ChannelDeadline, ChannelOverdue, LAST_CALLS, LAST_MOMENT, State, Waiting};
use crate::shard::drain::RESULT_GRACE;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Sends a close and closes behind it; calls in flight are lost.
    pub(in crate::shard) fn close_channel(&mut self, key: ConnectionKey, close: Close) {
        let Some(channel) = self.table.channel(key) else {
            return;
        };
        if channel.ending == Some(Ending::Now) {
            return;
        }
        channel.ending = Some(Ending::Now);
        let exchanges = std::mem::take(&mut channel.exchanges);
        let says_goodbye = !channel.is_patient();
        self.drop_exchanges(exchanges, false);
        if says_goodbye {
            self.append(key, |framing, out| match framing {
                Framing::WebSocket(_) => websocket::write_close(out, close.code(), close.reason()),
                Framing::Events(events) => events.append_end(out),
                Framing::Lines(_) => {}
            });
        } else {
            self.flush_channel(key);
        }
    }

    /// A channel that was to end is at its end once nothing of it is in flight, its tasks are over and their results
    /// fetched, and everything is sent.
    pub(super) fn close_if_over(&mut self, key: ConnectionKey) {
        let (now, cutoff) = (self.clock.now(), self.drain.result_cutoff());
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let Some(channel) = connection.channel.as_deref() else {
            return;
        };
        let is_sent = channel.outbox.is_none() && !connection.ring.is_sending;
        // No client comes back for results once its input has ended.
        let is_kept = !channel.is_input_over && channel.tasks.are_awaited(now, cutoff);
        match channel.ending {
            Some(Ending::Now) if is_sent && connection.state == State::Open => self.end_channel(key),
            Some(Ending::WhenIdle) if channel.exchanges.is_empty() && !is_kept => {
                self.close_channel(key, Close::Draining)
            }
            _ => {}
        }
    }

    /// Everything is sent.
    fn end_channel(&mut self, key: ConnectionKey) {
        let is_socket = self
            .table
            .channel(key)
            .is_some_and(|channel| !channel.is_patient());
        if is_socket {
            self.begin_close(key)
        } else {
            self.abort(key)
        }
    }

    /// A connection ends, and what it was as a channel.
    pub(in crate::shard) fn leave_channel(&mut self, key: ConnectionKey) {
        let Some(channel) = self.table.connection(key).and_then(|entry| entry.channel.take()) else {
            return;
        };
        // When the one client of a process is gone, no call of it needs to finish.
        let is_process = channel.is_patient();
        self.drop_exchanges(channel.exchanges, is_process);
        if let Some(outbox) = channel.outbox {
            self.writer.put_charged(outbox.buffer, outbox.charged);
        }
        self.children.leave_client(ClientKey::Channel(channel.token));
        if channel.session.is_some() {
            self.end_channel_session(key, channel.token);
        }
    }

    /// Sets the deadline of a channel nothing is being sent on.
    pub(super) fn set_channel_deadline(&mut self, key: ConnectionKey) {
        let timeout = self.service.channels.settings.websocket_timeout;
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        match connection.channel_deadline(&self.service.timeouts, timeout, self.clock.now()) {
            Some(ChannelDeadline::At(waiting, deadline)) => {
                connection.waiting = waiting;
                self.clock.set_deadline(key, deadline);
            }
            Some(ChannelDeadline::Never) => {
                connection.waiting = Waiting::Nothing;
                self.clock.clear_deadline(key);
            }
            Some(ChannelDeadline::Kept) | None => {}
        }
    }

    /// A deadline of a channel is over, other than the one for taking what was sent.
    pub(in crate::shard) fn channel_timed_out(&mut self, key: ConnectionKey) {
        let timeout = self.service.channels.settings.websocket_timeout;
        let connection = self.table.connection(key);
        let overdue = connection.and_then(|connection| connection.channel_overdue(timeout, self.clock.now()));
        match overdue {
            None => {}
            Some(ChannelOverdue::Gone) => self.abort(key),
            Some(ChannelOverdue::LastCalls) => self.cut_process(key),
            Some(ChannelOverdue::KeepAlive) => self.append(key, |framing, out| {
                if let Framing::Events(events) = framing {
                    events.append_keep_alive(out);
                }
            }),
            Some(ChannelOverdue::SlowMessage) => self.evict_channel(key, Eviction::BodyTimeout),
            Some(ChannelOverdue::Silence) => {
                self.metrics.count_eviction(Eviction::Idle);
                self.close_channel(key, Close::Silence);
            }
            Some(ChannelOverdue::Ping) => {
                if let Some(channel) = self.table.channel(key) {
                    channel.is_pinged = true;
                }
                self.append(key, |_, out| websocket::write_ping(out, b""));
            }
            Some(ChannelOverdue::Later) => self.set_channel_deadline(key),
        }
    }

    /// Gives up a channel whose client sends a message too slowly.
    pub(in crate::shard) fn evict_channel(&mut self, key: ConnectionKey, reason: Eviction) {
        self.metrics.count_eviction(reason);
        if let Some(connection) = self.table.connection(key) {
            self.intake.drop_kept(&mut connection.request);
        }
        self.close_channel(key, Close::Slow);
    }

    /// The shard drains: channels end when what is in flight on them has.
    pub(in crate::shard) fn drain_channels(&mut self) {
        for key in self
            .table
            .connections_where(|connection| connection.channel.is_some())
        {
            if let Some(channel) = self.table.channel(key)
                && channel.ending.is_none()
            {
                channel.ending = Some(Ending::WhenIdle);
                self.close_if_over(key);
            }
        }
    }

    /// A task is over that was asked for on this channel.
    pub(in crate::shard) fn on_channel_task_over(&mut self, key: ConnectionKey) {
        let result_until = self.clock.now() + RESULT_GRACE;
        if let Some(channel) = self.table.channel(key) {
            channel.tasks.end(result_until);
            self.close_if_over(key);
        }
    }

    /// Time has passed in a drain: some channels need not stay any longer.
    pub(in crate::shard) fn close_idle_channels(&mut self) {
        for key in self
            .table
            .connections_where(|connection| connection.channel.is_some())
        {
            self.close_if_over(key);
        }
    }

    /// While the client of a process takes nothing, its input is not read, so the end of the input is watched for.
    pub(super) fn watch_input(&mut self, key: ConnectionKey) {
        if self
            .table
            .channel(key)
            .is_some_and(|channel| channel.is_patient())
        {
            self.table.watch(key, &mut self.ring);
        }
    }

    /// The other end of a process's input is closed. What lies in it is still read, as long as the client takes the
    /// answers.
    pub(in crate::shard) fn handle_input_end(&mut self, key: ConnectionKey) {
        if let Some(channel) = self.table.channel(key).filter(|channel| channel.is_patient()) {
            channel.is_hung_up = true;
            self.set_channel_deadline(key);
        }
    }

    /// The client of a channel has taken something.
    pub(in crate::shard) fn on_channel_progress(&mut self, key: ConnectionKey) {
        if self.table.channel(key).is_some_and(|channel| channel.is_hung_up) {
            self.set_channel_deadline(key);
        }
    }

    /// The one client of a process sends no more: what is in flight ends soon, and the process with it.
    pub(super) fn finish_process(&mut self, key: ConnectionKey) {
        self.begin_drain(self.clock.now() + LAST_CALLS);
        let deadline = self.clock.now() + LAST_MOMENT;
        let now = self.clock.now();
        if let Some(channel) = self.table.channel(key) {
            channel.is_input_over = true;
        }
        if let Some(connection) = self.table.connection(key) {
            connection.waiting = Waiting::Close;
            connection.request.phase_began = now;
            self.clock.set_deadline(key, deadline);
        }
    }

    /// The time is over for modern calls, and later for all calls.
    fn cut_process(&mut self, key: ConnectionKey) {
        let now = self.clock.now();
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let last = connection.request.phase_began + LAST_CALLS;
        let Some(channel) = connection.channel.as_deref_mut() else {
            return;
        };
        let exchanges = std::mem::take(&mut channel.exchanges);
        let (all, left): (Vec<ConnectionKey>, Vec<ConnectionKey>) = if now >= last {
            (exchanges, Vec::new())
        } else {
            exchanges.into_iter().partition(|key| self.is_modern_call(*key))
        };
        if let Some(channel) = self.table.channel(key) {
            channel.exchanges = left;
        }
        self.drop_exchanges(all, true);
        if now >= last {
            return self.abort(key);
        }
        self.clock.set_deadline(key, last);
        self.close_if_over(key);
    }

    fn is_modern_call(&mut self, exchange: ConnectionKey) -> bool {
        let handler = self.table.handler(exchange);
        handler.is_some_and(|handler| self.calls.is_cancelled_by_leaving(handler))
    }
}
