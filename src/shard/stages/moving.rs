//! Waiters that move to a shard with slack, connection and all. Of a channel only the message moves
//! (`messaging::remote`).
//!
//! The owner offers; nobody reaches into another shard. It takes a permit of the other shard first, so what
//! arrives finds a handler free, and then sends the descriptor, the request's bytes and its deadline to its inbox:
//!
//! ```text
//! Queued ── permit taken, watch and receive cancelled ──► Moving ── both ended ──► (inbox) ─► Calling, elsewhere
//!                                                           └── hang-up: permit given back
//! ```
//!
//! Offers are made when a waiter is as old as a hop costs, when one joins behind such a waiter, and when a shard
//! with slack says so. A shard whose own waiters are younger hands over permits that fall free. A connection moves
//! for one request at most once, for it is served where it arrives.

use crate::metrics::WaitEnd;
use crate::ring::{ConnectionKey, Operation, Received};

use crate::shard::admission::{Claim, Move, Waiter};
use crate::shard::connections::State;
use crate::shard::inbox::{Moved, ShardEvent};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// A shard has slack, or has left permits for the oldest waiters here. Waiters here get them, and what remains is
    /// for other shards' waiters.
    pub(in crate::shard) fn look_for_slack(&mut self) {
        self.admission.begin_looking();
        while let Some(next) = self.admission.next_left(self.clock.now()) {
            self.begin_move(next);
        }
        self.offer_waiters();
        self.admission.pass_on_slack();
    }

    /// Offers waiters if it is time to.
    pub fn offer_if_due(&mut self) {
        if self.admission.take_offer_due(self.clock.now()) {
            self.offer_waiters();
        }
    }

    /// Sends the waiters that are old enough to shards with slack, as many as those take.
    pub fn offer_waiters(&mut self) {
        while let Some(next) = self.admission.next_move(self.clock.now()) {
            self.begin_move(next);
        }
    }

    /// Moves the oldest waiter to a shard whose permit was taken for it.
    pub(in crate::shard) fn move_oldest(&mut self, target: usize) {
        if let Some(next) = self.admission.move_oldest(target) {
            self.begin_move(next);
        }
    }

    fn begin_move(&mut self, next: Move) {
        let Move {
            wait,
            connection: key,
            target,
        } = next;
        let mut waiter = self.take_waiter(key, wait);
        let tool_permit = waiter.as_mut().and_then(Waiter::take_tool_permit);
        self.admission.keep_moving(key, tool_permit);
        let Some(connection) = self.table.connection(key) else {
            return self.begin_message_move(key, target, waiter);
        };
        connection.state = State::Moving(target as u16);
        if connection.ring.is_watched {
            connection.ring.cancels += 1;
            self.ring.cancel(key, Operation::Watch);
        }
        // Armed with the answer before, which was control's.
        if connection.ring.is_receiving {
            connection.ring.cancels += 1;
            self.ring.cancel(key, Operation::Receive);
        }
        self.go_on_moving(key);
    }

    /// A connection that moves goes once nothing in the ring names it, and its request is kept: it may be in the middle
    /// of being read. A message of a channel, which the ring does not know, goes as soon as it is kept.
    pub(in crate::shard) fn go_on_moving(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return self.complete_message_move(key);
        };
        if let State::Moving(target) = connection.state
            && !connection.ring.is_in_flight()
            && connection.request.assembly.is_some()
        {
            self.complete_move(key, target.into());
        }
    }

    /// The ring has answered a cancel.
    pub(in crate::shard) fn handle_cancelled(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.ring.cancels = connection.ring.cancels.saturating_sub(1);
        match connection.state {
            State::Dead => self.table.reap(key, &mut self.ring),
            _ => self.go_on_moving(key),
        }
    }

    /// What a receive brought that was armed before its connection began to move.
    pub(in crate::shard) fn handle_received_moving(&mut self, key: ConnectionKey, outcome: Received) {
        match outcome {
            Received::Bytes(bytes) => {
                self.metrics.received_bytes.add(bytes.len() as u64);
                if self.keep(key, &bytes) {
                    self.go_on_moving(key);
                }
            }
            Received::Starved | Received::Cancelled => self.go_on_moving(key),
            Received::End | Received::Failed(_) => self.waiter_gone(key),
        }
    }

    fn complete_move(&mut self, key: ConnectionKey, target: usize) {
        let Some(mut connection) = self.table.release(key) else {
            drop(self.admission.take_moving(key));
            return self.admission.give_back_to(target);
        };
        let bytes = match connection.request.assembly.take() {
            Some(assembly) => {
                let bytes = assembly.window().to_vec();
                self.intake.give_back(assembly);
                bytes
            }
            None => Vec::new(),
        };
        let waited = self
            .clock
            .now()
            .saturating_duration_since(connection.request.phase_began);
        self.metrics.on_wait_ended(WaitEnd::Stolen, waited);
        self.metrics.in_flight.down();
        self.metrics.connections_open.down();
        self.acceptor.on_moved_out();
        let moved = Moved {
            socket: connection.socket,
            address: connection.address,
            bytes,
            request_at: connection.request.began,
            queued_at: connection.request.phase_began,
            is_browser: connection.request.is_browser,
            tool_permit: self.admission.take_moving(key),
        };
        self.admission.post(target, ShardEvent::Stolen(Box::new(moved)));
    }

    /// A connection arrives from another shard. The permit for it was taken there.
    pub(in crate::shard) fn receive_moved(&mut self, moved: Moved<R::Socket>) {
        let waited = self.clock.now().saturating_duration_since(moved.queued_at);
        let key = self
            .table
            .insert_connection(moved.socket, moved.address, self.clock.now());
        self.clock.reserve(key);
        self.metrics.connections_open.up();
        self.acceptor.on_moved_in();
        self.metrics.in_flight.up();
        self.metrics.on_stolen_in(waited);
        self.metrics.record_wait(waited);
        if let Some(connection) = self.table.connection(key) {
            connection.is_fresh = false;
            connection.request.is_browser = moved.is_browser;
            connection.request.began = moved.request_at;
        }
        self.table.note_wait(key, waited);
        self.admission.receive_permit();
        self.admission.receive_tool_permit(moved.tool_permit);
        if self.drain.is_aborted() {
            // What ran was cancelled; this would never be.
            self.metrics.in_flight.down();
            self.abort(key);
        } else {
            self.serve_window(key, &moved.bytes, Claim::Granted);
        }
        self.admission.return_permit(self.clock.now());
    }
}
