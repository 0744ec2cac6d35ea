//! A line taken apart: what kind of message it is, and where its parts lie.
//!
//! One walk checks the whole line by RFC 8259 and notes the places of the few members that matter; nothing is
//! unescaped, copied or converted. Names are compared by value, so that `"\u0069d"` is an id like any other.
//!
//! Invariant: a member of a message that is replaced on its way stands in it at most once. A second one would reach
//! the other side as its sender wrote it, and most parsers take the last of several.

use std::borrow::Cow;

use crate::jsonrpc::{NotJson, Span, Step, Token, Walk, plain_text};

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It wants an answer.
    Request,
    /// It wants none.
    Notification,
    /// The answer to a request that succeeded.
    Result,
    /// The answer to a request that failed.
    Error,
}

/// Why a line is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not UTF-8, or not JSON.
    #[error("not JSON")]
    NotJson,
    /// It is JSON, and no message of JSON-RPC. An array is none, either.
    #[error("no message of JSON-RPC")]
    NoMessage,
    /// A member stands twice of which there may be one.
    #[error("a member stands twice that must be unique")]
    Ambiguous,
}

impl From<NotJson> for Unreadable {
    fn from(NotJson: NotJson) -> Self {
        Unreadable::NotJson
    }
}

/// The places of a message's parts in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its kind.
    pub kind: Kind,
    /// The value of `id`: a string or a number. An error may be without one.
    pub id: Option<Span>,
    /// The string `method`.
    pub method: Option<Span>,
    /// The value of `params`.
    pub params: Option<Span>,
    /// The value of `result` or `error`.
    pub outcome: Option<Span>,
    /// The value of `params._meta`, if it is an object.
    pub meta: Option<Span>,
    /// The value of `params._meta.progressToken`: the request's own.
    pub progress_token: Option<Span>,
    /// The value of `params.task`: what a call that is to be a task says of it.
    pub task: Option<Span>,
    /// The value of `params.progressToken`: that of the request whose progress it is.
    pub progress_of: Option<Span>,
    /// The value of `params.requestId`: that of the request that is cancelled.
    pub request_id: Option<Span>,
    /// Whether `params._meta` has members that only a modern server knows.
    pub has_envelope: bool,
    /// Whether `params` has `inputResponses` or `requestState`.
    pub has_rounds: bool,
    /// What `result` has, if it is an object.
    pub result: ResultParts,
}

/// The members of a result that matter. A result is passed on whatever it is, so each may stand more than once: then
/// the last one counts, as for most parsers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultParts {
    /// The value of `_meta`, whatever it is.
    pub meta: Option<Span>,
    /// The value of `structuredContent`.
    pub structured: Option<Span>,
    /// Whether `isError` is true.
    pub is_error: bool,
    /// The value of `resultType`.
    pub kind: Option<Span>,
    /// Whether there is `ttlMs`.
    pub has_ttl: bool,
    /// Whether there is `cacheScope`.
    pub has_scope: bool,
}

impl Message {
    /// Takes a line apart.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(line: &[u8]) -> Result<Message, Unreadable> {
        Message::of_walk(Walk::new(line)?, line)
    }

    /// Takes a message apart that is known to be UTF-8, as a client's is which was decoded.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read_checked(text: &[u8]) -> Result<Message, Unreadable> {
        Message::of_walk(Walk::over_checked(text), text)
    }

    fn of_walk(mut walk: Walk<'_>, line: &[u8]) -> Result<Message, Unreadable> {
        let mut parts = Parts::default();
        while let Some(step) = walk.next_step()? {
            parts.take(&step, walk.depth(), line);
        }
        parts.into_message(line)
    }

    /// The id, if it is a number of ours: digits, and few enough to be exact in every language.
    pub fn call_id(&self, line: &[u8]) -> Option<u64> {
        integer(self.id?.of(line))
    }

    /// The token of the request whose progress it is, if it is a number of ours.
    pub fn progress_id(&self, line: &[u8]) -> Option<u64> {
        integer(self.progress_of?.of(line))
    }

    /// Whether it is a result that asks its client for input (2026-07-28, patterns/mrtr).
    pub fn asks(&self, line: &[u8]) -> bool {
        let asks = |kind: Span| plain_text(kind.of(line)) == "input_required";
        self.kind == Kind::Result && self.result.kind.is_some_and(asks)
    }

    /// Whether it is an error, or a result that is one of a tool's.
    pub fn has_failed(&self) -> bool {
        self.kind == Kind::Error || (self.kind == Kind::Result && self.result.is_error)
    }

    /// The method, without escapes; empty if there is none.
    pub fn method<'t>(&self, line: &'t [u8]) -> Cow<'t, str> {
        self.method
            .map_or(Cow::Borrowed(""), |method| plain_text(method.of(line)))
    }
}

