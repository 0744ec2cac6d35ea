//! What a channel does on its way to its end, and why it is closed.

use crate::wire::websocket::{CloseCode, Violation};

/// What a channel does on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Ending {
    /// Drained: what is in flight is answered first, and tasks have the time that others have.
    WhenIdle,
    /// As soon as the outbox is sent.
    Now,
}

impl Ending {
    /// Whether bytes are still looked at: answers to questions, for example.
    pub(in crate::shard) fn reads_on(self) -> bool {
        self == Ending::WhenIdle
    }

    pub(in crate::shard) fn takes_messages(self) -> bool {
        self == Ending::WhenIdle
    }
}

/// Why a channel is closed, in WebSocket's numbers (RFC 6455, section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Close {
    /// The client's own close.
    Answer(u16),
    /// The client broke the rules.
    Violation(Violation),
    /// Messages are texts.
    Binary,
    /// Nothing came for too long.
    Silence,
    /// A message took too long, or had to make room for others.
    Slow,
    /// There is no memory for what it sends.
    Memory,
    /// The server stops.
    Draining,
}

impl Close {
    pub(in crate::shard) fn code(self) -> u16 {
        let code = match self {
            Close::Answer(code) => return code,
            Close::Violation(violation) => violation.close_code(),
            Close::Binary => CloseCode::Unsupported,
            Close::Silence | Close::Slow => CloseCode::Policy,
            Close::Memory => CloseCode::TryAgainLater,
            Close::Draining => CloseCode::GoingAway,
        };
        code.number()
    }

    pub(in crate::shard) fn reason(self) -> &'static str {
        match self {
            Close::Answer(_) => "",
            Close::Violation(violation) => violation.reason(),
            Close::Binary => "messages are text",
            Close::Silence => "no sign of life",
            Close::Slow => "the message took too long",
            Close::Memory => "no memory for this now",
            Close::Draining => "the server is stopping",
        }
    }
}
