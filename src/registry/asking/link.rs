//! The link between one call and its client: messages and questions one way, answers the other.
//!
//! The call (a future on a shard, or a function on a worker) shares it with the shard that serves the call. It knows
//! nothing of the protocol's text and of connections: the shard takes the [`Emission`]s out and has them written.
//!
//! ```text
//!   call ── say, ask ──▶ queue ── take_emissions ──▶ shard ──▶ client
//!   call ◀── wake ────── answers ◀── answer ──────── shard ◀── client
//! ```
//!
//! Messages that the call emits while a shard polls it go into a queue of that thread's own, without a lock; messages
//! from another thread, or between two polls, go into the link's queue, and the listener is told.
//!
//! Invariants: the queues are bounded in number and bytes; a question is never dropped from a queue; the listener is
//! told at most once until the queue is taken, and never of messages during a poll; progress increases from one
//! emission to the next; after `close` nothing is queued and nobody waits.
#![allow(
    clippy::disallowed_types,
    reason = "a worker's thread speaks here to a shard; a call that only answers never locks"
)]

mod state;
mod unsent;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::registry::caller::facts::{CallerFacts, CallerSource};
use crate::ring::waker_of_shard;

use super::capabilities::ClientCapabilities;
use super::client::{Asking, ClientFacts};
use super::emission::{Emission, Progress};
use super::log_level::LogLevel;
use super::question::{AnswerError, AskedQuestion, Question};
use super::server_handle::ServerHandle;
use super::tool_error::ToolError;

use state::{LinkState, WaitState, Waiting};
pub use state::{QUESTION_KEY_BYTES_MAX, QUESTIONS_MAX};
use unsent::{LinkAddress, Queued, Unsent};
pub use unsent::{UNSENT_BYTES_MAX, UNSENT_MAX};

/// How often a blocked question checks whether its call was cancelled. A cancellation is a flag and wakes nobody.
const CANCELLATION_LOOK: Duration = Duration::from_millis(20);

/// The shard polls the call now, and looks for emissions afterwards.
const POLLED: u8 = 1;
/// The call has a number that the listener is told.
const BOUND: u8 = 1 << 1;
/// There are emissions to take.
const PENDING: u8 = 1 << 2;
/// The call is over.
const CLOSED: u8 = 1 << 3;
/// The call has asked on the stream, so it may be waiting.
const ASKED: u8 = 1 << 4;

/// Is told that a call has messages.
pub trait LinkListener: Send + Sync {
    /// There is something to take from the link of `call`, emitted outside a poll. Called at most once until it is
    /// taken. It runs on the thread that emitted, without a lock, and so perhaps just after the call was closed.
    fn on_emission(&self, call: u64);
}

/// The way from one call to its client. A shard makes it once and uses it again, call after call.
pub struct CallLink {
    facts: ClientFacts,
    caller: CallerFacts,
    /// Nothing but those two differs from a new link's.
    is_unused: bool,
    listener: Arc<dyn LinkListener>,
    server: ServerHandle,
    call: AtomicU64,
    flags: AtomicU8,
    /// The progress that the call reported last, as bits; no number until it reported any.
    progress: AtomicU64,
    /// The progress that was taken last.
    taken: AtomicU64,
    /// Emissions that were lost because there were too many unsent.
    dropped: AtomicU64,
    state: Mutex<LinkState>,
    answered: Condvar,
}

/// The result of asking a question.
pub(super) enum QuestionState {
    /// The question is answered already, or never will be.
    Settled(Result<Value, ToolError>),
    /// The question went out under this number.
    Waiting(u32),
}

impl CallLink {
    /// A link for calls of one shard, one after the other.
    pub fn new(listener: Arc<dyn LinkListener>, server: ServerHandle) -> Arc<CallLink> {
        Arc::new(CallLink {
            facts: ClientFacts::default(),
            caller: CallerFacts::default(),
            is_unused: true,
            listener,
            server,
            call: AtomicU64::new(0),
            flags: AtomicU8::new(0),
            progress: AtomicU64::new(f64::NAN.to_bits()),
            taken: AtomicU64::new(f64::NAN.to_bits()),
            dropped: AtomicU64::new(0),
            state: Mutex::default(),
            answered: Condvar::new(),
        })
    }

    /// Makes it the link of a new call that nobody made, and drops everything left over from the last one.
    #[cfg(any(test, feature = "internals"))]
    pub fn begin(&mut self, facts: ClientFacts) {
        self.is_unused = false;
        self.reset();
        self.facts = facts;
        self.caller = CallerFacts::default();
    }

