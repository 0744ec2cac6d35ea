//! Requests that their clients want no answer to any more: those that run, those that wait for their client, and those
//! that wait for a handler.

use crate::jsonrpc::RequestId;
use crate::mcp::SessionToken;
use crate::metrics::{self, WaitEnd};
use crate::pool::HandlerKey;
use crate::registry::ToolError;
use crate::ring::ConnectionKey;

use crate::shard::access::Ended;
use crate::shard::admission::Claim;
use crate::shard::calls::Call;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// A client wants no answer to this request any more, and gets none: its stream ends without one (MCP,
    /// *Cancellation*). A request that has ended or never was is no matter.
    pub(in crate::shard) fn cancel_requested(&mut self, conversation: SessionToken, request: &RequestId) {
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
            self.cancel_message(conversation, request);
        }
    }

    /// A call that runs is wanted no more by its client.
    fn cancel_running(&mut self, handler: HandlerKey) {
        let Some(connection) = self.calls.holder(handler) else {
            return;
        };
        let is_heard = self.table.handler(connection) == Some(handler);
        if self.table.is_message(connection) {
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

    /// A call that waits for its client without a handler is wanted no more.
    pub(in crate::shard) fn cancel_shelved(&mut self, connection: ConnectionKey, call: Call) {
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

    /// A request that waits is wanted no more: it leaves the queue.
    fn cancel_waiter(&mut self, session: SessionToken, request: &RequestId) {
        let Some((wait, key)) = self.admission.find(session, request) else {
            return;
        };
        drop(self.leave_queue(key, wait, WaitEnd::Left));
        self.serve_assembly(key, Claim::Cancelled);
    }

    /// Nobody waits for this call any more.
    pub(in crate::shard) fn cancel_call(&mut self, handler: HandlerKey) {
        self.clock.clear_call_deadline(handler.index);
        if let Some(call) = self.calls.at(handler) {
            let (label, began) = (call.label(), call.began);
            let elapsed = self.clock.now().saturating_duration_since(began);
            self.metrics
                .on_operation(label, metrics::Outcome::Cancelled, elapsed);
        }
        self.log().cancelled(handler);
        self.metrics.in_flight.down();
        self.end_lease(handler);
    }
}
