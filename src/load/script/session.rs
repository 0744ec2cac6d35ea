//! The order of one client's requests: the opening of a legacy session if the revision has one, then calls; or the
//! whole life of a session, again and again.
//!
//! ```text
//! Initialize ──▶ Initialized ──▶ Call ─┐          a call, as often as it is due
//!      ▲                          ▲    │
//!      │                          └────┘
//!      └──────── Delete ◀─────── Call             the life cycle, which counts as one
//! ```
//!
//! Where nothing answers a notification (WebSocket, stdio), `notifications/initialized` goes out with the first call.

use std::io::Write;
use std::sync::Arc;

use serde_json::Value;

use super::calls::{Call, Calls, ID_FIRST};
use super::message::{About, Speaker};
use crate::load::peer::{Asked, Connection, Expectation, Framing, Judge, MASK, Outcome, header_value};

/// What the clients of a run do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// The same body again and again, as it was given. Where it has an id of ten digits that is counted from there.
    Given(Arc<[u8]>),
    Calls(Vec<Call>),
    /// The life of a session with one call, which counts as one.
    LifeCycles(Vec<Call>),
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// The next request, at once; this one does not count.
    More,
    /// The session is open; this request does not count.
    Ready,
    /// What was asked for has this outcome.
    Done(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Initialize,
    Initialized,
    Call,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Given {
        /// Where its id is, if it is counted.
        id_at: Option<usize>,
        /// The message's place in its frame.
        start: usize,
    },
    Calls,
    Cycles,
}

/// Where one client stands.
pub(crate) struct Script {
    mode: Mode,
    step: Step,
    session: Option<String>,
    request: Vec<u8>,
    /// Goes out before the next request.
    before: Vec<u8>,
    asked: Asked,
    kind: usize,
    /// Where the id of the call in `request` is, if all calls of its kind are like it.
    id_at: Option<usize>,
    framing: Framing,
    has_handshake: bool,
}

impl Work {
    /// What judges the answers.
    pub(crate) fn judge(&self) -> Judge {
        match self {
            Work::Given(body) => {
                let message = serde_json::from_slice::<Value>(body).unwrap_or_default();
                let id = message.get("id").cloned();
                Judge::new([(Expectation::Result, id, None)])
            }
            Work::Calls(calls) | Work::LifeCycles(calls) => {
                let kinds = calls.iter();
                Judge::new(kinds.map(|call| (call.expectation.clone(), None, call.output.clone())))
            }
        }
    }

    /// The names of the kinds of requests.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Work::Given(_) => vec!["the given body".to_owned()],
            Work::Calls(calls) | Work::LifeCycles(calls) => {
                calls.iter().map(|call| call.tool.clone()).collect()
            }
        }
    }

    /// The id that the first request has.
    pub(crate) fn id_first(&self) -> u64 {
        match self {
            Work::Given(body) => ten_digits(body).map_or(ID_FIRST, |(_, first)| first),
            Work::Calls(_) | Work::LifeCycles(_) => ID_FIRST,
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        match self {
            Work::Given(_) => Vec::new(),
            Work::Calls(calls) | Work::LifeCycles(calls) => calls.clone(),
        }
    }
}

impl Script {
    /// For a new client.
    pub(crate) fn new(work: &Work, calls: &mut Calls) -> Script {
        let speaker = calls.speaker();
        let mut script = Script {
            mode: Mode::Calls,
            step: Step::Call,
            session: None,
            request: Vec::new(),
            before: Vec::new(),
            asked: Asked::default(),
            kind: 0,
            id_at: None,
            framing: speaker.endpoint.framing,
            has_handshake: speaker.dialect.has_handshake(),
        };
        match work {
            Work::Given(body) => {
                let start = speaker.given(body, &mut script.request);
                let id_at = ten_digits(body).map(|(at, _)| start + at);
                script.mode = Mode::Given { id_at, start };
                script.asked.kind = Some(0);
            }
            Work::Calls(_) => script.restart(calls),
            Work::LifeCycles(_) => {
                script.mode = Mode::Cycles;
                script.begin(Step::Initialize, calls);
            }
        }
        script
    }

    /// The request of this step.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Which of the kinds of calls is under way.
    pub(crate) fn kind(&self) -> usize {
        self.kind
    }

