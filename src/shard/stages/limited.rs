//! Calls of tools that may run only so many at once.
//!
//! Such a call asks for a permit of its tool before it asks for a handler. Without one it waits, has no handler, and
//! holds nobody up but later calls of its tool. The permit is the call's until its function has ended, whatever its
//! client hears before, and moves with it:
//!
//! ```text
//! decoded ─ permit ─► asks for a handler … ─► Calling ─ function over ─► permit of the oldest of the tool, anywhere
//!    └─ none ─► Queued ─ permit comes as mail ─┘
//!                 └─ deadline, hang-up, cancelled: its place in the line is free
//! ```
//!
//! Calls of a batch never wait: their batch has a handler already.

use std::sync::Arc;
use std::time::Instant;

use crate::mcp::{Overload, OverloadReason, Ticket, Work};
use crate::metrics::Stage;
use crate::pool::{Granted, ToolLimit};
use crate::registry::Operation;
use crate::ring::ConnectionKey;

use crate::shard::admission::{Admission, Claim};
use crate::shard::service::LocalService;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// The limit that keeps a call from asking for a handler now. If there is none, the call's tool has no limit, or a
    /// permit of it is in hand.
    #[inline]
    pub(in crate::shard) fn limit_in_the_way<'s>(
        &mut self,
        service: &'s LocalService,
        operation: Operation,
        claim: Claim,
    ) -> Option<&'s Arc<ToolLimit>> {
        let limit = service.tool_limit(operation)?;
        let is_to_run = matches!(claim, Claim::New | Claim::Granted);
        (is_to_run && !self.admission.enter_tool(limit, self.clock.now())).then_some(limit)
    }

    /// A call waits for others of its tool, unless something is wrong with it or too many wait.
    #[cold]
    pub(in crate::shard) fn await_tool(
        &mut self,
        (key, claim): (ConnectionKey, Claim),
        (service, limit): (&LocalService, &Arc<ToolLimit>),
        work: &Work<'_>,
        out: Vec<u8>,
        decoded: Instant,
    ) {
        let ticket = work.ticket();
        if claim == Claim::New
            && let Some(reason) = self.refusal_by_channel(key)
        {
            return self.refuse_work(key, &ticket, out, reason);
        }
        // What is wrong with it can be said at once.
        if let Err(error) = work.check(&service.registry) {
            return self.answer_unstarted(key, &ticket, &error, out, decoded);
        }
        match self.enqueue_for_tool(key, limit) {
            Ok(()) => {
                self.note_waiting(key, &ticket);
                self.writer.put_buffer(out);
            }
            Err(reason) => self.refuse_work(key, &ticket, out, reason),
        }
    }

    fn enqueue_for_tool(&mut self, key: ConnectionKey, limit: &Arc<ToolLimit>) -> Result<(), OverloadReason> {
        let Some(waiter) = self.new_waiter(key) else {
            return Ok(());
        };
        let (deadline, _) = waiter.deadline(self.drain.cutoff());
        let wait = self.admission.enqueue_for_tool(waiter, limit)?;
        self.begin_wait(key, wait, deadline);
        Ok(())
    }

    /// A call has its tool's permit that has waited for it: now it needs a handler.
    pub(in crate::shard) fn handle_tool_permit(&mut self, granted: Granted) {
        let now = self.clock.now();
        let (key, wait) = (granted.place.connection, granted.place.wait);
        let Some(waited) = self.admission.pass_limit(granted, now) else {
            return;
        };
        self.metrics.record_elapsed(Stage::Queue, waited);
        self.table.note_wait(key, waited);
        if !self.admission.try_take_permit() {
            self.admission.join_line(wait);
            self.metrics.on_queued();
            self.table.begin_wait(key, wait, now);
            if self.admission.is_offer_due() {
                self.offer_waiters();
            }
            return;
        }
        self.admission.receive_permit();
        let waiter = self.take_waiter(key, wait);
        let permit = waiter.and_then(|mut waiter| waiter.take_tool_permit());
        self.admission.receive_tool_permit(permit);
        self.serve_assembly(key, Claim::Granted);
        self.admission.return_permit(self.clock.now());
    }

    /// Counts a refusal because of the limit of a tool; what its client is told.
    pub(in crate::shard) fn tool_overload(&mut self, limit: &ToolLimit) -> Overload {
        self.metrics.refusals.increment(OverloadReason::Tool);
        Admission::<R::Socket>::tool_overload(limit, self.clock.now())
    }

    /// The same for a call of this ticket, if that is the reason; otherwise what the shard has to say.
    pub(in crate::shard) fn overload_of(
        &mut self,
        service: &LocalService,
        ticket: &Ticket,
        reason: OverloadReason,
    ) -> Overload {
        let limit = (reason == OverloadReason::Tool)
            .then(|| service.tool_limit(ticket.operation()))
            .flatten();
        match limit {
            Some(limit) => self.tool_overload(limit),
            None => self.overload(reason),
        }
    }
}
