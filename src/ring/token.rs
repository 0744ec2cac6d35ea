//! `user_data`: which operation of which connection a completion belongs to.
//!
//! Eight bits of operation, 24 of generation, 32 of slot. The generation tells a stale completion from
//! one for the slot's present connection. It may wrap: the connection table reuses a slot only when
//! nothing is in flight on it, so no completion outlives 2^24 reuses.

use crate::slab::SlabKey;

/// Largest generation that fits beside slot and operation.
pub const GENERATION_MAX: u32 = (1 << 24) - 1;

const SLOT_BITS: u32 = 32;
const OPERATION_SHIFT: u32 = 56;
const SEND_CODE: u64 = 5;

/// A connection as the ring knows it: the table's slot, and how often that slot was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// Index into the connection table.
    pub slot: u32,
    /// At most [`GENERATION_MAX`].
    pub generation: u32,
}

impl ConnectionKey {
    /// The same slot's next connection.
    #[cfg(any(test, feature = "internals"))]
    #[must_use]
    pub fn next_generation(self) -> Self {
        let generation = if self.generation >= GENERATION_MAX {
            0
        } else {
            self.generation + 1
        };
        ConnectionKey { generation, ..self }
    }
}

impl SlabKey for ConnectionKey {
    const GENERATION_MAX: u32 = GENERATION_MAX;

    fn new(slot: u32, generation: u32) -> Self {
        ConnectionKey { slot, generation }
    }

    fn slot(self) -> u32 {
        self.slot
    }

    fn generation(self) -> u32 {
        self.generation
    }
}

/// An operation of a connection that can be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`DataRing::receive`](super::DataRing::receive).
    Receive,
    /// [`DataRing::send`](super::DataRing::send).
    Send,
    /// [`DataRing::watch_hang_up`](super::DataRing::watch_hang_up).
    Watch,
}

/// The meaning of a submission: its operation and its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// The watch of a listener, by its number.
    Accept(u32),
    /// The cancel of a listener's watch.
    CancelAccept,
    Wake,
    /// The cancel of every operation that names one end of a pair.
    CancelEnd,
    Operation(Operation, ConnectionKey),
    Cancel(Operation, ConnectionKey),
    Close(ConnectionKey),
}

impl Token {
    pub(super) fn encode(self) -> u64 {
        let (code, key) = match self {
            Token::Accept(listener) => (
                1,
                Some(ConnectionKey {
                    slot: listener,
                    generation: 0,
                }),
            ),
            Token::CancelAccept => (2, None),
            Token::Wake => (3, None),
            Token::Operation(Operation::Receive, key) => (4, Some(key)),
            Token::Operation(Operation::Send, key) => (SEND_CODE, Some(key)),
            Token::Operation(Operation::Watch, key) => (6, Some(key)),
            Token::Cancel(Operation::Receive, key) => (7, Some(key)),
            Token::Cancel(Operation::Send, key) => (8, Some(key)),
            Token::Cancel(Operation::Watch, key) => (9, Some(key)),
            Token::Close(key) => (10, Some(key)),
            Token::CancelEnd => (11, None),
        };
        let key = key.map_or(0, |key| {
            assert!(
                key.generation <= GENERATION_MAX,
                "generation {} does not fit",
                key.generation
            );
            u64::from(key.generation) << SLOT_BITS | u64::from(key.slot)
        });
        code << OPERATION_SHIFT | key
    }

    /// Whether an encoded token is a send's, without decoding the rest of it.
    pub(super) fn is_send(user_data: u64) -> bool {
        user_data >> OPERATION_SHIFT == SEND_CODE
    }

    /// `None` for a number this module did not make.
    pub(super) fn decode(user_data: u64) -> Option<Self> {
        let key = ConnectionKey {
            slot: user_data as u32,
            generation: (user_data >> SLOT_BITS) as u32 & GENERATION_MAX,
        };
        Some(match user_data >> OPERATION_SHIFT {
            1 => Token::Accept(key.slot),
            2 => Token::CancelAccept,
            3 => Token::Wake,
            4 => Token::Operation(Operation::Receive, key),
            5 => Token::Operation(Operation::Send, key),
            6 => Token::Operation(Operation::Watch, key),
            7 => Token::Cancel(Operation::Receive, key),
            8 => Token::Cancel(Operation::Send, key),
            9 => Token::Cancel(Operation::Watch, key),
            10 => Token::Close(key),
            11 => Token::CancelEnd,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_the_round_trip() {
        let keys = [(0, 0), (7, 1), (u32::MAX, GENERATION_MAX), (1 << 31, 1 << 23)];
        let operations = [Operation::Receive, Operation::Send, Operation::Watch];
        let mut tokens = vec![
            Token::Accept(0),
            Token::Accept(7),
            Token::CancelAccept,
            Token::Wake,
            Token::CancelEnd,
        ];
        for (slot, generation) in keys {
            let key = ConnectionKey { slot, generation };
            tokens.push(Token::Close(key));
            for operation in operations {
                tokens.push(Token::Operation(operation, key));
                tokens.push(Token::Cancel(operation, key));
            }
        }
        for token in tokens {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
    }

    #[test]
    fn foreign_numbers_are_no_tokens() {
        assert_eq!(Token::decode(0), None);
        assert_eq!(Token::decode(u64::MAX), None);
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let last = ConnectionKey {
            slot: 3,
            generation: GENERATION_MAX,
        };
        assert_eq!(
            last.next_generation(),
            ConnectionKey {
                slot: 3,
                generation: 0
            }
        );
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_generation_past_its_bits_is_refused() {
        let key = ConnectionKey {
            slot: 0,
            generation: GENERATION_MAX + 1,
        };
        Token::Close(key).encode();
    }
}
