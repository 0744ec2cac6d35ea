//! Calls that are made once more when a child dies that had them (`retry=read_only`): those of tools that say that they
//! change nothing.
//!
//! The request is kept for that and for nothing else. Both tries together have the time of one. A call of which its
//! client was asked something is not made again, since the client would be asked twice; neither is one whose client is
//! gone.

use crate::children::{CallFailure, Message};
use crate::mcp::{Heads, Work};
use crate::pool::HandlerKey;
use crate::registry::{Operation, ServerIndex};

use crate::shard::calls::{Again, Call};

use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Keeps the request of a call, which is `text` for children, if it may be made again.
    pub(super) fn keep_for_repeating(
        &mut self,
        call: HandlerKey,
        server: ServerIndex,
        work: &Work<'_>,
        text: &[u8],
    ) {
        // What goes on with a call is none of its own.
        if !self.children.is_repeating(server) || work.resumed().is_some() {
            return;
        }
        let Some(entry) = self.calls.at(call).filter(|call| is_read_only(call)) else {
            return;
        };
        if self.writer.heap().charge(text.len()).is_err() {
            return;
        }
        if let Some(forwarding) = entry.forwarding() {
            forwarding.charged += text.len();
        }
        entry.again = Some(Again::May(text.into()));
    }

    /// A call came to nothing: whether it is made once more.
    pub(super) fn repeat(&mut self, call: HandlerKey, failure: &CallFailure) -> bool {
        let is_lost = matches!(failure, CallFailure::ChildLost { .. });
        if !is_lost || self.drain.is_begun() || !self.is_awaited(call) {
            return false;
        }
        let Some(entry) = self.calls.at(call) else {
            return false;
        };
        let Some(Again::May(text)) = entry.again.take() else {
            return false;
        };
        entry.again = Some(Again::Was);
        let (Ok(message), Some(mut forwarding)) =
            (Message::read_checked(&text), entry.forwarding().map(|kept| *kept))
        else {
            return false;
        };
        let server = forwarding.server;
        if let Some(client) = forwarding.client.filter(|client| client.key.is_single()) {
            if client.has_values {
                // They are gone with the child that was started with them.
                return false;
            }
            forwarding.client = self.children.client_of(server, &entry.ticket, Heads::None);
        }
        forwarding.shard = self.metrics.shard.0;
        if let Some(kept) = entry.forwarding() {
            *kept = forwarding;
        }
        let name = self.children.name(server);
        tracing::debug!(target: "weir::children", server = name, "a call whose child has died is made once more");
        self.children.on_repeated(server);
        self.give(call, server, &text, &message, None);
        true
    }

    /// Whether somebody waits for a call: who made it is still there, can come back for it, or has a task.
    fn is_awaited(&mut self, call: HandlerKey) -> bool {
        let Some(holder) = self.calls.holder(call) else {
            return false;
        };
        let Some(entry) = self.calls.at(call) else {
            return false;
        };
        let stream = entry.stream.as_ref();
        let can_come_back = stream.is_some_and(|stream| stream.is_resumable());
        can_come_back || entry.task.is_some() || self.table.handler(holder) == Some(call)
    }
}

/// Whether a call is of a tool that says that it changes nothing.
fn is_read_only(call: &Call) -> bool {
    let Operation::Tool(tool) = call.ticket.operation() else {
        return false;
    };
    let tool = call.service.protocol.registry().tool(tool);
    tool.annotations().read_only_hint == Some(true)
}
