//! What the live store has for this shard: streams that have something to send, calls to cancel, answers to questions.
//!
//! Unlike the mailbox this never makes a sender wait: what lies there is bounded by the streams, calls and questions
//! there are.

use std::sync::Arc;

use crate::jsonrpc::RequestId;
use crate::mcp::SessionToken;
use crate::metrics;
use crate::pool::HandlerKey;
use crate::registry::ToolError;
use crate::ring::ConnectionKey;
use crate::session::live::Letter;
use crate::timers::TimerKind;

use super::access::Ended;
use super::calls::{Call, Run};
use super::connections::State;
use super::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    pub(super) fn handle_letters(&mut self) {
        let mut letters = std::mem::take(&mut self.letters);
        let store = Arc::clone(&self.service.store);
        store.live().take_letters(self.metrics.shard.0, &mut letters);
        for letter in letters.drain(..) {
            match letter {
                Letter::Ready(connection) | Letter::Displaced(connection) => {
                    self.ready_streams.push_back(connection);
                }
                Letter::Cancel { session, request } => self.cancel_requested(session, &request),
                Letter::Answer { call, number, answer } => self.answer_question(call, number, answer),
                Letter::Message { connection, delivery } => self.hear_delivery(connection, delivery),
                Letter::CancelTask(task) => self.cancel_task(task),
                Letter::TaskAnswer {
                    connection,
                    number,
                    answer,
                } => self.answer_task(connection, number, answer),
            }
        }
        self.letters = letters;
        self.pump_ready_streams();
    }

    /// A client wants no answer to this request any more, and gets none: its stream ends without one (MCP,
    /// *Cancellation*). A request that has ended or never was is no matter.
    fn cancel_requested(&mut self, conversation: SessionToken, request: &RequestId) {
        let is_it = |call: &Call| {
            let is_over = matches!(call.run, Run::Ended);
            // Tasks have a method of their own for it.
            let is_over = is_over || call.task.is_some();
            !is_over && call.ticket.conversation() == Some(conversation) && call.ticket.id() == request
        };
        let running = (0..self.pool.size())
            .filter_map(|index| self.pool.key_at(index))
            .collect::<Vec<HandlerKey>>();
        let found = running
            .into_iter()
            .find(|handler| self.pool.call_mut(*handler).is_some_and(|call| is_it(call)));
        if let Some(handler) = found {
            self.cancel_running(handler);
        } else if let Some((connection, call)) = self.take_shelved(is_it) {
            self.cancel_shelved(connection, call);
        } else {
            self.cancel_waiter(conversation, request);
            self.cancel_listening(conversation, request);
        }
    }

    fn cancel_running(&mut self, handler: HandlerKey) {
        let Some(connection) = self.pool.holder(handler) else {
            return;
        };
        let is_heard = self
            .table
            .at(connection)
            .is_some_and(|entry| entry.state == State::Calling(handler));
        if self.parent_of(connection).is_some() {
            self.cancel_call(handler);
            return self.end_exchange(connection);
        }
        // An event stream that ends without an answer is the one answer there is that is none.
        let stream = self.call_stream(handler);
        if is_heard && stream.is_none() {
            return self.give_up_call(handler, ToolError::Cancelled);
        }
        self.timers.clear(TimerKind::Call, handler.index);
        self.cancel_call(handler);
        self.end_stream_of(connection, stream);
    }

    pub(super) fn cancel_shelved(&mut self, connection: ConnectionKey, call: Call) {
        let elapsed = self.clock.now.saturating_duration_since(call.began);
        self.metrics
            .on_operation(call.label(), metrics::Outcome::Cancelled, elapsed);
        self.log_unanswered(connection, &Ended::cancelled(&call));
        self.metrics.in_flight.down();
        let stream = call.stream.clone();
        self.stop_call(call);
        self.end_stream_of(connection, stream);
        self.end_exchange(connection);
    }
}
