//! A client's frames, taken from the front of a window that grows until they are consumed.
//!
//! ```text
//! Between ── first fragment ──► InMessage ── last fragment ──► (message) ──► Between
//!    └── whole message, control frame ──► Between      └── fragment, control frame ──► InMessage
//! ```
//! While a message is in fragments its frames stay in the window: the intake remembers only where the next one begins
//! and the sum of the payloads, and puts all of them together when the last is there. Every frame is judged by its
//! header, so the intake never waits for bytes beyond a limit. (RFC 6455, sections 5.2 to 5.5)

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{self, CloseCode as Meaning, Data, OpCode};

use super::unmask::{append_unmasked, unmask};
use super::{CONTROL_BYTES_MAX, Violation};

/// How many bytes of payload allow one byte of framing around them: a client that sends 64 bytes at a time, each with a
/// header of six, may send as much as it likes.
const PAYLOAD_BYTES_PER_OVERHEAD_BYTE: usize = 8;

/// The kind that a message declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The message is UTF-8, which is checked.
    Text,
    /// The message is any bytes.
    Binary,
}

/// A control frame. It owns its payload, so that the frame's bytes can be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "lives on the stack between two calls")]
pub enum Control {
    /// A ping, which the server must answer by a pong with the same payload.
    Ping(ControlPayload),
    /// An answer to a ping, or a sign of life.
    Pong,
    /// The client closes the connection; bytes behind this frame must not be read.
    Close {
        /// The client's code, if it gave one that may be sent.
        code: Option<u16>,
    },
}

/// At most 125 bytes, unmasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlPayload {
    bytes: [u8; CONTROL_BYTES_MAX],
    length: u8,
}

impl ControlPayload {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    fn unmasked(masked: &[u8], mask: [u8; 4]) -> Self {
        let mut bytes = [0; CONTROL_BYTES_MAX];
        let length = masked.len().min(CONTROL_BYTES_MAX);
        for (byte, own) in bytes.iter_mut().zip(masked) {
            *byte = *own;
        }
        unmask(&mut bytes[..length], mask);
        Self {
            bytes,
            length: length as u8,
        }
    }
}

/// The result of looking at a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "lives on the stack between two calls")]
pub enum Progress {
    /// Nothing whole is there yet; [`Intake::is_amid`] says whether anything was begun.
    Incomplete,
    /// The caller should act on the frame, and then go on with the window less `consumed` bytes, which are none while a
    /// message is in fragments.
    Control {
        /// The frame.
        control: Control,
        /// Bytes of the window that were consumed.
        consumed: usize,
    },
    /// A whole message was appended.
    Message {
        /// The kind that the message declares.
        kind: MessageKind,
        /// Bytes of the window that were consumed.
        consumed: usize,
    },
}

/// Bounds on what one message may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the payload, in however many frames; a larger one gets 1009.
    pub message_bytes_max: usize,
    /// Bytes of headers of fragments and of control frames between them, over what the payload allows; more get 1008.
    pub overhead_bytes_max: usize,
}

impl Limits {
    /// A usual bound on overhead.
    pub const OVERHEAD_BYTES_MAX_DEFAULT: usize = 16 << 10;

    /// The largest window that can stay [`Progress::Incomplete`]: a caller with a longer window has called
    /// [`Intake::advance`] too rarely.
    #[cfg(any(test, feature = "internals"))]
    pub const fn window_bytes_max(&self) -> usize {
        let paid = self.message_bytes_max / PAYLOAD_BYTES_PER_OVERHEAD_BYTE;
        self.message_bytes_max
            .saturating_add(paid)
            .saturating_add(self.overhead_bytes_max)
            .saturating_add(CLIENT_HEADER_BYTES_MAX + CONTROL_BYTES_MAX)
    }
}

/// The longest header of a client's frame.
#[cfg(any(test, feature = "internals"))]
const CLIENT_HEADER_BYTES_MAX: usize = 14;

