//! Calls of tools that may run only so many at once: each has a permit of its tool before it asks for a handler.
//!
//! A call beyond the limit of its tool has a place in the queue, but is not in line for a handler: others pass it. Its
//! permit comes as mail, and only then does it get in line, or a handler if one is free. Such calls take at most half
//! of the queue, so that a slow tool does not have the calls of others refused.
//!
//! Invariant: a permit of a tool is with exactly one of these: the request that is being decoded, one that waits for a
//! handler, one that is about to move or moves, a call. It is dropped with whichever has it. A shard does not end while
//! one is on its way to it, whose request has left: nobody would ever pass it on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mcp::{Overload, OverloadReason};
use crate::pool::{Granted, ToolLimit, ToolPermit, WaitKey, WaitPlace};
use crate::ring::ConnectionKey;

use super::Admission;
use super::waiter::{Limited, Waiter};

impl<S> Admission<S> {
    /// Takes a permit of its tool for the request that is being decoded, if it has none; false if it has to wait.
    pub(in crate::shard) fn enter_tool(&mut self, limit: &Arc<ToolLimit>, now: Instant) -> bool {
        let in_hand = self.tool_permits.in_hand();
        if !in_hand.is_some_and(|permit| permit.is_of(limit)) {
            // One that has waited may be for another tool now, or for one that was not limited.
            self.tool_permits.put(limit.try_enter(now));
        }
        self.tool_permits.in_hand().is_some()
    }

    /// Puts a request behind all calls of its tool that wait for others.
    ///
    /// # Errors
    /// It cannot wait.
    pub(in crate::shard) fn enqueue_for_tool(
        &mut self,
        waiter: Waiter,
        limit: &Arc<ToolLimit>,
    ) -> Result<WaitKey, OverloadReason> {
        let aside_max = self.queue_depth_max.div_ceil(2);
        let is_full = self.is_queue_full() || self.queue.aside() >= aside_max;
        if is_full {
            return Err(OverloadReason::Tool);
        }
        let connection = waiter.connection;
        let wait = self.queue.push_aside(waiter).map_err(|_| OverloadReason::Tool)?;
        let place = WaitPlace { wait, connection };
        let ticket = limit.wait(place, self.tool_permits.listener());
        let ticket = ticket.map(|ticket| self.tool_permits.await_permit(ticket));
        match (ticket, self.queue.get_mut(wait)) {
            (Some(ticket), Some(waiter)) => {
                waiter.limited = Limited::Waits(Box::new(ticket));
                Ok(wait)
            }
            _ => {
                self.queue.remove(wait);
                Err(OverloadReason::Tool)
            }
        }
    }

    /// The permit of a request has come that has waited for it; how long. `None` if it has left meanwhile: then the
    /// permit is the next one's.
    pub(in crate::shard) fn pass_limit(&mut self, granted: Granted, now: Instant) -> Option<Duration> {
        let Granted { permit, place } = granted;
        self.tool_permits.on_permit();
        let waiter = self.queue.get_mut(place.wait)?;
        let Limited::Waits(_) = waiter.limited else {
            return None;
        };
        permit.on_began(now);
        waiter.limited = Limited::Passed(permit);
        Some(waiter.begin_phase(now))
    }

    /// Puts a request in line for a handler that has its tool's permit.
    pub(in crate::shard) fn join_line(&mut self, wait: WaitKey) {
        self.queue.join(wait);
    }

    /// What a call is told that is refused because of the limit of its tool.
    pub(in crate::shard) fn tool_overload(limit: &ToolLimit, now: Instant) -> Overload {
        let (queue_depth, retry_after) = limit.on_refused(now);
        Overload {
            reason: OverloadReason::Tool,
            retry_after,
            queue_depth,
        }
    }

    /// The permit of a request is in hand that has waited, or has come from another shard.
    pub(in crate::shard) fn receive_tool_permit(&mut self, permit: Option<Arc<ToolPermit>>) {
        self.tool_permits.put(permit);
    }

    /// The permit in hand, if its call has a limited tool.
    #[inline]
    pub(in crate::shard) fn tool_permit(&self) -> Option<&Arc<ToolPermit>> {
        self.tool_permits.in_hand()
    }

    /// Takes the same.
    #[inline]
    pub(in crate::shard) fn take_tool_permit(&mut self) -> Option<Arc<ToolPermit>> {
        self.tool_permits.take()
    }

    /// Keeps the permit of a request that is about to move.
    pub(in crate::shard) fn keep_moving(
        &mut self,
        connection: ConnectionKey,
        permit: Option<Arc<ToolPermit>>,
    ) {
        if let Some(permit) = permit {
            self.tool_permits.keep_moving(connection, permit);
        }
    }

    /// Takes it: the request moves, or does so no more.
    pub(in crate::shard) fn take_moving(&mut self, connection: ConnectionKey) -> Option<Arc<ToolPermit>> {
        self.tool_permits.take_moving(connection)
    }
}
