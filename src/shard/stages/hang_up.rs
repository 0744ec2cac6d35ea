//! Clients that hang up, or finish sending, while their connection is not read from.

use crate::mcp::Era;
use crate::ring::{ConnectionKey, HangUp};

use super::closing::loss;
use crate::shard::connections::State;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// The peer of a call hung up. Modern: that cancels the call. Legacy: a running call finishes, and its
    /// answer is dropped.
    pub(in crate::shard) fn handle_hang_up(&mut self, key: ConnectionKey, outcome: &HangUp) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.ring.is_watched = false;
        let is_cancelled = matches!(outcome, HangUp::Cancelled);
        let handler = match connection.state {
            State::Dead => return self.table.reap(key, &mut self.ring),
            State::Moving(_) if is_cancelled => return self.go_on_moving(key),
            State::Calling(handler) if !is_cancelled => handler,
            // A client that finishes sending while its request waits is gone, in every era.
            State::Queued(_) | State::Moving(_) if !is_cancelled => return self.waiter_gone(key),
            State::Streaming if !is_cancelled => return self.listener_gone(key, outcome),
            State::Answering if !is_cancelled && self.writer.unfinished_source(key).is_some() => {
                return self.reader_gone(key, outcome);
            }
            State::Open if !is_cancelled => return self.handle_input_end(key),
            _ => return,
        };
        let era = self.calls.at(handler).map(|call| call.ticket.revision().era());
        if era == Some(Era::Legacy) && matches!(outcome, HangUp::ReadClosed) {
            if let Some(connection) = self.table.connection(key) {
                connection.on_half_closed(self.ring.unread_bytes(&connection.socket));
            }
            return;
        }
        let error = self
            .table
            .connection(key)
            .and_then(|connection| self.ring.take_error(&connection.socket));
        self.metrics.count_eviction(loss(error.as_ref()));
        self.client_gone(key);
    }
}
