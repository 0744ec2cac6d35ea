//! WebSocket: a text message for each message of the protocol, and the closing handshake at the end.

use serde_json::Value;

use super::Transport;
use crate::harness::request::Request;
use crate::harness::websocket::WebSocket;

/// Normal closure (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;

impl Transport for WebSocket {
    fn send(&mut self, message: &Request) {
        WebSocket::send(self, message);
    }

    fn receive(&mut self) -> Value {
        self.message()
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn close(self: Box<Self>) {
        WebSocket::close(*self, NORMAL);
    }
}
