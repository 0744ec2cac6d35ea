//! The calls of one shard: what runs in its handlers, what lies on the shelf until a client answers, and what is to be
//! polled next.
//!
//! A call is polled in place first; one that is pending becomes a task, one that blocks goes to the workers. A call
//! that waits for its client gives its handler up meanwhile.
//!
//! ```text
//! start ─► Ready ─ next_started ─► Polled ─► (settled)
//!   ▲                              │  ▲
//!   │                      suspend ▼  │ resume
//!   │ return_shelved              Pending ─ shelve ─► Shelved ─┐
//!   └──────────────────────────────────────────────────────────┘
//! submit ─► Working (a worker thread) ─ event ─► (settled)
//! begin_reading ─► Reading (a worker reads the first piece of its answer) ─ event ─► (settled)
//! ```
//!
//! Calls knows no connection but by its key, no clock, and nobody who waits for a handler. It polls nothing itself.
//!
//! | file | its part |
//! |---|---|
//! | `call` | the state of a leased handler |
//! | `call_waker` | what wakes a pending call, and what it waits for |
//! | `links`, `speaking` | what calls speak into, and what they have said |
//! | `shelf` | calls that wait for their client without a handler, and come back |
//! | `places`, `elsewhere` | calls that others work for, without a handler |
//! | `reading` | calls whose answers have sources |
//! | `askers`, `asker_key` | what is known of a call that has asked its client something |

mod again;
mod asker_key;
mod askers;
mod call;
mod call_waker;
mod elsewhere;
mod links;
mod places;
mod reading;
mod rounds;
mod shelf;
mod speaking;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::jsonrpc::Scratch;
use crate::mcp::Era;
use crate::metrics::HandlerState;
use crate::pool::{HandlerKey, Pool};
use crate::registry::{CallFuture, CallLink, Emission, LinkListener, ServerHandle};
use crate::ring::{ConnectionKey, wake_now};
use crate::workers::{Job, Refused, Submitter};

pub(super) use again::Again;
pub(super) use asker_key::AskerKey;
use askers::Askers;
pub use call::Call;
pub(super) use call::{Batched, Forwarding, Run};
pub use call_waker::Awaits;
pub(super) use call_waker::CallWaker;
use links::Links;
use places::Places;
pub(super) use rounds::{RoundQuestion, Rounds};

/// The calls of one shard.
pub(super) struct Calls {
    pool: Pool<Call, ConnectionKey>,
    askers: Askers,
    places: Places,
    links: Links,
    /// Calls to be polled for the first time, oldest first.
    started: VecDeque<HandlerKey>,
    /// Calls that are pending.
    pending: Pending,
    /// What one call said, while it is passed on.
    emissions: Vec<Emission>,
    /// One message of it.
    message: Vec<u8>,
    workers: Submitter,
}

/// How many calls are pending, by what they wait for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pending {
    /// Their tasks have not polled them yet.
    fresh: usize,
    turn: usize,
    shard: usize,
    anything: usize,
}

impl Pending {
    fn of(&mut self, awaits: &Awaits) -> &mut usize {
        match awaits {
            Awaits::Turn(None) => &mut self.fresh,
            Awaits::Turn(Some(_)) => &mut self.turn,
            Awaits::Shard(_) => &mut self.shard,
            Awaits::Anything(_) => &mut self.anything,
        }
    }

    fn insert(&mut self, awaits: &Awaits) {
        *self.of(awaits) += 1;
    }

    fn remove(&mut self, awaits: &Awaits) {
        *self.of(awaits) -= 1;
    }
}

/// The call that has the deadline of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallSlot {
    /// The call that this handler works for.
    Handler(HandlerKey),
    /// A call that waits for its client.
    Asker(AskerKey),
}

impl Calls {
    pub(super) fn new(
        handlers: u32,
        buffer_bytes: usize,
        listener: Arc<dyn LinkListener>,
        server: ServerHandle,
        workers: Submitter,
    ) -> Calls {
        let askers = Askers::new(handlers);
        Calls {
            pool: Pool::new(handlers, buffer_bytes),
            // The slots of their deadlines, if they ever get one, are those behind the others'.
            places: Places::new(handlers.saturating_add(askers.len_max())),
            askers,
            links: Links::new(listener, server),
            started: VecDeque::with_capacity(handlers as usize),
            pending: Pending::default(),
            emissions: Vec::new(),
            message: Vec::new(),
            workers,
        }
    }

