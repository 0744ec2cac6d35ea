//! Finds the end of an HTTP response and says how the request ended.
//!
//! It understands a body with `content-length`, a chunked one, and a head whose status allows none. Every answer has
//! exactly one [`Outcome`].

use std::borrow::Cow;
use std::fmt;

/// The outcome of a request, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// 200 with a JSON-RPC result that is not a tool error.
    Ok,
    /// 503 for overload.
    Refused(Refusal),
    /// 200 with a JSON-RPC error, or a result with `isError`.
    Failed,
    /// Any other status.
    Status(u16),
    /// Bytes that are not HTTP as it is understood here, or that nobody asked for.
    Malformed,
    /// The connection ended before the answer did.
    Reset,
    /// Nothing came while the measurement lasted.
    Unanswered,
}

/// The queue that refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// There was no handler, and no place to wait for one.
    Handlers,
    /// The request waited past its deadline.
    QueueTimeout,
    /// Another reason, or none in the body.
    Other,
    /// Without `Retry-After`, whatever the reason.
    NoRetryAfter,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok => f.write_str("ok"),
            Outcome::Refused(Refusal::Handlers) => f.write_str("refused_handlers"),
            Outcome::Refused(Refusal::QueueTimeout) => f.write_str("refused_queue_timeout"),
            Outcome::Refused(Refusal::Other) => f.write_str("refused_other"),
            Outcome::Refused(Refusal::NoRetryAfter) => f.write_str("refused_no_retry_after"),
            Outcome::Failed => f.write_str("failed"),
            Outcome::Status(status) => write!(f, "status_{status}"),
            Outcome::Malformed => f.write_str("malformed"),
            Outcome::Reset => f.write_str("reset"),
            Outcome::Unanswered => f.write_str("unanswered"),
        }
    }
}

/// The state of the bytes at the front of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// The beginning of a response.
    Incomplete,
    /// A whole one.
    Response {
        bytes: usize,
        outcome: Outcome,
        /// Whether the server will close the connection.
        is_last: bool,
    },
    /// Bytes that this client does not understand.
    Malformed,
}

/// Looks for one response at the front of `received`.
pub(crate) fn front(received: &[u8]) -> Front {
    let Some(blank) = memchr::memmem::find(received, b"\r\n\r\n") else {
        return Front::Incomplete;
    };
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    if response.parse(received).is_err() {
        return Front::Malformed;
    }
    let Some(status) = response.code else {
        return Front::Malformed;
    };
    let head = blank + 4;
    let (body, bytes) = match body(&response, status, &received[head..]) {
        Body::Whole(body, bytes) => (body, head + bytes),
        Body::Incomplete => return Front::Incomplete,
        Body::Malformed => return Front::Malformed,
    };
    let is_last = header(&response, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let outcome = match status {
        200 => judge(&body),
        503 if header(&response, "retry-after").is_none() => Outcome::Refused(Refusal::NoRetryAfter),
        503 => Outcome::Refused(refusal(&body)),
        _ => Outcome::Status(status),
    };
    Front::Response {
        bytes,
        outcome,
        is_last,
    }
}

/// The state of the bytes behind a head.
enum Body<'a> {
    Incomplete,
    /// Whole, and how many bytes its framing takes.
    Whole(Cow<'a, [u8]>, usize),
    Malformed,
}

fn body<'a>(response: &httparse::Response<'_, '_>, status: u16, rest: &'a [u8]) -> Body<'a> {
    if status == 204 {
        return Body::Whole(Cow::default(), 0);
    }
    if header(response, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return chunks(rest);
    }
    let length = header(response, "content-length").and_then(|value| value.parse::<usize>().ok());
    let Some(length) = length else {
        return Body::Malformed;
    };
    rest.get(..length)
        .map_or(Body::Incomplete, |body| Body::Whole(body.into(), length))
}

/// The chunks at the front of `rest` as one.
fn chunks(rest: &[u8]) -> Body<'_> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let (start, size) = match httparse::parse_chunk_size(&rest[at..]) {
            Ok(httparse::Status::Complete((bytes, size))) => (at + bytes, size),
            Ok(httparse::Status::Partial) => return Body::Incomplete,
            Err(_) => return Body::Malformed,
        };
        let Some(end) = usize::try_from(size)
            .ok()
            .and_then(|size| start.checked_add(size))
        else {
            return Body::Malformed;
        };
        let Some(line) = end.checked_add(2).and_then(|next| rest.get(end..next)) else {
            return Body::Incomplete;
        };
        if line != b"\r\n" {
            return Body::Malformed;
        }
        body.extend_from_slice(&rest[start..end]);
        at = end + 2;
        if size == 0 {
            return Body::Whole(body.into(), at);
        }
    }
}

