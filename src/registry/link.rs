//! Between one call and its client: what the call says, what it asks, and the answers.
//!
//! Shared by the call (a future on a shard, or a function on a worker) and the shard that serves it. Knows no words
//! of the protocol and no connection: the shard takes the [`Emission`]s out and has them written.
//!
//! ```text
//!   call ── say, ask ──▶ queue ── take_emissions ──▶ shard ──▶ client
//!   call ◀── wake ────── answers ◀── answer ──────── shard ◀── client
//! ```
//!
//! Invariants: what is queued is bounded in number and bytes; a question is never dropped from the queue; the
//! listener is told at most once until the queue is taken, and never of what is said during a poll; after `close`
//! nothing is queued and nobody waits. A call that says nothing never touches the lock.
#![allow(
    clippy::disallowed_types,
    reason = "a worker's thread speaks here to a shard; a call that only answers never locks"
)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use serde_json::{Map, Value};

use super::capabilities::ClientCapabilities;
use super::client::{Asking, ClientFacts};
use super::emission::{Emission, Progress};
use super::log_level::LogLevel;
use super::output::ToolError;
use super::question::{AnswerError, NotedQuestion, Question};
use super::server_handle::ServerHandle;

/// Emissions a call may have unsent. Beyond it the oldest progress or log message is dropped.
pub const UNSENT_MAX: usize = 1_024;
/// Of about this many bytes: as much as a stream holds for a client that does not read.
pub const UNSENT_BYTES_MAX: usize = 256 << 10;
/// Questions one call may put. Each takes a client's answer, so a call with more has lost its way.
pub const QUESTIONS_MAX: usize = 256;
/// The longest key of a question; keys travel to the client and back.
pub const QUESTION_KEY_BYTES_MAX: usize = 128;
/// Places for emissions that a link at rest keeps.
const KEPT_MAX: usize = 16;
/// How often a blocked question looks whether its call was cancelled. A cancellation is a flag and wakes nobody.
const CANCELLATION_LOOK: Duration = Duration::from_millis(20);

/// The shard polls the call now, and looks for emissions afterwards.
const POLLED: u8 = 1;
/// The call has a number to tell the listener.
const BOUND: u8 = 1 << 1;
/// There are emissions to take.
const PENDING: u8 = 1 << 2;
/// The call is over.
const CLOSED: u8 = 1 << 3;
/// The call has asked on the stream, so somebody may wait.
const ASKED: u8 = 1 << 4;

/// Hears that a call has said something.
pub trait LinkListener: Send + Sync {
    /// There is something to take from the link of `call`, said outside a poll. At most once until it is taken. Runs on
    /// whichever thread the call spoke on, under no lock, and so perhaps just after the call was closed.
    fn on_said(&self, call: u64);
}

/// One call's way to its client. Made once by a shard and used again call after call.
pub struct CallLink {
    facts: ClientFacts,
    listener: Arc<dyn LinkListener>,
    server: ServerHandle,
    call: AtomicU64,
    flags: AtomicU8,
    said: Mutex<Said>,
    answered: Condvar,
}

/// What is under the lock.
#[derive(Default)]
struct Said {
    emissions: VecDeque<Emission>,
    unsent_bytes: usize,
    dropped: u64,
    last_progress: Option<f64>,
    /// Every question's key, so that none is put twice.
    keys: Vec<String>,
    /// Questions on the stream whose answers were not yet taken.
    waiting: Vec<Waiting>,
    /// Questions to be answered by the call's answer.
    noted: Vec<NotedQuestion>,
}

struct Waiting {
    number: u32,
    state: WaitState,
}

enum WaitState {
    Open(Option<Waker>),
    Answered(Result<Value, AnswerError>),
}

/// What became of putting a question.
pub(super) enum Put {
    /// It is answered already, or never will be.
    Settled(Result<Value, ToolError>),
    /// It went out under this number.
    Waiting(u32),
}