    /// The session that is open, where sessions have names.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Whether what counts can begin.
    pub(crate) fn is_ready(&self) -> bool {
        match self.mode {
            Mode::Given { .. } => true,
            Mode::Calls => self.step == Step::Call,
            Mode::Cycles => self.step == Step::Initialize,
        }
    }

    /// Prepares the next that counts.
    pub(crate) fn prepare(&mut self, calls: &mut Calls) {
        match &self.mode {
            Mode::Given { id_at, start } => {
                if let Some(at) = *id_at {
                    let id = calls.next_id();
                    let mask = (self.framing == Framing::WebSocket).then_some(*start);
                    put_id(&mut self.request, at, id, mask);
                    self.asked.before = self.asked.id;
                    self.asked.id = Some(id);
                }
            }
            Mode::Calls => self.call(calls),
            Mode::Cycles => {}
        }
    }

    /// A connection is new. Where the connection is the session, that begins anew.
    pub(crate) fn restart(&mut self, calls: &mut Calls) {
        let is_lost = self.framing.is_stream() || self.session.is_none();
        match self.mode {
            Mode::Calls if self.has_handshake && (is_lost || self.step != Step::Call) => {
                self.begin(Step::Initialize, calls);
            }
            Mode::Cycles => self.begin(Step::Initialize, calls),
            _ => {}
        }
    }

    /// Takes the answer of this step.
    pub(crate) fn advance(
        &mut self,
        outcome: Outcome,
        connection: &Connection,
        calls: &mut Calls,
    ) -> Advance {
        let session = || header_value(connection.answer(), "mcp-session-id");
        self.follow(outcome, session, calls)
    }

    fn follow(
        &mut self,
        outcome: Outcome,
        session: impl Fn() -> Option<String>,
        calls: &mut Calls,
    ) -> Advance {
        let is_accepted = matches!(outcome, Outcome::Status(200..=204));
        match (&self.mode, self.step) {
            (_, Step::Initialize) if outcome == Outcome::Ok && self.framing.is_stream() => {
                calls.speaker().initialized(None, &mut self.before);
                self.step = Step::Call;
                self.id_at = None;
                self.after_opening(calls)
            }
            (_, Step::Initialize) if outcome == Outcome::Ok => {
                self.session = session();
                self.begin(Step::Initialized, calls);
                Advance::More
            }
            (_, Step::Initialized) if is_accepted => {
                self.step = Step::Call;
                self.id_at = None;
                self.after_opening(calls)
            }
            (Mode::Cycles, Step::Call) if outcome == Outcome::Ok && self.session.is_some() => {
                self.begin(Step::Delete, calls);
                Advance::More
            }
            (Mode::Cycles, Step::Call) => {
                self.begin(Step::Initialize, calls);
                Advance::Done(outcome)
            }
            // A server need not let its clients end sessions.
            (_, Step::Delete) => {
                self.begin(Step::Initialize, calls);
                let is_ended = is_accepted || outcome == Outcome::Status(405);
                Advance::Done(if is_ended { Outcome::Ok } else { outcome })
            }
            (Mode::Calls, Step::Call) if outcome == Outcome::Status(404) && self.session.is_some() => {
                self.session = None;
                self.begin(Step::Initialize, calls);
                Advance::Done(outcome)
            }
            (_, Step::Call) => Advance::Done(outcome),
            (_, Step::Initialize | Step::Initialized) => {
                self.begin(Step::Initialize, calls);
                let is_good = outcome == Outcome::Ok;
                Advance::Done(if is_good { Outcome::Malformed } else { outcome })
            }
        }
    }

    fn after_opening(&mut self, calls: &mut Calls) -> Advance {
        if self.mode == Mode::Cycles {
            self.call(calls);
            return Advance::More;
        }
        Advance::Ready
    }

