//! Calls of modern clients that wait at a child of this shard for their client's answers.
//!
//! ```text
//! a question ─► gathering ─ next tick: one round ─► out, named in a sealed state ─ retry ─► with the child again
//!                  ▲                                  │   │                          │
//!                  └──── not all was answered ────────┘   └─ the child answers: kept ─┘ or too late: cancelled
//! ```
//!
//! A call that is out has no client's half: it keeps its place at the child until a retry takes it up. The state that
//! the client carries names it; a name is good for one retry. What became of names that are good no more is remembered
//! for a while, so that a late retry is told why.
//!
//! Invariant: at most one entry for each call at a child here, so they are bounded by the places of children.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::children::{MemberKey, Message};
use crate::mcp::{ClientCapabilities, Unresumed};
use crate::registry::ServerIndex;

use super::asked::QuestionName;
use super::caller::Caller;

/// Ends of calls that are remembered.
const ENDED_MAX: usize = 1024;

/// What a client carries of a call that waits for its answers. Only we read it, and it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedName {
    /// Which of the processes that had this key.
    pub instance: u64,
    /// The shard whose child has the call.
    pub shard: u16,
    /// The child's server.
    pub server: ServerIndex,
    /// The number of the round on that shard.
    pub round: u64,
}

impl ParkedName {
    const BYTES: usize = 1 + 8 + 2 + 2 + 8;
    /// The first byte, should there ever be another format.
    const FORMAT: u8 = b'c';

    /// The bytes to be sealed.
    pub(in crate::shard) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.push(Self::FORMAT);
        bytes.extend_from_slice(&self.instance.to_be_bytes());
        bytes.extend_from_slice(&self.shard.to_be_bytes());
        bytes.extend_from_slice(&self.server.0.to_be_bytes());
        bytes.extend_from_slice(&self.round.to_be_bytes());
        bytes
    }

    /// The name of these bytes, if they are one.
    pub(in crate::shard) fn decode(bytes: &[u8]) -> Option<ParkedName> {
        let (format, rest) = bytes.split_first()?;
        let (instance, rest) = rest.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (server, rest) = rest.split_first_chunk()?;
        let (round, rest) = rest.split_first_chunk()?;
        (*format == Self::FORMAT && rest.is_empty()).then(|| ParkedName {
            instance: u64::from_be_bytes(*instance),
            shard: u16::from_be_bytes(*shard),
            server: ServerIndex(u16::from_be_bytes(*server)),
            round: u64::from_be_bytes(*round),
        })
    }
}

/// A retry on its way to the child that has the call.
#[derive(Debug)]
pub struct Resumption {
    /// The call.
    pub name: ParkedName,
    /// Who waits for it from now on.
    pub caller: Caller,
    /// The object `inputResponses`.
    pub responses: Vec<u8>,
}

/// A question of a call.
#[derive(Debug)]
pub(in crate::shard) struct HeldQuestion {
    /// Its number at the child.
    pub(in crate::shard) number: u32,
    /// What the client knows it by.
    pub(in crate::shard) key: String,
    /// The object with its method and parameters.
    pub(in crate::shard) request: Box<[u8]>,
}

/// A call with questions.
#[derive(Debug)]
pub(in crate::shard) struct Held {
    pub(in crate::shard) server: ServerIndex,
    pub(in crate::shard) member: MemberKey,
    /// Who waits for it, or did when it was sent out.
    pub(in crate::shard) caller: Caller,
    pub(in crate::shard) questions: Vec<HeldQuestion>,
    /// Questions that its client cannot be asked, by their numbers at the child. The child is told so when the client
    /// comes back, or when the round is over without a question: one that gives up must not end the others.
    pub(in crate::shard) undeclared: Vec<u32>,
    /// What its client would have to declare for those.
    pub(in crate::shard) lacking: ClientCapabilities,
    /// The number of the round that is out; 0 while one is gathered.
    pub(in crate::shard) round: u64,
    /// Since when it is out.
    pub(in crate::shard) since: Instant,
    /// What the child answered meanwhile, and how long it had the call.
    pub(in crate::shard) answer: Option<(Vec<u8>, Message, Duration)>,
    /// Bytes that are charged for it.
    pub(in crate::shard) charged: usize,
}

