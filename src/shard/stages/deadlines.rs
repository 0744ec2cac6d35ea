//! Deadlines of connections and calls, all on the shard's one wheel.
//!
//! A connection is under one deadline at a time, and [`Waiting`] says which; pushing it out is a store. A
//! call has a deadline of its own, under the key of its handler.

use crate::config::Linger;
use crate::metrics::Eviction;
use crate::registry::{AnswerError, ToolError};
use crate::ring::ConnectionKey;
use crate::timers::TimerKind;
use crate::units::TimeLimit;

use crate::shard::calls::CallSlot;
use crate::shard::connections::{State, Waiting};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// The deadline of an open connection: for its next byte, and for the whole of what it began.
    pub(in crate::shard) fn set_read_deadline(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let timeouts = &self.service.timeouts;
        let is_held = connection.held.is_some() && self.service.linger == Linger::Forever;
        let idle = match timeouts.idle {
            TimeLimit::For(idle) => Some(idle),
            TimeLimit::Forever => None,
        };
        let deadline = match connection.waiting {
            Waiting::Head => {
                (connection.request.phase_began + timeouts.head).min(self.clock.now() + timeouts.read)
            }
            Waiting::Body => {
                (connection.request.phase_began + timeouts.body).min(self.clock.now() + timeouts.read)
            }
            // A handler it holds it holds no longer than this.
            _ if is_held => {
                connection.request.phase_began + idle.map_or(timeouts.read, |idle| idle.min(timeouts.read))
            }
            _ => match idle {
                Some(idle) => connection.request.phase_began + idle,
                None => return self.clock.clear_deadline(key),
            },
        };
        self.clock.set_deadline(key, deadline);
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
        match (connection.state, connection.waiting) {
            (State::Open, waiting) if connection.channel.is_some() && waiting != Waiting::Write => {
                self.channel_timed_out(key);
            }
            (State::Open, Waiting::Idle) => self.idle_timed_out(key),
            (State::Open, Waiting::Refusal) => self.refuse_connection(key, &[]),
            (State::Open, Waiting::Head) => {
                let is_head_over =
                    self.clock.now() >= connection.request.phase_began + self.service.timeouts.head;
                self.evict(
                    key,
                    if is_head_over {
                        Eviction::HeadTimeout
                    } else {
                        Eviction::ReadTimeout
                    },
                );
            }
            (State::Open, Waiting::Body) => {
                let is_body_over =
                    self.clock.now() >= connection.request.phase_began + self.service.timeouts.body;
                self.evict(
                    key,
                    if is_body_over {
                        Eviction::BodyTimeout
                    } else {
                        Eviction::ReadTimeout
                    },
                );
            }
            (State::Answering, _) | (_, Waiting::Write) => {
                self.metrics.count_eviction(Eviction::WriteStall);
                self.client_gone(key);
            }
            (State::Calling(handler), Waiting::Answer) => self.stream_answer(handler),
            (State::Calling(_) | State::Streaming, Waiting::KeepAlive) => self.keep_stream_alive(key),
            (State::Closing, _) => self.abort(key),
            (
                State::Open
                | State::Queued(_)
                | State::Moving(_)
                | State::Calling(_)
                | State::Streaming
                | State::Dead,
                _,
            ) => {}
        }
    }

    /// Silence between requests: a handler that is held goes first, then the connection.
    fn idle_timed_out(&mut self, key: ConnectionKey) {
        self.end_hold(key);
        let idle_since = self
            .table
            .connection(key)
            .map_or(self.clock.now(), |connection| connection.request.phase_began);
        let is_over = match self.service.timeouts.idle {
            TimeLimit::For(idle) => self.clock.now() >= idle_since + idle,
            TimeLimit::Forever => false,
        };
        if is_over {
            self.metrics.count_eviction(Eviction::Idle);
            self.begin_close(key);
        } else {
            self.set_read_deadline(key);
        }
    }
}
