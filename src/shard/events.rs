//! What a shard does about the events in its inbox.
//!
//! Events are handled in the order in which they were posted, so many in a run: others may go on posting, and the
//! shard's own work is to have its turn.

use crate::jsonrpc::RequestId;
use crate::mcp::SessionToken;
use crate::metrics;
use crate::pool::HandlerKey;
use crate::registry::ToolError;
use crate::ring::ConnectionKey;
use crate::session::live::LiveEvent;

use super::acceptor::AcceptEvent;
use super::access::Ended;
use super::calls::Call;
use super::inbox::ShardEvent;
use super::{Shard, ShardRing};

/// Events handled before other work has its turn. A call on a thread of its own may speak as fast as it is heard.
const EVENTS_PER_TURN: usize = 1024;

impl<R: ShardRing> Shard<R> {
    /// Handles the events in the inbox, and sends on streams that have something to send.
    pub(super) fn handle_events(&mut self) {
        self.inbox.begin();
        for _ in 0..EVENTS_PER_TURN {
            let Some(event) = self.inbox.take() else {
                return self.pump_ready_streams();
            };
            self.handle_event(event);
        }
        self.pump_ready_streams();
        // Nobody announces the rest, as it was announced before.
        self.inbox.wake();
    }

    fn handle_event(&mut self, event: ShardEvent<R::Socket>) {
        match event {
            ShardEvent::Finished {
                handler,
                began,
                outcome,
                panic,
            } => {
                self.settle_job(handler, began, outcome, panic);
                self.send_queued();
            }
            ShardEvent::Stolen(moved) => self.receive_moved(*moved),
            ShardEvent::Slack => self.look_for_slack(),
            ShardEvent::PlaceFree => self.handle_accept(&AcceptEvent::PlaceFree),
            ShardEvent::Spoke(handler) => self.emit(handler),
            ShardEvent::Live(event) => self.handle_live_event(event),
            ShardEvent::Drain(deadline) => self.begin_drain(deadline),
            ShardEvent::Abort => self.abort_all(),
            ShardEvent::Report(to) => {
                // A reporter that no longer waits is no concern of the shard's.
                let _ = to.try_send(self.metrics.histograms().clone());
            }
        }
    }

    fn handle_live_event(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Ready(connection) | LiveEvent::Displaced(connection) => {
                self.streams.on_ready(connection);
            }
            LiveEvent::Cancel { session, request } => self.cancel_requested(session, &request),
            LiveEvent::Answer { call, number, answer } => self.answer_question(call, number, answer),
            LiveEvent::SseMessage { connection, message } => self.handle_sse_message(connection, message),
            LiveEvent::CancelTask(task) => self.cancel_task(task),
            LiveEvent::TaskAnswer {
                connection,
                number,
                answer,
            } => self.answer_task(connection, number, answer),
        }
    }

    /// A client wants no answer to this request any more, and gets none: its stream ends without one (MCP,
    /// *Cancellation*). A request that has ended or never was is no matter.
    fn cancel_requested(&mut self, conversation: SessionToken, request: &RequestId) {
        let is_it = |call: &Call| {
            // Tasks have a method of their own for it.
            let is_over = call.is_over() || call.task.is_some();
            !is_over && call.ticket.conversation() == Some(conversation) && call.ticket.id() == request
        };
        let running = self.calls.handlers_where(is_it);
        if let Some(&handler) = running.first() {
            self.cancel_running(handler);
        } else if let Some((connection, call)) = self.calls.take_shelved(is_it) {
            self.cancel_shelved(connection, call);
        } else {
            self.cancel_waiter(conversation, request);
            self.cancel_subscription(conversation, request);
        }
    }

    fn cancel_running(&mut self, handler: HandlerKey) {
        let Some(connection) = self.calls.holder(handler) else {
            return;
        };
        let is_heard = self.table.handler(connection) == Some(handler);
        if self.table.parent(connection).is_some() {
            self.cancel_call(handler);
            return self.end_exchange(connection);
        }
        // An event stream that ends without an answer is the one answer there is that is none.
        let stream = self.call_stream(handler);
        if is_heard && stream.is_none() {
            return self.give_up_call(handler, ToolError::Cancelled);
        }
        self.clock.clear_call_deadline(handler.index);
        self.cancel_call(handler);
        self.end_stream_of(connection, stream);
    }

    pub(super) fn cancel_shelved(&mut self, connection: ConnectionKey, call: Call) {
        let elapsed = self.clock.now().saturating_duration_since(call.began);
        self.metrics
            .on_operation(call.label(), metrics::Outcome::Cancelled, elapsed);
        self.log().unanswered(connection, &Ended::cancelled(&call));
        self.metrics.in_flight.down();
        let stream = call.stream.clone();
        self.end_shelved(call);
        self.end_stream_of(connection, stream);
        self.end_exchange(connection);
    }
}
