//! What an answer is worth: whether it is the answer to what was asked, and says what it should.
//!
//! Most answers of a run are alike but for their id. So one that was judged in full is remembered for each kind of
//! request, and others that equal it, byte by byte around their own id, are as good. Whatever differs is judged in full
//! itself: parsed, its id compared, its content too if something is expected. Large answers that always differ would
//! cost the generator more than the server; of those, one in [`SAMPLE`] is judged in full and the others are searched.
//!
//! Where a tool promises an output schema, the first answer of a kind is checked against it, and of the others as many
//! as cost no more than a hundredth of the time. Once one does not fit, all are checked, so that the count is no
//! sample's. What was not checked itself is never remembered as good.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::events;
use super::outcome::{Outcome, Refusal};
use super::response::{Payload, Reply};
use super::result_schema::ResultSchema;

/// Answers beyond this size are judged in full only sometimes, unless they equal one that was.
const LARGE_BYTES: usize = 16 << 10;
/// One in so many of them is.
const SAMPLE: u64 = 32;
/// The clock is read for one in so many answers, to see whether it is time to check one against its schema.
const SCHEMA_SAMPLE: u64 = 16;
/// One part in so many of the time goes into that.
const SCHEMA_SHARE: u32 = 100;
/// Characters of a text that is shown.
const TEXT_MAX: usize = 200;
/// The code of errors that say "not now" where there is no HTTP.
const OVERLOAD: i64 = -31503;

/// What good results are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Expectation {
    /// Any that is no tool error.
    #[default]
    Result,
    /// A tool error.
    ToolError,
    /// One with this text in its first text content, exactly.
    Text(String),
    /// One that has all of this: members of objects may be more, anything else is equal.
    Json(Value),
}

/// What was asked, as far as the answer has to match it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// Which of the kinds of requests, if it is one whose answers are alike.
    pub(crate) kind: Option<usize>,
    /// Its id; `None` for one that is in the request as it was given.
    pub(crate) id: Option<u64>,
    /// The id before, which may be answered twice.
    pub(crate) before: Option<u64>,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answer(Outcome),
    /// No answer but a notification or a request of the server.
    Other,
}

/// What a check against a schema found.
enum Fit {
    Fits,
    Misfit(String),
}

/// Judges the answers of one thread.
#[derive(Default)]
pub(crate) struct Judge {
    kinds: Vec<Kind>,
    large: u64,
    /// When the first answer was checked against a schema, and the time that such checks took.
    checks: Option<(Instant, Duration)>,
    /// Of each outcome that an answer explains, the text of the first.
    firsts: BTreeMap<Outcome, String>,
}

#[derive(Default)]
struct Kind {
    expectation: Expectation,
    /// The id in a request as it was given.
    fixed_id: Option<Value>,
    /// A good answer, and where its id is if it has one of ours.
    good: Vec<u8>,
    id_at: Option<usize>,
    schema: Option<Arc<ResultSchema>>,
    /// Answers that could be checked against it, and whether one did not fit.
    checkable: u64,
    is_suspect: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    result: Option<ResultFacts>,
    error: Option<ErrorFacts>,
}

#[derive(Deserialize)]
struct ResultFacts {
    #[serde(default, rename = "isError")]
    is_error: bool,
}

#[derive(Deserialize)]
struct ErrorFacts {
    code: i64,
    #[serde(default)]
    data: Option<Value>,
}

impl Judge {
    /// For kinds of requests in their order, with what is expected of each, the id that it always has, if any, and what
    /// its results must fit.
    pub(crate) fn new(
        kinds: impl IntoIterator<Item = (Expectation, Option<Value>, Option<Arc<ResultSchema>>)>,
    ) -> Judge {
        let kinds = kinds.into_iter().map(|(expectation, fixed_id, schema)| Kind {
            expectation,
            fixed_id,
            schema,
            ..Kind::default()
        });
        Judge {
            kinds: kinds.collect(),
            ..Judge::default()
        }
    }

