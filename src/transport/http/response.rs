//! Responses: the status, fields and framing of an answer.
//!
//! A body is encoded first, behind [`HEAD_RESERVE`] bytes of room; its head is then written in front of it, and both
//! leave in one send. Callers say what they answer, never how: statuses and fields are chosen here and nowhere else.
//! Invariant: a response is written under the [`ResponseContext`] of its own request.

use std::io::Write;
use std::ops::Range;
use std::rc::Rc;

use super::admission::{self, AdmissionPolicy};
use super::fields::{EXPOSED, Head, SESSION_ID};
use super::origins::Origins;
use super::{HEAD_RESERVE, Refusal, status_of};
use crate::mcp::Reply;
use crate::metrics::Scrape;
use crate::wire::http1::{
    self, BodyLength, Connection as Persistence, Cors, OwnField, ResponseHead, Status, Version,
};
use crate::wire::sse;

/// The text in the answer to a POST of an HTTP+SSE message, as of the official servers.
const ACCEPTED: &str = "Accepted";
const TEXT: &str = "text/plain; charset=utf-8";

/// The parts of a request, and of its connection, that its response depends on.
#[derive(Clone, Debug)]
pub struct ResponseContext {
    /// What the response says about the connection.
    pub persistence: Persistence,
    /// Whether the client accepts JSON, not only a stream.
    pub takes_json: bool,
    /// Whether the client knows chunks (HTTP/1.1).
    pub takes_chunks: bool,
    /// Whether pages of other origins may ask at all, so that a cache must tell them apart.
    varies_by_origin: bool,
    /// The origin of the page that may read the response, if there is one.
    origin: Option<Rc<str>>,
}

impl Default for ResponseContext {
    fn default() -> Self {
        Self {
            persistence: Persistence::Persist,
            takes_json: true,
            takes_chunks: true,
            varies_by_origin: true,
            origin: None,
        }
    }
}

impl ResponseContext {
    /// For a listener that no page may ask and that ends a connection behind its one response.
    pub fn closing() -> Self {
        Self {
            persistence: Persistence::Close,
            varies_by_origin: false,
            ..Self::default()
        }
    }

    /// Makes it the context of a request with this head.
    pub fn note(&mut self, head: &Head<'_>, policy: &AdmissionPolicy, origins: &mut Origins) {
        self.persistence = persistence(head);
        self.takes_json = admission::takes_json(head);
        self.takes_chunks = head.version == Version::Http11;
        origins.note(&mut self.origin, policy.readable_by(head.fields.origin));
    }

    /// Does the same for a request that is refused before anything else of it is known: the front of it, `window`, may
    /// name an origin.
    pub fn note_unparsed(&mut self, window: &[u8], policy: &AdmissionPolicy, origins: &mut Origins) {
        let origin = http1::field_of_unparsed(window, "origin");
        origins.note(&mut self.origin, policy.readable_by(origin));
    }

    /// The request is refused because of its origin or host: no page may read the answer.
    pub fn forget_origin(&mut self) {
        self.origin = None;
    }

    /// Whether the connection ends behind the response.
    pub fn closes(&self) -> bool {
        self.persistence == Persistence::Close
    }

    fn cors(&self) -> Cors<'_> {
        match self.origin.as_deref() {
            Some(origin) => Cors::ReadableBy {
                origin,
                exposed: EXPOSED,
            },
            None => Cors::Unsaid,
        }
    }
}

/// What an answer to this request says about the connection.
fn persistence(head: &Head<'_>) -> Persistence {
    match head.version {
        _ if !head.keep_alive => Persistence::Close,
        Version::Http10 => Persistence::KeepAlive,
        Version::Http11 => Persistence::Persist,
    }
}

