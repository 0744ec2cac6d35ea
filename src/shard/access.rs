//! The access log: one record for each request, when it is known how it ended.
//!
//! A record says what the client was told: its id, and an error's code and words, are read back from the answer, so that
//! nothing is kept for a record that is not written, and a warm call costs one comparison. What a peer sent is capped
//! here, and escaped by whoever writes the log. Nothing of a body, a query or a token is ever in it.
//!
//! With `errors`, what ended well is left out, and a flood of refusals is cut off: so many a second on a shard, and then
//! their number. `all` writes everything; what the log has no room for is dropped and counted there.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::config::AccessLog;
use crate::jsonrpc::RequestId;
use crate::mcp::{Reply, Ticket};
use crate::metrics::{self, Method, Outcome};
use crate::pool::HandlerKey;
use crate::registry::{Operation, PanicFacts};
use crate::ring::ConnectionKey;
use crate::transport::http::admission;
use crate::transport::http::{self, Refusal};
use crate::wire::http1::Field;

use super::calls::Call;
use super::service::LocalService;
use super::{Shard, ShardRing};

/// Records of a second on one shard, where only errors are logged. At 200 bytes each, five shards would write a quarter
/// of a megabyte a second.
const ERRORS_PER_SECOND_MAX: u32 = 256;
/// Of a text that may be a peer's.
const TEXT_CHARS_MAX: usize = 160;
/// Error answers are small; whatever is larger is not looked into.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is logged, and how much was in this second.
pub(super) struct Access {
    mode: AccessLog,
    second_began: Instant,
    in_second: u32,
    left_out: u64,
}

impl Access {
    pub(super) fn new(mode: AccessLog, now: Instant) -> Access {
        Access {
            mode,
            second_began: now,
            in_second: 0,
            left_out: 0,
        }
    }

    /// Whether a request that ended so has a record.
    #[inline]
    pub(super) fn wants(&self, outcome: Outcome) -> bool {
        match self.mode {
            AccessLog::Off => false,
            AccessLog::Errors => outcome != Outcome::Ok,
            AccessLog::All => true,
        }
    }

    /// Whether there is room for one more record in this second.
    fn admits(&mut self, now: Instant) -> bool {
        if self.mode == AccessLog::All {
            return true;
        }
        if now.saturating_duration_since(self.second_began) >= Duration::from_secs(1) {
            self.second_began = now;
            self.in_second = 0;
        }
        let admits = self.in_second < ERRORS_PER_SECOND_MAX;
        self.in_second += u32::from(admits);
        self.left_out += u64::from(!admits);
        admits
    }

    /// How many records were left out in a second that is over, once.
    fn take_left_out(&mut self, now: Instant) -> Option<u64> {
        let is_over = now.saturating_duration_since(self.second_began) >= Duration::from_secs(1);
        (is_over && self.left_out > 0).then(|| std::mem::take(&mut self.left_out))
    }
}

/// What a request was for.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    /// What needs no handler, or never got that far.
    Method(Method),
    /// What a handler worked for, or was to.
    Work(&'a LocalService, Operation),
    /// An array of calls.
    Batch,
    /// It was not looked at.
    Unread,
}

/// One record.
#[derive(Default)]
struct Record<'a> {
    method: Option<&'a str>,
    tool: Option<&'a str>,
    name: Option<&'a str>,
    path: Option<&'a str>,
    id: Option<&'a str>,
    status: Option<u16>,
    outcome: Option<&'a str>,
    error: Option<i64>,
    reason: Option<&'a str>,
    origin: Option<&'a str>,
    host: Option<&'a str>,
    accept: Option<&'a str>,
    bytes: u64,
}

impl<R: ShardRing> Shard<R> {
    /// A request is answered by `body`.
    #[inline]
    pub(super) fn log_answer(
        &mut self,
        key: ConnectionKey,
        subject: Subject<'_>,
        reply: &Reply,
        body: &[u8],
    ) {
        if self.access.wants(outcome_of(reply)) {
            self.write_answer(key, subject, reply, body);
        }
    }

    /// A call that has a handler is answered by `body`.
    #[inline]
    pub(super) fn log_call(&mut self, handler: HandlerKey, reply: &Reply, body: &[u8]) {
        if self.access.wants(outcome_of(reply))
            && let (Some(key), Some((service, operation))) =
                (self.calls.holder(handler), self.work_of(handler))
        {
            self.write_answer(key, Subject::Work(&service, operation), reply, body);
        }
    }

