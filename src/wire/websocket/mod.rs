//! WebSocket frames: a client's messages out of a growing window of bytes, a server's into a buffer (RFC 6455).
//!
//! `tungstenite` parses headers; this module decides what a client may send, and how much of it, by the headers alone,
//! before a payload is there. It holds no bytes and no clock. It knows nothing of the handshake, of answers to pings,
//! or of what a message says. Deliberately absent: extensions, compression among them, and sending fragments.
//! Invariant: a result depends on the bytes alone, never on how they were cut into pieces.

mod intake;
#[cfg(test)]
mod tests;
mod unmask;
mod violation;
mod write;

pub use intake::{Control, ControlPayload, Intake, Limits, MessageKind, Progress};
pub use violation::{CloseCode, Violation};
pub use write::{
    FRAME_HEADER_BYTES_MAX, write_close, write_frame_header, write_header_before, write_ping, write_pong,
};

/// The longest payload of a control frame (section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
