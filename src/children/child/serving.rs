//! A child from its start to its end: bytes go in, events and lines to be written come out.

mod asking;
mod greeting;
mod listening;
mod logging;
mod messages;
mod tasks;
mod time;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::children::line::{LineReader, Message, write_modern_request, write_request, write_task_request};
use crate::children::rate::RateLimit;
use crate::mcp::Era;
use crate::metrics::ChildTally;

use super::call_terms::{CallTerms, TermsOf};
use super::calls::{CallKey, CallTimes, InFlight};
use super::ending::{Ending, EndingStep};
use super::error_lines::{ErrorLine, ErrorLines};
use super::event::{Abandoned, ChildEvent, ChildFailure};
use super::handshake::{ChildProfile, Handshake};
use super::introduction::Introduction;
use super::items::ChildLists;
use super::limits::ChildLimits;
use super::listening::Listening;
use super::log_state::LogState;
use super::outgoing::{Outgoing, PipeWrite};
use super::own_tasks::OwnTasks;
use super::questions::{OpenQuestions, QuestionRefusal};
use super::recording::Recording;
use super::warming::WarmupCall;

pub use asking::QuestionAnswer;

/// Lines that are none which are logged, a second and at once.
const RUBBISH_PER_SECOND: u32 = 1;
const RUBBISH_BURST: u32 = 20;
/// Bytes that may wait for a child to read them before its own requests are answered no more.
const OWN_ANSWERS_BYTES_MAX: usize = 1 << 20;
/// Bytes of the id of a child's request that is answered.
const ID_BYTES_MAX: usize = 1 << 10;

/// What of a child's messages only counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounters {
    /// Answers to nobody, and second ones.
    pub stray_answers: u64,
    /// Lines that are no messages.
    pub rubbish_lines: u64,
    /// Requests to the client that were refused at once, because nobody can say which client is meant.
    pub refused_questions: u64,
    /// Other notifications.
    pub ignored_notifications: u64,
    /// Requests that were put to its clients.
    pub questions: u64,
    /// Cancelled calls that it did not answer in time.
    pub lost_places: u64,
}

/// One child, whose calls are for callers `C`.
#[derive(Debug)]
pub struct Child<C> {
    phase: Phase,
    began: Instant,
    limits: ChildLimits,
    reader: LineReader,
    outgoing: Outgoing,
    in_flight: InFlight<C>,
    questions: OpenQuestions,
    /// It has a client of its own, who hears what it says while it has no call.
    is_heard_between_calls: bool,
    logs: LogState<C>,
    own_tasks: OwnTasks,
    terms_of: Option<TermsOf<C>>,
    error_lines: ErrorLines,
    rubbish: RateLimit,
    /// What it has said of itself.
    introduction: Option<Box<Introduction>>,
    /// That of what it says, as far as it is known.
    era: Era,
    /// Its lists are being read once more, since then.
    rereading: Option<(Box<Handshake>, Instant)>,
    /// They have changed meanwhile.
    is_reread_wanted: bool,
    /// Calls that it was given.
    calls_begun: u32,
    /// Whether a modern child tells of changes.
    listening: Listening,
    /// The id of our last request.
    own_id: u64,
    /// When a ping was sent that is not answered.
    pinged_at: Option<Instant>,
    /// When it last said something, or was given something.
    active_at: Instant,
    /// When it was last given a call, or answered one.
    called_at: Instant,
    recording: Option<Box<Recording>>,
    /// The call that makes it warm.
    warmup: Option<Arc<WarmupCall>>,
    counters: ChildCounters,
    has_failed: bool,
}

#[derive(Debug)]
enum Phase {
    /// It was told nothing yet; whether it is to be asked for its lists.
    Ungreeted {
        wants_lists: bool,
    },
    Starting(Box<Handshake>),
    /// The handshake is over; the call that makes it warm is not.
    Warming(Box<(Introduction, Option<ChildLists>)>),
    Serving,
    /// It finishes what it has, and gets nothing new.
    Retiring,
    Ending(Ending),
}

impl<C> Child<C> {
    /// A child whose process was just started. The handshake begins with what is to be written now, or when it is
    /// [greeted](Self::greet).
    pub fn new(
        limits: ChildLimits,
        profile: Option<&ChildProfile>,
        wants_lists: bool,
        now: Instant,
    ) -> Child<C> {
        let times = CallTimes {
            call_timeout: limits.call_timeout,
            call_max: limits.call_max,
            cancel_grace: limits.cancel_grace,
        };
        let mut child = Child {
            own_id: 1,
            phase: Phase::Ungreeted { wants_lists },
            began: now,
            reader: LineReader::new(limits.message_bytes_max),
            outgoing: Outgoing::new(now),
            in_flight: InFlight::new(limits.in_flight_max, times),
            questions: OpenQuestions::default(),
            is_heard_between_calls: false,
            logs: LogState::default(),
            own_tasks: OwnTasks::default(),
            terms_of: None,
            introduction: None,
            era: Era::Legacy,
            rereading: None,
            is_reread_wanted: false,
            listening: Listening::default(),
            calls_begun: 0,
            error_lines: ErrorLines::new(now),
            rubbish: RateLimit::new(RUBBISH_PER_SECOND, RUBBISH_BURST, now),
            limits,
            pinged_at: None,
            active_at: now,
            called_at: now,
            recording: limits.is_recorded.then(Box::default),
            warmup: None,
            counters: ChildCounters::default(),
            has_failed: false,
        };
        if let Some(profile) = profile {
            child.greet(profile, now);
        }
        child
    }

