//! The access log: one record for each request, when it is known how it ended.
//!
//! A record says what the client was told: its id, and an error's code and words, are read back from the answer, so
//! that nothing is kept for a record that is not written, and a warm call costs one comparison. What a peer sent is
//! capped here, and escaped by whoever writes the log. Nothing of a body, a query or a token is ever in it.
//!
//! With `errors`, what ended well is left out, and a flood of refusals is cut off: so many a second on a shard, and
//! then their number. `all` writes everything; what the log has no room for is dropped and counted there.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::config::{AccessLog, OutputOptions};
use crate::mcp::{Reply, Ticket};
use crate::metrics::{self, Method, Outcome};
use crate::registry::Operation;
use crate::transport::http;
use crate::wire::http1::Field;

use super::calls::Call;
use super::service::LocalService;

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
    pub(super) fn new(output: &OutputOptions, now: Instant) -> Access {
        Access {
            mode: output.access_log,
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
    pub(super) fn admits(&mut self, now: Instant) -> bool {
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
    pub(super) fn take_left_out(&mut self, now: Instant) -> Option<u64> {
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
pub(super) struct Record<'a> {
    pub method: Option<&'a str>,
    pub tool: Option<&'a str>,
    pub name: Option<&'a str>,
    /// The other program whose it is.
    pub server: Option<&'a str>,
    pub path: Option<&'a str>,
    pub id: Option<&'a str>,
    pub status: Option<u16>,
    pub outcome: Option<&'a str>,
    pub error: Option<i64>,
    pub reason: Option<&'a str>,
    pub origin: Option<&'a str>,
    pub host: Option<&'a str>,
    pub accept: Option<&'a str>,
    pub bytes: u64,
}

/// How a request ended; HTTP's refusals of a message have no outcome of their own.
#[inline]
pub(super) fn outcome_of(reply: &Reply) -> Outcome {
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
pub(super) struct RecordContext {
    pub duration_us: u64,
    pub wait_us: u64,
    pub shard: u16,
    pub peer: Option<String>,
}

/// A request that was answered or cancelled as it should be is logged as information; an operator may have to look at
/// any other.
pub(super) fn emit(outcome: Outcome, record: &Record<'_>, context: &RecordContext) {
    let [method, tool, name, server, path, id, reason, origin, host, accept] = [
        record.method,
        record.tool,
        record.name,
        record.server,
        record.path,
        record.id,
        record.reason,
        record.origin,
        record.host,
        record.accept,
    ]
    .map(|text| text.map(cap));
    let peer = context.peer.as_deref();
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: "weir::access",
                method = method.as_deref(),
                tool = tool.as_deref(),
                name = name.as_deref(),
                server = server.as_deref(),
                path = path.as_deref(),
                id = id.as_deref().map(tracing::field::display),
                status = record.status,
                outcome = record.outcome,
                error = record.error,
                reason = reason.as_deref(),
                origin = origin.as_deref(),
                host = host.as_deref(),
                accept = accept.as_deref(),
                duration_us = context.duration_us,
                wait_us = context.wait_us,
                bytes = record.bytes,
                shard = context.shard,
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
pub(super) fn words<'a>(subject: Subject<'a>) -> Record<'a> {
    let method = |method| Record {
        method: Some(method),
        ..Record::default()
    };
    match subject {
        Subject::Method(known) => method(known.as_str()),
        Subject::Batch => method("batch"),
        Subject::Unread => Record::default(),
        Subject::Work(service, operation) => {
            let registry = service.protocol.registry();
            let name = Some(operation.name(registry));
            let server = registry.server_name(operation);
            match service.label(operation) {
                metrics::Operation::Tool(_) => Record {
                    tool: name,
                    server,
                    ..method(Method::ToolsCall.as_str())
                },
                metrics::Operation::Method(known) => Record {
                    name,
                    server,
                    ..method(known.as_str())
                },
            }
        }
    }
}

pub(super) fn field_text<'a>(field: &Field<'a>) -> Option<&'a str> {
    match field {
        Field::Absent => None,
        Field::One(value) => std::str::from_utf8(value).ok(),
        Field::Repeated => Some("(repeated)"),
    }
}

/// As much of a text as a record may hold.
pub(super) fn cap(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

/// What an answer tells its client.
pub(super) struct Told<'a> {
    /// The id as JSON.
    pub id: Option<&'a str>,
    pub error: Option<Failure>,
}

#[derive(Deserialize)]
struct Answer {
    error: Failure,
}

#[derive(Deserialize)]
pub(super) struct Failure {
    pub code: i64,
    pub message: String,
    #[serde(default)]
    pub data: Option<serde_json::Value>,
}

impl Failure {
    /// The word of the closed list for an overload, and the message otherwise.
    pub(super) fn reason(&self) -> &str {
        let word = self.data.as_ref().and_then(|data| data.get("reason")?.as_str());
        word.unwrap_or(&self.message)
    }
}

impl<'a> Told<'a> {
    pub(super) fn read(body: &'a [u8]) -> Told<'a> {
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

    fn access_of(access_log: AccessLog, now: Instant) -> Access {
        let output = OutputOptions {
            access_log,
            ..OutputOptions::default()
        };
        Access::new(&output, now)
    }

    #[test]
    fn a_flood_of_errors_is_cut_off_and_counted_and_all_is_all() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut access = access_of(AccessLog::Errors, start);
        let admitted = (0..1_000).filter(|n| access.admits(at(n / 2))).count();
        assert_eq!(admitted as u32, ERRORS_PER_SECOND_MAX);
        assert_eq!(access.take_left_out(at(999)), None);
        assert_eq!(
            access.take_left_out(at(1_000)),
            Some(1_000 - u64::from(ERRORS_PER_SECOND_MAX))
        );
        assert_eq!(access.take_left_out(at(1_001)), None);
        assert!(access.admits(at(1_001)));
        let mut access = access_of(AccessLog::All, start);
        assert!((0..10_000).all(|_| access.admits(start)));
    }

    #[test]
    fn each_mode_wants_what_it_says() {
        for (mode, ok, failed) in [
            (AccessLog::Off, false, false),
            (AccessLog::Errors, false, true),
            (AccessLog::All, true, true),
        ] {
            let access = access_of(mode, Instant::now());
            assert_eq!(
                (access.wants(Outcome::Ok), access.wants(Outcome::Overload)),
                (ok, failed)
            );
        }
    }
}