    /// Whether all that was received is a good answer, as far as another one shows.
    pub(crate) fn is_known(&self, received: &[u8], asked: &Asked) -> bool {
        let Some(kind) = asked.kind.and_then(|kind| self.kinds.get(kind)) else {
            return false;
        };
        if kind.good.len() != received.len() || received.is_empty() {
            return false;
        }
        let (Some(at), Some(id)) = (kind.id_at, asked.id) else {
            return asked.id.is_none() && kind.good == received;
        };
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(id).as_bytes();
        let end = at + digits.len();
        received.get(at..end) == Some(digits)
            && received[..at] == kind.good[..at]
            && received[end..] == kind.good[end..]
    }

    /// Of each outcome that an answer explains, the text of the first.
    pub(crate) fn firsts(&self) -> &BTreeMap<Outcome, String> {
        &self.firsts
    }

    /// Judges a whole answer; `received` is all that it consists of.
    pub(crate) fn judge(&mut self, received: &[u8], reply: &Reply<'_>, asked: &Asked) -> Verdict {
        let verdict = self.verdict(received, reply, asked);
        if let Verdict::Answer(outcome) = verdict
            && matches!(
                outcome,
                Outcome::Failed
                    | Outcome::ToolError
                    | Outcome::Wrong
                    | Outcome::Status(400..)
                    | Outcome::Malformed
            )
            && !self.firsts.contains_key(&outcome)
        {
            self.firsts.insert(outcome, text(&reply.payload));
        }
        verdict
    }

    fn verdict(&mut self, received: &[u8], reply: &Reply<'_>, asked: &Asked) -> Verdict {
        let has_retry_after = reply.retry_after.is_some();
        let (Payload::Json(body) | Payload::Events(body)) = &reply.payload;
        match reply.status {
            503 if !has_retry_after => return Verdict::Answer(Outcome::Refused(Refusal::NoRetryAfter)),
            503 => return Verdict::Answer(Outcome::Refused(refusal(body))),
            429 => return Verdict::Answer(Outcome::Refused(Refusal::TooMany)),
            200 if !body.is_empty() => {}
            status => return Verdict::Answer(Outcome::Status(status)),
        }
        if body.len() > LARGE_BYTES && !self.is_sampled() && !self.is_suspect(asked) {
            return Verdict::Answer(searched(body));
        }
        let verdict = match &reply.payload {
            Payload::Json(message) => self.message(message, asked),
            Payload::Events(events) => {
                let verdicts = events::messages(events).map(|message| self.message(message, asked));
                let mut answers = verdicts.filter(|verdict| *verdict != Verdict::Other);
                match (answers.next(), answers.next()) {
                    (Some(_), Some(_)) => Verdict::Answer(Outcome::Twice),
                    (Some(only), None) => only,
                    (None, _) => Verdict::Answer(Outcome::Malformed),
                }
            }
        };
        if verdict != Verdict::Answer(Outcome::Ok) {
            return verdict;
        }
        match self.misfit(&reply.payload, asked) {
            Some(Fit::Misfit(why)) => {
                self.firsts.entry(Outcome::OffSchema).or_insert(why);
                return Verdict::Answer(Outcome::OffSchema);
            }
            Some(Fit::Fits) if !reply.is_last => self.remember(received, asked),
            Some(Fit::Fits) | None => {}
        }
        verdict
    }

    fn is_suspect(&self, asked: &Asked) -> bool {
        let kind = asked.kind.and_then(|kind| self.kinds.get(kind));
        kind.is_some_and(|kind| kind.is_suspect)
    }