/// The progress through one connection's frames. The default is at the beginning of a frame.
#[derive(Debug, Default)]
pub struct Intake {
    /// Bytes at the front of the window that were looked at: whole frames of a message in fragments.
    scanned_bytes: usize,
    /// Bytes of payload in them.
    payload_bytes: usize,
    /// All other bytes in them.
    overhead_bytes: usize,
    /// The kind of the message in fragments.
    fragmented: Option<MessageKind>,
    is_amid_frame: bool,
}

/// A frame whose header is complete and breaks no rule.
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    header_bytes: usize,
    payload_bytes: usize,
}

impl Frame {
    fn payload<'w>(&self, frames: &'w [u8]) -> Option<&'w [u8]> {
        frames.get(self.header_bytes..)?.get(..self.payload_bytes)
    }

    const fn bytes(&self) -> usize {
        self.header_bytes + self.payload_bytes
    }
}

impl Intake {
    /// Looks for one message or control frame at the front of `window`, which begins with the bytes that the last call
    /// did not consume, and appends a message's payload to `message`. It allocates only to grow `message`.
    ///
    /// # Errors
    /// Returns the first rule or limit that is broken, as soon as a header shows it. The caller must then close the
    /// connection with [`Violation::close_code`], and use neither the intake nor what was appended.
    pub fn advance(
        &mut self,
        window: &[u8],
        message: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<Progress, Violation> {
        loop {
            let rest = window.get(self.scanned_bytes..).unwrap_or_default();
            self.is_amid_frame = !rest.is_empty();
            let Some(frame) = self.judge(rest, limits)? else {
                return Ok(Progress::Incomplete);
            };
            let Some(payload) = frame.payload(rest) else {
                return Ok(Progress::Incomplete);
            };
            self.is_amid_frame = false;
            match frame.opcode {
                OpCode::Control(opcode) => return self.take_control(opcode, &frame, payload),
                OpCode::Data(data) => {
                    self.take_fragment(data, &frame);
                    if frame.is_final {
                        return self.take_message(window, message);
                    }
                }
            }
        }
    }

    /// Whether a frame or a message was begun and is incomplete, so that the rest of it has a deadline.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_amid(&self) -> bool {
        self.is_amid_frame || self.fragmented.is_some()
    }

