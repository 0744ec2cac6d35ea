//! A peer that speaks WebSocket, sends calls with secrets of its own, and holds the answers to them.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use crate::ring::simulated::{PeerView, SimulatedPeer};

/// Frames as a client sends them, masked; `mask` may be anything.
pub(super) fn frame(opcode: u8, is_final: bool, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![opcode | if is_final { 0x80 } else { 0 }];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

pub(super) const TEXT: u8 = 1;
pub(super) const CONTINUATION: u8 = 0;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
const PONG: u8 = 10;

const UPGRADE: &str = "GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A call, modern or of the revision that is assumed.
pub(super) fn call(is_modern: bool, tool: &str, id: u64, secret: &str) -> Value {
    let mut message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": {"secret": secret, "bytes": 9_000, "lines": 3}}});
    if is_modern {
        message["params"]["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/logLevel": "debug",
        });
    }
    message
}

/// The peer, what it has asked, and what it has heard.
pub(super) struct WebSocket {
    pub peer: SimulatedPeer,
    pub unsent: VecDeque<u8>,
    sent_bytes: usize,
    queued_bytes: usize,
    heard: Vec<u8>,
    is_upgraded: bool,
    /// Asked and not answered: the byte it ends at, and the secret. `None`: it was cancelled.
    asked: HashMap<u64, (usize, Option<String>)>,
    pub answers: HashMap<u64, Value>,
    pub said: Vec<Value>,
    pub pings: usize,
    pub pongs: Vec<Vec<u8>>,
    /// The code it was closed with.
    pub closed: Option<u16>,
    /// The other answer to the upgrade.
    pub refused: Option<String>,
}

impl WebSocket {
    /// A peer whose upgrade is still to be sent.
    pub(super) fn new(peer: SimulatedPeer) -> WebSocket {
        WebSocket::at(peer, "/mcp")
    }

    /// The same at another endpoint.
    pub(super) fn at(peer: SimulatedPeer, path: &str) -> WebSocket {
        let upgrade = UPGRADE.replacen("/mcp", path, 1);
        WebSocket {
            peer,
            unsent: upgrade.bytes().collect(),
            sent_bytes: 0,
            queued_bytes: upgrade.len(),
            heard: Vec::new(),
            is_upgraded: false,
            asked: HashMap::new(),
            answers: HashMap::new(),
            said: Vec::new(),
            pings: 0,
            pongs: Vec::new(),
            closed: None,
            refused: None,
        }
    }

    /// The same with another field in the head of its upgrade.
    pub(super) fn with_field(peer: SimulatedPeer, field: &str) -> WebSocket {
        let upgrade = UPGRADE.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
        WebSocket {
            unsent: upgrade.bytes().collect(),
            queued_bytes: upgrade.len(),
            ..WebSocket::new(peer)
        }
    }

    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
        self.queued_bytes += bytes.len();
    }

    /// Queues a message in one frame.
    pub(super) fn say(&mut self, message: &Value) {
        self.queue(&frame(TEXT, true, message.to_string().as_bytes(), [1, 2, 3, 4]));
    }

    /// Notes that an answer with this secret is to come for what was queued last.
    pub(super) fn expect(&mut self, id: u64, secret: &str) {
        self.asked
            .insert(id, (self.queued_bytes, Some(secret.to_owned())));
    }

    pub(super) fn ask(&mut self, is_modern: bool, tool: &str, id: u64, secret: &str) {
        self.say(&call(is_modern, tool, id, secret));
        self.expect(id, secret);
    }

    /// Asks for no answer to a request any more.
    pub(super) fn cancel(&mut self, id: u64) {
        self.say(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}),
        );
        if let Some((_, secret)) = self.asked.get_mut(&id) {
            *secret = None;
        }
    }

    /// Ids that wait for an answer.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.asked.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Requests sent whole that are neither answered nor cancelled.
    pub(super) fn unanswered(&self) -> usize {
        let is_owed = |(end, secret): &(usize, Option<String>)| *end <= self.sent_bytes && secret.is_some();
        self.asked.values().filter(|asked| is_owed(asked)).count()
    }

    pub(super) fn send(&mut self, bytes_max: usize) {
        let count = bytes_max.min(self.unsent.len());
        let piece: Vec<u8> = self.unsent.drain(..count).collect();
        self.sent_bytes += count;
        if count > 0 {
            self.peer.write(&piece);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.peer.view() == PeerView::Open && self.closed.is_none() && self.refused.is_none()
    }

    /// Reads what has come and holds it to what was asked.
    pub(super) fn read(&mut self) {
        self.heard.extend(self.peer.read());
        if !self.is_upgraded {
            let Some(end) = memchr::memmem::find(&self.heard, b"\r\n\r\n") else {
                return;
            };
            let head: Vec<u8> = self.heard.drain(..end + 4).collect();
            let head = String::from_utf8(head).unwrap();
            if !head.starts_with("HTTP/1.1 101 ") {
                self.refused = Some(head);
                return self.heard.clear();
            }
            assert!(
                head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                "{head}"
            );
            self.is_upgraded = true;
        }
        if self.refused.is_some() {
            return self.heard.clear();
        }
        while let Some((opcode, payload, bytes)) = first_frame(&self.heard) {
            self.heard.drain(..bytes);
            assert!(self.closed.is_none(), "a frame behind the close: {opcode}");
            match opcode {
                TEXT => self.judge(serde_json::from_slice(&payload).expect("a message is JSON")),
                PING => self.pings += 1,
                PONG => self.pongs.push(payload),
                CLOSE => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    self.closed = Some(code.expect("a close has a code"));
                }
                other => panic!("opcode {other}"),
            }
        }
    }

    fn judge(&mut self, message: Value) {
        let Some(id) = message["id"].as_u64() else {
            if let Some(said) = message["params"]["data"].as_str() {
                assert!(said.starts_with('s'), "{message}");
            }
            return self.said.push(message);
        };
        let (end, secret) = self
            .asked
            .remove(&id)
            .unwrap_or_else(|| panic!("an answer nobody waits for: {message}"));
        assert!(end <= self.sent_bytes, "an answer before its request: {message}");
        if let (Some(secret), Some(text)) = (secret, message["result"]["content"][0]["text"].as_str())
            && message["result"]["isError"] != true
        {
            let rest = text.strip_prefix(secret.as_str());
            let is_own = rest.is_some_and(|rest| rest.bytes().all(|byte| byte == b'x'));
            assert!(
                is_own,
                "{secret} was asked, {:?} came",
                &text[..text.len().min(80)]
            );
        }
        self.answers.insert(id, message);
    }
}

/// A server's first whole frame: its opcode, its payload, and how long it is.
fn first_frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let [first, second, ..] = bytes else { return None };
    assert_eq!(first & 0xf0, 0x80, "one frame is one message");
    assert_eq!(second & 0x80, 0, "a server masks nothing");
    let (start, length) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        ),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        length => (2, usize::from(*length)),
    };
    let payload = bytes.get(start..start + length)?.to_vec();
    Some((first & 0x0f, payload, start + length))
}