/// A whole number of up to 15 digits, which no double rounds.
fn integer(token: &[u8]) -> Option<u64> {
    const DIGITS_MAX: usize = 15;
    if token.is_empty() || token.len() > DIGITS_MAX || !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = token
        .iter()
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some(value)
}

/// The members that matter, each at its level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Name {
    #[default]
    Other,
    Id,
    Method,
    Params,
    Result,
    Error,
    Meta,
    ProgressToken,
    RequestId,
    Task,
    /// What a client brings back with a request that it repeats.
    Round,
    /// A key of the modern envelope.
    Envelope,
    /// Members of a result.
    OfResult(OfResult),
}

/// The members of a result that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfResult {
    Meta,
    Structured,
    IsError,
    Type,
    Ttl,
    Scope,
}

impl OfResult {
    fn named(name: &str) -> Option<OfResult> {
        match name {
            "_meta" => Some(OfResult::Meta),
            "structuredContent" => Some(OfResult::Structured),
            "isError" => Some(OfResult::IsError),
            "resultType" => Some(OfResult::Type),
            "ttlMs" => Some(OfResult::Ttl),
            "cacheScope" => Some(OfResult::Scope),
            _ => None,
        }
    }
}

/// Levels at which names are looked at: the message, its parameters, their `_meta`.
const LEVELS: usize = 3;

/// The keys in `_meta` by which a modern request says in which revision it is, who sends it, and what of.
const ENVELOPE_KEYS: [&str; 4] = [
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
];

/// Whether a member of `_meta` belongs to the modern envelope.
pub(super) fn is_of_envelope(name: &str) -> bool {
    ENVELOPE_KEYS.contains(&name)
}

/// The parts found so far.
#[derive(Debug, Default)]
struct Parts {
    /// The member in which the walk is, at each level.
    names: [Name; LEVELS],
    /// Where the value of that member began, if it is a container.
    begins: [usize; LEVELS],
    is_object: bool,
    is_ambiguous: bool,
    has_envelope: bool,
    has_rounds: bool,
    id: Option<Span>,
    method: Option<Span>,
    params: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
    meta: Option<Span>,
    progress_token: Option<Span>,
    progress_of: Option<Span>,
    request_id: Option<Span>,
    task: Option<Span>,
    of_result: ResultParts,
}

impl Parts {
    /// Takes the next step of the walk, behind which `depth` containers are open.
    fn take(&mut self, step: &Step, depth: usize, line: &[u8]) {
        let span = Span::from(step.span.clone());
        match step.token {
            Token::Name => self.begin_member(depth, span.of(line)),
            Token::Open => {
                if depth == 1 {
                    self.is_object = span.of(line) == b"{";
                }
                if let Some(begin) = depth.checked_sub(2).and_then(|at| self.begins.get_mut(at)) {
                    *begin = span.start;
                }
                // Its own members have no names yet; the elements of an array never get one.
                if let Some(name) = depth.checked_sub(1).and_then(|at| self.names.get_mut(at)) {
                    *name = Name::Other;
                }
            }
            Token::Close => {
                if let Some(&start) = depth.checked_sub(1).and_then(|at| self.begins.get(at)) {
                    self.end_value(depth, Span { start, end: span.end }, line);
                }
            }
            Token::Plain | Token::Number => self.end_value(depth, span, line),
        }
    }

