//! A WebSocket client, written by hand: it sends whatever a test wants, and checks what comes before any test sees it.
//!
//! It is strict where a server has no freedom: frames are unmasked, whole messages, without reserved bits, in the
//! shortest form; messages are text that the specification's schemas accept. It answers pings where they come.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::client::{Client, Ending};
use super::message::Revision;
use super::request::Request;
use super::specification;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

const MASK: [u8; 4] = [0xA5, 0x00, 0xFF, 0x3C];
/// The key of the specification's example, and its answer (RFC 6455, section 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT_KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A frame of a server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Incoming {
    Message(Value),
    /// A ping, which was answered already.
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close {
        code: Option<u16>,
        reason: String,
    },
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    client: Client,
    /// The revision of the last message that names one, by which unasked messages are judged.
    revision: Revision,
    /// The revision of each request without an answer.
    asked: HashMap<String, Revision>,
    /// The number of pings answered so far.
    pub(crate) pings: usize,
    /// The last message, byte for byte.
    pub(crate) text: String,
}

impl WebSocket {
    /// A request for a WebSocket, with our subprotocol.
    pub(crate) fn handshake() -> Request {
        Request::new("GET", "/mcp")
            .plus("Connection", "Upgrade")
            .plus("Upgrade", "websocket")
            .plus("Sec-WebSocket-Version", "13")
            .plus("Sec-WebSocket-Key", KEY)
            .plus("Sec-WebSocket-Protocol", "mcp")
    }

    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::upgrade(Client::connect(address))
    }

    /// Turns a connection into one.
    #[track_caller]
    pub(crate) fn upgrade(mut client: Client) -> Self {
        client.send(&Self::handshake());
        Self::accepted(client)
    }

    /// The same where the handshake was sent before.
    #[track_caller]
    pub(crate) fn accepted(mut client: Client) -> Self {
        let answered = client.receive_head();
        assert_eq!(answered.status, 101, "{answered:?}");
        let expected = [
            ("upgrade", Some("websocket")),
            ("connection", Some("Upgrade")),
            ("sec-websocket-accept", Some(ACCEPT_KEY)),
            ("sec-websocket-protocol", Some("mcp")),
            ("sec-websocket-extensions", None),
        ];
        for (name, value) in expected {
            assert_eq!(answered.field(name), value, "{answered:?}");
        }
        Self {
            client,
            revision: Revision::MODERN,
            asked: HashMap::new(),
            pings: 0,
            text: String::new(),
        }
    }

    /// Sends the message that `request` would bring by POST.
    #[track_caller]
    pub(crate) fn send(&mut self, request: &Request) {
        self.note(request);
        self.send_text(&request.body);
    }

    /// Notes a message that is sent by other means, so that its answer is judged by its revision.
    pub(crate) fn note(&mut self, request: &Request) {
        if let Some(revision) = request.field("mcp-protocol-version").and_then(Revision::parse) {
            self.revision = revision;
        }
        if let Ok(message) = serde_json::from_slice::<Value>(&request.body)
            && let (Some(_), Some(id)) = (message.get("method"), message.get("id"))
        {
            self.asked.insert(id.to_string(), self.revision);
        }
    }

    /// Sends a message of one frame.
    #[track_caller]
    pub(crate) fn send_text(&mut self, text: &[u8]) {
        self.send_bytes(&frame(FIN | TEXT, text));
    }

    /// Sends one frame: its first byte, and its payload, which is masked.
    #[track_caller]
    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send_bytes(&frame(first, payload));
    }

    #[track_caller]
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.client.send_bytes(bytes);
    }

    /// The connection under the WebSocket.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Sends a request and returns its answer; any message before it is a failure.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Value {
        self.send(request);
        let message: Value = serde_json::from_slice(&request.body).unwrap();
        self.answer(message["id"].clone())
    }

    /// Opens a legacy session: `initialize`, then `notifications/initialized`; the channel is the session.
    #[track_caller]
    pub(crate) fn open_session(&mut self, dialect: &super::Dialect) {
        let opened = self.ask(&dialect.initialize("initialize"));
        let negotiated = &opened["result"]["protocolVersion"];
        assert_eq!(negotiated, dialect.revision.0, "{opened}");
        self.send(&dialect.notification("notifications/initialized", serde_json::json!({})));
    }

    /// The next frame, or how the connection ended instead.
    pub(crate) fn try_receive(&mut self) -> Result<Incoming, Ending> {
        loop {
            if let Some((first, payload)) = self.take_frame() {
                return Ok(self.judge(first, payload));
            }
            self.client.try_read()?;
        }
    }

    /// A frame that has come already, if it is complete, as far as the kernel knows now.
    pub(crate) fn try_receive_now(&mut self) -> Option<Incoming> {
        if self.client.is_silent() {
            None
        } else {
            self.try_receive().ok()
        }
    }

    /// The next frame's first byte and payload; a ping stays unanswered.
    #[track_caller]
    pub(crate) fn receive_unanswered(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some(frame) = self.take_frame() {
                return frame;
            }
            let read = self.client.try_read();
            read.unwrap_or_else(|ending| panic!("no frame but {ending:?}"));
        }
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Value {
        loop {
            match self.try_receive() {
                Ok(Incoming::Message(message)) => return message,
                Ok(Incoming::Ping(_)) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// The next message, which must be the answer to `id`.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: impl Into<Value>) -> Value {
        let message = self.message();
        assert!(message.get("method").is_none(), "{message}");
        assert_eq!(message["id"], id.into(), "{message}");
        message
    }

    /// The next message, which must be this notification; its parameters.
    #[track_caller]
    pub(crate) fn notification(&mut self, method: &str) -> Value {
        let mut message = self.message();
        assert_eq!(message["method"], method, "{message}");
        assert!(message.get("id").is_none(), "{message}");
        message["params"].take()
    }

    /// The next message, which must be a request of the server; its id and parameters.
    #[track_caller]
    pub(crate) fn question(&mut self, method: &str) -> (Value, Value) {
        let mut message = self.message();
        assert_eq!(message["method"], method, "{message}");
        let id = message["id"].take();
        assert!(!id.is_null(), "{message}");
        (id, message["params"].take())
    }

    /// Sends a ping, whose pong must be what comes next.
    #[track_caller]
    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.send_frame(FIN | PING, payload);
        assert_eq!(self.try_receive(), Ok(Incoming::Pong(payload.to_vec())));
    }

    /// The next frame other than pings, which must be a close with this code; then the connection must end.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self, code: u16) {
        let incoming = loop {
            match self.try_receive() {
                Ok(Incoming::Ping(_)) => {}
                other => break other,
            }
        };
        match incoming {
            Ok(Incoming::Close { code: own, reason }) => assert_eq!(own, Some(code), "{reason}"),
            other => panic!("no close but {other:?}"),
        }
        self.client.assert_closed();
    }

    /// The next frame other than pings and pongs, which must be a close with this code. How the connection ends behind
    /// it depends on the kernel, since the client may have sent more than was read.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16) {
        loop {
            match self.try_receive() {
                Ok(Incoming::Ping(_) | Incoming::Pong(_)) => {}
                Ok(Incoming::Close { code: own, reason }) => return assert_eq!(own, Some(code), "{reason}"),
                other => panic!("no close but {other:?}"),
            }
        }
    }

    /// Closes in order: the server answers with the same code, then ends the connection.
    #[track_caller]
    pub(crate) fn close(mut self, code: u16) {
        self.send_frame(FIN | CLOSE, &code.to_be_bytes());
        self.assert_closed(code);
    }

    /// Ends the connection with an RST.
    pub(crate) fn reset(self) {
        self.client.reset();
    }

    /// The frame at the front of the bytes that have come, if it is complete.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let input = self.client.input();
        let (&first, &second) = (input.first()?, input.get(1)?);
        assert_eq!(second & 0x80, 0, "a server's frames are not masked");
        let (header_bytes, length) = match second {
            126 => {
                let length = u16::from_be_bytes(input.get(2..4)?.try_into().unwrap());
                assert!(length > 125, "a length of {length} in two bytes");
                (4, usize::from(length))
            }
            127 => {
                let length = u64::from_be_bytes(input.get(2..10)?.try_into().unwrap());
                assert!(length > 0xFFFF, "a length of {length} in eight bytes");
                (10, length.try_into().unwrap())
            }
            short => (2, usize::from(short)),
        };
        let payload = input.get(header_bytes..header_bytes + length)?.to_vec();
        self.client.consume(header_bytes + length);
        Some((first, payload))
    }

    fn judge(&mut self, first: u8, payload: Vec<u8>) -> Incoming {
        assert_eq!(first & 0xF0, FIN, "a server's messages are one frame each");
        match first & 0x0F {
            TEXT => Incoming::Message(self.judge_message(&payload)),
            PING => {
                self.pings += 1;
                // The server may be gone; then that shows next.
                let _ = self.client.try_send_bytes(&frame(FIN | PONG, &payload));
                Incoming::Ping(payload)
            }
            PONG => Incoming::Pong(payload),
            CLOSE if payload.is_empty() => Incoming::Close {
                code: None,
                reason: String::new(),
            },
            CLOSE => Incoming::Close {
                code: Some(u16::from_be_bytes([payload[0], payload[1]])),
                reason: String::from_utf8(payload[2..].to_vec()).expect("reasons are UTF-8"),
            },
            opcode => panic!("opcode {opcode}: {payload:?}"),
        }
    }

    fn judge_message(&mut self, text: &[u8]) -> Value {
        let message = specification::parse(text).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(text);
            panic!("{error}: {text}")
        });
        let asked = match message.get("method") {
            None => self.asked.remove(&message["id"].to_string()),
            Some(_) => None,
        };
        self.text = String::from_utf8_lossy(text).into_owned();
        specification::read(text, asked.unwrap_or(self.revision))
    }
}

/// One masked frame in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame_header(first, payload.len() as u64);
    let masked = payload
        .iter()
        .zip(MASK.iter().cycle())
        .map(|(byte, key)| byte ^ key);
    frame.extend(masked);
    frame
}

/// Its header, whatever comes behind it.
pub(crate) fn frame_header(first: u8, payload_bytes: u64) -> Vec<u8> {
    let mut header = vec![first];
    match payload_bytes {
        0..=125 => header.push(0x80 | payload_bytes as u8),
        126..=0xFFFF => {
            header.push(0x80 | 126);
            header.extend((payload_bytes as u16).to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend(payload_bytes.to_be_bytes());
        }
    }
    header.extend(MASK);
    header
}