/// The value of a header field of a whole response.
pub(crate) fn header_value(answer: &[u8], name: &str) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(answer).ok()?;
    header(&response, name).map(str::to_owned)
}

fn header<'r>(response: &httparse::Response<'_, 'r>, name: &str) -> Option<&'r str> {
    let found = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

/// This is a search, not a parse: the tools called here answer in our own words.
pub(crate) fn judge(body: &[u8]) -> Outcome {
    let has = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    if has(br#""result":"#) && !has(br#""isError":true"#) {
        Outcome::Ok
    } else {
        Outcome::Failed
    }
}

/// The reason of an overload error.
pub(crate) fn refusal(body: &[u8]) -> Refusal {
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(body) else {
        return Refusal::Other;
    };
    match answer["error"]["data"]["reason"].as_str() {
        Some("handlers") => Refusal::Handlers,
        Some("queue_timeout") => Refusal::QueueTimeout,
        _ => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn outcome(bytes: &[u8]) -> Outcome {
        match front(bytes) {
            Front::Response {
                bytes: end, outcome, ..
            } => {
                assert_eq!(end, bytes.len());
                outcome
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_answer_has_its_outcome() {
        let overload =
            |reason: &str| format!(r#"{{"id":1,"error":{{"code":-31503,"data":{{"reason":"{reason}"}}}}}}"#);
        let retry = "Retry-After: 1\r\n";
        let refused = "503 Service Unavailable";
        let cases = [
            (
                response("200 OK", "", r#"{"result":{"isError":false}}"#),
                Outcome::Ok,
            ),
            (
                response("200 OK", "", r#"{"result":{"isError":true}}"#),
                Outcome::Failed,
            ),
            (
                response("200 OK", "", r#"{"error":{"code":-32602}}"#),
                Outcome::Failed,
            ),
            (response("200 OK", "", ""), Outcome::Failed),
            (
                response(refused, retry, &overload("handlers")),
                Outcome::Refused(Refusal::Handlers),
            ),
            (
                response(refused, retry, &overload("queue_timeout")),
                Outcome::Refused(Refusal::QueueTimeout),
            ),
            (
                response(refused, retry, &overload("memory")),
                Outcome::Refused(Refusal::Other),
            ),
            (response(refused, retry, "busy"), Outcome::Refused(Refusal::Other)),
            (
                response(refused, "", &overload("handlers")),
                Outcome::Refused(Refusal::NoRetryAfter),
            ),
            (response("404 Not Found", "", "{}"), Outcome::Status(404)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(outcome(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn nothing_is_whole_before_its_last_byte() {
        let whole = response("200 OK", "connection: close\r\n", r#"{"result":{}}"#);
        for end in 0..whole.len() {
            assert_eq!(front(&whole[..end]), Front::Incomplete, "{end}");
        }
        let expected = Front::Response {
            bytes: whole.len(),
            outcome: Outcome::Ok,
            is_last: true,
        };
        assert_eq!(front(&whole), expected);
        let mut two = whole.clone();
        two.extend_from_slice(&whole);
        assert_eq!(front(&two), expected);
    }

    #[test]
    fn chunks_are_one_body() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let whole = format!("{head}b\r\ndata: {{\"res\r\n8\r\nult\":{{}}}}\r\n0\r\n\r\n").into_bytes();
        for end in 0..whole.len() {
            assert_eq!(front(&whole[..end]), Front::Incomplete, "{end}");
        }
        assert_eq!(outcome(&whole), Outcome::Ok);
        for wrong in ["x\r\n", "1\r\nabc", "ffffffffffffffff\r\n"] {
            assert_eq!(
                front(format!("{head}{wrong}").as_bytes()),
                Front::Malformed,
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_has_no_length_is_malformed() {
        assert_eq!(outcome(b"HTTP/1.1 204 No Content\r\n\r\n"), Outcome::Status(204));
        for bytes in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"nonsense\r\n\r\n"] {
            assert_eq!(front(bytes), Front::Malformed);
        }
        let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", usize::MAX);
        assert_eq!(front(endless.as_bytes()), Front::Incomplete);
    }
}