    fn begin_member(&mut self, level: usize, token: &[u8]) {
        if level > LEVELS {
            return;
        }
        let name = &*plain_text(token);
        let [top, param, _] = self.names;
        let found = match level {
            1 => match name {
                "id" => Name::Id,
                "method" => Name::Method,
                "params" => Name::Params,
                "result" => Name::Result,
                "error" => Name::Error,
                _ => Name::Other,
            },
            2 if top == Name::Params => match name {
                "_meta" => Name::Meta,
                "progressToken" => Name::ProgressToken,
                "requestId" => Name::RequestId,
                "task" => Name::Task,
                "inputResponses" | "requestState" => Name::Round,
                _ => Name::Other,
            },
            2 if top == Name::Result => OfResult::named(name).map_or(Name::Other, Name::OfResult),
            3 if top == Name::Params && param == Name::Meta => match name {
                "progressToken" => Name::ProgressToken,
                _ if is_of_envelope(name) => Name::Envelope,
                _ => Name::Other,
            },
            _ => Name::Other,
        };
        if let Some(name) = level.checked_sub(1).and_then(|at| self.names.get_mut(at)) {
            *name = found;
        }
    }

    /// A value is over that stands at this level.
    fn end_value(&mut self, level: usize, span: Span, line: &[u8]) {
        let Some(&name) = level.checked_sub(1).and_then(|at| self.names.get(at)) else {
            return;
        };
        let place = match (level, name) {
            (1, Name::Id) => &mut self.id,
            (1, Name::Method) => &mut self.method,
            (1, Name::Params) => &mut self.params,
            (1, Name::Result) => &mut self.result,
            (1, Name::Error) => &mut self.error,
            (2, Name::Meta) => &mut self.meta,
            (2, Name::ProgressToken) => &mut self.progress_of,
            (2, Name::RequestId) => &mut self.request_id,
            (2, Name::Task) => &mut self.task,
            (2, Name::Round) => {
                self.has_rounds = true;
                return;
            }
            (3, Name::ProgressToken) => &mut self.progress_token,
            (3, Name::Envelope) => {
                self.has_envelope = true;
                return;
            }
            (2, Name::OfResult(member)) => return self.end_of_result(member, span, line),
            _ => return,
        };
        self.is_ambiguous |= place.replace(span).is_some();
    }

    /// A member of the result is over.
    fn end_of_result(&mut self, member: OfResult, value: Span, line: &[u8]) {
        let found = &mut self.of_result;
        match member {
            OfResult::Meta => found.meta = Some(value),
            OfResult::Structured => found.structured = Some(value),
            OfResult::IsError => found.is_error = value.of(line) == b"true",
            OfResult::Type => found.kind = Some(value),
            OfResult::Ttl => found.has_ttl = true,
            OfResult::Scope => found.has_scope = true,
        }
    }

