//! WebSocket: a text message for each message of the protocol.
//!
//! Sends masked, whole frames; takes whole, unmasked ones, answers pings, and holds the server to the closing handshake.

use std::net::SocketAddr;

use serde_json::Value;

use super::Transport;
use crate::harness::client::{Client, Ending};
use crate::harness::message::Revision;
use crate::harness::request::Request;
use crate::harness::response::Response;
use crate::harness::specification;

/// The key of RFC 6455's example (section 1.2), and what it is to be accepted with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A server may choose no better mask for its clients than they do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Normal closure (section 7.4.1).
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// One client behind its handshake.
#[derive(Debug)]
pub(super) struct WebSocket {
    client: Client,
    revision: Revision,
}

impl WebSocket {
    pub(super) fn connect(address: SocketAddr, revision: Revision) -> Self {
        let mut client = Client::connect(address);
        let request = Request::new("GET", "/mcp")
            .plus("Connection", "Upgrade")
            .plus("Upgrade", "websocket")
            .plus("Sec-WebSocket-Version", "13")
            .plus("Sec-WebSocket-Protocol", "mcp")
            .plus("Sec-WebSocket-Key", KEY);
        client.send_bytes(&request.head());
        let (head, taken) = loop {
            match Response::take_head(client.input()) {
                Some(whole) => break whole,
                None => client.try_read().unwrap(),
            }
        };
        assert_eq!(head.status, 101, "{head:?}");
        assert_eq!(head.field("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(head.field("sec-websocket-protocol"), Some("mcp"));
        assert_eq!(head.field("sec-websocket-extensions"), None);
        client.consume(taken);
        Self { client, revision }
    }

    fn write(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            medium @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&MASK);
        frame.extend(
            payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.client.send_bytes(&frame);
    }

    /// The next frame that is no ping; those are answered.
    fn read(&mut self) -> (u8, Vec<u8>) {
        loop {
            match take_frame(self.client.input()) {
                Some((PING, payload, taken)) => {
                    self.client.consume(taken);
                    self.write(PONG, &payload);
                }
                Some((opcode, payload, taken)) => {
                    self.client.consume(taken);
                    return (opcode, payload);
                }
                None => {
                    let read = self.client.try_read();
                    read.unwrap_or_else(|ending| panic!("no frame but {ending:?}"));
                }
            }
        }
    }
}

/// Opcode and payload of the frame at the front of `input`, and its length, once it is all there.
fn take_frame(input: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let [first, second, rest @ ..] = input else {
        return None;
    };
    assert_eq!(first & 0xf0, 0x80, "whole, and without extensions");
    let (length, from) = match second {
        0..=125 => (usize::from(*second), 2),
        126 => (
            usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().unwrap())),
            4,
        ),
        127 => (
            u64::from_be_bytes(rest.get(..8)?.try_into().unwrap()) as usize,
            10,
        ),
        _ => panic!("a server's frames are not masked"),
    };
    let payload = input.get(from..from + length)?;
    Some((first & 0x0f, payload.to_vec(), from + length))
}

impl Transport for WebSocket {
    fn send(&mut self, message: &Request) {
        self.write(TEXT, &message.body);
    }

    fn receive(&mut self) -> Value {
        let (opcode, payload) = self.read();
        assert_eq!(opcode, TEXT, "{:?}", String::from_utf8_lossy(&payload));
        specification::read(&payload, self.revision)
    }

    fn close(mut self: Box<Self>) {
        self.write(CLOSE, &NORMAL);
        let (opcode, payload) = self.read();
        assert_eq!(
            opcode,
            CLOSE,
            "nobody asked for {:?}",
            String::from_utf8_lossy(&payload)
        );
        assert_eq!(payload, NORMAL);
        assert_eq!(self.client.ending(), Ending::Closed(Vec::new()));
    }
}
