//! Finds the end of an HTTP response.
//!
//! It understands a body with `content-length`, a chunked one, one that ends with its connection, and a head whose
//! status allows none. Answers of 1xx before the answer are skipped.

use std::borrow::Cow;
use std::fmt;

/// Servers behind proxies have many.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The line that says how long a chunk is.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;
/// More of one answer is not kept.
pub(super) const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The messages of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// One message, or nothing.
    Json(Cow<'a, [u8]>),
    /// Messages as server-sent events.
    Events(Cow<'a, [u8]>),
}

/// When a refusal says that it is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RetryAfter {
    Seconds(u32),
    Date,
    /// Neither.
    Nonsense,
}

impl RetryAfter {
    fn read(value: &str) -> RetryAfter {
        let value = value.trim();
        match value.parse() {
            Ok(seconds) => RetryAfter::Seconds(seconds),
            Err(_) if httpdate::parse_http_date(value).is_ok() => RetryAfter::Date,
            Err(_) => RetryAfter::Nonsense,
        }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RetryAfter::Seconds(seconds) => write!(f, "{seconds}"),
            RetryAfter::Date => f.write_str("a date"),
            RetryAfter::Nonsense => f.write_str("not a number"),
        }
    }
}

/// A whole answer at the front of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    /// The length of all of it.
    pub(crate) bytes: usize,
    /// 200 where there is no HTTP.
    pub(crate) status: u16,
    pub(crate) retry_after: Option<RetryAfter>,
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
    /// An answer of more than [`ANSWER_BYTES_MAX`].
    TooLarge,
}

/// How far the answer at the front has been read: the next look goes on there, because an answer of many parts would be
/// read as often otherwise.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Bytes in which there is no end of a head or a line.
    searched: usize,
    head: Option<Head>,
    /// What the chunks had so far, and where in the body the next one begins.
    chunks: Vec<u8>,
    chunk_at: usize,
    /// How much of a stream of events was looked at before its end.
    looked_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: usize,
    status: u16,
    retry_after: Option<RetryAfter>,
    is_last: bool,
    is_events: bool,
    length: Length,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(usize),
    Chunks,
    /// By the end of the connection.
    Connection,
}

/// The state of the bytes behind a head.
enum Body<'a> {
    Incomplete,
    /// Whole, and how many bytes its framing takes.
    Whole(Cow<'a, [u8]>, usize),
    Malformed,
    TooLarge,
}

impl Reading {
    /// Looks for one response at the front of `received`; `is_ended` says that nothing will follow.
    pub(crate) fn front<'a>(&'a mut self, received: &'a [u8], is_ended: bool) -> Front<'a> {
        let head = match self.head {
            Some(head) => head,
            None => {
                let Some(blank) = self.search(received, b"\r\n\r\n") else {
                    return if received.len() > HEAD_BYTES_MAX {
                        Front::Malformed
                    } else {
                        Front::Incomplete
                    };
                };
                let Some(head) = head(received, blank + 4).filter(|head| head.bytes <= HEAD_BYTES_MAX) else {
                    return Front::Malformed;
                };
                self.head = Some(head);
                head
            }
        };
        // 101 is an answer, because what follows is not HTTP.
        if head.status / 100 == 1 && head.status != 101 {
            return Front::Empty(head.bytes);
        }
        let (body, bytes) = match self.body(head.length, &received[head.bytes..], is_ended) {
            Body::Whole(body, bytes) => (body, head.bytes + bytes),
            Body::Incomplete => return Front::Incomplete,
            Body::Malformed => return Front::Malformed,
            Body::TooLarge => return Front::TooLarge,
        };
        Front::Whole(Reply {
            bytes,
            status: head.status,
            retry_after: head.retry_after,
            is_last: head.is_last || head.length == Length::Connection,
            payload: if head.is_events {
                Payload::Events(body)
            } else {
                Payload::Json(body)
            },
        })
    }

    /// The lines of a stream of events that has not ended, as far as they were not asked for before.
    pub(super) fn new_events<'a>(&'a mut self, received: &'a [u8]) -> Option<&'a [u8]> {
        let from = self.looked_at;
        let (_, body) = self.open_body(received)?;
        let end = from + memchr::memrchr(b'\n', body.get(from..)?)? + 1;
        self.looked_at = end;
        let (_, body) = self.open_body(received)?;
        body.get(from..end)
    }