    /// Checks a good answer against the schema of its kind, where there is one and it is time for that. `None` is for
    /// one that was not checked.
    fn misfit(&mut self, payload: &Payload<'_>, asked: &Asked) -> Option<Fit> {
        let kind = asked.kind.and_then(|kind| self.kinds.get_mut(kind));
        let Some(kind) = kind else {
            return Some(Fit::Fits);
        };
        let Some(schema) = &kind.schema else {
            return Some(Fit::Fits);
        };
        let number = kind.checkable;
        kind.checkable += 1;
        if !kind.is_suspect && number % SCHEMA_SAMPLE != 0 {
            return None;
        }
        let now = Instant::now();
        let (since, spent) = self.checks.get_or_insert((now, Duration::ZERO));
        let is_due = *spent * SCHEMA_SHARE <= now.saturating_duration_since(*since);
        if number > 0 && !kind.is_suspect && !is_due {
            return None;
        }
        let message = answer_in(payload).unwrap_or_default();
        let misfit = schema.misfit(&message["result"]);
        *spent += now.elapsed();
        let Some(why) = misfit else {
            return Some(Fit::Fits);
        };
        kind.is_suspect = true;
        Some(Fit::Misfit(why.chars().take(TEXT_MAX).collect()))
    }

    fn is_sampled(&mut self) -> bool {
        self.large += 1;
        self.large % SAMPLE == 1
    }

    fn remember(&mut self, received: &[u8], asked: &Asked) {
        let Some(kind) = asked.kind.and_then(|kind| self.kinds.get_mut(kind)) else {
            return;
        };
        kind.good.clear();
        kind.good.extend_from_slice(received);
        kind.id_at = asked.id.and_then(|id| {
            let mut digits = itoa::Buffer::new();
            memchr::memmem::find(received, digits.format(id).as_bytes())
        });
    }

    fn message(&self, bytes: &[u8], asked: &Asked) -> Verdict {
        // What is passed over would not be looked at otherwise.
        let text = str::from_utf8(bytes).ok();
        let Some(message) = text.and_then(|text| serde_json::from_str::<Message<'_>>(text).ok()) else {
            return Verdict::Answer(Outcome::Malformed);
        };
        if let Some(method) = &message.method {
            // No server asks for these: it says back what it is told.
            let is_echo = matches!(
                &**method,
                "initialize" | "server/discover" | "tools/list" | "tools/call"
            );
            if is_echo {
                return Verdict::Answer(Outcome::Malformed);
            }
            return Verdict::Other;
        }
        let kind = asked.kind.and_then(|kind| self.kinds.get(kind));
        let id = message.id.as_ref();
        let number = id.and_then(Value::as_u64);
        let is_ours = match (asked.id, kind.and_then(|kind| kind.fixed_id.as_ref())) {
            (Some(asked), _) => number == Some(asked),
            (None, Some(fixed)) => id == Some(fixed),
            (None, None) => true,
        };
        let outcome = if !is_ours && number.is_some() && number == asked.before {
            Outcome::Twice
        } else if !is_ours && id.is_some_and(|id| !id.is_null()) {
            Outcome::WrongId
        } else if let Some(error) = message.error {
            failure(&error)
        } else if !is_ours {
            // A result of nothing in particular.
            Outcome::WrongId
        } else {
            let always = &Expectation::Result;
            let expectation = kind.map_or(always, |kind| &kind.expectation);
            message.result.map_or(Outcome::Malformed, |result| {
                expectation.judge(result.is_error, bytes)
            })
        };
        Verdict::Answer(outcome)
    }
}

impl Expectation {
    fn judge(&self, is_error: bool, message: &[u8]) -> Outcome {
        let result = || {
            let message = serde_json::from_slice::<Value>(message);
            message.map_or(Value::Null, |mut message| message["result"].take())
        };
        match self {
            Expectation::ToolError if is_error => Outcome::Ok,
            Expectation::ToolError => Outcome::Wrong,
            _ if is_error => Outcome::ToolError,
            Expectation::Result => Outcome::Ok,
            Expectation::Text(text) => {
                let result = result();
                let contents = result["content"].as_array();
                let mut texts = contents
                    .into_iter()
                    .flatten()
                    .filter_map(|content| content["text"].as_str());
                if texts.next() == Some(text) {
                    Outcome::Ok
                } else {
                    Outcome::Wrong
                }
            }
            Expectation::Json(expected) => {
                if has(&result(), expected) {
                    Outcome::Ok
                } else {
                    Outcome::Wrong
                }
            }
        }
    }
}