impl CallLink {
    /// A link for calls of one shard, one after the other.
    pub fn new(listener: Arc<dyn LinkListener>, server: ServerHandle) -> Arc<CallLink> {
        Arc::new(CallLink {
            facts: ClientFacts::default(),
            listener,
            server,
            call: AtomicU64::new(0),
            flags: AtomicU8::new(0),
            said: Mutex::default(),
            answered: Condvar::new(),
        })
    }

    /// Makes it the link of a new call; whatever was left of the last one is gone. Neither locks nor, in steady
    /// state, allocates.
    pub fn begin(&mut self, facts: ClientFacts) {
        self.facts = facts;
        *self.flags.get_mut() = 0;
        let said = self.said.get_mut().unwrap_or_else(PoisonError::into_inner);
        said.clear();
    }

    /// Gives the call the number that its listener hears. Until then the listener is not told; what was said before is
    /// told now.
    pub fn bind(&self, call: u64) {
        // Published by the flag.
        self.call.store(call, Ordering::Relaxed);
        let before = self.flags.fetch_or(BOUND, Ordering::AcqRel);
        if before & (PENDING | POLLED) == PENDING {
            self.listener.on_said(call);
        }
    }

    /// From here to [`CallLink::end_poll`] the listener is not told.
    pub fn begin_poll(&self) {
        self.flags.fetch_or(POLLED, Ordering::AcqRel);
    }

    /// Whether there are emissions to take.
    pub fn end_poll(&self) -> bool {
        let before = self.flags.fetch_and(!POLLED, Ordering::AcqRel);
        before & PENDING != 0
    }

    /// Moves all emissions, in order, to the end of `into`.
    pub fn take_emissions(&self, into: &mut Vec<Emission>) {
        let mut said = self.lock();
        into.extend(said.emissions.drain(..));
        said.unsent_bytes = 0;
        self.flags.fetch_and(!PENDING, Ordering::AcqRel);
    }

    /// With [`Asking::ByRetry`], the questions without an answer, in the order in which they were asked.
    pub fn take_noted(&self) -> Vec<NotedQuestion> {
        std::mem::take(&mut self.lock().noted)
    }

    /// With [`Asking::ByRetry`], the answers that came with the request and were asked for.
    pub fn answers(&self) -> Option<Map<String, Value>> {
        let answers = self.facts.answers.as_deref()?;
        let said = self.lock();
        let asked = answers.iter().filter(|(key, _)| said.keys.contains(key));
        Some(asked.map(|(key, answer)| (key.clone(), answer.clone())).collect())
    }