    fn begin(&mut self, step: Step, calls: &mut Calls) {
        self.step = step;
        self.id_at = None;
        self.request.clear();
        if step == Step::Initialize {
            self.session = None;
        }
        let session = self.session.as_deref();
        let mut id = None;
        match step {
            Step::Initialize => {
                let new = calls.next_id();
                id = Some(new);
                let speaker = calls.speaker();
                let params = speaker.initialize_params();
                speaker.request(
                    &About::method("initialize"),
                    new,
                    &params,
                    None,
                    &mut self.request,
                );
            }
            Step::Initialized => calls.speaker().initialized(session, &mut self.request),
            Step::Delete => calls.speaker().delete(session, &mut self.request),
            Step::Call => {}
        }
        let kind = None;
        let before = self.asked.id;
        self.asked = Asked { kind, id, before };
    }

    /// Prepares the next call.
    fn call(&mut self, calls: &mut Calls) {
        let (kind, id) = (calls.choose(), calls.next_id());
        self.asked = Asked {
            kind: Some(kind),
            id: Some(id),
            before: self.asked.id,
        };
        if let Some(at) = self.id_at.filter(|_| kind == self.kind) {
            let mask = (self.framing == Framing::WebSocket).then(|| at - Speaker::id_offset());
            return put_id(&mut self.request, at, id, mask);
        }
        self.kind = kind;
        self.request.clear();
        let is_alone = self.before.is_empty();
        self.request.append(&mut self.before);
        let at = calls.write(kind, id, self.session.as_deref(), &mut self.request);
        self.id_at = (is_alone && calls.is_constant(kind)).then_some(at);
    }
}

/// Writes an id over another of as many digits; `mask` is where a masked message begins.
fn put_id(request: &mut [u8], at: usize, id: u64, mask: Option<usize>) {
    let Some(mut place) = request.get_mut(at..at + 10) else {
        return;
    };
    // An id with more digits does not fit, and nothing runs for so long.
    let _ = write!(place, "{id}");
    if let Some(start) = mask {
        let digits = request[at..at + 10].iter_mut().enumerate();
        digits.for_each(|(index, digit)| *digit ^= MASK[(at - start + index) % MASK.len()]);
    }
}

