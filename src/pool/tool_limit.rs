//! The limit of one tool: how many of its calls are in flight over the process, and which wait for one of these places.
//!
//! A call in flight has a *permit*. Those beyond the limit have *tickets*, in the order in which they came to whichever
//! shard. A permit that falls free is the oldest ticket's: it is sent to the shard of that call, and nobody who comes
//! only now gets it.
//!
//! ```text
//! try_enter ─► permit ─ dropped ─► the oldest ticket's, or free
//! wait ──────► ticket ─ permit sent to its shard ─► in flight, or dropped because the call has left meanwhile
//!                └─ dropped ─► out of the line
//! ```
//!
//! Calls of tools without a limit never come here. Each limit has one lock, under which nothing is called.
//!
//! Invariants: there are at most `concurrency` permits, unless the limit was lowered, and none is made then; nobody has
//! a ticket while there are fewer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::drain_rate::DrainRate;
use super::lock::{Lock, LockTypes, StdLocks};
use super::queue::WaitKey;
use crate::metrics::ToolLimitFigures;
use crate::ring::ConnectionKey;

/// Who sends a permit to the shard of the call whose it is.
pub trait PermitListener<X: LockTypes = StdLocks>: Send + Sync {
    /// A call's permit has come. Called by any thread; must not block.
    fn on_permit(&self, granted: Granted<X>);
}

/// A permit for a call that has waited.
#[derive(Debug)]
pub struct Granted<X: LockTypes = StdLocks> {
    /// The permit.
    pub permit: Arc<ToolPermit<X>>,
    /// The call.
    pub place: WaitPlace,
}

/// Where on its shard a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitPlace {
    /// Its place in the queue.
    pub wait: WaitKey,
    /// Its connection, or message.
    pub connection: ConnectionKey,
}

/// How many calls of a tool may be in flight, and how many may wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Calls in flight; at least one.
    pub in_flight_max: u32,
    /// Calls that wait; `None` is as many as the shards' queues take.
    pub queue_max: Option<u32>,
}

/// The limit of one tool.
pub struct ToolLimit<X: LockTypes = StdLocks> {
    state: X::Lock<State<X>>,
}

struct State<X: LockTypes> {
    /// `None` once the tool is limited no more.
    bounds: Option<Concurrency>,
    /// Permits that there are.
    in_flight: u32,
    /// Calls that wait, by their numbers.
    tickets: BTreeMap<u64, Ticket<X>>,
    next_number: u64,
    /// Each permit has one of these numbers.
    slots_free: Vec<u32>,
    slots: u32,
    rate: DrainRate,
    refused_total: u64,
}

/// A call in flight.
struct InFlight {
    /// One of the permits' numbers.
    slot: u32,
    /// Whether nothing bounded it.
    is_lifted: bool,
}

struct Ticket<X: LockTypes> {
    place: WaitPlace,
    listener: Arc<dyn PermitListener<X>>,
}

impl ToolLimit {
    /// A limit under which nothing is in flight.
    pub fn new(bounds: Concurrency) -> Arc<ToolLimit> {
        ToolLimit::on_locks(bounds)
    }
}

impl<X: LockTypes> ToolLimit<X> {
    /// The same, behind a lock of this kind.
    pub(crate) fn on_locks(bounds: Concurrency) -> Arc<Self> {
        Arc::new(ToolLimit {
            state: Lock::new(State {
                bounds: Some(bounds),
                in_flight: 0,
                tickets: BTreeMap::new(),
                next_number: 0,
                slots_free: Vec::new(),
                slots: 0,
                rate: DrainRate::new(0),
                refused_total: 0,
            }),
        })
    }

    /// A permit for a call that comes at `now`, if it need not wait.
    pub fn try_enter(self: &Arc<Self>, now: Instant) -> Option<Arc<ToolPermit<X>>> {
        let place = self.state.with(|state| {
            if !state.tickets.is_empty() {
                return None;
            }
            let place = state.take_place()?;
            state.rate.on_began(place.slot, now);
            Some(place)
        });
        Some(self.permit(place?))
    }

    /// Puts a call behind all that wait; its permit comes to `listener`. `None` if as many wait as may.
    pub fn wait(
        self: &Arc<Self>,
        place: WaitPlace,
        listener: &Arc<dyn PermitListener<X>>,
    ) -> Option<ToolTicket<X>> {
        let listener = Arc::clone(listener);
        let ticket = Ticket { place, listener };
        let number = self.state.with(|state| state.put_behind(ticket)).ok()?;
        let ticket = ToolTicket {
            limit: Arc::clone(self),
            number,
        };
        // One may have fallen free since this call was refused it.
        self.grant_free();
        Some(ticket)
    }

    /// Other numbers hold from now on. Calls that have permits keep them.
    pub fn set(self: &Arc<Self>, bounds: Concurrency) {
        self.state.with(|state| state.bounds = Some(bounds));
        self.grant_free();
    }

    /// The tool is limited no more: all that wait get permits.
    pub fn lift(self: &Arc<Self>) {
        self.state.with(|state| state.bounds = None);
        self.grant_free();
    }

