//! The calls of this shard whose legacy clients are being asked what a child asks by its answer.

use std::time::Instant;

use crate::pool::HandlerKey;

use super::Children;

impl<S> Children<S> {
    /// The client of a call is asked, and has this long.
    pub(in crate::shard) fn on_round(&mut self, call: HandlerKey, due: Instant) {
        self.rounds.insert(call, due);
    }

    /// It is asked no longer; whether it was.
    pub(in crate::shard) fn on_round_over(&mut self, call: HandlerKey) -> bool {
        !self.rounds.is_empty() && self.rounds.remove(&call).is_some()
    }

    /// A call whose client has not answered in time.
    pub(in crate::shard) fn late_round(&self, now: Instant) -> Option<HandlerKey> {
        let mut rounds = self.rounds.iter();
        rounds.find(|(_, due)| **due <= now).map(|(call, _)| *call)
    }

    /// A call whose client is asked.
    pub(in crate::shard) fn any_round(&self) -> Option<HandlerKey> {
        self.rounds.keys().next().copied()
    }
}