    /// Makes it the link of a new call that is to know who made it, and drops everything left over from the last one.
    /// Neither locks nor, in steady state, allocates.
    #[inline(always)]
    pub fn begin_for(&mut self, facts: ClientFacts, caller: &CallerSource<'_>) {
        if !std::mem::replace(&mut self.is_unused, false) {
            self.reset();
        }
        self.facts = facts;
        self.caller.fill(caller);
    }

    fn reset(&mut self) {
        // Messages from the last poll of the last call, if nobody took them.
        unsent::with_polled(self.address(), Unsent::clear);
        *self.flags.get_mut() = 0;
        *self.progress.get_mut() = f64::NAN.to_bits();
        *self.taken.get_mut() = f64::NAN.to_bits();
        *self.dropped.get_mut() = 0;
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.clear();
    }

    /// The whole message that the call serves, if that was kept for what is known of its caller.
    pub fn message(&self) -> Option<&[u8]> {
        self.caller.message()
    }

    /// The call of this link is over, and nobody else has the link. If the call said nothing, the link is as a new one.
    pub fn rest(&mut self) {
        self.caller.trim();
        // Bound or not, it was polled to the end of a poll, so none of its messages is left on this thread.
        if *self.flags.get_mut() & !BOUND == 0 && self.has_said_nothing() {
            *self.flags.get_mut() = 0;
            self.is_unused = true;
        }
    }

    /// The same, if the call of this link has said nothing yet. Whoever has the link to itself knows then that the
    /// call, which does not have it any more, never will. False if it has.
    #[inline]
    pub fn rest_if_silent(&mut self) -> bool {
        self.is_unused = self.is_silent();
        if self.is_unused {
            self.caller.trim();
        }
        self.is_unused
    }

    /// Whether the call of this link has said nothing yet.
    pub fn is_silent(&mut self) -> bool {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        *self.flags.get_mut() == 0 && state.is_empty()
    }

    /// Whether nothing is left of what a call said and asked.
    fn has_said_nothing(&mut self) -> bool {
        let numbers = [&mut self.progress, &mut self.taken].map(|number| *number.get_mut());
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        numbers == [f64::NAN.to_bits(); 2] && *self.dropped.get_mut() == 0 && state.is_empty()
    }

    /// Gives the call the number that its listener is told. Messages from before are announced now, because the
    /// listener is not told before.
    pub fn bind(&self, call: u64) {
        // The flag publishes this.
        self.call.store(call, Ordering::Relaxed);
        let before = self.flags.fetch_or(BOUND, Ordering::AcqRel);
        if before & (PENDING | POLLED) == PENDING {
            self.listener.on_emission(call);
        }
    }

    /// This thread polls the call: from here to [`CallLink::end_poll`] the listener is not told.
    #[inline]
    pub fn begin_poll(&self) {
        unsent::begin_poll(self.address());
        self.flags.fetch_or(POLLED, Ordering::AcqRel);
    }

    /// Returns whether there are emissions to take. This thread must take those of the poll before it polls another
    /// call.
    #[inline]
    pub fn end_poll(&self) -> bool {
        let has_spoken = unsent::end_poll(self.address());
        let before = self.flags.fetch_and(!POLLED, Ordering::AcqRel);
        has_spoken || before & PENDING != 0
    }

    /// Moves all emissions, in order, to the end of `into`.
    pub fn take_emissions(&self, into: &mut Vec<Emission>) {
        let start = into.len();
        unsent::with_polled(self.address(), |unsent| unsent.take(into));
        if self.flags.load(Ordering::Acquire) & PENDING != 0 {
            let mut state = self.lock();
            state.unsent.take(into);
            // The queue and its flag change together, under the lock.
            self.flags.fetch_and(!PENDING, Ordering::AcqRel);
            drop(state);
            self.keep_increasing(into, start);
        }
        let progress = |emission: &Emission| match emission {
            Emission::Progress { progress, .. } => Some(*progress),
            _ => None,
        };
        if let Some(last) = into.iter().skip(start).rev().find_map(progress) {
            self.taken.store(last.to_bits(), Ordering::Relaxed);
        }
    }

    /// Whether other threads emitted something other than a message: a question, or that the stream is to close.
    pub fn has_requests(&self) -> bool {
        let is_pending = self.flags.load(Ordering::Acquire) & PENDING != 0;
        is_pending && self.lock().unsent.iter().any(|emission| !emission.is_droppable())
    }

    /// With [`Asking::ByRetry`], takes the questions without an answer, in the order in which they were asked.
    pub fn take_unanswered(&self) -> Vec<AskedQuestion> {
        std::mem::take(&mut self.lock().unanswered)
    }