    fn into_message(self, line: &[u8]) -> Result<Message, Unreadable> {
        if !self.is_object {
            return Err(Unreadable::NoMessage);
        }
        if self.is_ambiguous {
            return Err(Unreadable::Ambiguous);
        }
        let begins_with = |span: Option<Span>, wanted: fn(u8) -> bool| {
            span.and_then(|span| span.of(line).first().copied())
                .is_some_and(wanted)
        };
        let has_id = begins_with(self.id, |byte| {
            byte == b'"' || byte == b'-' || byte.is_ascii_digit()
        });
        let id = self.id.filter(|_| has_id);
        let has_null_id = self.id.is_none_or(|id| id.of(line) == b"null");
        let kind = match (self.method, self.result, self.error) {
            (Some(_), None, None) if begins_with(self.method, |byte| byte == b'"') => match self.id {
                Some(_) if has_id => Kind::Request,
                Some(_) => return Err(Unreadable::NoMessage),
                None => Kind::Notification,
            },
            (None, Some(_), None) if has_id => Kind::Result,
            (None, None, Some(_)) if has_id || has_null_id => Kind::Error,
            _ => return Err(Unreadable::NoMessage),
        };
        Ok(Message {
            kind,
            id,
            method: self.method,
            params: self.params,
            outcome: self.result.or(self.error),
            meta: self.meta.filter(|meta| meta.of(line).first() == Some(&b'{')),
            progress_token: self.progress_token,
            progress_of: self.progress_of,
            request_id: self.request_id,
            task: self.task,
            has_envelope: self.has_envelope,
            has_rounds: self.has_rounds,
            result: self.of_result,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let bytes = line.as_bytes();
        let message = match Message::read(bytes) {
            Ok(message) => message,
            Err(error) => return format!("{error:?}"),
        };
        let part = |name: &str, span: Option<Span>| {
            span.map(|span| format!(" {name}={}", span.of(bytes).escape_ascii()))
                .unwrap_or_default()
        };
        format!(
            "{:?}{}{}{}{}{}{}{}{}",
            message.kind,
            part("id", message.id),
            part("method", message.method),
            part("outcome", message.outcome),
            part("meta", message.meta),
            part("token", message.progress_token),
            part("of", message.progress_of),
            part("cancels", message.request_id),
            if message.has_envelope { " envelope" } else { "" },
        )
        .replace("\\\"", "\"")
    }

    #[test]
    fn parts_are_found_where_they_lie() {
        for (line, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"id":8,"a":[1.10,1e400]}}"#,
                r#"Result id=7 outcome={"id":8,"a":[1.10,1e400]}"#,
            ),
            (
                r#" { "error" : {"code":-1,"data":{"error":1}} , "id" : "x" } "#,
                r#"Error id="x" outcome={"code":-1,"data":{"error":1}}"#,
            ),
            (r#"{"id":null,"error":{}}"#, "Error outcome={}"),
            (r#"{"error":{}}"#, "Error outcome={}"),
            (r#"{"result":null,"id":-1}"#, "Result id=-1 outcome=null"),
            (
                r#"{"\u0069d":1,"method":"ping"}"#,
                r#"Request id=1 method="ping""#,
            ),
            (
                r#"{"method":"tools/call","params":{"_meta":{"progressToken":"t","x":{"progressToken":1}},"arguments":{"_meta":{"progressToken":2},"progressToken":3}},"id":"a"}"#,
                r#"Request id="a" method="tools/call" meta={"progressToken":"t","x":{"progressToken":1}} token="t""#,
            ),
            (
                r#"{"method":"notifications/progress","params":{"progressToken":65537,"progress":1.50}}"#,
                r#"Notification method="notifications/progress" of=65537"#,
            ),
            (
                r#"{"method":"notifications/cancelled","params":{"requestId":5}}"#,
                r#"Notification method="notifications/cancelled" cancels=5"#,
            ),
            (
                r#"{"method":"m","id":1,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                r#"Request id=1 method="m" meta={"io.modelcontextprotocol/protocolVersion":"2026-07-28"} envelope"#,
            ),
            (
                r#"{"method":"m","params":[{"_meta":{"progressToken":1}}]}"#,
                r#"Notification method="m""#,
            ),
            (
                r#"{"method":"m","params":{"_meta":7},"result2":1}"#,
                r#"Notification method="m""#,
            ),
            // What is not replaced may stand twice.
            (
                r#"{"id":1,"x":1,"x":2,"result":{"a":1,"a":2}}"#,
                r#"Result id=1 outcome={"a":1,"a":2}"#,
            ),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_message_is_named() {
        for line in [
            "{",
            "rubbish",
            "",
            "{\"id\":1,\"result\":{}} x",
            "{\"id\":1,\"result\":\"\u{7}\"}",
            "[1,]",
        ] {
            assert_eq!(shown(line), "NotJson", "{line}");
        }
        assert_eq!(
            Message::read(b"{\"id\":1,\"result\":\"\xff\"}"),
            Err(Unreadable::NotJson)
        );
        for line in [
            "[]",
            "1",
            "\"a\"",
            "{}",
            r#"[{"id":1,"result":{}}]"#,
            r#"{"id":1}"#,
            r#"{"result":{}}"#,
            r#"{"id":null,"result":{}}"#,
            r#"{"id":[1],"result":{}}"#,
            r#"{"id":true,"error":{}}"#,
            r#"{"id":1,"result":{},"error":{}}"#,
            r#"{"id":1,"method":"m","result":{}}"#,
            r#"{"id":null,"method":"m"}"#,
            r#"{"method":7}"#,
        ] {
            assert_eq!(shown(line), "NoMessage", "{line}");
        }
    }

    #[test]
    fn what_would_hide_behind_a_second_member_is_refused() {
        for line in [
            r#"{"id":1,"id":2,"result":{}}"#,
            r#"{"id":1,"\u0069d":2,"method":"m"}"#,
            r#"{"id":1,"method":"m","method":"n"}"#,
            r#"{"id":1,"method":"m","params":{},"params":{}}"#,
            r#"{"id":1,"method":"m","params":{"_meta":{},"_meta":{}}}"#,
            r#"{"id":1,"method":"m","params":{"_meta":{"progressToken":1,"progressToken":2}}}"#,
            r#"{"id":1,"method":"m","params":{"_meta":{"progressToken":1,"progress\u0054oken":2}}}"#,
            r#"{"method":"m","params":{"progressToken":1,"progressToken":2}}"#,
            r#"{"id":1,"result":{},"result":{}}"#,
        ] {
            assert_eq!(shown(line), "Ambiguous", "{line}");
        }
    }

    #[test]
    fn only_short_whole_numbers_are_ours() {
        let id_of = |id: &str| {
            let line = format!(r#"{{"id":{id},"result":1}}"#);
            Message::read(line.as_bytes()).unwrap().call_id(line.as_bytes())
        };
        assert_eq!(id_of("65536"), Some(65536));
        assert_eq!(id_of("999999999999999"), Some(999_999_999_999_999));
        for id in [
            "-1",
            "1.0",
            "1e3",
            "\"65536\"",
            "9999999999999999",
            "18446744073709551617",
        ] {
            assert_eq!(id_of(id), None, "{id}");
        }
    }

    /// Seeded: for texts of JSON it says what a parser says.
    #[test]
    fn agrees_with_a_parser() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..3_000 {
            let mut members = Vec::new();
            for name in ["id", "method", "params", "result", "error", "x"] {
                if rng.bool() {
                    let value = *rng
                        .choice(&[
                            "7",
                            "\"s\"",
                            "{\"id\":1}",
                            "[{\"method\":2}]",
                            "null",
                            "{\"_meta\":{\"progressToken\":5}}",
                        ])
                        .unwrap();
                    members.push(format!("\"{name}\" :{value}"));
                }
            }
            rng.shuffle(&mut members);
            let line = format!("{{{}}}", members.join(", "));
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            let Ok(message) = Message::read(line.as_bytes()) else {
                continue;
            };
            let same = |span: Option<Span>, value: Option<&serde_json::Value>| {
                let ours = span.map(|span| {
                    serde_json::from_slice::<serde_json::Value>(span.of(line.as_bytes())).unwrap()
                });
                assert_eq!(ours.as_ref(), value, "{line}");
            };
            same(message.id, parsed.get("id").filter(|id| !id.is_null()));
            same(message.method, parsed.get("method"));
            same(message.params, parsed.get("params"));
            same(message.outcome, parsed.get("result").or(parsed.get("error")));
            same(
                message.progress_token,
                parsed.pointer("/params/_meta/progressToken"),
            );
        }
    }
}