impl Held {
    pub(in crate::shard) fn is_out(&self) -> bool {
        self.round != 0
    }

    /// Whether it is gathered, and its client can be asked nothing of it.
    pub(in crate::shard) fn is_vain(&self) -> bool {
        !self.is_out() && self.questions.is_empty()
    }

    /// The questions of a round, as the members of one object.
    pub(in crate::shard) fn requests(&self) -> Vec<u8> {
        let mut requests = vec![b'{'];
        for question in &self.questions {
            if requests.len() > 1 {
                requests.push(b',');
            }
            // The key is letters, digits and `_`.
            requests.push(b'"');
            requests.extend_from_slice(question.key.as_bytes());
            requests.extend_from_slice(b"\":");
            requests.extend_from_slice(&question.request);
        }
        requests.push(b'}');
        requests
    }
}

/// The calls of one shard that wait so.
#[derive(Debug, Default)]
pub(in crate::shard) struct Parking {
    held: Vec<Held>,
    /// The number of the last round.
    last_round: u64,
    /// Rounds that nobody can answer any more, oldest first.
    ended: VecDeque<(u64, Unresumed)>,
}

impl Parking {
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(in crate::shard) fn insert(&mut self, held: Held) {
        self.held.push(held);
    }

    /// The entry of this caller's call at a child, which is gathered from now on if there was none.
    pub(in crate::shard) fn gather(&mut self, name: QuestionName, caller: Caller, now: Instant) -> &mut Held {
        let is_it = |held: &Held| held.caller == caller;
        let at = self.held.iter().position(is_it).unwrap_or_else(|| {
            self.held.push(Held {
                server: name.server,
                member: name.member,
                caller,
                questions: Vec::new(),
                undeclared: Vec::new(),
                lacking: ClientCapabilities::NONE,
                round: 0,
                since: now,
                answer: None,
                charged: 0,
            });
            self.held.len() - 1
        });
        &mut self.held[at]
    }

    /// Takes the entry of a call out.
    pub(in crate::shard) fn take(&mut self, caller: Caller) -> Option<Held> {
        self.take_where(|held| held.caller == caller)
    }

    /// Takes one out that `is_it`.
    pub(in crate::shard) fn take_where(&mut self, is_it: impl Fn(&Held) -> bool) -> Option<Held> {
        let at = self.held.iter().position(is_it)?;
        Some(self.held.swap_remove(at))
    }

    /// The next call whose questions are gathered: it goes out now.
    pub(in crate::shard) fn next_round(&mut self, now: Instant) -> Option<&Held> {
        let held = self.held.iter_mut().find(|held| !held.is_out())?;
        self.last_round += 1;
        held.round = self.last_round;
        held.since = now;
        Some(held)
    }

    /// Takes the call out whose round this is.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::shard) fn take_round(&mut self, round: u64) -> Result<Held, Unresumed> {
        let found = self.take_where(|held| held.is_out() && held.round == round);
        found.ok_or_else(|| {
            let known = self.ended.iter().find(|(ended, _)| *ended == round);
            known.map_or(Unresumed::Over, |(_, why)| *why)
        })
    }

    /// Nobody can answer this round any more.
    pub(in crate::shard) fn end(&mut self, round: u64, why: Unresumed) {
        if round == 0 {
            return;
        }
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((round, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is_one() {
        let name = ParkedName {
            instance: u64::MAX - 1,
            shard: 7,
            server: ServerIndex(300),
            round: 1 << 40,
        };
        let bytes = name.encode();
        assert_eq!(ParkedName::decode(&bytes), Some(name));
        for at in 0..bytes.len() {
            assert_eq!(ParkedName::decode(&bytes[..at]), None);
        }
        assert_eq!(ParkedName::decode(&[&bytes[..], b"x"].concat()), None);
        assert_eq!(ParkedName::decode(br#"{"a":{}}             "#), None);
    }
}
