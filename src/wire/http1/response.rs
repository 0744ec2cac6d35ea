//! Response heads, written in front of bodies that are already there.
//!
//! A body is encoded first, behind [`HEAD_RESERVE`] bytes of room; only then are its length and status known.
//! The head is written backwards into that room so that it ends where the body begins, and both leave in one
//! send. Nothing is allocated and no body byte is moved.

use super::{BodyLength, Connection, Status};

/// Room to leave in front of a body: more than the longest head, whose variable parts are bounded below.
pub const HEAD_RESERVE: usize = 1536;
/// The longest challenge and other single value; the reserve holds all of them at once.
const VALUE_BYTES_MAX: usize = 256;
/// The longest origin: `https`, the longest name of the domain system and a port.
const ORIGIN_BYTES_MAX: usize = "https://".len() + 253 + ":65535".len();

/// The interim answer to `Expect: 100-continue`; it has no fields.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A protocol that a client may ask for by `Upgrade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeOffer {
    /// WebSocket of the one version there is (RFC 6455, section 4.4).
    WebSocket,
}

/// What an answer tells browsers about pages of other origins (Fetch Standard, section 3.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors<'a> {
    /// The answer says nothing.
    Unsaid,
    /// `Vary: Origin`: the answer to a request with another origin might have been another.
    Varies,
    /// The same, and a page may read the answer.
    ReadableBy {
        /// The page's origin: a text that [`origin_value`] has accepted.
        origin: &'a str,
        /// The names of the fields that the page may read beyond those that any page may, with commas between.
        exposed: &'static str,
    },
}

/// A field that is not HTTP's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnField<'a> {
    /// The name with the colon and the space behind it.
    pub name: &'static str,
    /// Visible ASCII and spaces, at most 256 bytes.
    pub value: &'a str,
}

/// The value of `Origin`, if a browser can have sent it: an origin or `null`, in visible ASCII and not longer than any
/// origin.
pub fn origin_value(value: &[u8]) -> Option<&str> {
    let is_origin = (1..=ORIGIN_BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    is_origin.then(|| std::str::from_utf8(value).ok()).flatten()
}

/// Everything that an answer's head may say. Optional values are the server's own, never a peer's, except for the
/// origin.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status line.
    pub status: Status,
    /// `Content-Type`, absent without a body.
    pub content_type: Option<&'static str>,
    /// `None` means `Content-Length: 0`, or no such field on 204, which forbids it (RFC 9110, section 8.6). `Chunked`
    /// means `Transfer-Encoding: chunked`. On an answer to `HEAD`, it is what `GET` would have said.
    pub body: BodyLength,
    /// `Connection`.
    pub connection: Connection,
    /// `Date`, from a [`DateCache`](super::DateCache).
    pub date: &'a [u8; 29],
    /// `Allow`, which a 405 must carry.
    pub allow: Option<&'static str>,
    /// `Retry-After` in seconds.
    pub retry_after_seconds: Option<u32>,
    /// A field of the layer above.
    pub own: Option<OwnField<'a>>,
    /// Whether no intermediary may hold the answer back or keep it: `Cache-Control: no-store`, `X-Accel-Buffering: no`
    /// (nginx's own, which MCP asks for).
    pub is_live: bool,
    /// The protocol to ask for instead, which a 426 must name (RFC 9110, section 15.5.22).
    pub upgrade: Option<UpgradeOffer>,
    /// `WWW-Authenticate`: visible ASCII and spaces, at most 256 bytes.
    pub www_authenticate: Option<&'a str>,
    /// The pages that may read the answer.
    pub cors: Cors<'a>,
}

impl<'a> ResponseHead<'a> {
    /// An answer with that much JSON behind it, on a connection that persists.
    pub fn json(status: Status, body_bytes: usize, date: &'a [u8; 29]) -> Self {
        Self {
            content_type: Some("application/json"),
            body: BodyLength::Length(body_bytes as u64),
            ..Self::empty(status, date)
        }
    }

    /// An answer without a body, on a connection that persists.
    pub fn empty(status: Status, date: &'a [u8; 29]) -> Self {
        Self {
            status,
            content_type: None,
            body: BodyLength::None,
            connection: Connection::Persist,
            date,
            allow: None,
            retry_after_seconds: None,
            own: None,
            is_live: false,
            upgrade: None,
            www_authenticate: None,
            cors: Cors::Unsaid,
        }
    }

    /// An answer that is a stream of events, of unknown length.
    pub fn event_stream(body: BodyLength, date: &'a [u8; 29]) -> Self {
        Self {
            content_type: Some("text/event-stream"),
            body,
            is_live: true,
            ..Self::empty(Status::Ok, date)
        }
    }
}

