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
//!                      └─ slack elsewhere ─► Moving (`moving`; messages of channels: `messaging::remote`)
//! ```
//!
//! Invariant: a handler that falls free while somebody waits is the oldest waiter's, here or on the shard that its
//! permit was handed to; a permit that another shard gives back meanwhile is claimed for the oldest here.

use std::time::Duration;

use crate::config::Linger;
use crate::mcp::{Overload, OverloadReason};
use crate::metrics::{Eviction, WaitEnd};
use crate::pool::WaitKey;
use crate::ring::ConnectionKey;

use super::reading::ReadOutcome;
use crate::shard::admission::{Claim, Decision, Next, Waiter};
use crate::shard::connections::ExchangeState;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Whether a connection's request may lease a handler now.
    pub(in crate::shard) fn decide(&mut self, key: ConnectionKey, claim: Claim) -> Decision {
        if claim == Claim::New
            && let Some(reason) = self.refusal_by_channel(key)
        {
            return Decision::Refuse(reason);
        }
        // A handler that is held for ever is nobody else's.
        let holds_permit = self.service.queue.linger == Linger::Forever
            && self
                .table
                .connection(key)
                .is_some_and(|connection| connection.held.is_some());
        self.admission.decide(claim, holds_permit)
    }

    /// Puts a request behind all that wait.
    ///
    /// # Errors
    /// Why it cannot.
    pub(in crate::shard) fn enqueue(&mut self, key: ConnectionKey) -> Result<(), OverloadReason> {
        let queue = &self.service.queue;
        let Some(request) = self.table.request(key) else {
            return Ok(());
        };
        let patience = if request.is_browser {
            queue.timeout
        } else {
            queue.agent_timeout()
        };
        let waiter = Waiter::new(key, self.clock.now(), patience);
        let (deadline, _) = waiter.deadline(self.drain.cutoff());
        let queued = self.admission.enqueue(waiter)?;
        // What it held was promised to others.
        self.end_hold(key);
        self.metrics.on_queued();
        self.table.begin_wait(key, queued.wait, self.clock.now());
        // That it sends no more was known before this request began to wait: it may read its answer all the same.
        if self
            .table
            .connection(key)
            .is_some_and(|connection| !connection.is_half_closed)
        {
            self.table.watch(key, &mut self.ring);
        }
        self.clock.set_deadline(key, deadline);
        match queued.target {
            Some(target) => self.move_oldest(target),
            None if self.admission.is_offer_due() => self.offer_waiters(),
            None => {}
        }
        Ok(())
    }

    /// A drain has begun: requests that wait may have less time than before.
    pub(in crate::shard) fn shorten_waits(&mut self) {
        let cutoff = self.drain.cutoff();
        for waiter in self.admission.waiters() {
            let (deadline, _) = waiter.deadline(cutoff);
            self.clock.set_deadline(waiter.connection, deadline);
        }
    }

    /// A request that waits keeps its bytes, those behind it too. False if there is no memory for them.
    pub(in crate::shard) fn keep_queued(&mut self, key: ConnectionKey, window: &[u8]) -> bool {
        let Some(assembly) = self.intake.keep_waiting(window) else {
            return false;
        };
        match self.table.request(key) {
            Some(request) => request.assembly = Some(assembly),
            None => self.intake.give_back(assembly),
        }
        // If it is to move at once, it waited for this.
        self.go_on_moving(key);
        true
    }

    /// Gives the permits that fell free to whoever is next.
    pub(in crate::shard) fn serve_waiters(&mut self) {
        while let Some(next) = self.admission.next() {
            match next {
                Next::Returning(handler) => self.serve_returning(handler),
                Next::Waiter(wait, key) => self.serve_waiter(key, wait),
            }
            self.admission.return_permit(self.clock.now());
        }
    }

    fn serve_waiter(&mut self, key: ConnectionKey, wait: WaitKey) {
        if let Some(waited) = self.leave_queue(key, wait) {
            self.metrics.on_wait_ended(WaitEnd::Served, waited);
            self.metrics.record_wait(waited);
            self.table.note_wait(key, waited);
        }
        self.serve_assembly(key, Claim::Granted);
    }

    /// A waiter's time is over.
    pub(in crate::shard) fn refuse_waiter(&mut self, key: ConnectionKey, wait: WaitKey) {
        let cutoff = self.drain.cutoff();
        let Some(waiter) = self.admission.waiter(wait) else {
            return;
        };
        let (deadline, reason) = waiter.deadline(cutoff);
        if self.clock.now() < deadline {
            return self.clock.set_deadline(key, deadline);
        }
        if let Some(waited) = self.leave_queue(key, wait) {
            self.metrics.on_wait_ended(WaitEnd::TimedOut, waited);
            self.metrics.record_wait(waited);
            self.table.note_wait(key, waited);
        }
        self.serve_assembly(key, Claim::Refused(reason));
    }

    /// The bytes of a request that was just queued cannot be kept: it is refused after all.
    pub(in crate::shard) fn refuse_unkept(&mut self, key: ConnectionKey, window: &[u8]) -> ReadOutcome {
        if let Some(wait) = self.table.wait(key)
            && let Some(waited) = self.leave_queue(key, wait)
        {
            self.metrics.on_wait_ended(WaitEnd::Left, waited);
        }
        if let Some(target) = self.table.target_of_move(key) {
            let Some(exchange) = self.table.exchange(key) else {
                // Bytes of a connection may lie elsewhere; if not even that, it is given up.
                if self.keep(key, window) {
                    self.go_on_moving(key);
                }
                return ReadOutcome::Ended;
            };
            (exchange.state, exchange.away) = (ExchangeState::Reading, None);
            self.admission.give_back_to(target);
            self.metrics.on_wait_ended(WaitEnd::Left, Duration::ZERO);
        }
        self.take_request(key, window, Claim::Refused(OverloadReason::Memory))
    }

    /// A client that disconnects while its request waits or moves gets no answer, in every era.
    pub(in crate::shard) fn waiter_gone(&mut self, key: ConnectionKey) {
        self.metrics.count_eviction(Eviction::HangUp);
        self.abort(key);
        self.offer_waiters();
    }

    /// A connection or a message is given up: if its request waits, or is about to move, it does so no more.
    pub(in crate::shard) fn abandon_wait(&mut self, key: ConnectionKey) {
        if let Some(wait) = self.table.wait(key) {
            self.leave_queue(key, wait);
        } else if let Some(target) = self.table.target_of_move(key) {
            self.admission.give_back_to(target);
        } else {
            return;
        }
        let now = self.clock.now();
        let since = self.table.request(key).map(|request| request.phase_began);
        let waited = now.saturating_duration_since(since.unwrap_or(now));
        self.metrics.on_wait_ended(WaitEnd::Left, waited);
        self.metrics.in_flight.down();
    }

    /// Takes a waiter out of the queue: its request is to be served, or given up. Returns how long it has waited.
    pub(in crate::shard) fn leave_queue(&mut self, key: ConnectionKey, wait: WaitKey) -> Option<Duration> {
        let waiter = self.take_waiter(key, wait)?;
        Some(waiter.waited(self.clock.now()))
    }

    pub(super) fn take_waiter(&mut self, key: ConnectionKey, wait: WaitKey) -> Option<Waiter> {
        let waiter = self.admission.leave(wait)?;
        self.clock.clear_deadline(key);
        self.table.end_wait(key);
        Some(waiter)
    }

    /// Counts a refusal; what its client is told.
    pub(in crate::shard) fn overload(&mut self, reason: OverloadReason) -> Overload {
        self.metrics.refusals.increment(reason);
        self.admission.overload(reason, self.clock.now())
    }
}