/// The answer to a request.
#[derive(Debug)]
pub enum Response<'a> {
    /// The protocol's answer; its body is in the buffer.
    Reply(&'a Reply),
    /// The protocol's answer in JSON, of which the buffer has the front.
    Front {
        /// The answer.
        reply: &'a Reply,
        /// How many bytes of its body follow.
        rest_bytes: usize,
    },
    /// HTTP's own refusal of a request.
    Refusal {
        /// The reason.
        refusal: Refusal,
        /// Whether the request was a HEAD, so that the body is not sent.
        is_head: bool,
    },
    /// The answer to a prober.
    Probe {
        /// The status: whether the server is as it should be.
        status: Status,
        /// The reason, in a line.
        text: &'a str,
        /// The request was a HEAD: the body stays unsent.
        is_head: bool,
    },
    /// All metrics.
    Metrics {
        /// The exposition; `None` when it could not be rendered.
        exposition: Option<&'a str>,
        /// The request was a HEAD: the body stays unsent.
        is_head: bool,
    },
    /// A message for a stream of HTTP+SSE was delivered; its answer goes out there.
    Delivered,
    /// A call was cancelled before it began: a stream without an event.
    EmptyStream,
    /// The answer to a browser's question before a page sends something; holds the preflight's head.
    Preflight(&'a Head<'a>),
}

impl Response<'_> {
    /// Completes the response in `buffer`, which holds [`HEAD_RESERVE`] bytes of room and, for a reply, its body.
    /// Returns the range to send.
    pub fn write(&self, buffer: &mut Vec<u8>, context: &ResponseContext, date: &[u8; 29]) -> Range<usize> {
        match *self {
            Response::Reply(reply) => write_reply(reply, 0, buffer, context, date),
            Response::Front { reply, rest_bytes } => write_reply(reply, rest_bytes, buffer, context, date),
            Response::Refusal { refusal, is_head } => write_refusal(refusal, is_head, buffer, context, date),
            Response::Probe {
                status,
                text,
                is_head,
            } => write_text(text, live_text(status, date), is_head, buffer, context),
            Response::Metrics { exposition, is_head } => {
                let (text, head) = metrics(exposition, date);
                write_text(text, head, is_head, buffer, context)
            }
            Response::Delivered => {
                let head = ResponseHead {
                    content_type: Some(TEXT),
                    ..ResponseHead::empty(Status::Accepted, date)
                };
                write_text(ACCEPTED, head, false, buffer, context)
            }
            Response::EmptyStream => {
                let head = ResponseHead::event_stream(BodyLength::Length(0), date);
                finish(head, false, buffer, context)
            }
            Response::Preflight(head) => {
                let start = buffer.len();
                let origin = context.origin.as_deref();
                admission::write_preflight_answer(buffer, head, origin, context.persistence, date);
                start..buffer.len()
            }
        }
    }
}

fn write_reply(
    reply: &Reply,
    rest_bytes: usize,
    buffer: &mut Vec<u8>,
    context: &ResponseContext,
    date: &[u8; 29],
) -> Range<usize> {
    let status = status_of(reply);
    let mut head = if !reply.has_body {
        ResponseHead::empty(status, date)
    } else if !context.takes_json && status == Status::Ok {
        write_as_event(buffer);
        ResponseHead::event_stream(body_length(buffer), date)
    } else {
        ResponseHead::json(status, buffer.len() - HEAD_RESERVE + rest_bytes, date)
    };
    head.retry_after_seconds = reply
        .retry_after_seconds
        .map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    if status == Status::MethodNotAllowed {
        // These are the path's methods for clients that cannot have a stream.
        head.allow = Some(admission::ALLOW_WITHOUT_STREAM);
    }
    head.own = reply.session.as_ref().and_then(|id| {
        let value = std::str::from_utf8(id.as_bytes()).ok()?;
        Some(OwnField {
            name: SESSION_ID,
            value,
        })
    });
    finish(head, false, buffer, context)
}

fn write_refusal(
    refusal: Refusal,
    is_head: bool,
    buffer: &mut Vec<u8>,
    context: &ResponseContext,
    date: &[u8; 29],
) -> Range<usize> {
    // Writing to a `Vec` cannot fail.
    let _ = writeln!(buffer, "{refusal}");
    let head = ResponseHead {
        content_type: Some(TEXT),
        body: body_length(buffer),
        allow: refusal.allow(),
        upgrade: refusal.upgrade(),
        cors: if context.varies_by_origin {
            Cors::Varies
        } else {
            Cors::Unsaid
        },
        ..ResponseHead::empty(refusal.status(), date)
    };
    finish(head, is_head, buffer, context)
}

