//! Work that finds no handler: it waits in order, is served, refused, moved away, or leaves.
//!
//! A waiting connection has one complete work request, which lies in its assembly buffer and is decoded anew
//! when its turn comes. Nothing more is read from it meanwhile, so TCP pushes back on the client; its hang-up
//! is watched for.
//!
//! ```text
//!                      a handler is free, oldest first
//! Open ── queued ──► Queued ────────────────────────────► Calling
//!                      │  deadline ─► refused, Answering
//!                      │  hang-up ──► its place is free at once
//!                      └─ slack elsewhere ─► Moving (`stealing`)
//! ```
//!
//! Invariant: a handler that falls free while somebody waits is the oldest waiter's; a permit that another shard
//! gives back meanwhile is claimed for it.

use std::time::{Duration, Instant};

use crate::jsonrpc::RequestId;
use crate::mcp::{Overload, OverloadReason, SessionToken};
use crate::metrics::{Eviction, WaitEnd};
use crate::pool::{DrainRate, Purpose, WaitKey};
use crate::ring::ConnectionKey;

use super::connections::{State, Waiting};
use super::reading::Taken;
use super::{Shard, ShardRing};

/// How a request comes to ask for a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has just arrived.
    New,
    /// It has waited, and a permit is in hand for it.
    Granted,
    /// It has waited in vain.
    Refused(OverloadReason),
    /// Its client wants no answer any more.
    Cancelled,
}

/// What a request that asked for a handler gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A permit is in hand.
    Ready,
    /// No handler is free: it may wait for one.
    Exhausted,
    /// No more.
    Refused(OverloadReason),
    /// Nobody wants it to.
    Cancelled,
}

impl<R: ShardRing> Shard<R> {
    /// Whether a connection's request may lease a handler now.
    pub(super) fn ask_turn(&mut self, key: ConnectionKey, turn: Turn) -> Asked {
        if turn == Turn::New
            && let Some(reason) = self.refusal_by_channel(key)
        {
            return Asked::Refused(reason);
        }
        match turn {
            Turn::Granted => Asked::Ready,
            Turn::Refused(reason) => Asked::Refused(reason),
            Turn::Cancelled => Asked::Cancelled,
            Turn::New if self.holds_permit(key) => Asked::Ready,
            Turn::New if self.queue.is_empty() && self.neighbours.credit().try_take_own() => {
                self.has_permit_in_hand = true;
                Asked::Ready
            }
            Turn::New => Asked::Exhausted,
        }
    }