    /// A call ends without an answer, or in a task.
    pub(super) fn log_unanswered(&mut self, key: ConnectionKey, ended: &Ended<'_>) {
        if !self.access.wants(ended.outcome) {
            return;
        }
        let mut id = Vec::new();
        ended.ticket.id().as_id().write(&mut id);
        let operation = ended.ticket.operation();
        let (method, tool, name) = words(Subject::Work(ended.service, operation));
        let record = Record {
            method,
            tool,
            name,
            id: std::str::from_utf8(&id).ok(),
            outcome: Some(ended.outcome.name()),
            reason: ended.reason,
            ..Record::default()
        };
        self.write_record(key, ended.outcome, &record);
    }

    /// A request is answered by a stream or a channel, which goes on.
    #[inline]
    pub(super) fn log_opened(
        &mut self,
        key: ConnectionKey,
        method: &str,
        status: u16,
        id: Option<&RequestId>,
    ) {
        if self.access.wants(Outcome::Ok) {
            let mut text = Vec::new();
            if let Some(id) = id {
                id.as_id().write(&mut text);
            }
            let record = Record {
                method: Some(method),
                id: id.and_then(|_| std::str::from_utf8(&text).ok()),
                status: self.parent_of(key).is_none().then_some(status),
                outcome: Some(Outcome::Ok.name()),
                ..Record::default()
            };
            self.write_record(key, Outcome::Ok, &record);
        }
    }

    /// HTTP's own refusal of a request, the front of `window` if that is known.
    pub(super) fn log_refusal(&mut self, key: ConnectionKey, refusal: Refusal, window: Option<&[u8]>) {
        if !self.access.wants(Outcome::Other) {
            return;
        }
        let service = Rc::clone(&self.service.current);
        let reason = refusal.to_string();
        let mut record = Record {
            status: Some(refusal.status().code()),
            outcome: Some("refused"),
            reason: Some(&reason),
            ..Record::default()
        };
        // What breaks the framing of a head is not read again.
        let head = window.filter(|_| matches!(refusal, Refusal::Admission(_)));
        let head = head.and_then(|window| http::peek_head(window, &service.http.head));
        let host = head.as_ref().and_then(|head| head.values("host").next());
        if let Some(head) = &head {
            record.method = Some(head.method.as_str());
            record.path = Some(head.path);
            match refusal {
                Refusal::Admission(admission::Refusal::Origin) => {
                    record.origin = field_text(&head.fields.origin)
                }
                Refusal::Admission(admission::Refusal::Host) => {
                    record.host = host.and_then(|host| std::str::from_utf8(host).ok())
                }
                Refusal::Admission(
                    admission::Refusal::NotAcceptable | admission::Refusal::StreamNotAcceptable,
                ) => {
                    record.accept = field_text(&head.fields.accept);
                }
                _ => {}
            }
        }
        self.write_record(key, Outcome::Other, &record);
    }

    /// A call's code panicked, as its catcher and the panic hook know.
    pub(super) fn log_panic(&mut self, handler: HandlerKey, facts: Option<PanicFacts>) {
        let Some((service, operation)) = self.work_of(handler) else {
            return;
        };
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let mut id = Vec::new();
        call.ticket.id().as_id().write(&mut id);
        let id = String::from_utf8_lossy(&id).into_owned();
        let peer = self.calls.holder(handler).and_then(|key| self.peer_of(key));
        let (_, tool, name) = words(Subject::Work(&service, operation));
        let (location, reason) = match &facts {
            Some(facts) => (Some(&*facts.location), Some(&*facts.reason)),
            None => (None, None),
        };
        let (shard, id) = (self.metrics.shard.0, cap(&id));
        tracing::error!(tool, name, id = %id, location, reason, shard, peer, "panic");
    }

    /// Tells how many records were left out, once that is known.
    pub(super) fn tell_left_out(&mut self) {
        if let Some(records) = self.access.take_left_out(self.clock.now) {
            let shard = self.metrics.shard.0;
            tracing::warn!(
                target: "weir::access",
                records,
                shard,
                "more requests failed or were refused than are logged; /metrics counts all"
            );
        }
    }

    /// A request has waited for a handler or a worker.
    pub(super) fn note_wait(&mut self, key: ConnectionKey, waited: Duration) {
        if let Some(waited_micros) = self.table.waited_micros(key) {
            let micros = u32::try_from(waited.as_micros()).unwrap_or(u32::MAX);
            *waited_micros = waited_micros.saturating_add(micros);
        }
    }

    fn work_of(&mut self, handler: HandlerKey) -> Option<(LocalService, Operation)> {
        let call = self.calls.at(handler)?;
        Some((Rc::clone(&call.service), call.ticket.operation()))
    }

    #[cold]
    fn write_answer(&mut self, key: ConnectionKey, subject: Subject<'_>, reply: &Reply, body: &[u8]) {
        let (method, tool, name) = words(subject);
        let told = Told::read(body);
        let is_channel = self.parent_of(key).is_some();
        let outcome = outcome_of(reply);
        let record = Record {
            method,
            tool,
            name,
            id: told.id,
            // A message of a channel has no status.
            status: (!is_channel).then(|| http::status_of(reply).code()),
            outcome: Some(outcome.name()),
            error: told.error.as_ref().map(|error| error.code),
            reason: told.error.as_ref().map(Failure::reason),
            bytes: body.len() as u64,
            ..Record::default()
        };
        self.write_record(key, outcome, &record);
    }