    /// With [`Asking::ByRetry`], the answers that came with the request and were asked for.
    pub fn answers(&self) -> Option<Map<String, Value>> {
        let answers = self.facts.answers.as_deref()?;
        let state = self.lock();
        let asked = answers.iter().filter(|(key, _)| state.keys.contains(key));
        Some(asked.map(|(key, answer)| (key.clone(), answer.clone())).collect())
    }

    /// With [`Asking::OnStream`], passes the client's answer to a question on. A number that nobody waits for is
    /// ignored, and so is a second answer.
    pub fn answer(&self, number: u32, answer: Result<Value, AnswerError>) {
        let waker = {
            let mut state = self.lock();
            let Some(waiting) = state.state_of(number) else {
                return;
            };
            let WaitState::Open(waker) = waiting else {
                return;
            };
            let waker = waker.take();
            *waiting = WaitState::Answered(answer);
            waker
        };
        self.answered.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// With [`Asking::OnStream`], the number of questions without an answer.
    pub fn open_questions(&self) -> usize {
        if self.flags.load(Ordering::Acquire) & ASKED == 0 {
            return 0;
        }
        let state = self.lock();
        let is_open = |waiting: &&Waiting| matches!(waiting.state, WaitState::Open(_));
        state.waiting.iter().filter(is_open).count()
    }

    /// Ends the call: its messages from now on are dropped, and every wait for an answer ends with
    /// [`ToolError::Cancelled`]. Messages from before can still be taken.
    pub fn close(&self) {
        let before = self.flags.fetch_or(CLOSED, Ordering::AcqRel);
        // A question after this finds the call closed before it waits.
        if before & ASKED == 0 {
            return;
        }
        // The lock makes sure that a call which saw the flag unset, and waits now, is woken.
        let mut state = self.lock();
        let wakers: Vec<Waker> = state.waiting.iter_mut().filter_map(Waiting::take_waker).collect();
        drop(state);
        self.answered.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many emissions this call has lost because too many were unsent.
    #[cfg(test)]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What the client can be asked.
    pub(in crate::registry) fn capabilities(&self) -> ClientCapabilities {
        self.facts.capabilities
    }

    pub(in crate::registry) fn caller(&self) -> &CallerFacts {
        &self.caller
    }

    pub(in crate::registry) fn server(&self) -> &ServerHandle {
        &self.server
    }

    pub(in crate::registry) fn wants_progress(&self) -> bool {
        self.facts.wants_progress && !self.is_closed()
    }

    pub(in crate::registry) fn wants_log(&self, level: LogLevel) -> bool {
        self.facts.log_level.is_some_and(|least| level >= least) && !self.is_closed()
    }

    /// Queues progress, if the client wants it, and if it is finite and further than the last (MCP, Progress: the value
    /// must increase).
    pub(in crate::registry) fn progress(&self, progress: Progress) {
        if !self.wants_progress() || !progress.progress.is_finite() {
            return;
        }
        let is_reported = |last| f64::from_bits(last) >= progress.progress;
        let advance = |last| (!is_reported(last)).then_some(progress.progress.to_bits());
        let advanced = self
            .progress
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance);
        if advanced.is_err() {
            return;
        }
        let emission = Emission::Progress {
            progress: progress.progress,
            total: progress.total.filter(|total| total.is_finite()),
            message: progress.message,
        };
        self.queue(emission);
    }

    /// Queues an emission.
    pub(in crate::registry) fn emit(&self, emission: Emission) {
        let closes = |queued: &Emission| matches!(queued, Emission::CloseStream { .. });
        // A stream is closed once.
        if closes(&emission) {
            let is_cut_here = unsent::with_polled(self.address(), |unsent| unsent.iter().any(closes));
            if is_cut_here == Some(true) || self.lock().unsent.iter().any(closes) {
                return;
            }
        }
        self.queue(emission);
    }

    /// Asks a question in the way that leads to this client.
    pub(super) fn begin_question<Q: Question>(&self, key: &str, question: &Q) -> QuestionState {
        let needs = question.needs();
        if self.facts.asking == Asking::Never {
            return QuestionState::Settled(Err(ToolError::MissingCapability(needs)));
        }
        let claimed = self.lock().claim(key);
        let number = match claimed {
            Ok(number) => number,
            Err(fault) => return QuestionState::Settled(Err(ToolError::internal(fault))),
        };
        let answers = self.facts.answers.as_ref();
        if let Some(answer) = answers.and_then(|answers| answers.get(key)) {
            return QuestionState::Settled(Ok(answer.clone()));
        }
        if !self.facts.capabilities.contains(needs) {
            return QuestionState::Settled(Err(ToolError::MissingCapability(needs)));
        }
        // The request is made without the lock, because a question may run anybody's code.
        let asked = AskedQuestion {
            number,
            key: key.to_owned(),
            request: question.request(self.facts.capabilities),
        };
        let mut state = self.lock();
        if self.is_closed() {
            return QuestionState::Settled(Err(ToolError::Cancelled));
        }
        if self.facts.asking == Asking::ByRetry {
            state.unanswered.push(asked);
            return QuestionState::Settled(Err(ToolError::InputRequired));
        }
        state.waiting.push(Waiting {
            number,
            state: WaitState::Open(None),
        });
        self.flags.fetch_or(ASKED, Ordering::AcqRel);
        drop(state);
        self.queue(Emission::Question(asked));
        QuestionState::Waiting(number)
    }

    /// Takes the answer to a question on the stream, once; `waker` is woken when there is one: the shard itself
    /// says so.
    pub(super) fn poll_answer(&self, number: u32, waker: &Waker) -> Poll<Result<Value, ToolError>> {
        let mut state = self.lock();
        if let Some(result) = state.take_answer(number) {
            return Poll::Ready(result);
        }
        if self.is_closed() {
            state.forget(number);
            return Poll::Ready(Err(ToolError::Cancelled));
        }
        match state.state_of(number) {
            Some(WaitState::Open(slot)) => {
                *slot = Some(waker_of_shard(waker));
                Poll::Pending
            }
            _ => Poll::Ready(Err(ToolError::Cancelled)),
        }
    }

    /// Does the same on a thread that may block.
    pub(super) fn wait_for(&self, number: u32, is_cancelled: impl Fn() -> bool) -> Result<Value, ToolError> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.take_answer(number) {
                return result;
            }
            if self.is_closed() || is_cancelled() {
                state.forget(number);
                return Err(ToolError::Cancelled);
            }
            let waited = self.answered.wait_timeout(state, CANCELLATION_LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Withdraws a question: it is not sent if it was not taken yet, and its answer is ignored otherwise.
    pub(super) fn withdraw(&self, number: u32) {
        unsent::with_polled(self.address(), |unsent| unsent.forget_question(number));
        self.lock().forget(number);
    }

    fn address(&self) -> LinkAddress {
        LinkAddress::of(self)
    }

    fn is_closed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Queues an emission, and tells the listener if it has to know.
    fn queue(&self, emission: Emission) {
        if self.is_closed() {
            return;
        }
        // Messages that another thread queued meanwhile come first, so that the order stays.
        if self.flags.load(Ordering::Acquire) & PENDING == 0 {
            let mut emission = Some(emission);
            let queued = unsent::while_polled(self.address(), |unsent| {
                emission.take().map(|emission| unsent.queue(emission))
            });
            match (queued.flatten(), emission) {
                (Some(queued), _) => self.count_dropped(&queued),
                (None, Some(emission)) => self.queue_from_elsewhere(emission),
                (None, None) => {}
            }
        } else {
            self.queue_from_elsewhere(emission);
        }
    }

    /// Does the same from another thread than the one that polls the call, or between two polls.
    fn queue_from_elsewhere(&self, emission: Emission) {
        let mut state = self.lock();
        let queued = state.unsent.queue(emission);
        self.count_dropped(&queued);
        if !queued.is_kept {
            return;
        }
        // The queue and its flag change together, under the lock.
        let before = self.flags.fetch_or(PENDING, Ordering::AcqRel);
        drop(state);
        if before & (PENDING | POLLED | BOUND) == BOUND {
            self.listener.on_emission(self.call.load(Ordering::Relaxed));
        }
    }

    /// Removes from `emissions[start..]` progress that no longer increases, because two threads reported at once.
    fn keep_increasing(&self, emissions: &mut Vec<Emission>, start: usize) {
        let mut last = f64::from_bits(self.taken.load(Ordering::Relaxed));
        let mut at = 0;
        emissions.retain(|emission| {
            let is_new = at >= start;
            at += 1;
            let Emission::Progress { progress, .. } = emission else {
                return true;
            };
            if !is_new {
                return true;
            }
            let is_behind = *progress <= last;
            last = if is_behind { last } else { *progress };
            !is_behind
        });
    }

    fn count_dropped(&self, queued: &Queued) {
        if queued.dropped > 0 {
            self.dropped.fetch_add(queued.dropped, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        // Nothing that can panic runs halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CallLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallLink")
            .field("call", &self.call)
            .field("asking", &self.facts.asking)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
