//! Questions to clients that wait for an answer.

use super::super::places::{CallPlace, ChildPlace};

/// The JSON-RPC id of a question to a client. It is unpredictable and never used twice, so that an answer to an earlier
/// process's question answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionId([u8; Self::BYTES]);

impl QuestionId {
    const BYTES: usize = 1 + 16;

    pub(in crate::session::live) fn new(number: u64) -> Self {
        let mut text = [b'q'; Self::BYTES];
        for (at, digit) in text.iter_mut().skip(1).enumerate() {
            let nibble = (number >> (60 - 4 * at)) & 0xF;
            *digit = char::from_digit(nibble as u32, 16).map_or(b'0', |digit| digit as u8);
        }
        Self(text)
    }

    /// Reads a text that may be an id; `None` if it cannot be one.
    pub(in crate::session::live) fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// The id as text: ASCII without characters that need escapes.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::live) enum Asker {
    /// A call of this process.
    Call(CallPlace),
    /// Another program.
    Child(ChildPlace),
}

#[derive(Clone, Copy, Debug)]
pub(in crate::session::live) struct Question {
    pub(in crate::session::live) id: QuestionId,
    pub(in crate::session::live) asker: Asker,
    pub(in crate::session::live) number: u32,
}