/// Whether a value has all of another.
fn has(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(members), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| members.get(name).is_some_and(|member| has(member, expected))),
        (Value::Array(elements), Value::Array(expected)) => {
            elements.len() == expected.len()
                && elements
                    .iter()
                    .zip(expected)
                    .all(|(element, expected)| has(element, expected))
        }
        _ => value == expected,
    }
}

fn failure(error: &ErrorFacts) -> Outcome {
    if error.code == OVERLOAD {
        let reason = error.data.as_ref().and_then(|data| data["reason"].as_str());
        Outcome::Refused(Refusal::of(reason))
    } else {
        Outcome::Failed
    }
}

/// The reason of an overload error.
fn refusal(body: &[u8]) -> Refusal {
    let answer = serde_json::from_slice::<Value>(body).unwrap_or_default();
    Refusal::of(answer["error"]["data"]["reason"].as_str())
}

/// A search, not a parse.
fn searched(body: &[u8]) -> Outcome {
    let has = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    if str::from_utf8(body).is_err() {
        Outcome::Malformed
    } else if has(br#""isError":true"#) || has(br#""isError": true"#) {
        Outcome::ToolError
    } else if has(br#""result""#) {
        Outcome::Ok
    } else if has(br#""error""#) {
        Outcome::Failed
    } else {
        Outcome::Malformed
    }
}

/// What an answer says for people: its error, its first text, or some of it.
fn text(payload: &Payload<'_>) -> String {
    let (Payload::Json(body) | Payload::Events(body)) = payload;
    let message = answer_in(payload).unwrap_or_default();
    let (error, result) = (&message["error"], &message["result"]);
    let text = if let Some(text) = error["message"].as_str() {
        format!("{}: {text}", error["code"])
    } else if let Some(text) = result["content"][0]["text"].as_str() {
        text.to_owned()
    } else if !result.is_null() {
        result.to_string()
    } else {
        // No character has more than four bytes.
        String::from_utf8_lossy(&body[..body.len().min(4 * TEXT_MAX)]).into_owned()
    };
    text.chars().take(TEXT_MAX).collect()
}

