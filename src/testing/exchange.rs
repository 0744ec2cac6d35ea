//! One HTTP request and what comes back for it: a JSON body, or a stream of events.

use std::io;

use serde_json::Value;

use super::wire::Wire;
use crate::wire::http1::{BodyLimits, ChunkDecoder};

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Fields in it.
const FIELDS_MAX: usize = 100;

/// The head of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The value of a field, by its name in lower case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    fn is_stream(&self) -> bool {
        self.field("content-type")
            .is_some_and(|text| text.starts_with("text/event-stream"))
    }

    fn closes(&self) -> bool {
        self.field("connection")
            .is_some_and(|text| text.eq_ignore_ascii_case("close"))
    }
}

/// Where the body ends.
#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked(Box<ChunkDecoder>),
    UntilClosed,
    Over,
}

/// A request that was sent, and its answer as far as it was read.
#[derive(Debug)]
pub(super) struct Exchange {
    wire: Wire,
    /// Bytes that were read and not decoded.
    raw: Vec<u8>,
    head: Option<Head>,
    framing: Framing,
    /// Decoded bytes of the body that were not taken.
    body: Vec<u8>,
    /// The id of the last event that had one.
    pub(super) last_event_id: Option<String>,
    /// How long the server wants a client to wait before it comes back, milliseconds.
    pub(super) retry_ms: Option<u64>,
}

impl Exchange {
    /// Sends a request.
    pub(super) fn send(mut wire: Wire, request: &[u8]) -> io::Result<Exchange> {
        wire.write(request)?;
        Ok(Exchange {
            wire,
            raw: Vec::new(),
            head: None,
            framing: Framing::Length(0),
            body: Vec::new(),
            last_event_id: None,
            retry_ms: None,
        })
    }

    /// The head of the answer, for which it waits.
    pub(super) fn head(&mut self) -> io::Result<Head> {
        let deadline = self.wire.deadline();
        loop {
            if let Some(head) = &self.head {
                return Ok(head.clone());
            }
            if !self.parse_head()? && !self.wire.read(&mut self.raw, deadline)? {
                return Err(io::Error::other(
                    "the server closed the connection without an answer",
                ));
            }
        }
    }

