//! Waiters that move to a shard with slack, connection and all.
//!
//! The owner offers; nobody reaches into another shard. It takes a permit of the other shard first, so what
//! arrives finds a handler free, and then sends the descriptor, the request's bytes and its deadline by mail:
//!
//! ```text
//! Queued ── permit taken, watch and receive cancelled ──► Moving ── both ended ──► (mail) ──► Calling, elsewhere
//!                                                           └── hang-up: permit given back
//! ```
//!
//! Offers are made when a waiter is as old as a hop costs, when one joins behind such a waiter, and when a shard
//! with slack says so. A connection moves for one request at most once, for it is served where it arrives.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::metrics::WaitEnd;
use crate::pool::WaitKey;
use crate::ring::{ConnectionKey, Operation, Received};
use crate::timers::TimerKind;

use super::addresses::AddressPlace;
use super::connections::{Link, State};
use super::inbox::ShardEvent;
use super::waiting::Turn;
use super::{Shard, ShardRing};

/// A waiter younger than this is not worth a hop: waking the other shard takes most of it. Measured; see
/// `tuning.md`.
const WAIT_MIN: Duration = Duration::from_micros(200);

/// A connection on its way between shards, with one complete request in hand.
pub struct Moved<S> {
    socket: S,
    /// Its place among those of its address goes with it.
    address: Option<AddressPlace>,
    /// The request, and what was received behind it.
    bytes: Vec<u8>,
    request_at: Instant,
    queued_at: Instant,
    is_browser: bool,
}

#[cfg(test)]
impl<S> Moved<S> {
    /// One that brings nothing but its permit.
    pub(super) fn bare(socket: S, now: Instant) -> Self {
        Moved {
            socket,
            address: None,
            bytes: Vec::new(),
            request_at: now,
            queued_at: now,
            is_browser: false,
        }
    }
}

/// When the next offer is due, and who is to be told.
#[derive(Debug, Default)]
pub(super) struct OfferTimer {
    due: Option<Instant>,
    waker: Option<Waker>,
}

impl OfferTimer {
    fn set(&mut self, due: Instant) {
        if self.due.is_none_or(|set| due < set) {
            self.due = Some(due);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }
}

impl<R: ShardRing> Shard<R> {
    /// A request has joined the queue.
    pub(super) fn on_enqueued(&mut self) {
        // Who is known to wait is told when there is slack.
        if self.neighbours.can_steal() && !self.neighbours.is_waiting() {
            self.offer_waiters();
        }
    }

    /// There is slack somewhere: who waits here gets it, and what is left of it is others'.
    pub(super) fn look_for_slack(&mut self) {
        self.neighbours.begin_looking();
        self.claim_permits();
        self.offer_waiters();
        self.neighbours.pass_on_slack();
    }

    /// Sends the waiters that are old enough to shards with slack, as many as those take.
    pub fn offer_waiters(&mut self) {
        if !self.neighbours.can_steal() {
            return;
        }
        loop {
            let ripe = self.oldest_ripe();
            let target = self.neighbours.seek(ripe.map(|(_, _, since)| since));
            let (Some(target), Some((wait, key, _))) = (target, ripe) else {
                return;
            };
            self.begin_move(key, wait, target);
        }
    }