/// The one message of a payload: the answer, if there are others beside it.
pub(crate) fn answer_in(payload: &Payload<'_>) -> Option<Value> {
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    match payload {
        Payload::Json(body) => read(body),
        Payload::Events(body) => events::messages(body)
            .filter_map(read)
            .find(|message| message.get("method").is_none()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load::peer::response::RetryAfter;

    const ID: u64 = 1_000_000_007;

    fn asked() -> Asked {
        Asked {
            kind: Some(0),
            id: Some(ID),
            before: Some(ID - 1),
        }
    }

    fn judge(expectation: Expectation) -> Judge {
        Judge::new([(expectation, None, None)])
    }

    /// A judge of answers that have a whole number `n`.
    fn judge_of_numbers() -> Judge {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let schema = ResultSchema::compile(&schema).unwrap();
        Judge::new([(Expectation::Result, None, Some(Arc::new(schema)))])
    }

    fn number(n: &str, more: &str) -> String {
        format!(r#"{{"id":{ID},"result":{{"structuredContent":{{"n":{n}}}{more}}}}}"#)
    }

    fn outcome(judge: &mut Judge, body: &str) -> Outcome {
        match verdict(judge, 200, None, Payload::Json(body.as_bytes().into())) {
            Verdict::Answer(outcome) => outcome,
            Verdict::Other => panic!("it is an answer"),
        }
    }

    #[test]
    fn from_the_first_that_does_not_fit_on_all_are_checked() {
        let mut judge = judge_of_numbers();
        let (good, wrong) = (number("1", ""), number(r#""one""#, ""));
        assert_eq!(outcome(&mut judge, &wrong), Outcome::OffSchema);
        for _ in 0..40 {
            assert_eq!(outcome(&mut judge, &wrong), Outcome::OffSchema);
            assert_eq!(outcome(&mut judge, &good), Outcome::Ok);
        }
        let none = format!(r#"{{"id":{ID},"result":{{"content":[]}}}}"#);
        assert_eq!(outcome(&mut judge, &none), Outcome::OffSchema);
        let error = format!(r#"{{"id":{ID},"result":{{"isError":true}}}}"#);
        assert_eq!(outcome(&mut judge, &error), Outcome::ToolError);
        let first = &judge.firsts()[&Outcome::OffSchema];
        assert!(first.contains("/n"), "{first}");
        // Among events, and when large ones are only sometimes read.
        let events = format!("data: {wrong}\n\n");
        let payload = Payload::Events(events.as_bytes().into());
        let found = verdict(&mut judge, 200, None, payload);
        assert_eq!(found, Verdict::Answer(Outcome::OffSchema));
        let large = number(r#""one""#, &format!(r#","x":"{}""#, "x".repeat(LARGE_BYTES)));
        for _ in 0..3 {
            assert_eq!(outcome(&mut judge, &large), Outcome::OffSchema);
        }
    }

    #[test]
    fn only_what_was_checked_is_remembered() {
        let mut judge = judge_of_numbers();
        let first = number("1", "");
        assert_eq!(outcome(&mut judge, &first), Outcome::Ok);
        assert!(judge.is_known(first.as_bytes(), &asked()));
        for n in 2..=SCHEMA_SAMPLE {
            let body = number(&n.to_string(), "");
            assert_eq!(outcome(&mut judge, &body), Outcome::Ok);
            assert!(!judge.is_known(body.as_bytes(), &asked()), "{n}");
        }
    }

    #[test]
    fn checks_take_a_hundredth_of_the_time() {
        let mut judge = judge_of_numbers();
        let body = number("1", &format!(r#","x":[{}0]"#, "[0],".repeat(3_000)));
        let begun = Instant::now();
        let mut turns = 0;
        while begun.elapsed() < Duration::from_millis(300) {
            outcome(&mut judge, &body);
            turns += 1;
        }
        assert!(turns > 0 && judge.kinds[0].checkable == turns);
        let (_, spent) = judge.checks.unwrap();
        // One check too many may be long on a machine that does something else in the middle of it, so the bound is of
        // its kind and not of its size.
        assert!(spent < begun.elapsed() / 4, "{spent:?} of {:?}", begun.elapsed());
    }

    fn verdict(
        judge: &mut Judge,
        status: u16,
        retry_after: Option<RetryAfter>,
        payload: Payload<'_>,
    ) -> Verdict {
        let (Payload::Json(body) | Payload::Events(body)) = &payload;
        let received = body.to_vec();
        let reply = Reply {
            bytes: received.len(),
            status,
            retry_after,
            is_last: false,
            payload,
        };
        judge.judge(&received, &reply, &asked())
    }

    fn of(expectation: Expectation, body: &str) -> Outcome {
        let payload = Payload::Json(body.as_bytes().into());
        match verdict(&mut judge(expectation), 200, None, payload) {
            Verdict::Answer(outcome) => outcome,
            Verdict::Other => panic!("it is an answer"),
        }
    }

    #[test]
    fn each_message_has_its_outcome() {
        let overload = r#"{"id":1000000007,"error":{"code":-31503,"data":{"reason":"workers"}}}"#;
        for (body, expected) in [
            (r#"{"id":1000000007,"result":{"isError":false}}"#, Outcome::Ok),
            (r#"{ "result" : { } , "id" : 1000000007 }"#, Outcome::Ok),
            (
                r#"{"id":1000000007,"result":{"isError":true}}"#,
                Outcome::ToolError,
            ),
            (r#"{"id":1000000007,"error":{"code":-32602}}"#, Outcome::Failed),
            (r#"{"id":null,"error":{"code":-32700}}"#, Outcome::Failed),
            (overload, Outcome::Refused(Refusal::Workers)),
            (r#"{"id":1000000008,"result":{}}"#, Outcome::WrongId),
            (r#"{"id":"1000000007","result":{}}"#, Outcome::WrongId),
            (r#"{"id":null,"result":{}}"#, Outcome::WrongId),
            (r#"{"result":{}}"#, Outcome::WrongId),
            (r#"{"id":1000000006,"result":{}}"#, Outcome::Twice),
            (r#"{"id":1000000007}"#, Outcome::Malformed),
            (r#"{"id":1000000007,"result":{}"#, Outcome::Malformed),
            (r#"[{"id":1000000007,"result":{}}]"#, Outcome::Malformed),
        ] {
            assert_eq!(of(Expectation::Result, body), expected, "{body}");
        }
    }

    #[test]
    fn text_is_utf_8_and_an_error_says_so() {
        let mut judge = judge(Expectation::Result);
        let body = |text: &[u8]| [br#"{"id":1000000007,"result":{"text":""#, text, br#""}}"#].concat();
        let large = b"x".repeat(LARGE_BYTES);
        let deep = b"[".repeat(LARGE_BYTES + 1);
        // The first of the large ones is parsed, and the others are searched.
        for bytes in [
            body(b"\xFF\xFE"),
            body(&[&large[..], b"\xFF"].concat()),
            body(&[&large[..], b"\xFF"].concat()),
            deep,
        ] {
            let payload = Payload::Json(bytes.into());
            let verdict = verdict(&mut judge, 200, None, payload);
            assert_eq!(verdict, Verdict::Answer(Outcome::Malformed));
        }
    }

    #[test]
    fn statuses_come_before_bodies() {
        let overload = r#"{"id":1,"error":{"code":-31503,"data":{"reason":"queue_timeout"}}}"#;
        for (status, retry_after, body, expected) in [
            (
                503,
                Some(RetryAfter::Seconds(1)),
                overload,
                Outcome::Refused(Refusal::QueueTimeout),
            ),
            (
                503,
                Some(RetryAfter::Seconds(1)),
                "busy",
                Outcome::Refused(Refusal::Other),
            ),
            (503, None, overload, Outcome::Refused(Refusal::NoRetryAfter)),
            (
                429,
                Some(RetryAfter::Seconds(1)),
                "",
                Outcome::Refused(Refusal::TooMany),
            ),
            (404, None, "{}", Outcome::Status(404)),
            (200, None, "", Outcome::Status(200)),
        ] {
            let payload = Payload::Json(body.as_bytes().into());
            let verdict = verdict(&mut judge(Expectation::Result), status, retry_after, payload);
            assert_eq!(verdict, Verdict::Answer(expected), "{status} {body}");
        }
    }

    #[test]
    fn an_answer_stands_among_events_once() {
        let note = "data: {\"method\":\"notifications/progress\"}\n\n";
        let answer = "event: message\ndata: {\"id\":1000000007,\"result\":{}}\n\n";
        for (events, expected) in [
            (format!("{note}{answer}"), Outcome::Ok),
            (format!("{answer}{note}{answer}"), Outcome::Twice),
            (note.to_owned(), Outcome::Malformed),
        ] {
            let payload = Payload::Events(events.as_bytes().into());
            let verdict = verdict(&mut judge(Expectation::Result), 200, None, payload);
            assert_eq!(verdict, Verdict::Answer(expected), "{events}");
        }
        let request = br#"{"id":1000000007,"method":"roots/list"}"#;
        let payload = Payload::Json(request.as_slice().into());
        assert_eq!(
            verdict(&mut judge(Expectation::Result), 200, None, payload),
            Verdict::Other
        );
    }

    #[test]
    fn a_result_is_what_is_expected() {
        let body = r#"{"id":1000000007,"result":{"content":[{"type":"text","text":"hi"}],"structuredContent":{"a":[1],"b":2}}}"#;
        let error = r#"{"id":1000000007,"result":{"isError":true,"content":[{"type":"text","text":"hi"}]}}"#;
        let structured = |value: Value| Expectation::Json(json!({"structuredContent": value}));
        for (expectation, expected) in [
            (Expectation::Text("hi".to_owned()), Outcome::Ok),
            (Expectation::Text("h".to_owned()), Outcome::Wrong),
            (structured(json!({"b": 2})), Outcome::Ok),
            (structured(json!({"a": [1]})), Outcome::Ok),
            (structured(json!({"a": []})), Outcome::Wrong),
            (structured(json!({"c": null})), Outcome::Wrong),
            (Expectation::ToolError, Outcome::Wrong),
        ] {
            assert_eq!(of(expectation.clone(), body), expected, "{expectation:?}");
        }
        assert_eq!(of(Expectation::ToolError, error), Outcome::Ok);
        assert_eq!(of(Expectation::Text("hi".to_owned()), error), Outcome::ToolError);
    }

    #[test]
    fn what_equals_a_good_answer_around_its_own_id_is_known() {
        let body = |id: u64, text: &str| format!(r#"{{"id":{id},"result":{{"text":"{text}"}}}}"#);
        let mut judge = judge(Expectation::Result);
        let good = body(ID, "a");
        assert!(!judge.is_known(good.as_bytes(), &asked()), "nothing is known yet");
        let payload = Payload::Json(good.as_bytes().into());
        verdict(&mut judge, 200, None, payload);
        assert!(judge.is_known(good.as_bytes(), &asked()));
        let other = Asked {
            id: Some(ID + 1),
            ..asked()
        };
        assert!(judge.is_known(body(ID + 1, "a").as_bytes(), &other));
        assert!(!judge.is_known(good.as_bytes(), &other), "another id");
        assert!(
            !judge.is_known(body(ID, "b").as_bytes(), &asked()),
            "another text"
        );
        assert!(
            !judge.is_known(body(ID, "aa").as_bytes(), &asked()),
            "another length"
        );
        let elsewhere = Asked {
            kind: None,
            ..asked()
        };
        assert!(!judge.is_known(good.as_bytes(), &elsewhere));
    }

    #[test]
    fn the_first_answer_of_an_outcome_is_kept_in_words() {
        let mut judge = judge(Expectation::Text("hello".to_owned()));
        let long = "x".repeat(1_000);
        for body in [
            r#"{"id":1000000007,"error":{"code":-32602,"message":"no such tool"}}"#.to_owned(),
            r#"{"id":1000000007,"error":{"code":-32602,"message":"another"}}"#.to_owned(),
            r#"{"id":1000000007,"result":{"content":[{"type":"text","text":"hullo"}]}}"#.to_owned(),
            format!(r#"{{"id":1000000007,"result":{{"isError":true,"content":[{{"text":"{long}"}}]}}}}"#),
            "<html>".to_owned(),
        ] {
            verdict(&mut judge, 200, None, Payload::Json(body.as_bytes().into()));
        }
        let firsts = judge.firsts();
        assert_eq!(firsts[&Outcome::Failed], "-32602: no such tool");
        assert_eq!(firsts[&Outcome::Wrong], "hullo");
        assert_eq!(firsts[&Outcome::ToolError], "x".repeat(TEXT_MAX));
        assert_eq!(firsts[&Outcome::Malformed], "<html>");
    }

    #[test]
    fn who_says_back_what_it_is_told_does_not_answer() {
        let body = r#"{"jsonrpc":"2.0","id":1000000007,"method":"initialize","params":{}}"#;
        assert_eq!(of(Expectation::Result, body), Outcome::Malformed);
    }

    #[test]
    fn of_large_answers_that_differ_some_are_parsed() {
        let mut judge = judge(Expectation::Result);
        let text = "x".repeat(LARGE_BYTES);
        let wrong = format!(r#"{{"id":5,"result":{{"text":"{text}"}}}}"#);
        let count = (0..2 * SAMPLE)
            .filter(|_| {
                let payload = Payload::Json(wrong.as_bytes().into());
                verdict(&mut judge, 200, None, payload) == Verdict::Answer(Outcome::WrongId)
            })
            .count();
        assert_eq!(count, 2);
    }
}