    fn write_record(&mut self, key: ConnectionKey, outcome: Outcome, record: &Record<'_>) {
        let now = self.time();
        if !self.access.admits(now) {
            return;
        }
        let (since, waited) = self.table.times(key).unwrap_or((now, 0));
        let elapsed = now.saturating_duration_since(since).as_micros();
        let facts = Facts {
            duration_us: u64::try_from(elapsed).unwrap_or(u64::MAX),
            wait_us: waited.into(),
            shard: self.metrics.shard.0,
            peer: self.peer_of(key),
        };
        emit(outcome, record, &facts);
    }

    /// Who is at the other end: an address, or what there is instead of one.
    fn peer_of(&mut self, key: ConnectionKey) -> Option<String> {
        let key = self.parent_of(key).unwrap_or(key);
        let socket = &self.table.connection(key)?.socket;
        let address: Option<SocketAddr> = self.ring.peer_address(socket).ok();
        Some(address.map_or_else(|| "stdio".to_owned(), |address| address.to_string()))
    }
}

/// How a request ended; HTTP's refusals of a message have no outcome of their own.
#[inline]
fn outcome_of(reply: &Reply) -> Outcome {
    match reply.labels.outcome {
        Outcome::Ok if http::status_of(reply).code() >= 400 => Outcome::Other,
        outcome => outcome,
    }
}

/// How a call ended that was not answered as others are.
pub(super) struct Ended<'a> {
    pub service: &'a LocalService,
    pub ticket: &'a Ticket,
    pub outcome: Outcome,
    pub reason: Option<&'a str>,
}

impl<'a> Ended<'a> {
    /// Nobody wants its answer any more.
    pub(super) fn cancelled(call: &'a Call) -> Ended<'a> {
        Ended {
            service: &call.service,
            ticket: &call.ticket,
            outcome: Outcome::Cancelled,
            reason: None,
        }
    }
}

/// What the shard knows of a request besides its answer.
struct Facts {
    duration_us: u64,
    wait_us: u64,
    shard: u16,
    peer: Option<String>,
}

/// What answers came of it themselves are nobody's trouble; all others an operator may have to look at.
fn emit(outcome: Outcome, record: &Record<'_>, facts: &Facts) {
    let [method, tool, name, path, id, reason, origin, host, accept] = [
        record.method,
        record.tool,
        record.name,
        record.path,
        record.id,
        record.reason,
        record.origin,
        record.host,
        record.accept,
    ]
    .map(|text| text.map(cap));
    let peer = facts.peer.as_deref();
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: "weir::access",
                method = method.as_deref(),
                tool = tool.as_deref(),
                name = name.as_deref(),
                path = path.as_deref(),
                id = id.as_deref().map(tracing::field::display),
                status = record.status,
                outcome = record.outcome,
                error = record.error,
                reason = reason.as_deref(),
                origin = origin.as_deref(),
                host = host.as_deref(),
                accept = accept.as_deref(),
                duration_us = facts.duration_us,
                wait_us = facts.wait_us,
                bytes = record.bytes,
                shard = facts.shard,
                peer,
                "request"
            )
        };
    }
    match outcome {
        Outcome::Ok | Outcome::Cancelled => event!(info),
        _ => event!(warn),
    }
}

/// The method, the tool, and what else was named, of those that are registered.
fn words<'a>(subject: Subject<'a>) -> (Option<&'a str>, Option<&'a str>, Option<&'a str>) {
    match subject {
        Subject::Method(method) => (Some(method.as_str()), None, None),
        Subject::Batch => (Some("batch"), None, None),
        Subject::Unread => (None, None, None),
        Subject::Work(service, operation) => {
            let name = service.protocol.registry().name_of(operation);
            match service.label(operation) {
                metrics::Operation::Tool(_) => (Some(Method::ToolsCall.as_str()), Some(name), None),
                metrics::Operation::Method(method) => (Some(method.as_str()), None, Some(name)),
            }
        }
    }
}

fn field_text<'a>(field: &Field<'a>) -> Option<&'a str> {
    match field {
        Field::Absent => None,
        Field::One(value) => std::str::from_utf8(value).ok(),
        Field::Repeated => Some("(repeated)"),
    }
}

/// As much of a text as a record may hold.
fn cap(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

/// What an answer tells its client.
struct Told<'a> {
    /// The id as JSON.
    id: Option<&'a str>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Answer {
    error: Failure,
}

