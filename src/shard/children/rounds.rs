//! The calls of this shard whose legacy clients are being asked what a child asks by its answer.

use std::time::Instant;

use crate::pool::HandlerKey;
use crate::registry::ServerIndex;

use super::Children;
use super::asked::Round;

impl<S> Children<S> {
    /// The client of a call to this server is asked so much, and has this long.
    pub(in crate::shard) fn on_round(
        &mut self,
        call: HandlerKey,
        server: ServerIndex,
        questions: usize,
        due: Instant,
    ) {
        let questions = questions as u64;
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.asked_in_rounds += questions;
        }
        let round = Round {
            server,
            due,
            questions,
        };
        self.rounds.insert(call, round);
    }

    /// It is asked no longer; whether it was.
    pub(in crate::shard) fn on_round_over(&mut self, call: HandlerKey) -> bool {
        !self.rounds.is_empty() && self.rounds.remove(&call).is_some()
    }

    /// A call whose client has not answered in time.
    pub(in crate::shard) fn late_round(&self, now: Instant) -> Option<HandlerKey> {
        let mut rounds = self.rounds.iter();
        rounds.find(|(_, round)| round.due <= now).map(|(call, _)| *call)
    }

    /// A call whose client is asked.
    pub(in crate::shard) fn any_round(&self) -> Option<HandlerKey> {
        self.rounds.keys().next().copied()
    }
}