    /// The time of the next offer, once it is set; for the task that makes it.
    pub fn poll_offer_due(&mut self, context: &Context<'_>) -> Poll<Instant> {
        match self.offers.due.take() {
            Some(due) => Poll::Ready(due),
            None => {
                self.offers.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The oldest waiter, if it is old enough to move; if it is not, the next offer is for when it will be.
    fn oldest_ripe(&mut self) -> Option<(WaitKey, ConnectionKey, Instant)> {
        let (wait, key) = self.oldest_movable()?;
        let since = self.table.at(key)?.phase_began;
        let is_ripe = self.clock.now >= since + WAIT_MIN;
        if !is_ripe {
            self.offers.set(since + WAIT_MIN);
        }
        is_ripe.then_some((wait, key, since))
    }

    /// Moves the oldest waiter to a shard whose permit was taken for it.
    pub(super) fn move_oldest(&mut self, target: usize) {
        match self.oldest_movable() {
            Some((wait, key)) => self.begin_move(key, wait, target),
            None => self.neighbours.give_back_to(target),
        }
    }

    fn begin_move(&mut self, key: ConnectionKey, wait: WaitKey, target: usize) {
        self.leave_queue(key, wait);
        let Some(connection) = self.table.at(key) else {
            return self.neighbours.give_back_to(target);
        };
        connection.state = State::Moving(target as u16);
        if connection.is_watched {
            connection.cancels += 1;
            self.ring.cancel(key, Operation::Watch);
        }
        // Armed with the answer before, which was control's.
        if connection.is_receiving {
            connection.cancels += 1;
            self.ring.cancel(key, Operation::Receive);
        }
        self.go_on_moving(key);
    }

    /// A connection that moves goes once nothing in the ring names it.
    pub(super) fn go_on_moving(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.at(key)
            && let State::Moving(target) = connection.state
            && !connection.is_in_flight()
        {
            self.complete_move(key, target.into());
        }
    }

    /// The ring has answered a cancel.
    pub(super) fn handle_cancelled(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.at(key) else {
            return;
        };
        connection.cancels = connection.cancels.saturating_sub(1);
        match connection.state {
            State::Dead => self.bury(key),
            _ => self.go_on_moving(key),
        }
    }

    /// What a receive brought that was armed before its connection began to move.
    pub(super) fn handle_received_moving(&mut self, key: ConnectionKey, outcome: Received) {
        match outcome {
            Received::Bytes(bytes) => {
                self.metrics.received_bytes.add(bytes.len() as u64);
                if self.keep(key, &bytes) {
                    self.go_on_moving(key);
                }
            }
            Received::Starved | Received::Cancelled => self.go_on_moving(key),
            Received::End | Received::Failed(_) => self.lose_waiter(key),
        }
    }

    fn complete_move(&mut self, key: ConnectionKey, target: usize) {
        let Some(mut connection) = self.table.release(key) else {
            return self.neighbours.give_back_to(target);
        };
        let Link::Socket(socket) = connection.link else {
            return self.neighbours.give_back_to(target);
        };
        let bytes = match connection.assembly.take() {
            Some(assembly) => {
                let bytes = assembly.window().to_vec();
                self.assembly.give_back(assembly, &mut self.heap);
                bytes
            }
            None => Vec::new(),
        };
        let waited = self.clock.now.saturating_duration_since(connection.phase_began);
        self.metrics.on_wait_ended(WaitEnd::Stolen, waited);
        self.metrics.in_flight.down();
        self.metrics.connections_open.down();
        let moved = Moved {
            socket,
            address: connection.address,
            bytes,
            request_at: connection.request_at,
            queued_at: connection.phase_began,
            is_browser: connection.is_browser,
        };
        self.neighbours.post(target, ShardEvent::Stolen(Box::new(moved)));
    }

    /// A connection arrives from another shard. The permit for it was taken there.
    pub(super) fn receive_moved(&mut self, moved: Moved<R::Socket>) {
        let waited = self.clock.now.saturating_duration_since(moved.queued_at);
        let key = self
            .table
            .insert(Link::Socket(moved.socket), moved.address, self.clock.now);
        self.timers.reserve(TimerKind::Connection, key.slot + 1);
        self.metrics.connections_open.up();
        self.metrics.in_flight.up();
        self.metrics.on_stolen_in(waited);
        self.metrics.record_wait(waited);
        if let Some(connection) = self.table.at(key) {
            connection.is_fresh = false;
            connection.is_browser = moved.is_browser;
            connection.request_at = moved.request_at;
        }
        self.note_wait(key, waited);
        self.has_permit_in_hand = true;
        self.serve_window(key, &moved.bytes, Turn::Granted);
        self.return_permit();
    }
}
