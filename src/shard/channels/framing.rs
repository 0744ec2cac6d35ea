//! How messages lie in a channel's bytes.

use crate::jsonrpc::Lines;
use crate::registry::Transport;
use crate::wire::websocket::{self, MessageKind};

use super::events::Events;

/// A channel's kind, with how far its bytes were read.
#[derive(Debug)]
pub(in crate::shard) enum Framing {
    /// Frames, once the answer to the upgrade is on its way.
    WebSocket(websocket::Intake),
    /// A line each.
    Lines(Lines),
    /// Events out, in a response without end. Messages come in by other connections.
    Events(Box<Events>),
}

impl Framing {
    /// How its messages come.
    pub(in crate::shard) fn transport(&self) -> Transport {
        match self {
            Framing::WebSocket(_) => Transport::WebSocket,
            Framing::Lines(_) => Transport::Stdio,
            Framing::Events(_) => Transport::HttpSse,
        }
    }

    /// Frames `buffer[body..]`, in front of which is room; returns where the frame begins.
    pub(in crate::shard) fn close(&self, buffer: &mut Vec<u8>, body: usize) -> usize {
        match self {
            Framing::WebSocket(_) => {
                let bytes = buffer.len() - body;
                websocket::write_header_before(buffer, body, MessageKind::Text, bytes)
            }
            Framing::Lines(_) => {
                buffer.push(b'\n');
                body
            }
            Framing::Events(events) => events.close(buffer, body),
        }
    }

    /// Appends one message.
    pub(in crate::shard) fn append(&self, out: &mut Vec<u8>, message: &[u8]) {
        match self {
            Framing::WebSocket(_) => {
                websocket::write_frame_header(out, MessageKind::Text, message.len());
                out.extend_from_slice(message);
            }
            Framing::Lines(_) => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            Framing::Events(events) => events.append(out, message),
        }
    }
}