/// The head of a text about the server as it is now, which no cache may repeat later.
fn live_text(status: Status, date: &[u8; 29]) -> ResponseHead<'_> {
    ResponseHead {
        content_type: Some(TEXT),
        is_live: true,
        ..ResponseHead::empty(status, date)
    }
}

fn metrics<'a>(exposition: Option<&'a str>, date: &'a [u8; 29]) -> (&'a str, ResponseHead<'a>) {
    match exposition {
        Some(text) => {
            let head = ResponseHead {
                content_type: Some(Scrape::CONTENT_TYPE),
                ..live_text(Status::Ok, date)
            };
            (text, head)
        }
        None => {
            let head = live_text(Status::InternalServerError, date);
            ("metrics could not be rendered\n", head)
        }
    }
}

fn write_text<'c>(
    text: &str,
    mut head: ResponseHead<'c>,
    is_head: bool,
    buffer: &mut Vec<u8>,
    context: &'c ResponseContext,
) -> Range<usize> {
    buffer.extend_from_slice(text.as_bytes());
    head.body = body_length(buffer);
    finish(head, is_head, buffer, context)
}

fn body_length(buffer: &[u8]) -> BodyLength {
    BodyLength::Length((buffer.len() - HEAD_RESERVE) as u64)
}

/// Writes the head in front of the body. With `is_head` the body is left out, but its length is not.
fn finish<'c>(
    mut head: ResponseHead<'c>,
    is_head: bool,
    buffer: &mut [u8],
    context: &'c ResponseContext,
) -> Range<usize> {
    head.connection = context.persistence;
    if context.origin.is_some() {
        head.cors = context.cors();
    }
    let start = http1::write_head_before(buffer, HEAD_RESERVE, &head);
    let end = if is_head { HEAD_RESERVE } else { buffer.len() };
    start..end
}

/// Makes the one event of a stream out of the body behind the head's room.
fn write_as_event(buffer: &mut Vec<u8>) {
    let body = buffer.split_off(HEAD_RESERVE);
    sse::write_event(buffer, None, |out| out.extend_from_slice(&body));
}

/// Writes the head of a stream of events so that it ends at `body_start`, where the first events lie; returns where the
/// head begins. The stream comes in chunks, or ends with the connection of a client that does not know chunks.
pub fn write_stream_head_before(
    buffer: &mut [u8],
    body_start: usize,
    context: &ResponseContext,
    date: &[u8; 29],
) -> usize {
    let head = stream_head(context, context.persistence, date);
    http1::write_head_before(buffer, body_start, &head)
}

/// Writes the head of an answer in JSON that comes in chunks, so that it ends at `body_start`, where the first chunk
/// lies; returns where the head begins.
pub fn write_chunked_head_before(
    buffer: &mut [u8],
    body_start: usize,
    reply: &Reply,
    context: &ResponseContext,
    date: &[u8; 29],
) -> usize {
    let mut head = ResponseHead {
        body: BodyLength::Chunked,
        connection: context.persistence,
        ..ResponseHead::json(status_of(reply), 0, date)
    };
    if context.origin.is_some() {
        head.cors = context.cors();
    }
    http1::write_head_before(buffer, body_start, &head)
}

/// Appends the head of HTTP+SSE's stream. It says nothing about a connection that need not end with the stream.
pub fn append_events_head(out: &mut Vec<u8>, context: &ResponseContext, date: &[u8; 29]) {
    let persistence = if context.takes_chunks {
        Persistence::Persist
    } else {
        Persistence::Close
    };
    http1::write_bodyless(out, &stream_head(context, persistence, date));
}

fn stream_head<'a>(
    context: &'a ResponseContext,
    persistence: Persistence,
    date: &'a [u8; 29],
) -> ResponseHead<'a> {
    let body = if context.takes_chunks {
        BodyLength::Chunked
    } else {
        BodyLength::None
    };
    ResponseHead {
        connection: persistence,
        cors: context.cors(),
        ..ResponseHead::event_stream(body, date)
    }
}