/// Writes the head so that it ends at `body_start`, where the body already lies, and returns where the head begins.
/// Does not allocate.
///
/// # Panics
/// Panics if there are fewer than [`HEAD_RESERVE`] bytes before `body_start`, or if an optional value is too long or
/// holds anything but visible ASCII and spaces. Neither can come from a peer.
pub fn write_head_before(buffer: &mut [u8], body_start: usize, head: &ResponseHead<'_>) -> usize {
    assert!(
        (HEAD_RESERVE..=buffer.len()).contains(&body_start),
        "no room for a head: body at {body_start} of {}, {HEAD_RESERVE} bytes needed before it",
        buffer.len()
    );
    let mut writer = Backwards {
        buffer,
        start: body_start,
    };
    writer.prepend("\r\n");
    match (head.connection, head.upgrade) {
        (Connection::Persist, None) => {}
        (Connection::KeepAlive, None) => writer.prepend("Connection: keep-alive\r\n"),
        (Connection::Close, None) => writer.prepend("Connection: close\r\n"),
        // `Upgrade` is for the next hop only, so `Connection` names it.
        (Connection::Close, Some(_)) => writer.prepend("Connection: close, Upgrade\r\n"),
        (Connection::Persist | Connection::KeepAlive, Some(_)) => writer.prepend("Connection: Upgrade\r\n"),
    }
    if let Some(UpgradeOffer::WebSocket) = head.upgrade {
        writer.prepend("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    }
    if head.cors != Cors::Unsaid {
        writer.cors(head.cors);
    }
    if let Some(challenge) = head.www_authenticate {
        writer.field("WWW-Authenticate: ", challenge);
    }
    if let Some(own) = head.own {
        writer.field(own.name, own.value);
    }
    if head.is_live {
        writer.prepend("Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
    }
    if let Some(seconds) = head.retry_after_seconds {
        writer.number("Retry-After: ", u64::from(seconds));
    }
    if let Some(methods) = head.allow {
        writer.known_field("Allow: ", methods);
    }
    match head.body {
        BodyLength::None if head.status == Status::NoContent => {}
        // For an HTTP/1.0 client the end of the connection is the end of the stream.
        BodyLength::None if head.is_live => {}
        BodyLength::None => writer.prepend("Content-Length: 0\r\n"),
        BodyLength::Length(bytes) => writer.number("Content-Length: ", bytes),
        BodyLength::Chunked => writer.prepend("Transfer-Encoding: chunked\r\n"),
    }
    if let Some(content_type) = head.content_type {
        writer.known_field("Content-Type: ", content_type);
    }
    writer.prepend("\r\n");
    writer.prepend_bytes(head.date);
    writer.prepend("Date: ");
    writer.prepend(head.status.line());
    writer.start
}

/// Appends a head with nothing behind it. Allocates only if `buffer` lacks [`HEAD_RESERVE`] bytes of capacity.
///
/// # Panics
/// Panics like [`write_head_before`].
pub fn write_bodyless(buffer: &mut Vec<u8>, head: &ResponseHead<'_>) {
    let begin = buffer.len();
    let end = begin + HEAD_RESERVE;
    buffer.resize(end, 0);
    let start = write_head_before(buffer, end, head);
    buffer.copy_within(start..end, begin);
    buffer.truncate(begin + (end - start));
}

/// Appends the head that ends HTTP on a connection; frames follow (RFC 6455, section 4.2.2).
///
/// `accept_key` answers `Sec-WebSocket-Key`; `subprotocol` is one of the client's that the server also knows, so it is
/// a token.
pub fn write_switching_protocols(
    out: &mut Vec<u8>,
    accept_key: &[u8; 28],
    subprotocol: Option<&'static str>,
) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    out.extend_from_slice(b"Sec-WebSocket-Accept: ");
    out.extend_from_slice(accept_key);
    if let Some(subprotocol) = subprotocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(subprotocol.as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Fills a buffer from the end.
struct Backwards<'b> {
    buffer: &'b mut [u8],
    start: usize,
}

impl Backwards<'_> {
    fn prepend(&mut self, text: &str) {
        self.prepend_bytes(text.as_bytes());
    }

    /// The room was asserted and every variable part is bounded, so it cannot run out.
    fn prepend_bytes(&mut self, text: &[u8]) {
        let end = self.start;
        self.start = end - text.len();
        self.buffer[self.start..end].copy_from_slice(text);
    }

    fn field(&mut self, name: &str, value: &str) {
        let is_clean = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(
            is_clean && value.len() <= VALUE_BYTES_MAX,
            "{name}{value:?} is no field value of ours"
        );
        self.prepend("\r\n");
        self.prepend(value);
        self.prepend(name);
    }

    /// A value that stands in the source is not looked at.
    fn known_field(&mut self, name: &'static str, value: &'static str) {
        self.prepend("\r\n");
        self.prepend(value);
        self.prepend(name);
    }

    #[cold]
    fn cors(&mut self, cors: Cors<'_>) {
        if let Cors::ReadableBy { origin, exposed } = cors {
            assert!(origin.len() <= ORIGIN_BYTES_MAX, "{origin:?} is no origin");
            self.known_field("Access-Control-Expose-Headers: ", exposed);
            self.prepend("\r\n");
            self.prepend(origin);
            self.prepend("Access-Control-Allow-Origin: ");
        }
        self.prepend("Vary: Origin\r\n");
    }

    fn number(&mut self, name: &str, value: u64) {
        self.prepend("\r\n");
        self.prepend(itoa::Buffer::new().format(value));
        self.prepend(name);
    }
}