    /// The call that a handler works for, or one without a handler.
    #[inline]
    pub(super) fn at(&mut self, handler: HandlerKey) -> Option<&mut Call> {
        if self.places.is_one(handler) {
            self.places.call_mut(handler)
        } else {
            self.pool.call_mut(handler)
        }
    }

    /// The entry that a handler works for: a connection, a message of a channel, or a task.
    #[inline]
    pub(super) fn holder(&self, handler: HandlerKey) -> Option<ConnectionKey> {
        if self.places.is_one(handler) {
            self.places.holder(handler)
        } else {
            self.pool.holder(handler)
        }
    }

    /// The call that a handler works for, or that had this one before it was shelved; and the connection, message or
    /// task that it is the call of.
    pub(super) fn speaker(&mut self, handler: HandlerKey) -> Option<(&mut Call, ConnectionKey)> {
        match self.holder(handler) {
            Some(holder) => self.at(handler).map(|call| (call, holder)),
            None => self.askers.shelved_at(handler),
        }
    }

    /// Whether a call ends when its client leaves: that is what the client means since 2026-07-28, and was not before.
    /// One whose function is over has nothing to do but for its client.
    pub(super) fn is_cancelled_by_leaving(&mut self, handler: HandlerKey) -> bool {
        let call = self.at(handler);
        call.is_some_and(|call| {
            call.ticket.revision().era() == Era::Modern || matches!(call.run, Run::Reading(..))
        })
    }

    /// Whether a handler works for a task.
    pub(super) fn is_task(&mut self, handler: HandlerKey) -> bool {
        self.speaker(handler).is_some_and(|(call, _)| call.task.is_some())
    }

    /// Whether calls were started that were not polled yet.
    pub(super) fn has_started(&self) -> bool {
        !self.started.is_empty()
    }

    /// Whether calls are pending that their tasks have not polled yet.
    pub(super) fn has_fresh(&self) -> bool {
        self.pending.fresh > 0
    }

    /// Whether calls are pending that will be polled as soon as tasks run.
    pub(super) fn has_runnable(&self) -> bool {
        self.pending.fresh + self.pending.turn > 0
    }

    /// Whether calls wait for something that may need the executor.
    pub(super) fn awaits_executor(&self) -> bool {
        self.pending.anything > 0
    }

    /// The keys of the calls that are as `matches` says, with a handler or without.
    pub(super) fn handlers_where(&mut self, matches: impl Fn(&Call) -> bool) -> Vec<HandlerKey> {
        let keys = (0..self.pool.size()).filter_map(|index| self.pool.key_at(index));
        let keys: Vec<HandlerKey> = keys.chain(self.places.keys()).collect();
        keys.into_iter()
            .filter(|handler| self.at(*handler).is_some_and(|call| matches(call)))
            .collect()
    }

    /// The call that has the deadline of this slot of the clock.
    pub(super) fn at_slot(&self, slot: u32) -> Option<CallSlot> {
        match slot.checked_sub(self.pool.size()) {
            None => self.pool.key_at(slot).map(CallSlot::Handler),
            Some(place) => self.askers.key_at(place).map(CallSlot::Asker),
        }
    }

    // Handlers.

    /// How many handlers there are.
    pub(super) fn handlers(&self) -> u32 {
        self.pool.size()
    }