    /// It gets so many calls and no more.
    pub fn limit_calls(&mut self, calls_max: u32) {
        self.limits.calls_max = Some(calls_max);
    }

    /// Calls that it was given so far.
    pub fn calls_begun(&self) -> u32 {
        self.calls_begun
    }

    /// The same child, which is to answer this call before it takes others.
    pub fn with_warmup(mut self, warmup: Option<Arc<WarmupCall>>) -> Child<C> {
        self.warmup = warmup;
        self
    }

    /// The calls that it would take now.
    pub fn room(&self) -> u32 {
        match self.phase {
            Phase::Serving if !self.has_failed && !self.outgoing.is_broken() => {
                let left = self
                    .limits
                    .calls_max
                    .map(|max| max.saturating_sub(self.calls_begun));
                self.in_flight.free().min(left.unwrap_or(u32::MAX))
            }
            _ => 0,
        }
    }

    /// Whether it has got all calls that it ever gets.
    pub fn is_used_up(&self) -> bool {
        self.limits.calls_max.is_some_and(|max| self.calls_begun >= max)
    }

    /// Whether it has got so many calls, or lost so many places to calls that it never answered, that a successor is
    /// wanted.
    pub fn is_worn(&self) -> bool {
        let is_old = |after| self.calls_begun >= after;
        self.limits.worn_after.is_some_and(is_old) || self.in_flight.has_lost_half()
    }

    /// Its calls in flight.
    pub fn in_flight(&self) -> &InFlight<C> {
        &self.in_flight
    }

    /// What only counts.
    #[cfg(test)]
    pub fn counters(&self) -> ChildCounters {
        self.counters
    }

    /// What it asks and says, and places that it has lost.
    pub fn tally(&self) -> ChildTally {
        ChildTally {
            questions_held: self.questions.len() as u64,
            questions_total: self.counters.questions,
            places_lost: self.in_flight.lost().into(),
            places_lost_total: self.counters.lost_places,
            stray_answers_total: self.counters.stray_answers,
            rubbish_lines_total: self.counters.rubbish_lines,
        }
    }

    /// Memory that it holds besides its table of calls.
    pub fn held_bytes(&self) -> usize {
        let recorded = self
            .recording
            .as_ref()
            .map_or(0, |recording| recording.held_bytes());
        self.reader.held_bytes() + self.outgoing.held_bytes() + self.questions.held_bytes() + recorded
    }

    /// The last lines of its stderr, oldest first.
    pub fn last_errors(&self) -> impl Iterator<Item = &str> {
        self.error_lines.kept()
    }

    /// Gives it a call: `text` is the client's request, or the line of another child's that never left us.
    ///
    /// # Errors
    /// Returns the caller if it takes no calls now.
    pub fn submit(&mut self, text: &[u8], message: &Message, caller: C, now: Instant) -> Result<CallKey, C> {
        if self.room() == 0 {
            return Err(caller);
        }
        self.tell_level(&caller, now);
        let terms = self
            .terms_of
            .map_or(CallTerms::default(), |terms_of| terms_of(&caller));
        let key = self.in_flight.begin(caller, self.outgoing.position(), now)?;
        if let Some(began) = terms.began {
            self.in_flight.antedate(key, began);
        }
        let line = self.outgoing.line(now);
        match self.era {
            Era::Legacy if terms.needs_task => {
                write_task_request(line, text, message, key.wire_id());
                self.own_tasks.begin(key.wire_id());
            }
            Era::Legacy => write_request(line, text, message, key.wire_id()),
            Era::Modern => write_modern_request(line, text, message, key.wire_id()),
        }
        (self.active_at, self.called_at) = (now, now);
        self.calls_begun = self.calls_begun.saturating_add(1);
        Ok(key)
    }

    /// Nobody waits for this call any more: the child is told, and the caller handed back. `None` if the call is over.
    pub fn cancel(&mut self, key: CallKey, reason: &str, now: Instant) -> Option<C> {
        let (caller, _) = self.in_flight.cancel(key, now)?;
        self.end_questions_of(key, QuestionRefusal::Left, now);
        self.tell_cancelled(key, reason, now);
        Some(caller)
    }

