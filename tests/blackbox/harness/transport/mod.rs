//! The transports behind one interface: send a message, receive the next one, leave.
//!
//! The transport decides how a message is framed (fields of HTTP, a frame, a line) and where its answer comes from, but
//! not what is said. Every message that comes is checked against the specification before a test sees it.

mod conversation;
mod http;
mod http_sse;
mod stdio;
mod websocket;

use std::net::SocketAddr;

use serde_json::Value;

use super::message::{Dialect, Revision};
use super::request::Request;
use super::websocket::WebSocket;

pub(crate) use conversation::{Conversation, text_of};
pub(crate) use stdio::Stdio;

/// A client's end of one conversation.
pub(crate) trait Transport: Send {
    /// Sends one message: over HTTP under the fields of `message`, on a channel its body alone.
    fn send(&mut self, message: &Request);

    /// Sends a message that gets none back, though it may be refused: over HTTP the status tells.
    fn send_unanswered(&mut self, message: &Request) {
        self.send(message);
    }

    /// The next message, from any of the client's connections.
    fn receive(&mut self) -> Value;

    /// The same message as it came, byte for byte.
    fn text(&self) -> &str;

    /// Cancels a request of this client.
    fn cancel(&mut self, dialect: &Dialect, id: &Value) {
        self.send(&dialect.cancelled(id.clone()));
    }

    /// Leaves as a client should; fails if anything is still to come, or if the server does not end the connection in
    /// order.
    fn close(self: Box<Self>);
}

/// The transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportKind {
    /// Streamable HTTP.
    Http,
    WebSocket,
    /// A process of the client's own.
    Stdio,
    /// Two endpoints, as the first revision has it.
    HttpSse,
}

impl TransportKind {
    pub(crate) const ALL: [TransportKind; 4] = [
        TransportKind::Http,
        TransportKind::WebSocket,
        TransportKind::Stdio,
        TransportKind::HttpSse,
    ];

    /// Whether this transport has messages of this revision.
    pub(crate) fn carries(self, revision: Revision) -> bool {
        match self {
            TransportKind::Http | TransportKind::WebSocket | TransportKind::Stdio => true,
            TransportKind::HttpSse => revision != Revision::MODERN,
        }
    }

    /// A client of the endpoint at this path, over Streamable HTTP.
    pub(crate) fn connect_at(address: SocketAddr, path: &str) -> Box<dyn Transport> {
        Box::new(http::Http::new(address, path))
    }

    /// A client of the server at `address`.
    ///
    /// # Panics
    /// On [`TransportKind::Stdio`], which has no address.
    pub(crate) fn connect(self, address: SocketAddr, revision: Revision) -> Box<dyn Transport> {
        match self {
            TransportKind::Http => Box::new(http::Http::new(address, "/mcp")),
            TransportKind::WebSocket => Box::new(WebSocket::connect(address)),
            TransportKind::HttpSse => Box::new(http_sse::HttpSse::connect(address, revision)),
            TransportKind::Stdio => panic!("a process of its own has no address"),
        }
    }
}