    /// Puts a request behind all that wait.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn enqueue(&mut self, key: ConnectionKey) -> Result<(), OverloadReason> {
        // Full: the oldest goes at once to where a handler is free, whatever its age, or this one itself.
        let target = match self.queue.len() < self.queue_depth_max {
            true => None,
            false => Some(
                self.neighbours
                    .take_any_permit()
                    .ok_or(OverloadReason::Handlers)?,
            ),
        };
        let Ok(wait) = self.queue.push(key) else {
            target
                .into_iter()
                .for_each(|shard| self.neighbours.give_back_to(shard));
            return Err(OverloadReason::Handlers);
        };
        // What it held was promised to others.
        self.end_hold(key);
        self.metrics.on_queued();
        let Some(connection) = self.table.at(key) else {
            return Ok(());
        };
        connection.state = State::Queued(wait);
        connection.waiting = Waiting::Nothing;
        connection.phase_began = self.clock.now;
        // That it sends no more was known before this request began to wait: it may read its answer all the same.
        if !connection.is_half_closed {
            self.watch(key);
        }
        let (deadline, _) = self.wait_deadline(key);
        self.set_deadline(key, deadline);
        match target {
            Some(target) => self.move_oldest(target),
            None => self.on_enqueued(),
        }
        Ok(())
    }

    /// Until when a waiter may wait, and why no longer. A drain ends it early enough to say so.
    fn wait_deadline(&mut self, key: ConnectionKey) -> (Instant, OverloadReason) {
        let timeouts = &self.service.waits;
        let own = match self.table.at(key) {
            Some(connection) if connection.is_browser => connection.phase_began + timeouts.browser,
            Some(connection) => connection.phase_began + timeouts.agent,
            None => self.clock.now,
        };
        match self.drain_cutoff() {
            Some(cutoff) if cutoff < own => (cutoff, OverloadReason::Draining),
            _ => (own, OverloadReason::QueueTimeout),
        }
    }

    /// A drain has begun: who waits may have less time than it thought.
    pub(super) fn hasten_waiters(&mut self) {
        let waiters: Vec<ConnectionKey> = self.queue.iter().map(|(_, &key)| key).collect();
        for key in waiters {
            let (deadline, _) = self.wait_deadline(key);
            self.set_deadline(key, deadline);
        }
    }

    /// A request that waits keeps its bytes, those behind it too. False if there is no memory for them.
    pub(super) fn keep_queued(&mut self, key: ConnectionKey, window: &[u8]) -> bool {
        let mut assembly = self
            .assembly
            .take(Purpose::Waiting)
            .unwrap_or_else(|| self.assembly.extra());
        let is_kept = self
            .assembly
            .append(&mut assembly, window, &mut self.heap)
            .is_ok();
        match self.table.at(key) {
            Some(connection) if is_kept => connection.assembly = Some(assembly),
            _ => self.assembly.give_back(assembly, &mut self.heap),
        }
        is_kept
    }

    /// Gives waiters the permits that fell free, oldest first.
    pub(super) fn serve_waiters(&mut self) {
        while self.grants > 0 {
            self.grants -= 1;
            // Who has begun goes before who has not.
            if self.serve_returning() {
                continue;
            }
            match self.queue.front() {
                Some((wait, &key)) => self.serve_waiter(key, wait),
                None => self.neighbours.give_back(),
            }
        }
    }

    fn serve_waiter(&mut self, key: ConnectionKey, wait: WaitKey) {
        self.has_permit_in_hand = true;
        if let Some(waited) = self.leave_queue(key, wait) {
            self.metrics.on_wait_ended(WaitEnd::Served, waited);
            self.metrics.record_wait(waited);
            self.note_wait(key, waited);
        }
        self.serve_assembly(key, Turn::Granted);
        self.return_permit();
    }

    /// The oldest waiter that can go to another shard: a message of a channel cannot. Most often it is the first.
    pub(super) fn oldest_movable(&mut self) -> Option<(WaitKey, ConnectionKey)> {
        let table = &mut self.table;
        let mut waiters = self.queue.iter().map(|(wait, &key)| (wait, key));
        waiters.find(|(_, key)| table.at(*key).is_some_and(|entry| entry.parent().is_none()))
    }

    /// How long the oldest waiter has waited; zero when nobody waits.
    pub(super) fn oldest_wait(&mut self) -> Duration {
        let oldest = self.queue.front().and_then(|(_, &key)| self.table.at(key));
        oldest.map_or(Duration::ZERO, |connection| {
            self.clock.now.saturating_duration_since(connection.phase_began)
        })
    }

    /// A waiter's time is over.
    pub(super) fn refuse_waiter(&mut self, key: ConnectionKey, wait: WaitKey) {
        let (deadline, reason) = self.wait_deadline(key);
        if self.clock.now < deadline {
            return self.set_deadline(key, deadline);
        }
        if let Some(waited) = self.leave_queue(key, wait) {
            self.metrics.on_wait_ended(WaitEnd::TimedOut, waited);
            self.metrics.record_wait(waited);
            self.note_wait(key, waited);
        }
        self.serve_assembly(key, Turn::Refused(reason));
    }

    /// A request that waits is wanted no more: it leaves the queue.
    pub(super) fn cancel_waiter(&mut self, session: SessionToken, request: &RequestId) {
        let waiters: Vec<(WaitKey, ConnectionKey)> =
            self.queue.iter().map(|(wait, &key)| (wait, key)).collect();
        let found = waiters.into_iter().find(|(_, key)| {
            let waits_for = self.table.at(*key).and_then(|entry| entry.waits_for.as_deref());
            waits_for.is_some_and(|(waiting, id)| *waiting == session && id == request)
        });
        let Some((wait, key)) = found else {
            return;
        };
        if let Some(waited) = self.leave_queue(key, wait) {
            self.metrics.on_wait_ended(WaitEnd::Left, waited);
        }
        self.serve_assembly(key, Turn::Cancelled);
    }

    /// The bytes of a request that was just queued cannot be kept: it is refused after all.
    pub(super) fn refuse_unkept(&mut self, key: ConnectionKey, window: &[u8]) -> Taken {
        if let Some(State::Queued(wait)) = self.table.at(key).map(|connection| connection.state)
            && let Some(waited) = self.leave_queue(key, wait)
        {
            self.metrics.on_wait_ended(WaitEnd::Left, waited);
        }
        self.take_request(key, window, Turn::Refused(OverloadReason::Memory))
    }

    /// Whose request waits, or is about to move, has left: that is its end in every era.
    pub(super) fn lose_waiter(&mut self, key: ConnectionKey) {
        self.metrics.count_eviction(Eviction::HangUp);
        self.kill(key);
        self.offer_waiters();
    }

    /// A connection is given up while its request waits, or is about to move.
    pub(super) fn forget_wait(&mut self, key: ConnectionKey, state: State) {
        let since = self
            .table
            .at(key)
            .map_or(self.clock.now, |connection| connection.phase_began);
        match state {
            State::Queued(wait) => drop(self.leave_queue(key, wait)),
            State::Moving(target) => self.neighbours.give_back_to(target.into()),
            _ => return,
        }
        let waited = self.clock.now.saturating_duration_since(since);
        self.metrics.on_wait_ended(WaitEnd::Left, waited);
        self.metrics.in_flight.down();
    }

    /// Takes a waiter out of the queue, and makes its connection an open one; returns how long it has waited.
    pub(super) fn leave_queue(&mut self, key: ConnectionKey, wait: WaitKey) -> Option<Duration> {
        self.queue.remove(wait)?;
        if self.queue.is_empty() {
            self.neighbours.stop_waiting();
        }
        self.clear_deadline(key);
        let now = self.clock.now;
        let connection = self.table.at(key)?;
        connection.state = State::Open;
        connection.waits_for = None;
        Some(now.saturating_duration_since(connection.phase_began))
    }

    /// A permit that was in hand and not used goes on to whoever is next.
    pub(super) fn return_permit(&mut self) {
        if std::mem::take(&mut self.has_permit_in_hand) {
            self.release_permit();
        }
    }

    /// A permit is free: the oldest waiter's, or anybody's.
    pub(super) fn release_permit(&mut self) {
        if (self.grants as usize) < self.permits_wanted() {
            self.grants += 1;
        } else {
            self.neighbours.give_back();
        }
    }

    /// Permits of this shard that fell free elsewhere are its own waiters' first.
    pub(super) fn claim_permits(&mut self) {
        while (self.grants as usize) < self.permits_wanted() && self.neighbours.credit().try_take_own() {
            self.grants += 1;
        }
    }

    fn permits_wanted(&self) -> usize {
        self.queue.len() + self.askers.returning()
    }

    pub(super) fn overload(&mut self, reason: OverloadReason) -> Overload {
        self.metrics.refusals.increment(reason);
        let queue_depth = self.queue.len();
        let retry_after = match reason {
            // Not what the queue drains: a moment may do.
            OverloadReason::Memory | OverloadReason::Tasks => DrainRate::RETRY_AFTER_MIN,
            // Whoever comes next waits for the workers as long as those who have handlers do now.
            OverloadReason::Workers => self.drain_rate.retry_after_workers(),
            _ => self.drain_rate.retry_after(queue_depth, self.clock.now),
        };
        Overload {
            reason,
            retry_after,
            queue_depth,
        }
    }
}
