//! Deadlines of connections and calls: they are set, and acted on when they are over.
//!
//! All lie on the clock's one wheel, and pushing one out is a store. What a deadline is for, and what it means that it
//! is over, the connection says.

use crate::metrics::Eviction;
use crate::registry::{AnswerError, ToolError};
use crate::ring::ConnectionKey;
use crate::timers::TimerKind;

use crate::shard::calls::CallSlot;
use crate::shard::connections::Overdue;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Sets the deadline of an open connection: for its next byte, and for the whole of what it began.
    pub(in crate::shard) fn set_read_deadline(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let (timeouts, linger) = (&self.service.timeouts, self.service.queue.linger);
        match connection.read_deadline(timeouts, linger, self.clock.now()) {
            Some(deadline) => self.clock.set_deadline(key, deadline),
            None => self.clock.clear_deadline(key),
        }
    }

    /// Acts on what is due.
    pub(in crate::shard) fn expire(&mut self) {
        while let Some((kind, slot)) = self.clock.next_expired() {
            match kind {
                TimerKind::Call => match self.calls.at_slot(slot) {
                    Some(CallSlot::Handler(handler)) => self.give_up_call(handler, ToolError::TimedOut),
                    Some(CallSlot::Asker(key)) => self.fail_questions(key, &AnswerError::TimedOut),
                    None => {}
                },
                TimerKind::Connection => {
                    if let Some(key) = self.table.key_at(slot) {
                        self.connection_timed_out(key);
                    }
                }
                TimerKind::Duty => {}
            }
        }
    }

    fn connection_timed_out(&mut self, key: ConnectionKey) {
        if let Some(wait) = self.table.wait(key) {
            return self.refuse_waiter(key, wait);
        }
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        match connection.overdue(&self.service.timeouts, self.clock.now()) {
            Overdue::Nothing => {}
            Overdue::Idle => self.idle_timed_out(key),
            Overdue::Refusal => self.refuse_connection(key, &[]),
            Overdue::Slow(eviction) => self.evict(key, eviction),
            Overdue::WriteStall => {
                self.metrics.count_eviction(Eviction::WriteStall);
                self.client_gone(key);
            }
            Overdue::Answer(handler) => {
                // If there is no room for a stream, the client waits for the answer without one.
                let _ = self.call_stream(handler);
            }
            Overdue::KeepAlive => self.keep_stream_alive(key),
            Overdue::Close => self.abort(key),
            Overdue::Channel => self.channel_timed_out(key),
        }
    }

    /// Silence between requests: a handler that is held goes first, then the connection.
    fn idle_timed_out(&mut self, key: ConnectionKey) {
        self.end_hold(key);
        let (timeouts, now) = (&self.service.timeouts, self.clock.now());
        let connection = self.table.connection(key);
        if connection.is_some_and(|connection| connection.is_idle_over(timeouts, now)) {
            self.metrics.count_eviction(Eviction::Idle);
            self.begin_close(key);
        } else {
            self.set_read_deadline(key);
        }
    }
}
