//! A child from its start to its end: bytes go in, events and lines to be written come out.

mod asking;
mod listening;
mod logging;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::line::updated_uri;
use crate::children::line::{
    Kind, Line, LineReader, Message, Unreadable, write_cancelled, write_modern_request, write_request,
};
use crate::children::rate::RateLimit;
use crate::config::{PoolMode, PoolSettings};
use crate::jsonrpc::{Id, Outline, Shape, write_error, write_result};
use crate::mcp::{Announcement, Era};

use super::calls::{CallKey, CallTimes, Ended, Expired, InFlight, OWN_IDS_MAX};
use super::ending::{Ending, EndingStep};
use super::error_lines::{ErrorLine, ErrorLines};
use super::event::{Abandoned, Answer, ChildEvent, ChildFailure};
use super::handshake::{ChildProfile, Handshake, HandshakeStep, message_of, write_discover};
use super::handshake_error::HandshakeError;
use super::introduction::Introduction;
use super::items::ChildLists;
use super::listening::Listening;
use super::log_state::LogState;
use super::outgoing::{Outgoing, PipeWrite};
use super::questions::{OpenQuestions, QuestionRefusal};
use super::recording::Recording;
use super::warming::{self, WarmupCall};

pub use asking::QuestionAnswer;

/// Calls that one child can have in flight: as many as there are places in an id.
const IN_FLIGHT_MAX: u32 = OWN_IDS_MAX as u32;
/// For a call in all, however often its child says how far it is.
const CALL_MAX: Duration = Duration::from_secs(30 * 60);
/// For the answer to the question whether a child is of the modern era, before it is taken for one of the other.
const PROBE_SILENCE: Duration = Duration::from_secs(2);
/// The time between two looks whether an idle child still answers.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Bytes of a line that is none which are logged.
const RUBBISH_BYTES_MAX: usize = 200;
/// Lines that are none which are logged, a second and at once.
const RUBBISH_PER_SECOND: u32 = 1;
const RUBBISH_BURST: u32 = 20;
/// Bytes that may wait for a child to read them before its own requests are answered no more.
const OWN_ANSWERS_BYTES_MAX: usize = 1 << 20;
/// Bytes of the id of a child's request that is answered.
const ID_BYTES_MAX: usize = 1 << 10;

/// What a child may take, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// Calls in flight at once; at most 65,536.
    pub in_flight_max: u32,
    /// Calls that it gets at all.
    pub calls_max: Option<u32>,
    /// Calls after which a successor is wanted.
    pub worn_after: Option<u32>,
    /// Bytes of a line that it says.
    pub message_bytes_max: usize,
    /// For the handshake and the reading of the lists.
    pub start_timeout: Duration,
    /// For a call, anew from each word on its progress.
    pub call_timeout: Duration,
    /// For a call in all.
    pub call_max: Duration,
    /// For the answer to a call that was cancelled.
    pub cancel_grace: Duration,
    /// For a client's answer to the child's question; `None` if nobody can say which client would be meant.
    pub ask_timeout: Option<Duration>,
    /// For taking some of what it is to read.
    pub write_timeout: Duration,
    /// Without calls, after which it is pinged; for the answer as well.
    pub ping_interval: Duration,
    /// Between the steps of its end.
    pub stop_grace: Duration,
    /// Without calls, after which it is told to be idle.
    pub idle_timeout: Option<Duration>,
    /// Whether the last that went each way is kept.
    pub is_recorded: bool,
}