    /// What a stream of events that has not ended is as an answer, up to where it was looked at.
    pub(super) fn open_reply<'a>(&'a self, received: &'a [u8]) -> Option<Reply<'a>> {
        let (head, body) = self.open_body(received)?;
        Some(Reply {
            bytes: received.len(),
            status: head.status,
            retry_after: head.retry_after,
            is_last: true,
            payload: Payload::Events(body.get(..self.looked_at)?.into()),
        })
    }

    fn open_body<'a>(&'a self, received: &'a [u8]) -> Option<(Head, &'a [u8])> {
        let head = self.head.filter(|head| head.is_events)?;
        let body = match head.length {
            Length::Chunks => self.chunks.as_slice(),
            Length::Connection => received.get(head.bytes..)?,
            Length::Bytes(_) => return None,
        };
        Some((head, body))
    }

    /// Where `end` is, looked for where it was not looked for before.
    pub(super) fn search(&mut self, received: &[u8], end: &[u8]) -> Option<usize> {
        // It may have begun in what was searched.
        let from = (self.searched + 1).saturating_sub(end.len());
        let found = received
            .get(from..)
            .and_then(|rest| memchr::memmem::find(rest, end));
        self.searched = received.len();
        found.map(|at| from + at)
    }

    fn body<'a>(&'a mut self, length: Length, rest: &'a [u8], is_ended: bool) -> Body<'a> {
        match length {
            Length::Bytes(length) if length > ANSWER_BYTES_MAX => Body::TooLarge,
            Length::Bytes(length) => rest
                .get(..length)
                .map_or(Body::Incomplete, |body| Body::Whole(body.into(), length)),
            Length::Chunks => self.read_chunks(rest),
            Length::Connection if is_ended => Body::Whole(rest.into(), rest.len()),
            Length::Connection => Body::Incomplete,
        }
    }

    /// Joins the chunks at the front of `rest`.
    fn read_chunks(&mut self, rest: &[u8]) -> Body<'_> {
        loop {
            let left = rest.get(self.chunk_at..).unwrap_or_default();
            let (start, size) = match httparse::parse_chunk_size(left) {
                Ok(httparse::Status::Complete((bytes, size))) => (self.chunk_at + bytes, size),
                Ok(httparse::Status::Partial) if left.len() <= CHUNK_LINE_BYTES_MAX => {
                    return Body::Incomplete;
                }
                _ => return Body::Malformed,
            };
            let Some(size) = usize::try_from(size)
                .ok()
                .filter(|size| *size <= ANSWER_BYTES_MAX)
            else {
                return Body::TooLarge;
            };
            let end = start + size;
            let Some(line) = rest.get(end..end + 2) else {
                return Body::Incomplete;
            };
            if line != b"\r\n" {
                return Body::Malformed;
            }
            self.chunks.extend_from_slice(&rest[start..end]);
            self.chunk_at = end + 2;
            if size == 0 {
                return Body::Whole(self.chunks.as_slice().into(), self.chunk_at);
            }
        }
    }
}

fn head(received: &[u8], bytes: usize) -> Option<Head> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(received.get(..bytes)?).ok()?;
    let (status, version) = (response.code?, response.version?);
    let connection = |word: &str| {
        let value = header(&response, "connection").unwrap_or_default();
        value.split(',').any(|own| own.trim().eq_ignore_ascii_case(word))
    };
    Some(Head {
        bytes,
        status,
        retry_after: header(&response, "retry-after").map(RetryAfter::read),
        is_last: connection("close") || version == 0 && !connection("keep-alive"),
        is_events: header(&response, "content-type")
            .is_some_and(|value| value.starts_with("text/event-stream")),
        length: length(&response, status)?,
    })
}

