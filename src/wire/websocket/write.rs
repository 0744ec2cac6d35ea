//! Frames of a server: unmasked, never in fragments (RFC 6455, section 5).
//!
//! A message's header can be written in front of a payload that is already there, so that neither is moved.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{CONTROL_BYTES_MAX, CloseCode, MessageKind};

/// The longest header of a server's frame: room to leave in front of a payload.
pub const FRAME_HEADER_BYTES_MAX: usize = 10;

/// Appends the header of a message with `payload_bytes` behind it.
pub fn write_frame_header(out: &mut Vec<u8>, kind: MessageKind, payload_bytes: usize) {
    let (header, header_bytes) = message_header(kind, payload_bytes);
    out.extend_from_slice(header.get(..header_bytes).unwrap_or_default());
}

/// Writes the header of the message in `buffer[end..]` so that it ends there; returns where it starts.
///
/// # Panics
/// Panics with fewer than [`FRAME_HEADER_BYTES_MAX`] bytes before `end`, or with an `end` outside of `buffer`.
pub fn write_header_before(buffer: &mut [u8], end: usize, kind: MessageKind, payload_bytes: usize) -> usize {
    assert!(
        (FRAME_HEADER_BYTES_MAX..=buffer.len()).contains(&end),
        "no room for a frame header: payload at {end} of {}",
        buffer.len()
    );
    let (header, header_bytes) = message_header(kind, payload_bytes);
    let start = end - header_bytes;
    buffer[start..end].copy_from_slice(&header[..header_bytes]);
    start
}

/// Appends a ping; its pong will repeat `payload`, which is cut at 125 bytes.
pub fn write_ping(out: &mut Vec<u8>, payload: &[u8]) {
    write_control(out, Control::Ping, payload);
}

/// Appends the pong to a ping with that payload.
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_control(out, Control::Pong, payload);
}

/// Appends a close frame with a code, which may be the client's own, and a reason, cut to what fits.
///
/// Only codes that an endpoint may send are sent (section 7.4); any other becomes 1000.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let code = if super::intake::may_be_sent(code) {
        code
    } else {
        CloseCode::Normal.number()
    };
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let (header, header_bytes) = format(OpCode::Control(Control::Close), 2 + reason.len());
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

fn write_control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    let (header, header_bytes) = format(OpCode::Control(control), payload.len());
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(payload);
}

fn message_header(kind: MessageKind, payload_bytes: usize) -> ([u8; FRAME_HEADER_BYTES_MAX], usize) {
    let data = match kind {
        MessageKind::Text => Data::Text,
        MessageKind::Binary => Data::Binary,
    };
    format(OpCode::Data(data), payload_bytes)
}

/// The header, and how many bytes of the array it takes.
fn format(opcode: OpCode, payload_bytes: usize) -> ([u8; FRAME_HEADER_BYTES_MAX], usize) {
    let header = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    let mut bytes = [0; FRAME_HEADER_BYTES_MAX];
    let mut rest = bytes.as_mut_slice();
    let written = header.format(payload_bytes as u64, &mut rest);
    debug_assert!(written.is_ok(), "the longest header of a server fits");
    let header_bytes = FRAME_HEADER_BYTES_MAX - rest.len();
    (bytes, header_bytes)
}