impl ChildLimits {
    /// Those of a server's children; a start may take this long, and a pipe that is full this long to take something.
    pub fn of(settings: &PoolSettings, start_timeout: Duration, write_timeout: Duration) -> ChildLimits {
        ChildLimits {
            in_flight_max: settings.in_flight_max().min(IN_FLIGHT_MAX),
            calls_max: None,
            worn_after: settings.recycle_calls,
            message_bytes_max: usize::try_from(settings.message_bytes_max).unwrap_or(usize::MAX),
            start_timeout,
            call_timeout: settings.call_timeout,
            call_max: CALL_MAX.max(settings.call_timeout),
            cancel_grace: settings.cancel_grace,
            ask_timeout: None,
            write_timeout,
            ping_interval: PING_INTERVAL,
            stop_grace: settings.stop_grace,
            // Children of sessions are another matter: their clients come back.
            idle_timeout: settings
                .idle_timeout()
                .filter(|_| settings.mode == PoolMode::Shared),
            is_recorded: false,
        }
    }
}

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
    logs: LogState<C>,
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
            logs: LogState::default(),
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

    /// Begins the handshake of a child that was told nothing yet.
    pub fn greet(&mut self, profile: &ChildProfile, now: Instant) {
        if let Phase::Ungreeted { wants_lists } = self.phase {
            let handshake = Handshake::begin(profile, wants_lists, self.outgoing.line(now));
            self.own_id = handshake.id();
            self.phase = Phase::Starting(Box::new(handshake));
            self.began = now;
        }
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
    pub fn counters(&self) -> ChildCounters {
        self.counters
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
        let key = self.in_flight.begin(caller, self.outgoing.position(), now)?;
        let line = self.outgoing.line(now);
        match self.era {
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
        write_cancelled(self.outgoing.line(now), key.wire_id(), reason);
        Some(caller)
    }

    /// Asks it for its lists once more; they come as [`ChildEvent::Listed`]. False if it does not serve.
    pub fn reread_lists(&mut self, now: Instant) -> bool {
        let (Phase::Serving, Some(introduction)) = (&self.phase, &self.introduction) else {
            return false;
        };
        if self.rereading.is_some() {
            self.is_reread_wanted = true;
            return true;
        }
        let rereading = Handshake::reread(introduction, self.own_id, self.outgoing.line(now));
        if let Some(rereading) = rereading {
            self.own_id = rereading.id();
            // What a ping would tell, the lists tell.
            self.pinged_at = None;
            self.rereading = Some((Box::new(rereading), now));
        }
        true
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

    /// What time brings: calls that took too long, a child that does not start, read or answer.
    pub fn on_time(&mut self, now: Instant, mut tell: impl FnMut(ChildEvent<'_, C>)) {
        self.expire_questions(now, &mut tell);
        while let Some(expired) = self.in_flight.expire(now) {
            if let Expired::TimedOut { key, caller } = expired {
                write_cancelled(self.outgoing.line(now), key.wire_id(), "the call took too long");
                tell(ChildEvent::TimedOut { caller });
            }
        }
        self.listen_again(now);
        let is_over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let is_stuck = self.outgoing.stuck_since();
        if is_stuck.is_some_and(|since| is_over(since, self.limits.write_timeout)) {
            return self.fail(ChildFailure::InputStuck, &mut tell);
        }
        match self.phase {
            Phase::Starting(_) | Phase::Warming(_) if is_over(self.began, self.limits.start_timeout) => {
                self.fail(ChildFailure::StartTimeout, &mut tell);
            }
            Phase::Starting(ref mut handshake)
                if is_over(self.began, PROBE_SILENCE.min(self.limits.start_timeout / 2)) =>
            {
                handshake.on_silence(self.outgoing.line(now));
                self.own_id = handshake.id();
            }
            Phase::Serving if self.rereading.is_some() => {
                let limit = self.limits.start_timeout;
                if self
                    .rereading
                    .as_ref()
                    .is_some_and(|(_, since)| is_over(*since, limit))
                {
                    self.rereading = None;
                }
            }
            Phase::Serving if self.in_flight.taken() == 0 => match self.pinged_at {
                Some(at) if is_over(at, self.limits.ping_interval) => {
                    self.fail(ChildFailure::Unresponsive, &mut tell);
                }
                None if is_over(self.active_at, self.limits.ping_interval) => self.ping(now),
                _ => {}
            },
            // What it is busy with may keep it from answering a ping.
            Phase::Serving => self.pinged_at = None,
            _ => {}
        }
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

    fn take_line(&mut self, line: Line<'_>, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        match line {
            Line::Whole(text) => match Message::read(text) {
                Ok(message) => {
                    let (line, era) = (text, self.era);
                    self.take_message(Answer { line, message, era }, now, tell);
                }
                Err(why) => self.take_rubbish(text, why, now, tell),
            },
            Line::TooLong(outline) => self.take_too_long(&outline, now, tell),
        }
    }

    fn take_message(&mut self, said: Answer<'_>, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        match said.message.kind {
            Kind::Result | Kind::Error => match said.message.call_id(said.line) {
                Some(id) if id < OWN_IDS_MAX => self.take_own_answer(id, said, now, tell),
                Some(id) => match self.in_flight.end(id) {
                    Ended::Call { caller, began } => {
                        self.end_questions(id, now);
                        self.called_at = now;
                        tell(ChildEvent::Answered {
                            caller,
                            answer: said,
                            took: now.saturating_duration_since(began),
                        });
                    }
                    Ended::Unwanted => {}
                    Ended::Nobody => self.counters.stray_answers += 1,
                },
                None if said
                    .message
                    .id
                    .is_some_and(|id| Self::is_ignored(id.of(said.line))) => {}
                None => self.counters.stray_answers += 1,
            },
            Kind::Request => self.answer_request(said, now, tell),
            Kind::Notification => self.take_notification(said, now, tell),
        }
    }

    fn take_notification(
        &mut self,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        let method = said.message.method(said.line);
        let changed = match &*method {
            "notifications/progress" => {
                let id = said.message.progress_id(said.line);
                match id.and_then(|id| self.in_flight.progress(id, now)) {
                    Some(caller) => tell(ChildEvent::Progress {
                        caller,
                        progress: said,
                    }),
                    None => self.counters.ignored_notifications += 1,
                }
                return;
            }
            "notifications/message" => {
                let caller = self.logged_for();
                return tell(ChildEvent::Logged { caller, said });
            }
            "notifications/resources/updated" => {
                if let Some(uri) = updated_uri(said.line, &said.message) {
                    tell(ChildEvent::Updated(uri));
                }
                return;
            }
            "notifications/tools/list_changed" => Announcement::ToolsChanged,
            "notifications/prompts/list_changed" => Announcement::PromptsChanged,
            "notifications/resources/list_changed" => Announcement::ResourcesChanged,
            "notifications/subscriptions/acknowledged" if self.era == Era::Modern => return,
            _ => {
                self.counters.ignored_notifications += 1;
                return;
            }
        };
        tell(ChildEvent::Changed(changed));
    }

    /// An answer to a request of ours.
    fn take_own_answer(
        &mut self,
        id: u64,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        if matches!(self.phase, Phase::Warming(_)) {
            return self.take_warmup(id, said, now, tell);
        }
        let Phase::Starting(handshake) = &mut self.phase else {
            if self.end_listening(id, said.message.kind, now) {
                return;
            }
            if self.rereading.is_some() {
                return self.take_list(id, said, now, tell);
            }
            // An error is an answer, too.
            if id == self.own_id && self.pinged_at.take().is_none() {
                self.counters.stray_answers += 1;
            }
            return;
        };
        let outcome = said.message.outcome.map_or(&b""[..], |span| span.of(said.line));
        let step = handshake.on_answer(id, said.message.kind, outcome, self.outgoing.line(now));
        self.own_id = handshake.id();
        match step {
            Ok(HandshakeStep::Waiting) => {}
            Ok(HandshakeStep::Done(done)) => {
                self.era = done.0.revision.era();
                let Some(warmup) = self.warmup.take() else {
                    return self.begin_serving(*done, now, tell);
                };
                self.own_id += 1;
                warmup.write(self.outgoing.line(now), self.era, self.own_id);
                self.phase = Phase::Warming(done);
            }
            Err(error) => self.fail(error.into(), tell),
        }
    }

    /// An answer while it is made warm.
    fn take_warmup(
        &mut self,
        id: u64,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        if id != self.own_id {
            return;
        }
        let outcome = said.message.outcome.map_or(&b""[..], |span| span.of(said.line));
        if said.message.kind == Kind::Error {
            let error = HandshakeError::Refused("tools/call", message_of(outcome));
            return self.fail(error.into(), tell);
        }
        if warming::is_failure(outcome) {
            return self.fail(HandshakeError::Warmup.into(), tell);
        }
        if let Phase::Warming(done) = std::mem::replace(&mut self.phase, Phase::Serving) {
            self.begin_serving(*done, now, tell);
        }
    }

    fn begin_serving(
        &mut self,
        (introduction, lists): (Introduction, Option<ChildLists>),
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        self.phase = Phase::Serving;
        self.introduction = Some(Box::new(introduction.clone()));
        self.listen(now);
        tell(ChildEvent::Ready {
            introduction,
            lists,
            took: now.saturating_duration_since(self.began),
        });
    }

    /// An answer while its lists are read once more.
    fn take_list(
        &mut self,
        id: u64,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        let Some((mut handshake, since)) = self.rereading.take() else {
            return;
        };
        let outcome = said.message.outcome.map_or(&b""[..], |span| span.of(said.line));
        let step = handshake.on_answer(id, said.message.kind, outcome, self.outgoing.line(now));
        self.own_id = handshake.id();
        match step {
            Ok(HandshakeStep::Waiting) => self.rereading = Some((handshake, since)),
            Ok(HandshakeStep::Done(done)) => {
                let (introduction, lists) = *done;
                let lists = lists.unwrap_or_default();
                tell(ChildEvent::Listed { introduction, lists });
                if std::mem::take(&mut self.is_reread_wanted) {
                    self.reread_lists(now);
                }
            }
            // It is asked for nothing that could be refused so.
            Err(_) => {}
        }
    }

    /// Answers a request of the child's, unless its client is to answer.
    fn answer_request(&mut self, said: Answer<'_>, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        let mut refusal = None;
        if said.message.method(said.line) != "ping" {
            match self.ask(said, now, tell) {
                Ok(()) => return,
                Err(why) => refusal = Some(why),
            }
            self.counters.refused_questions += 1;
        }
        let id = said.message.id.map_or(&b""[..], |id| id.of(said.line));
        let is_listening = self.outgoing.pending_bytes() <= OWN_ANSWERS_BYTES_MAX;
        let Ok(id) = std::str::from_utf8(id) else { return };
        if id.len() > ID_BYTES_MAX || !is_listening || self.has_failed {
            return;
        }
        let id = Id::Verbatim(id);
        let out = self.outgoing.line(now);
        match refusal {
            None => write_result(out, id, b"{}"),
            Some(refusal) => write_error(out, Some(id), refusal.code(), &refusal.to_string()),
        }
        out.push(b'\n');
    }

    fn take_rubbish(
        &mut self,
        text: &[u8],
        why: Unreadable,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        self.counters.rubbish_lines += 1;
        if let Some(left_out) = self.rubbish.take(now) {
            let text = text.get(..RUBBISH_BYTES_MAX).unwrap_or(text);
            tell(ChildEvent::Rubbish { text, left_out, why });
        }
    }

    /// The end of a line beyond the limit: if it was an answer, its call is over.
    fn take_too_long(&mut self, outline: &Outline, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        self.counters.rubbish_lines += 1;
        let id = match outline.id() {
            Some(Id::Verbatim(id)) if outline.shape != Shape::Request => id.parse().unwrap_or(0),
            _ => 0,
        };
        if let Ended::Call { caller, .. } = self.in_flight.end(id) {
            self.end_questions(id, now);
            tell(ChildEvent::AnsweredTooLong { caller });
        }
    }

    /// An id for a request of ours, which no other that is open has.
    fn take_own_id(&mut self) -> u64 {
        self.own_id = match self.own_id + 1 {
            next if next >= OWN_IDS_MAX => 1,
            next => next,
        };
        if self.listening.is_at(self.own_id) {
            self.own_id += 1;
        }
        self.own_id
    }

    fn ping(&mut self, now: Instant) {
        self.take_own_id();
        self.pinged_at = Some(now);
        let out = self.outgoing.line(now);
        if self.era == Era::Modern {
            return write_discover(out, self.own_id);
        }
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(itoa::Buffer::new().format(self.own_id).as_bytes());
        out.extend_from_slice(b",\"method\":\"ping\"}\n");
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