    /// A call was refused because of this limit. How many wait, and after which time one that comes now may expect a
    /// permit.
    pub fn on_refused(&self, now: Instant) -> (usize, Duration) {
        self.state.with(|state| {
            state.refused_total += 1;
            let waiting = state.tickets.len();
            (waiting, state.rate.retry_after(waiting, now))
        })
    }

    /// The figures; `None` once the tool is limited no more.
    pub fn figures(&self) -> Option<ToolLimitFigures> {
        self.state.with(|state| {
            Some(ToolLimitFigures {
                in_flight: state.in_flight.into(),
                in_flight_max: state.bounds?.in_flight_max.into(),
                waiting: state.tickets.len() as u64,
                refused_total: state.refused_total,
            })
        })
    }

    /// Whether any call has a permit, or waits for one.
    pub fn is_used(&self) -> bool {
        self.state
            .with(|state| state.in_flight > 0 || !state.tickets.is_empty())
    }

    /// Sends permits that are free to those who wait, oldest first.
    fn grant_free(self: &Arc<Self>) {
        while let Some(granted) = self.state.with(State::next_granted) {
            self.grant(granted);
        }
    }

    fn grant(self: &Arc<Self>, (ticket, place): (Ticket<X>, InFlight)) {
        let permit = self.permit(place);
        let place = ticket.place;
        ticket.listener.on_permit(Granted { permit, place });
    }

    fn permit(self: &Arc<Self>, InFlight { slot, is_lifted }: InFlight) -> Arc<ToolPermit<X>> {
        Arc::new(ToolPermit {
            limit: Arc::clone(self),
            slot,
            is_lifted,
        })
    }
}

impl<X: LockTypes> State<X> {
    /// The number of a ticket behind all others; the ticket itself if as many wait as may.
    fn put_behind(&mut self, ticket: Ticket<X>) -> Result<u64, Ticket<X>> {
        let queue_max = self.bounds.and_then(|bounds| bounds.queue_max);
        if queue_max.is_some_and(|max| self.tickets.len() >= max as usize) {
            return Err(ticket);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.tickets.insert(number, ticket);
        Ok(number)
    }

    /// A place in flight, if there is one.
    fn take_place(&mut self) -> Option<InFlight> {
        let is_full = |bounds: Concurrency| self.in_flight >= bounds.in_flight_max;
        if self.bounds.is_some_and(is_full) {
            return None;
        }
        self.in_flight += 1;
        let slot = self.slots_free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.rate.make_room(slot);
        Some(InFlight {
            slot,
            is_lifted: self.bounds.is_none(),
        })
    }

    /// The oldest ticket, and the place in flight that is its call's.
    fn next_granted(&mut self) -> Option<(Ticket<X>, InFlight)> {
        if self.tickets.is_empty() {
            return None;
        }
        let place = self.take_place()?;
        let (_, ticket) = self.tickets.pop_first()?;
        Some((ticket, place))
    }
}

impl<X: LockTypes> fmt::Debug for ToolLimit<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.with(|state| {
            f.debug_struct("ToolLimit")
                .field("bounds", &state.bounds)
                .field("in_flight", &state.in_flight)
                .field("waiting", &state.tickets.len())
                .finish_non_exhaustive()
        })
    }
}

/// The place of a call in flight, which is the next one's once this is dropped.
#[derive(Debug)]
#[must_use = "the place of a call is free once its permit is dropped"]
pub struct ToolPermit<X: LockTypes = StdLocks> {
    limit: Arc<ToolLimit<X>>,
    slot: u32,
    /// Whether it was given because the tool was limited no more.
    is_lifted: bool,
}

impl<X: LockTypes> ToolPermit<X> {
    /// Whether it is one of this limit's.
    pub fn is_of(&self, limit: &Arc<ToolLimit<X>>) -> bool {
        // One that was given while the limit was lifted is worth nothing once there are bounds again.
        let is_bounded = || limit.state.with(|state| state.bounds.is_some());
        Arc::ptr_eq(&self.limit, limit) && !(self.is_lifted && is_bounded())
    }

    /// Its call has got it now.
    pub fn on_began(&self, now: Instant) {
        self.limit.state.with(|state| state.rate.on_began(self.slot, now));
    }

    /// Its call has ended, which tells how long calls take.
    pub fn on_ended(&self, now: Instant) {
        self.limit.state.with(|state| state.rate.on_ended(self.slot, now));
    }
}

impl<X: LockTypes> Drop for ToolPermit<X> {
    fn drop(&mut self) {
        let granted = self.limit.state.with(|state| {
            state.rate.on_given_back(self.slot);
            state.slots_free.push(self.slot);
            state.in_flight -= 1;
            state.next_granted()
        });
        if let Some(granted) = granted {
            self.limit.grant(granted);
        }
    }
}

/// The place of a call that waits, which leaves the line when this is dropped.
#[derive(Debug)]
pub struct ToolTicket<X: LockTypes = StdLocks> {
    limit: Arc<ToolLimit<X>>,
    number: u64,
}

impl<X: LockTypes> ToolTicket<X> {
    /// Leaves the line. False if it is not in it any more: then its permit has come, or will.
    pub fn leave(&self) -> bool {
        let left = self.limit.state.with(|state| state.tickets.remove(&self.number));
        // A listener is dropped with its ticket, which is none of the lock's business.
        left.is_some()
    }
}

impl<X: LockTypes> Drop for ToolTicket<X> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