    /// With [`Asking::OnStream`], the client's answer to a question. A number that nobody waits for is ignored, and so
    /// is a second answer.
    pub fn answer(&self, number: u32, answer: Result<Value, AnswerError>) {
        let waker = {
            let mut said = self.lock();
            let Some(state) = said.state_of(number) else {
                return;
            };
            let WaitState::Open(waker) = state else {
                return;
            };
            let waker = waker.take();
            *state = WaitState::Answered(answer);
            waker
        };
        self.answered.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// With [`Asking::OnStream`], how many questions were asked and not answered.
    pub fn open_questions(&self) -> usize {
        let said = self.lock();
        let is_open = |waiting: &&Waiting| matches!(waiting.state, WaitState::Open(_));
        said.waiting.iter().filter(is_open).count()
    }

    /// Ends the call: what it says from now on is dropped, and whoever waits for an answer gets
    /// [`ToolError::Cancelled`]. What it said before can still be taken.
    pub fn close(&self) {
        let before = self.flags.fetch_or(CLOSED, Ordering::AcqRel);
        // Whoever asks after this finds the call closed before it waits.
        if before & ASKED == 0 {
            return;
        }
        // Under the lock: whoever has looked at the flag under it and waits now is woken.
        let mut said = self.lock();
        let wakers: Vec<Waker> = said.waiting.iter_mut().filter_map(Waiting::take_waker).collect();
        drop(said);
        self.answered.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many emissions this call has lost because there were too many unsent.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// What the client can be asked.
    pub(super) fn capabilities(&self) -> ClientCapabilities {
        self.facts.capabilities
    }

    pub(super) fn server(&self) -> &ServerHandle {
        &self.server
    }

    pub(super) fn wants_progress(&self) -> bool {
        self.facts.wants_progress && !self.is_closed()
    }

    pub(super) fn wants_log(&self, level: LogLevel) -> bool {
        self.facts.log_level.is_some_and(|least| level >= least) && !self.is_closed()
    }

    /// Queues progress, if it is wanted, finite and further than the last (MCP, Progress: the value must increase).
    pub(super) fn progress(&self, progress: Progress) {
        if !self.wants_progress() || !progress.progress.is_finite() {
            return;
        }
        let mut said = self.lock();
        if said.last_progress.is_some_and(|last| progress.progress <= last) {
            return;
        }
        said.last_progress = Some(progress.progress);
        let emission = Emission::Progress {
            progress: progress.progress,
            total: progress.total.filter(|total| total.is_finite()),
            message: progress.message,
        };
        self.say(said, emission);
    }

    /// Queues an emission.
    pub(super) fn emit(&self, emission: Emission) {
        let said = self.lock();
        let closes = |queued: &Emission| matches!(queued, Emission::CloseStream { .. });
        // A stream is cut once.
        if closes(&emission) && said.emissions.iter().any(closes) {
            return;
        }
        self.say(said, emission);
    }

    /// Puts a question the way that leads to this client.
    pub(super) fn put<Q: Question>(&self, key: &str, question: &Q) -> Put {
        let needs = question.needs();
        if self.facts.asking == Asking::Never {
            return Put::Settled(Err(ToolError::MissingCapability(needs)));
        }
        let claimed = self.lock().claim(key);
        let number = match claimed {
            Ok(number) => number,
            Err(fault) => return Put::Settled(Err(ToolError::internal(fault))),
        };
        let answers = self.facts.answers.as_ref();
        if let Some(answer) = answers.and_then(|answers| answers.get(key)) {
            return Put::Settled(Ok(answer.clone()));
        }
        if !self.facts.capabilities.contains(needs) {
            return Put::Settled(Err(ToolError::MissingCapability(needs)));
        }
        // Made under no lock: a question may be anybody's code.
        let noted = NotedQuestion {
            number,
            key: key.to_owned(),
            request: question.request(self.facts.capabilities),
        };
        let mut said = self.lock();
        if self.is_closed() {
            return Put::Settled(Err(ToolError::Cancelled));
        }
        if self.facts.asking == Asking::ByRetry {
            said.noted.push(noted);
            return Put::Settled(Err(ToolError::InputRequired));
        }
        said.waiting.push(Waiting {
            number,
            state: WaitState::Open(None),
        });
        self.flags.fetch_or(ASKED, Ordering::AcqRel);
        self.say(said, Emission::Question(noted));
        Put::Waiting(number)
    }

    /// The answer to a question on the stream, once; `waker` is woken when there is one.
    pub(super) fn poll_answer(&self, number: u32, waker: &Waker) -> Poll<Result<Value, ToolError>> {
        let mut said = self.lock();
        if let Some(result) = said.take_answer(number) {
            return Poll::Ready(result);
        }
        if self.is_closed() {
            said.forget(number);
            return Poll::Ready(Err(ToolError::Cancelled));
        }
        match said.state_of(number) {
            Some(WaitState::Open(slot)) => {
                match slot {
                    Some(known) => known.clone_from(waker),
                    None => *slot = Some(waker.clone()),
                }
                Poll::Pending
            }
            _ => Poll::Ready(Err(ToolError::Cancelled)),
        }
    }

    /// The same on a thread that may block.
    pub(super) fn wait_for(&self, number: u32, is_cancelled: impl Fn() -> bool) -> Result<Value, ToolError> {
        let mut said = self.lock();
        loop {
            if let Some(result) = said.take_answer(number) {
                return result;
            }
            if self.is_closed() || is_cancelled() {
                said.forget(number);
                return Err(ToolError::Cancelled);
            }
            let waited = self.answered.wait_timeout(said, CANCELLATION_LOOK);
            said = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes a question back: unsaid if it was not taken yet, unanswered otherwise.
    pub(super) fn withdraw(&self, number: u32) {
        self.lock().forget(number);
    }

    fn is_closed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Queues, lets go of the lock and tells the listener if it has to know.
    fn say(&self, mut said: MutexGuard<'_, Said>, emission: Emission) {
        if self.is_closed() || !said.queue(emission) {
            return;
        }
        // The queue and its flag change together, under the lock.
        let before = self.flags.fetch_or(PENDING, Ordering::AcqRel);
        drop(said);
        if before & (PENDING | POLLED | BOUND) == BOUND {
            self.listener.on_said(self.call.load(Ordering::Relaxed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        // Nothing that can panic runs halfway through a change.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Said {
    /// Empties it and keeps its memory, but for what only a very talkative call needed.
    fn clear(&mut self) {
        self.emissions.clear();
        self.emissions.shrink_to(KEPT_MAX);
        self.unsent_bytes = 0;
        self.dropped = 0;
        self.last_progress = None;
        self.keys.clear();
        self.waiting.clear();
        self.noted.clear();
    }

    /// The number of a new question.
    fn claim(&mut self, key: &str) -> Result<u32, String> {
        if key.is_empty() || key.len() > QUESTION_KEY_BYTES_MAX {
            return Err(format!(
                "the key of a question is 1 to {QUESTION_KEY_BYTES_MAX} bytes, not {}",
                key.len()
            ));
        }
        if self.keys.iter().any(|known| known == key) {
            return Err(format!("question {key:?} was asked twice in one call"));
        }
        if self.keys.len() >= QUESTIONS_MAX {
            return Err(format!("a call may ask {QUESTIONS_MAX} questions, and no more"));
        }
        self.keys.push(key.to_owned());
        Ok(self.keys.len() as u32 - 1)
    }

    /// Adds to the queue and keeps it within its bounds. Whether anything is in it that was not before.
    fn queue(&mut self, emission: Emission) -> bool {
        let weight_bytes = emission.weight_bytes();
        let is_droppable = emission.is_droppable();
        while self.emissions.len() >= UNSENT_MAX || self.unsent_bytes + weight_bytes > UNSENT_BYTES_MAX {
            if is_droppable && weight_bytes > UNSENT_BYTES_MAX || !self.drop_oldest() {
                if is_droppable {
                    self.dropped += 1;
                    return false;
                }
                break;
            }
        }
        self.unsent_bytes += weight_bytes;
        self.emissions.push_back(emission);
        true
    }

    /// Drops the oldest emission that may be dropped, if there is one.
    fn drop_oldest(&mut self) -> bool {
        let Some(at) = self.emissions.iter().position(Emission::is_droppable) else {
            return false;
        };
        self.unqueue(at);
        self.dropped += 1;
        true
    }

    fn state_of(&mut self, number: u32) -> Option<&mut WaitState> {
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.number == number);
        waiting.map(|waiting| &mut waiting.state)
    }

    fn unqueue(&mut self, at: usize) {
        if let Some(emission) = self.emissions.remove(at) {
            self.unsent_bytes = self.unsent_bytes.saturating_sub(emission.weight_bytes());
        }
    }

    /// The answer to a question, if it has come; nobody waits for it any more.
    fn take_answer(&mut self, number: u32) -> Option<Result<Value, ToolError>> {
        let is_answered =
            |waiting: &Waiting| waiting.number == number && matches!(waiting.state, WaitState::Answered(_));
        let at = self.waiting.iter().position(is_answered)?;
        match self.waiting.swap_remove(at).state {
            WaitState::Answered(answer) => Some(answer.map_err(ToolError::from)),
            WaitState::Open(_) => None,
        }
    }

    fn forget(&mut self, number: u32) {
        self.waiting.retain(|waiting| waiting.number != number);
        let is_it = |emission: &Emission| matches!(emission, Emission::Question(question) if question.number == number);
        if let Some(at) = self.emissions.iter().position(is_it) {
            self.unqueue(at);
        }
    }
}

impl Waiting {
    fn take_waker(&mut self) -> Option<Waker> {
        match &mut self.state {
            WaitState::Open(waker) => waker.take(),
            WaitState::Answered(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