    /// Takes out what is to be written to its stdin now.
    pub fn next_write(&mut self) -> Option<PipeWrite> {
        self.outgoing.next_write()
    }

    /// A write is over.
    pub fn on_written(
        &mut self,
        buffer: Vec<u8>,
        result: io::Result<usize>,
        now: Instant,
        mut tell: impl FnMut(ChildEvent<'_, C>),
    ) {
        if let (Some(recording), Ok(count)) = (&mut self.recording, &result) {
            recording.to_child.add(self.outgoing.taken(&buffer, *count));
        }
        self.outgoing.on_written(buffer, result, now);
        if self.outgoing.is_broken() {
            self.fail(ChildFailure::InputBroken, &mut tell);
        }
    }

    /// Takes what it said.
    pub fn on_output(&mut self, bytes: &[u8], now: Instant, mut tell: impl FnMut(ChildEvent<'_, C>)) {
        self.active_at = now;
        if let Some(recording) = &mut self.recording {
            recording.from_child.add(bytes);
        }
        // It is put back below; nothing in between looks at it.
        let mut reader = std::mem::replace(&mut self.reader, LineReader::new(0));
        reader.feed(bytes, |line| self.take_line(line, now, &mut tell));
        self.reader = reader;
    }

    /// It says nothing more.
    pub fn on_output_end(&mut self, now: Instant, mut tell: impl FnMut(ChildEvent<'_, C>)) {
        let mut reader = std::mem::replace(&mut self.reader, LineReader::new(0));
        reader.finish(|line| self.take_line(line, now, &mut tell));
        self.fail(ChildFailure::OutputEnded, &mut tell);
    }

    /// Takes what it wrote to stderr, and hands out the lines to be logged.
    pub fn on_error_output(&mut self, bytes: &[u8], now: Instant, log: impl FnMut(ErrorLine<'_>)) {
        self.error_lines.feed(bytes, now, log);
    }

    /// It closed its stderr.
    pub fn on_error_output_end(&mut self, now: Instant, log: impl FnMut(ErrorLine<'_>)) {
        self.error_lines.finish(now, log);
    }

    /// From now on it gets no new calls.
    pub fn retire(&mut self) {
        if !matches!(self.phase, Phase::Ending(_)) {
            self.phase = Phase::Retiring;
        }
    }

    /// Whether it serves, and has had nothing to do for so long that it may be one too many.
    pub fn is_resting(&self, now: Instant) -> bool {
        let idle_for = now.saturating_duration_since(self.called_at);
        let is_long = self
            .limits
            .idle_timeout
            .is_some_and(|timeout| idle_for >= timeout);
        is_long && matches!(self.phase, Phase::Serving) && self.in_flight.taken() == 0
    }

    /// Whether it is told when it is [resting](Self::is_resting).
    pub fn may_rest(&self) -> bool {
        self.limits.idle_timeout.is_some()
    }

    /// Takes out what was recorded of it.
    pub fn take_recording(&mut self) -> Option<Box<Recording>> {
        self.recording.take()
    }

    /// Whether it has nothing to do that somebody waits for.
    pub fn is_idle(&self) -> bool {
        self.in_flight.running() == 0
    }

    /// Its end begins: it gets nothing more, and [`Child::ending_step`] says what is to be done to its process.
    pub fn begin_ending(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Ending(_)) {
            self.phase = Phase::Ending(Ending::new(now, self.limits.stop_grace));
        }
    }

    /// The step of its end that is due.
    pub fn ending_step(&mut self, now: Instant) -> Option<EndingStep> {
        match &mut self.phase {
            Phase::Ending(ending) => ending.advance(now),
            _ => None,
        }
    }

    /// Takes its calls from it, once its pipes are with nobody: no write is under way.
    pub fn abandon(&mut self) -> Vec<Abandoned<C>> {
        debug_assert!(!self.outgoing.is_writing(), "the ring has what was not written");
        self.questions.clear();
        let calls = self.in_flight.drain();
        let outgoing = &self.outgoing;
        let abandoned = |(caller, line_at)| match outgoing.unwritten_line(line_at) {
            Some(line) => Abandoned::Unsent {
                caller,
                line: line.to_vec(),
            },
            None => Abandoned::Sent { caller },
        };
        calls.into_iter().map(abandoned).collect()
    }

    /// It is of no more use, which is told once; nothing is a failure while it is being ended.
    fn fail(&mut self, failure: ChildFailure, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        if !self.has_failed && !matches!(self.phase, Phase::Ending(_)) {
            self.has_failed = true;
            tell(ChildEvent::Failed(failure));
        }
    }
}

#[cfg(test)]
#[path = "serving_tests.rs"]
mod tests;
