//! The names of streams and of the events on them: `c00f1…-12` is the twelfth message of a call's stream.
//!
//! A stream's number is unpredictable and never used twice, not even by the next process, so that an id from before a
//! restart names nothing. A number is looked up within its session only, so that knowledge of one gives no access.
//! Specification: 2025-11-25, basic/transports, "Resumability and Redelivery".

use std::fmt;

/// Hexadecimal digits of a stream's number.
const NUMBER_DIGITS: usize = 16;

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// The answer of one call and the messages before it.
    Call,
    /// The messages to a legacy session that belong to no request of it: the stream of its GET.
    Get,
    /// A modern client's subscriptions.
    Listen,
}

/// A stream's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// What it carries.
    pub kind: StreamKind,
    /// The number is unpredictable and never used twice.
    pub number: u64,
}

/// An event's name, as its stream's `id:` field gives it and `Last-Event-ID` brings it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The stream it is on.
    pub stream: StreamId,
    /// Its place on the stream, from 1; 0 stands for the place before the first event.
    pub seq: u64,
}

impl StreamKind {
    const ALL: [Self; 3] = [Self::Call, Self::Get, Self::Listen];

    fn letter(self) -> u8 {
        match self {
            Self::Call => b'c',
            Self::Get => b's',
            Self::Listen => b'l',
        }
    }
}

impl EventId {
    /// Longest text of an id: letter, number, dash, sequence number.
    #[cfg(test)]
    pub const BYTES_MAX: usize = 1 + NUMBER_DIGITS + 1 + 20;

    /// Reads exactly what [`EventId::fmt`] writes.
    pub(in crate::session::live) fn parse(text: &[u8]) -> Option<Self> {
        let (letter, rest) = text.split_first()?;
        let (number, rest) = rest.split_at_checked(NUMBER_DIGITS)?;
        let (dash, seq) = rest.split_first()?;
        let id = Self {
            stream: StreamId {
                kind: StreamKind::ALL
                    .into_iter()
                    .find(|kind| kind.letter() == *letter)?,
                number: u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()?,
            },
            seq: std::str::from_utf8(seq).ok()?.parse().ok()?,
        };
        // Numbers with a sign, in upper case or with leading zeros can be read, too, but no id of ours has them.
        (*dash == b'-' && id.to_string().as_bytes() == text).then_some(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(self.stream.kind.letter());
        write!(f, "{letter}{:016x}-{}", self.stream.number, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is() {
        for kind in StreamKind::ALL {
            for (number, seq) in [(0, 0), (0xF1, 12), (u64::MAX, u64::MAX)] {
                let id = EventId {
                    stream: StreamId { kind, number },
                    seq,
                };
                let text = id.to_string();
                assert_eq!(EventId::parse(text.as_bytes()), Some(id));
                assert!(text.len() <= EventId::BYTES_MAX);
                for cut in 0..text.len() {
                    let found = EventId::parse(&text.as_bytes()[..cut]);
                    assert_ne!(found, Some(id), "{cut} bytes of {text}");
                }
            }
        }
        let wrong: [&[u8]; 9] = [
            b"",
            b"c",
            b"x00000000000000f1-1",
            b"c00000000000000F1-1",
            b"c+0000000000000f1-1",
            b"c00000000000000f1-+1",
            b"c00000000000000f1-01",
            b"c00000000000000f1_1",
            b"c00000000000000f1-18446744073709551616",
        ];
        for text in wrong {
            assert_eq!(EventId::parse(text), None, "{}", text.escape_ascii());
        }
    }
}