#[derive(Deserialize)]
struct Failure {
    code: i64,
    message: String,
    #[serde(default)]
    data: Option<serde_json::Value>,
}

impl Failure {
    /// The word of the closed list for an overload, and the message otherwise.
    fn reason(&self) -> &str {
        let word = self.data.as_ref().and_then(|data| data.get("reason")?.as_str());
        word.unwrap_or(&self.message)
    }
}

impl<'a> Told<'a> {
    fn read(body: &'a [u8]) -> Told<'a> {
        const HEAD: &[u8] = br#"{"jsonrpc":"2.0""#;
        const ID: &[u8] = br#","id":"#;
        let rest = body.strip_prefix(HEAD).unwrap_or_default();
        let from_id = rest.strip_prefix(ID);
        let id = from_id.map(|text| &text[..token_length(text)]);
        let behind = match (from_id, id) {
            (Some(text), Some(id)) => &text[id.len()..],
            _ => rest,
        };
        let is_error = behind.starts_with(br#","error":"#) && body.len() <= ANSWER_BYTES_MAX;
        let error = is_error
            .then(|| serde_json::from_slice::<Answer>(body).ok())
            .flatten();
        Told {
            id: id.and_then(|id| std::str::from_utf8(id).ok()),
            error: error.map(|answer| answer.error),
        }
    }
}

/// How long the string, number or `null` at the front of a JSON text is.
fn token_length(text: &[u8]) -> usize {
    if text.first() != Some(&b'"') {
        return text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    }
    let mut is_escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Id, write_error, write_result};

    #[test]
    fn an_answer_is_read_back_whatever_its_id() {
        for id in [
            "a",
            "",
            "\"quoted\\\"",
            "\\",
            "x,\"error\":",
            "ü\u{1f600}\n",
            "]}",
        ] {
            let mut expected = Vec::new();
            Id::Text(id).write(&mut expected);
            let expected = String::from_utf8(expected).unwrap();
            let (mut good, mut bad) = (Vec::new(), Vec::new());
            write_result(&mut good, Id::Text(id), b"{}");
            write_error(&mut bad, Some(Id::Text(id)), -32602, "no");
            let (good, bad) = (Told::read(&good), Told::read(&bad));
            assert_eq!((good.id, bad.id), (Some(&*expected), Some(&*expected)));
            assert!(good.error.is_none());
            let error = bad.error.unwrap();
            assert_eq!((error.code, error.reason()), (-32602, "no"));
        }
        let mut body = Vec::new();
        write_result(&mut body, Id::Signed(-7), b"[1,2]");
        assert_eq!(Told::read(&body).id, Some("-7"));
        let mut body = Vec::new();
        write_error(&mut body, None, -32700, "parse error");
        let told = Told::read(&body);
        assert_eq!((told.id, told.error.unwrap().code), (None, -32700));
        for no_answer in [
            &b""[..],
            b"plain",
            br#"{"jsonrpc":"2.0","id":"open"#,
            br#"{"jsonrpc":"2.0""#,
        ] {
            assert!(Told::read(no_answer).error.is_none());
        }
    }

    #[test]
    fn an_overload_is_named_by_its_reason() {
        let body = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-31503,"message":"busy","data":{"reason":"handlers"}}}"#;
        assert_eq!(Told::read(body).error.unwrap().reason(), "handlers");
    }

    #[test]
    fn texts_are_capped_by_characters() {
        let long = "ä".repeat(TEXT_CHARS_MAX);
        assert_eq!(cap(&long), long);
        let longer = format!("{long}ä");
        assert_eq!(cap(&longer), format!("{long}…"));
    }

    #[test]
    fn a_flood_of_errors_is_cut_off_and_counted_and_all_is_all() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut access = Access::new(AccessLog::Errors, start);
        let admitted = (0..1_000).filter(|n| access.admits(at(n / 2))).count();
        assert_eq!(admitted as u32, ERRORS_PER_SECOND_MAX);
        assert_eq!(access.take_left_out(at(999)), None);
        assert_eq!(
            access.take_left_out(at(1_000)),
            Some(1_000 - u64::from(ERRORS_PER_SECOND_MAX))
        );
        assert_eq!(access.take_left_out(at(1_001)), None);
        assert!(access.admits(at(1_001)));
        let mut access = Access::new(AccessLog::All, start);
        assert!((0..10_000).all(|_| access.admits(start)));
    }

    #[test]
    fn each_mode_wants_what_it_says() {
        for (mode, ok, failed) in [
            (AccessLog::Off, false, false),
            (AccessLog::Errors, false, true),
            (AccessLog::All, true, true),
        ] {
            let access = Access::new(mode, Instant::now());
            assert_eq!(
                (access.wants(Outcome::Ok), access.wants(Outcome::Overload)),
                (ok, failed)
            );
        }
    }
}
