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

use std::time::{Duration, Instant};

use crate::config::Linger;
use crate::mcp::{Overload, OverloadReason};
use crate::metrics::{Eviction, Stage, WaitEnd};
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
        let Some(waiter) = self.new_waiter(key) else {
            return Ok(());
        };
        let (deadline, _) = waiter.deadline(self.drain.cutoff());
        let queued = self.admission.enqueue(waiter)?;
        self.metrics.on_queued();
        self.begin_wait(key, queued.wait, deadline);
        match queued.target {
            Some(target) => self.move_oldest(target),
            None if self.admission.is_offer_due() => self.offer_waiters(),
            None => {}
        }
        Ok(())
    }

    /// A request that is about to wait.
    pub(in crate::shard) fn new_waiter(&mut self, key: ConnectionKey) -> Option<Waiter> {
        let queue = &self.service.queue;
        let patience = if self.table.request(key)?.is_browser {
            queue.timeout
        } else {
            queue.agent_timeout()
        };
        Some(Waiter::new(key, self.clock.now(), patience))
    }

    /// A request waits from now on, until `deadline` at most.
    pub(in crate::shard) fn begin_wait(&mut self, key: ConnectionKey, wait: WaitKey, deadline: Instant) {
        // What it held was promised to others.
        self.end_hold(key);
        self.table.begin_wait(key, wait, self.clock.now());
        // That it sends no more was known before this request began to wait: it may read its answer all the same.
        if self
            .table
            .connection(key)
            .is_some_and(|connection| !connection.is_half_closed)
        {
            self.table.watch(key, &mut self.ring);
        }
        self.clock.set_deadline(key, deadline);
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
        if let Some(mut waiter) = self.leave_queue(key, wait, WaitEnd::Served) {
            let permit = waiter.take_tool_permit();
            self.admission.receive_tool_permit(permit);
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
        drop(self.leave_queue(key, wait, WaitEnd::TimedOut));
        self.serve_assembly(key, Claim::Refused(reason));
    }

    /// The bytes of a request that was just queued cannot be kept: it is refused after all.
    pub(in crate::shard) fn refuse_unkept(&mut self, key: ConnectionKey, window: &[u8]) -> ReadOutcome {
        if let Some(wait) = self.table.wait(key) {
            drop(self.leave_queue(key, wait, WaitEnd::Left));
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
            drop(self.admission.take_moving(key));
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
            drop(self.leave_queue(key, wait, WaitEnd::Left));
        } else if let Some(target) = self.table.target_of_move(key) {
            self.admission.give_back_to(target);
            drop(self.admission.take_moving(key));
            // How long it has waited is counted for none that has left.
            self.metrics.on_wait_ended(WaitEnd::Left, Duration::ZERO);
        } else {
            return;
        }
        self.metrics.in_flight.down();
    }

    /// Takes a waiter out of the queue whose wait has ended so: its request is to be served, or given up.
    pub(in crate::shard) fn leave_queue(
        &mut self,
        key: ConnectionKey,
        wait: WaitKey,
        end: WaitEnd,
    ) -> Option<Waiter> {
        let waiter = self.take_waiter(key, wait)?;
        let waited = waiter.waited(self.clock.now());
        let is_known_by_client = matches!(end, WaitEnd::Served | WaitEnd::TimedOut);
        if is_known_by_client {
            self.table.note_wait(key, waited);
        }
        if waiter.is_in_line() {
            self.metrics.on_wait_ended(end, waited);
            if is_known_by_client {
                self.metrics.record_wait(waited);
            }
        } else if is_known_by_client {
            self.metrics.record_elapsed(Stage::Queue, waited);
        }
        Some(waiter)
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