/// `None` if it says what cannot be.
fn length(response: &httparse::Response<'_, '_>, status: u16) -> Option<Length> {
    if matches!(status, 100..200 | 204 | 304) {
        return Some(Length::Bytes(0));
    }
    if header(response, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Some(Length::Chunks);
    }
    let headers = response.headers.iter();
    let mut lengths = headers
        .filter(|header| header.name.eq_ignore_ascii_case("content-length"))
        .map(|header| str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let Some(length) = lengths.next() else {
        return Some(Length::Connection);
    };
    length
        .filter(|length| lengths.all(|other| other == Some(*length)))
        .map(Length::Bytes)
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

    fn state(bytes: &[u8]) -> Front<'static> {
        match Reading::default().front(bytes, false) {
            Front::Incomplete => Front::Incomplete,
            Front::Malformed => Front::Malformed,
            Front::TooLarge => Front::TooLarge,
            Front::Empty(bytes) => Front::Empty(bytes),
            other => panic!("{other:?}"),
        }
    }

    fn whole(bytes: &[u8]) -> (u16, Option<RetryAfter>, String) {
        match Reading::default().front(bytes, true) {
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
            assert_eq!(state(&bytes[..end]), Front::Incomplete, "{end}");
        }
        assert_eq!(whole(bytes), (503, Some(RetryAfter::Seconds(7)), "{}".to_owned()));
        let two = [&bytes[..], &bytes[..]].concat();
        let mut reading = Reading::default();
        let Front::Whole(first) = reading.front(&two, false) else {
            panic!("it is whole");
        };
        assert!(first.is_last && first.bytes == bytes.len());
    }

    #[test]
    fn chunks_are_one_body() {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let bytes = format!("{head}b\r\ndata: {{\"res\r\n8\r\nult\":{{}}}}\r\n0\r\n\r\n").into_bytes();
        for end in 0..bytes.len() {
            assert_eq!(state(&bytes[..end]), Front::Incomplete, "{end}");
        }
        let data = r#"data: {"result":{}}"#.to_owned();
        assert_eq!(whole(&bytes), (200, None, data));
        for wrong in ["x\r\n", "1\r\nabc", &"1;".repeat(CHUNK_LINE_BYTES_MAX)] {
            let bytes = format!("{head}{wrong}");
            assert_eq!(state(bytes.as_bytes()), Front::Malformed, "{wrong}");
        }
        let large = format!("{head}2000001\r\n");
        assert_eq!(state(large.as_bytes()), Front::TooLarge);
    }

    #[test]
    fn reading_goes_on_where_it_was() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let bytes = format!("{head}2\r\n{{}}\r\n1\r\n \r\n0\r\n\r\n").into_bytes();
        let mut reading = Reading::default();
        for end in 0..bytes.len() {
            assert_eq!(reading.front(&bytes[..end], false), Front::Incomplete, "{end}");
        }
        let Front::Whole(reply) = reading.front(&bytes, false) else {
            panic!("it is whole");
        };
        assert_eq!(reply.payload, Payload::Json(b"{} ".as_slice().into()));
        assert_eq!(reply.bytes, bytes.len());
    }

    #[test]
    fn a_body_without_a_length_ends_with_its_connection() {
        let bytes = b"HTTP/1.0 200 OK\r\n\r\n{}";
        assert_eq!(state(bytes), Front::Incomplete);
        assert_eq!(whole(bytes), (200, None, "{}".to_owned()));
        let mut reading = Reading::default();
        let front = reading.front(bytes, true);
        assert!(
            matches!(front, Front::Whole(Reply { is_last: true, .. })),
            "{front:?}"
        );
        assert_eq!(whole(b"HTTP/1.1 204 No Content\r\n\r\n").0, 204);
        assert_eq!(whole(b"HTTP/1.1 101 Switching\r\n\r\n").0, 101);
        assert_eq!(state(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/"), Front::Empty(25));
    }

    #[test]
    fn heads_that_cannot_be_are_malformed() {
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "a".repeat(HEAD_BYTES_MAX));
        let length = |value: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {value}\r\n\r\n");
        let two = length("5\r\ncontent-length: 7");
        for wrong in ["nonsense\r\n\r\n", &long, &length("-5"), &two] {
            assert_eq!(state(wrong.as_bytes()), Front::Malformed, "{wrong:.60}");
        }
        let large = length(&usize::MAX.to_string());
        assert_eq!(state(large.as_bytes()), Front::TooLarge);
    }

    #[test]
    fn what_retry_after_says_is_said() {
        for (value, expected) in [
            ("7", "7"),
            ("-3", "not a number"),
            ("99999999999999999999", "not a number"),
            ("Fri, 31 Dec 1999 23:59:59 GMT", "a date"),
        ] {
            assert_eq!(RetryAfter::read(value).to_string(), expected);
        }
    }
}
