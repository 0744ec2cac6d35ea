//! Finds the end of an HTTP response.
//!
//! It understands a body with `content-length`, a chunked one, and a head whose status allows none.

use std::borrow::Cow;

/// Servers behind proxies have many.
const HEADERS_MAX: usize = 64;

/// The messages of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// One message, or nothing.
    Json(Cow<'a, [u8]>),
    /// Messages as server-sent events.
    Events(Cow<'a, [u8]>),
}

/// A whole answer at the front of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    /// The length of all of it.
    pub(crate) bytes: usize,
    /// 200 where there is no HTTP.
    pub(crate) status: u16,
    /// Seconds; 0 for a date, which says as little as the next second.
    pub(crate) retry_after: Option<u32>,
    /// Whether the server will close the connection.
    pub(crate) is_last: bool,
    pub(crate) payload: Payload<'a>,
}

/// The state of the bytes at the front of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Front<'a> {
    /// The beginning of an answer.
    Incomplete,
    Whole(Reply<'a>),
    /// A WebSocket's ping of so many bytes, the last of which are its payload's.
    Ping {
        bytes: usize,
        payload: &'a [u8],
    },
    /// So many bytes that say nothing.
    Empty(usize),
    /// Bytes that this client does not understand.
    Malformed,
}

/// Looks for one response at the front of `received`.
pub(crate) fn front(received: &[u8]) -> Front<'_> {
    let Some(blank) = memchr::memmem::find(received, b"\r\n\r\n") else {
        return Front::Incomplete;
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
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
    let is_events =
        header(&response, "content-type").is_some_and(|value| value.starts_with("text/event-stream"));
    Front::Whole(Reply {
        bytes,
        status,
        retry_after: header(&response, "retry-after").map(|value| value.trim().parse().unwrap_or(0)),
        is_last: header(&response, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        payload: if is_events {
            Payload::Events(body)
        } else {
            Payload::Json(body)
        },
    })
}

/// The state of the bytes behind a head.
enum Body<'a> {
    Incomplete,
    /// Whole, and how many bytes its framing takes.
    Whole(Cow<'a, [u8]>, usize),
    Malformed,
}

fn body<'a>(response: &httparse::Response<'_, '_>, status: u16, rest: &'a [u8]) -> Body<'a> {
    if matches!(status, 101 | 204) {
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
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
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

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> (u16, Option<u32>, String) {
        match front(bytes) {
            Front::Whole(reply) => {
                assert_eq!(reply.bytes, bytes.len());
                let (Payload::Json(body) | Payload::Events(body)) = reply.payload;
                (
                    reply.status,
                    reply.retry_after,
                    String::from_utf8_lossy(&body).into_owned(),
                )
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_whole_before_its_last_byte() {
        let bytes =
            b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
        for end in 0..bytes.len() {
            assert_eq!(front(&bytes[..end]), Front::Incomplete, "{end}");
        }
        assert_eq!(whole(bytes), (503, Some(7), "{}".to_owned()));
        let two = [&bytes[..], &bytes[..]].concat();
        let Front::Whole(first) = front(&two) else {
            panic!("it is whole");
        };
        assert!(first.is_last && first.bytes == bytes.len());
    }

    #[test]
    fn chunks_are_one_body() {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let bytes = format!("{head}b\r\ndata: {{\"res\r\n8\r\nult\":{{}}}}\r\n0\r\n\r\n").into_bytes();
        for end in 0..bytes.len() {
            assert_eq!(front(&bytes[..end]), Front::Incomplete, "{end}");
        }
        let data = r#"data: {"result":{}}"#.to_owned();
        assert_eq!(whole(&bytes), (200, None, data));
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
        assert_eq!(whole(b"HTTP/1.1 204 No Content\r\n\r\n").0, 204);
        assert_eq!(whole(b"HTTP/1.1 101 Switching\r\n\r\n").0, 101);
        for bytes in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"nonsense\r\n\r\n"] {
            assert_eq!(front(bytes), Front::Malformed);
        }
        let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", usize::MAX);
        assert_eq!(front(endless.as_bytes()), Front::Incomplete);
    }
}