/// Where an id of ten digits is in a message, and the number.
fn ten_digits(message: &[u8]) -> Option<(usize, u64)> {
    const NAME: &[u8] = b"\"id\":";
    let at = memchr::memmem::find(message, NAME)? + NAME.len();
    let digits = message.get(at..at + 10)?;
    let is_number = digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0';
    let number = str::from_utf8(digits).ok()?.parse().ok()?;
    is_number.then_some((at, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::script::calls::tests::{call, speaker};
    use crate::mcp::Revision;

    const ACCEPTED: Outcome = Outcome::Status(202);

    fn setup(work: &Work, revision: Revision, framing: Framing) -> (Script, Calls) {
        let mut calls = Calls::new(
            speaker(revision, framing),
            work.calls(),
            1,
            (0, 1),
            work.id_first(),
        );
        (Script::new(work, &mut calls), calls)
    }

    fn text(script: &Script) -> String {
        String::from_utf8(script.request().to_vec()).unwrap()
    }

    fn opened() -> Option<String> {
        Some("abc".to_owned())
    }

    #[test]
    fn four_right_answers_are_one_life_cycle() {
        let work = Work::LifeCycles(vec![call("echo", 1.0, "{}")]);
        let (mut script, mut calls) = setup(&work, Revision::V2025_11_25, Framing::Http);
        for _ in 0..2 {
            assert!(script.is_ready());
            script.prepare(&mut calls);
            assert!(
                text(&script).starts_with("POST /mcp HTTP/1.1\r\n") && !text(&script).contains("session")
            );
            assert_eq!(script.follow(Outcome::Ok, opened, &mut calls), Advance::More);
            assert!(text(&script).contains("notifications/initialized"));
            assert_eq!(script.follow(ACCEPTED, opened, &mut calls), Advance::More);
            assert!(
                text(&script).contains("\r\nmcp-session-id: abc\r\n") && text(&script).contains("tools/call")
            );
            assert_eq!(script.follow(Outcome::Ok, opened, &mut calls), Advance::More);
            assert!(text(&script).starts_with("DELETE "));
            let deleted = script.follow(Outcome::Status(204), opened, &mut calls);
            assert_eq!(deleted, Advance::Done(Outcome::Ok));
        }
    }

    #[test]
    fn a_wrong_answer_ends_the_life_cycle() {
        let work = Work::LifeCycles(vec![call("echo", 1.0, "{}")]);
        let (mut script, mut calls) = setup(&work, Revision::V2025_11_25, Framing::Http);
        script.follow(Outcome::Ok, opened, &mut calls);
        let refused = Outcome::Status(404);
        assert_eq!(script.follow(refused, opened, &mut calls), Advance::Done(refused));
        assert!(!text(&script).contains("session"), "it begins anew");
        script.follow(Outcome::Ok, || None, &mut calls);
        script.follow(ACCEPTED, || None, &mut calls);
        let ended = script.follow(Outcome::Ok, || None, &mut calls);
        assert_eq!(
            ended,
            Advance::Done(Outcome::Ok),
            "without a session there is none to end"
        );
    }

    #[test]
    fn a_session_is_opened_once_and_anew_when_it_is_gone() {
        let work = Work::Calls(vec![call("echo", 1.0, "{}")]);
        let (mut script, mut calls) = setup(&work, Revision::V2025_06_18, Framing::Http);
        for _ in 0..2 {
            assert!(!script.is_ready());
            assert_eq!(script.follow(Outcome::Ok, opened, &mut calls), Advance::More);
            assert_eq!(script.follow(ACCEPTED, opened, &mut calls), Advance::Ready);
            let mut ids = Vec::new();
            for _ in 0..3 {
                assert!(script.is_ready());
                script.prepare(&mut calls);
                assert_eq!(
                    script.asked().before,
                    ids.last().copied().or(script.asked().before)
                );
                ids.extend(script.asked().id);
                let id = format!("\"id\":{},", ids[ids.len() - 1]);
                assert!(text(&script).contains(&id), "{id}: {}", text(&script));
                assert_eq!(
                    script.follow(Outcome::Ok, opened, &mut calls),
                    Advance::Done(Outcome::Ok)
                );
                script.restart(&mut calls);
            }
            assert!(ids.is_sorted() && ids[0] != ids[1]);
            script.prepare(&mut calls);
            let gone = Outcome::Status(404);
            assert_eq!(script.follow(gone, opened, &mut calls), Advance::Done(gone));
        }
    }

    #[test]
    fn over_lines_the_notification_goes_with_the_first_call() {
        let work = Work::Calls(vec![call("echo", 1.0, "{}")]);
        let (mut script, mut calls) = setup(&work, Revision::V2025_11_25, Framing::Lines);
        assert_eq!(script.follow(Outcome::Ok, || None, &mut calls), Advance::Ready);
        for lines in [2, 1, 1] {
            script.prepare(&mut calls);
            assert_eq!(text(&script).lines().count(), lines);
            script.follow(Outcome::Ok, || None, &mut calls);
        }
        script.restart(&mut calls);
        assert!(
            text(&script).contains("initialize"),
            "another connection is another session"
        );
    }

    #[test]
    fn a_given_body_is_sent_as_it_is_but_for_ten_digits() {
        let work = Work::Given(br#"{"id":1000000009,"method":"ping"}"#.as_slice().into());
        let (mut script, mut calls) = setup(&work, Revision::V2026_07_28, Framing::Lines);
        for id in ["1000000009", "1000000010"] {
            script.prepare(&mut calls);
            assert_eq!(text(&script), format!("{{\"id\":{id},\"method\":\"ping\"}}\n"));
        }
        let work = Work::Given(br#"{"id":1,"method":"ping"}"#.as_slice().into());
        let (mut script, mut calls) = setup(&work, Revision::V2026_07_28, Framing::Lines);
        script.prepare(&mut calls);
        assert_eq!(text(&script), "{\"id\":1,\"method\":\"ping\"}\n");
        assert_eq!(script.asked().id, None);
    }

    #[test]
    fn ids_are_written_over_masked_ones() {
        let work = Work::Given(br#"{"id":1000000009,"method":"ping"}"#.as_slice().into());
        let (mut script, mut calls) = setup(&work, Revision::V2026_07_28, Framing::WebSocket);
        for id in ["1000000009", "1000000010"] {
            script.prepare(&mut calls);
            let payload = &script.request()[6..];
            let plain: Vec<u8> = payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            let expected = format!("{{\"id\":{id},\"method\":\"ping\"}}");
            assert_eq!(String::from_utf8(plain).unwrap(), expected);
        }
    }
}