    /// The next frame, if its header is complete.
    fn judge(&self, frames: &[u8], limits: &Limits) -> Result<Option<Frame>, Violation> {
        let mut cursor = Cursor::new(frames);
        // The only error possible on these bytes is an opcode without a meaning.
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Opcode)?;
        let Some((header, payload_bytes)) = parsed else {
            return Ok(None);
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::ReservedBit);
        }
        let header_bytes = cursor.position() as usize;
        let mask = header.mask.ok_or(Violation::Unmasked)?;
        if header_bytes != header.len(payload_bytes) {
            return Err(Violation::LengthForm);
        }
        // A length beyond the address space is beyond any limit, too.
        let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(Violation::ControlFragmented),
            OpCode::Control(_) if payload_bytes > CONTROL_BYTES_MAX => return Err(Violation::ControlTooLong),
            OpCode::Control(_) => self.check_overhead(header_bytes + payload_bytes, 0, limits)?,
            OpCode::Data(data) => {
                self.check_order(data)?;
                if payload_bytes > limits.message_bytes_max.saturating_sub(self.payload_bytes) {
                    return Err(Violation::TooLarge);
                }
                self.check_overhead(header_bytes, payload_bytes, limits)?;
            }
        }
        Ok(Some(Frame {
            opcode: header.opcode,
            is_final: header.is_final,
            mask,
            header_bytes,
            payload_bytes,
        }))
    }

    /// Checks that continuations continue a message, and that nothing else comes between (section 5.4).
    fn check_order(&self, data: Data) -> Result<(), Violation> {
        match (data, self.fragmented) {
            (Data::Continue, Some(_)) | (Data::Text | Data::Binary, None) => Ok(()),
            (Data::Continue, None) => Err(Violation::ContinuationOfNothing),
            (Data::Text | Data::Binary, Some(_)) => Err(Violation::MessageInMessage),
            (Data::Reserved(_), _) => Err(Violation::Opcode),
        }
    }

    /// A message of one frame cannot be overloaded, nor can a control frame between messages: both are consumed
    /// at once.
    fn check_overhead(
        &self,
        overhead_bytes: usize,
        payload_bytes: usize,
        limits: &Limits,
    ) -> Result<(), Violation> {
        if self.fragmented.is_none() {
            return Ok(());
        }
        let paid = (self.payload_bytes + payload_bytes) / PAYLOAD_BYTES_PER_OVERHEAD_BYTE;
        if self.overhead_bytes + overhead_bytes > limits.overhead_bytes_max.saturating_add(paid) {
            Err(Violation::Flood)
        } else {
            Ok(())
        }
    }

    fn take_control(
        &mut self,
        opcode: coding::Control,
        frame: &Frame,
        payload: &[u8],
    ) -> Result<Progress, Violation> {
        let payload = ControlPayload::unmasked(payload, frame.mask);
        let control = match opcode {
            coding::Control::Ping => Control::Ping(payload),
            coding::Control::Pong => Control::Pong,
            coding::Control::Close => Control::Close {
                code: close_code(payload.as_bytes())?,
            },
            coding::Control::Reserved(_) => return Err(Violation::Opcode),
        };
        let consumed = match self.fragmented {
            None => frame.bytes(),
            Some(_) => {
                self.scanned_bytes += frame.bytes();
                self.overhead_bytes += frame.bytes();
                0
            }
        };
        Ok(Progress::Control { control, consumed })
    }

    /// A message of one frame is its own only fragment.
    fn take_fragment(&mut self, data: Data, frame: &Frame) {
        let kind = match data {
            Data::Binary => MessageKind::Binary,
            _ => MessageKind::Text,
        };
        self.fragmented.get_or_insert(kind);
        self.scanned_bytes += frame.bytes();
        self.payload_bytes += frame.payload_bytes;
        self.overhead_bytes += frame.header_bytes;
    }

    /// The last fragment is there.
    fn take_message(&mut self, window: &[u8], message: &mut Vec<u8>) -> Result<Progress, Violation> {
        let fragments = std::mem::take(self);
        let kind = fragments.fragmented.unwrap_or(MessageKind::Binary);
        let consumed = fragments.scanned_bytes;
        let begin = message.len();
        message.reserve(fragments.payload_bytes);
        append_fragments(window.get(..consumed).unwrap_or_default(), message)?;
        let payload = message.get(begin..).unwrap_or_default();
        if kind == MessageKind::Text && std::str::from_utf8(payload).is_err() {
            return Err(Violation::Utf8);
        }
        Ok(Progress::Message { kind, consumed })
    }
}

/// Puts a message together from frames that were all judged before; the caller has acted on control frames between
/// them.
fn append_fragments(mut frames: &[u8], message: &mut Vec<u8>) -> Result<(), Violation> {
    while !frames.is_empty() {
        let mut cursor = Cursor::new(frames);
        let Ok(Some((header, payload_bytes))) = FrameHeader::parse(&mut cursor) else {
            return Err(Violation::Opcode);
        };
        let behind = frames.get(cursor.position() as usize..).unwrap_or_default();
        let Some((payload, rest)) = behind.split_at_checked(payload_bytes as usize) else {
            return Err(Violation::LengthForm);
        };
        if matches!(header.opcode, OpCode::Data(_)) {
            append_unmasked(payload, header.mask.unwrap_or_default(), message);
        }
        frames = rest;
    }
    Ok(())
}

/// The code in a close frame's payload (section 5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Violation::CloseFrame)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Err(Violation::CloseFrame);
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Violation::Utf8),
    }
}

/// Whether an endpoint may put this code into a close frame (section 7.4).
pub(super) fn may_be_sent(code: u16) -> bool {
    Meaning::from(code).is_allowed()
}
