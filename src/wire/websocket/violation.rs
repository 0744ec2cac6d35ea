//! The faults of a client's frames, and their close codes (RFC 6455, section 7.4).
//!
//! A violation is always the peer's fault and always ends the connection. The messages are for the client: they name
//! the rule and repeat nothing that was sent.

use thiserror::Error;

/// The codes that Weir closes with (section 7.4.1, and IANA's registry for the last).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client closed, without giving a reason.
    Normal = 1000,
    /// The server is draining.
    GoingAway = 1001,
    /// The client broke the protocol.
    Protocol = 1002,
    /// The client sent a message of a kind that the server does not accept.
    Unsupported = 1003,
    /// The client sent a text that is not UTF-8.
    Invalid = 1007,
    /// The client broke a rule of this server: it was silent for too long, or sent too much framing.
    Policy = 1008,
    /// The client sent a message beyond the limit.
    TooLarge = 1009,
    /// The server has no room for this connection at present.
    TryAgainLater = 1013,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// Why a client's frames end its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.reason())]
pub enum Violation {
    /// A frame is not masked, as every client frame must be (section 5.1).
    Unmasked,
    /// A reserved bit is set, though no extension was agreed on (section 5.2).
    ReservedBit,
    /// The opcode has no meaning (section 5.2).
    Opcode,
    /// A length takes more bytes than it needs (section 5.2).
    LengthForm,
    /// A control frame has more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A control frame is in fragments (section 5.5).
    ControlFragmented,
    /// A continuation has no message to continue (section 5.4).
    ContinuationOfNothing,
    /// A new message begins before the end of one in fragments (section 5.4).
    MessageInMessage,
    /// A close frame has half a code, or one that must not be sent (section 7.4).
    CloseFrame,
    /// A text, or a close frame's reason, is not UTF-8 (sections 5.6 and 8.1).
    Utf8,
    /// A message is beyond the limit, in one frame or in all of its fragments.
    TooLarge,
    /// One message has more headers, empty fragments and control frames inside it than any honest client needs.
    Flood,
}

impl Violation {
    /// The code with which the connection is closed.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Violation::Utf8 => CloseCode::Invalid,
            Violation::TooLarge => CloseCode::TooLarge,
            Violation::Flood => CloseCode::Policy,
            _ => CloseCode::Protocol,
        }
    }

    /// The text of the close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Violation::Unmasked => "client frames must be masked",
            Violation::ReservedBit => "no extension was agreed on",
            Violation::Opcode => "unknown opcode",
            Violation::LengthForm => "frame length is not in its shortest form",
            Violation::ControlTooLong => "control frame too long",
            Violation::ControlFragmented => "control frames must not be fragmented",
            Violation::ContinuationOfNothing => "no message to continue",
            Violation::MessageInMessage => "the last message is not complete",
            Violation::CloseFrame => "malformed close frame",
            Violation::Utf8 => "text must be UTF-8",
            Violation::TooLarge => "message too large",
            Violation::Flood => "too much framing in one message",
        }
    }
}
