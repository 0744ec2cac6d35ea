//! Clients that hang up, or finish sending, while their connection is not read from.

use crate::mcp::Era;
use crate::ring::{ConnectionKey, HangUp};
use crate::transport::http::Persistence;

use super::closing::loss;
use crate::shard::connections::State;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// A client has finished sending and may still read: what it has sent is answered. The answer in hand says that it
    /// is the last if nothing came behind its request.
    pub(in crate::shard) fn on_half_closed(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.is_half_closed = true;
        let unread_bytes = self.ring.unread_bytes(&connection.socket);
        // A receive that is armed may have taken bytes that are still to be handled.
        let has_more =
            unread_bytes > 0 || connection.request.assembly.is_some() || connection.ring.is_receiving;
        if !has_more {
            connection.response.persistence = Persistence::Close;
        }
    }

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
            // Whose request waits is gone with its FIN, in every era.
            State::Queued(_) | State::Moving(_) if !is_cancelled => return self.waiter_gone(key),
            State::Streaming if !is_cancelled => return self.listener_gone(key, outcome),
            State::Open if !is_cancelled => return self.handle_input_end(key),
            _ => return,
        };
        let era = self.calls.at(handler).map(|call| call.ticket.revision().era());
        if era == Some(Era::Legacy) && matches!(outcome, HangUp::ReadClosed) {
            return self.on_half_closed(key);
        }
        let error = self
            .table
            .connection(key)
            .and_then(|connection| self.ring.take_error(&connection.socket));
        self.metrics.count_eviction(loss(error.as_ref()));
        self.client_gone(key);
    }
}