    /// The next message, for which it waits; `None` at the end.
    pub(super) fn message(&mut self) -> io::Result<Option<Value>> {
        self.head()?;
        let deadline = self.wire.deadline();
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if matches!(self.framing, Framing::Over) {
                return Ok(None);
            }
            if !self.wire.read(&mut self.raw, deadline)? {
                self.end()?;
            }
        }
    }

    /// The next message, if it is there.
    pub(super) fn message_now(&mut self) -> io::Result<Option<Value>> {
        let is_open = self.wire.read_now(&mut self.raw)?;
        if self.head.is_none() && !self.parse_head()? {
            return Ok(None);
        }
        let message = self.take()?;
        if !is_open && message.is_none() {
            self.end()?;
        }
        Ok(message)
    }

    /// The connection.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.framing, Framing::Over) && self.head.is_some()
    }

    /// The connection, if another request can be sent on it.
    pub(super) fn into_wire(self) -> Option<Wire> {
        let is_done = self.is_over() && self.raw.is_empty();
        let closes = self.head.as_ref().is_none_or(Head::closes);
        (is_done && !closes).then_some(self.wire)
    }

    /// The connection has ended.
    fn end(&mut self) -> io::Result<()> {
        match self.framing {
            Framing::UntilClosed | Framing::Over => self.framing = Framing::Over,
            _ => {
                return Err(io::Error::other(
                    "the connection ended in the middle of an answer",
                ));
            }
        }
        Ok(())
    }

    /// Whether the head is there.
    fn parse_head(&mut self) -> io::Result<bool> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
            let mut parsed = httparse::Response::new(&mut fields);
            let status = parsed.parse(&self.raw).map_err(io::Error::other)?;
            let httparse::Status::Complete(bytes) = status else {
                if self.raw.len() > HEAD_BYTES_MAX {
                    return Err(io::Error::other("the head of an answer has no end"));
                }
                return Ok(false);
            };
            let head = Head {
                status: parsed.code.unwrap_or_default(),
                fields: parsed
                    .headers
                    .iter()
                    .map(|field| {
                        let value = String::from_utf8_lossy(field.value).into_owned();
                        (field.name.to_ascii_lowercase(), value)
                    })
                    .collect(),
            };
            self.raw.drain(..bytes);
            // 1xx: the answer is yet to come (RFC 9110, section 15.2).
            if head.status >= 200 {
                self.framing = framing_of(&head)?;
                self.head = Some(head);
                return Ok(true);
            }
        }
    }

    /// Decodes what was read, and takes the first message.
    fn take(&mut self) -> io::Result<Option<Value>> {
        self.decode()?;
        let is_stream = self.head.as_ref().is_some_and(Head::is_stream);
        if is_stream {
            return self.take_event();
        }
        if !matches!(self.framing, Framing::Over) || self.body.is_empty() {
            return Ok(None);
        }
        let body = std::mem::take(&mut self.body);
        if self
            .head
            .as_ref()
            .is_some_and(|head| head.field("content-type") != Some("application/json"))
        {
            return Err(io::Error::other(format!(
                "no JSON: {}",
                String::from_utf8_lossy(&body)
            )));
        }
        parse(&body).map(Some)
    }

    fn decode(&mut self) -> io::Result<()> {
        match &mut self.framing {
            Framing::Over => {}
            Framing::Length(left) => {
                let count = self.raw.len().min(*left);
                self.body.extend(self.raw.drain(..count));
                *left -= count;
                if *left == 0 {
                    self.framing = Framing::Over;
                }
            }
            Framing::UntilClosed => self.body.append(&mut self.raw),
            Framing::Chunked(decoder) => {
                let limits = BodyLimits {
                    body_bytes_max: usize::MAX,
                    framing_bytes_max: usize::MAX / 2,
                };
                let decoded = decoder.decode(&self.raw, &mut self.body, &limits);
                let decoded = decoded.map_err(|error| io::Error::other(format!("{error:?}")))?;
                self.raw.drain(..decoded.consumed);
                if decoded.is_done {
                    self.framing = Framing::Over;
                }
            }
        }
        Ok(())
    }

    /// The first event that has data (HTML Standard, section 9.2.6).
    fn take_event(&mut self) -> io::Result<Option<Value>> {
        while let Some(end) = memchr::memmem::find(&self.body, b"\n\n") {
            let event: Vec<u8> = self.body.drain(..end + 2).collect();
            let event = String::from_utf8(event).map_err(io::Error::other)?;
            let mut data = String::new();
            for line in event.lines() {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match name {
                    "data" => data.push_str(value),
                    "id" => self.last_event_id = Some(value.to_owned()),
                    "retry" => self.retry_ms = value.parse().ok(),
                    _ => {}
                }
            }
            if !data.is_empty() {
                return parse(data.as_bytes()).map(Some);
            }
        }
        Ok(None)
    }
}

fn parse(text: &[u8]) -> io::Result<Value> {
    serde_json::from_slice(text)
        .map_err(|error| io::Error::other(format!("no JSON ({error}): {}", String::from_utf8_lossy(text))))
}

fn framing_of(head: &Head) -> io::Result<Framing> {
    if head
        .field("transfer-encoding")
        .is_some_and(|text| text.eq_ignore_ascii_case("chunked"))
    {
        return Ok(Framing::Chunked(Box::default()));
    }
    match head.field("content-length") {
        Some(length) => {
            let length = length
                .parse()
                .map_err(|_| io::Error::other("a Content-Length that is no number"))?;
            Ok(if length == 0 {
                Framing::Over
            } else {
                Framing::Length(length)
            })
        }
        None if head.status == 204 => Ok(Framing::Over),
        None => Ok(Framing::UntilClosed),
    }
}