    /// Capacity of a handler's buffer, bytes.
    #[inline]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.pool.buffer_bytes()
    }

    /// Makes all pages of the handlers' buffers resident.
    pub(super) fn prefault(&mut self) {
        self.pool.prefault();
    }

    /// Whether a handler neither works nor lingers.
    #[inline]
    pub(super) fn has_idle(&self) -> bool {
        self.pool.idle() > 0
    }

    /// Whether no call runs or waits, and no handler lingers.
    pub(super) fn is_empty(&self) -> bool {
        self.pool.idle() == self.pool.size() && self.askers.is_shelf_empty() && self.places.is_empty()
    }

    /// Leases a handler to a call, which is made where it stays: the one that its holder `held`, or an idle one; and
    /// what that was until now. `None` if there is none.
    #[inline(always)]
    pub(super) fn lease(
        &mut self,
        holder: ConnectionKey,
        held: Option<HandlerKey>,
        call: impl FnOnce() -> Call,
    ) -> Option<(HandlerKey, HandlerState)> {
        match held {
            Some(held) => Some((self.pool.resume(held, call)?, HandlerState::Lingering)),
            None => Some((self.pool.acquire(holder, call)?, HandlerState::Idle)),
        }
    }

    /// Takes a handler back from a call that was ended, or from the holder it lingers with. False if it has none.
    #[inline]
    pub(super) fn release(&mut self, handler: HandlerKey) -> bool {
        self.pool.release(handler)
    }

    /// Gives an idle handler to a connection that has no call yet.
    pub(super) fn hold(&mut self, holder: ConnectionKey, now: Instant) -> Option<HandlerKey> {
        self.pool.hold(holder, now)
    }

    /// A call is over, and its handler stays with its holder, under the key that is returned.
    pub(super) fn linger(&mut self, handler: HandlerKey, now: Instant) -> Option<HandlerKey> {
        self.pool.linger(handler, now)
    }

    /// The connection with which a handler has lingered longest, and since when.
    pub(super) fn longest_lingering(&self) -> Option<(ConnectionKey, Instant)> {
        let (_, holder, since) = self.pool.longest_lingering()?;
        Some((holder, since))
    }

    /// A handler works for this task from now on, and no more for the connection that asked for it.
    pub(super) fn hand_over(&mut self, handler: HandlerKey, task: ConnectionKey) {
        if self.places.is_one(handler) {
            self.places.hand_over(handler, task);
        } else {
            self.pool.hand_over(handler, task);
        }
    }

    /// Keeps the body of a batch, or of a call that may be answered with questions, with its handler.
    pub(super) fn keep_body(&mut self, handler: HandlerKey, body: &[u8]) {
        if let Some(mut inbound) = self.pool.take_inbound(handler) {
            inbound.extend_from_slice(body);
            self.pool.put_inbound(handler, inbound);
        }
    }

    /// Takes the body of a batch to decode its next call; goes back to [`Calls::put_body`].
    pub(super) fn take_body(&mut self, handler: HandlerKey) -> Option<Vec<u8>> {
        self.pool.take_inbound(handler)
    }

    /// Takes the body back.
    pub(super) fn put_body(&mut self, handler: HandlerKey, body: Vec<u8>) {
        self.pool.put_inbound(handler, body);
    }

    /// Binds a call that is answered with questions to its message, which its link has or was kept, and returns its
    /// link.
    pub(super) fn bind(&mut self, handler: HandlerKey, scratch: &mut Scratch) -> Option<Arc<CallLink>> {
        let call = self.at(handler)?;
        let link = call.link.clone();
        if let Some(message) = link.as_deref().and_then(CallLink::message) {
            call.ticket.bind(message, scratch);
            return link;
        }
        let message = self.take_body(handler)?;
        if let Some(call) = self.at(handler) {
            call.ticket.bind(&message, scratch);
        }
        self.put_body(handler, message);
        link
    }

    /// Renews the lease of a handler for the next call of its batch: what comes late for one call is never taken for
    /// the next.
    pub(super) fn renew(&mut self, handler: HandlerKey) -> Option<HandlerKey> {
        self.pool.renew(handler)
    }

    // Running.

    /// A call is to be polled.
    pub(super) fn start(&mut self, handler: HandlerKey, future: CallFuture) {
        if let Some(call) = self.pool.call_mut(handler) {
            call.run = Run::Ready(future);
            self.started.push_back(handler);
        }
    }

    /// Hands a blocking call to the workers.
    ///
    /// # Errors
    /// Their queue is full, or they stop.
    pub(super) fn submit(&mut self, handler: HandlerKey, job: Job) -> Result<(), Refused> {
        let handle = self.workers.try_submit(job)?;
        if let Some(call) = self.at(handler) {
            call.run = Run::Working(handle);
        }
        Ok(())
    }

    /// The oldest call that was started and not polled yet.
    pub(super) fn next_started(&mut self) -> Option<(HandlerKey, CallFuture)> {
        while let Some(handler) = self.started.pop_front() {
            let Some(call) = self.pool.call_mut(handler) else {
                continue;
            };
            if let Run::Ready(future) = std::mem::replace(&mut call.run, Run::Polled) {
                call.begin_poll();
                return Some((handler, future));
            }
        }
        None
    }

    /// A polled call is pending. False if the call was taken away.
    pub(super) fn suspend(&mut self, handler: HandlerKey, future: CallFuture, awaits: Awaits) -> bool {
        let Some(call) = self.pool.call_mut(handler) else {
            return false;
        };
        self.pending.insert(&awaits);
        call.run = Run::Pending(future, awaits);
        true
    }

    /// Wakes the task of a pending call. One that is not pending is polled, or settled, anyway.
    pub(super) fn wake(&mut self, handler: HandlerKey) {
        if let Some(call) = self.pool.call_mut(handler)
            && let Run::Pending(_, awaits) = &call.run
            && let Some(task) = awaits.task()
        {
            wake_now(task);
        }
    }

    /// Takes a pending call to poll it; `None` if it was taken away.
    pub(super) fn resume(&mut self, handler: HandlerKey) -> Option<CallFuture> {
        let call = self.pool.call_mut(handler)?;
        match std::mem::replace(&mut call.run, Run::Polled) {
            Run::Pending(future, awaits) => {
                self.pending.remove(&awaits);
                call.begin_poll();
                Some(future)
            }
            other => {
                call.run = other;
                None
            }
        }
    }

    /// Ends what still runs of a call that keeps its handler until it is settled. False if there is none.
    pub(super) fn give_up(&mut self, handler: HandlerKey) -> bool {
        let Some(call) = self.at(handler) else {
            return false;
        };
        let run = std::mem::replace(&mut call.run, Run::Polled);
        self.stop(run);
        true
    }

    /// Ends what still runs of the call in a handler, which is about to lose it.
    pub(super) fn end(&mut self, handler: HandlerKey) {
        let Some(call) = self.at(handler) else {
            return;
        };
        let run = std::mem::replace(&mut call.run, Run::Ended);
        let (link, tool_permit) = (call.link.take(), call.tool_permit.take());
        self.discard(run, link);
        // The place is another call's only when nothing of this one runs here.
        drop(tool_permit);
    }

    /// Ends what still runs of a call that has no handler.
    pub(super) fn discard(&mut self, run: Run, link: Option<Arc<CallLink>>) {
        self.stop(run);
        if let Some(link) = link {
            self.links.put(link);
        }
    }

    /// Ends what still runs of a call. A job on a worker is told to stop; if it does not, it counts as abandoned.
    fn stop(&mut self, run: Run) {
        match run {
            Run::Pending(future, awaits) | Run::Shelved(future, awaits) => {
                self.pending.remove(&awaits);
                drop(future);
                // Its task finds the call gone and ends.
                if let Some(task) = awaits.task() {
                    wake_now(task);
                }
            }
            Run::Working(job) | Run::Reading(job, _) => {
                job.abandon();
            }
            // A child was told, if it has the call.
            Run::Forwarded(_) | Run::Ready(_) | Run::Polled | Run::Ended => {}
        }
    }

    /// Handlers that neither work nor linger.
    #[cfg(test)]
    pub(super) fn idle(&self) -> u32 {
        self.pool.idle()
    }

    /// Handlers that work.
    #[cfg(test)]
    pub(super) fn busy(&self) -> u32 {
        self.pool.busy()
    }

    /// Panics unless no call runs, waits or is to be polled.
    #[cfg(test)]
    pub(super) fn assert_at_rest(&self) {
        assert_eq!(self.pool.idle(), self.pool.size(), "idle handlers");
        assert_eq!(self.pending, Pending::default(), "pending calls");
        assert_eq!(self.started.len(), 0, "calls never polled");
        assert!(self.places.is_empty(), "calls that others work for");
        assert!(self.askers.is_shelf_empty(), "calls that wait for their clients");
    }
}
