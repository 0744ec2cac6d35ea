//! Permits that one shard hands to the older waiter of another.
//!
//! The giver leaves the permit with the receiver, and tells it. The receiver takes it for its oldest waiter, which
//! moves to the giver, or gives it back. A receiver that does not look, because a tool keeps its shard from running,
//! loses the permit again: the giver takes it back. `shard::models` has a model checker run it in every order.
//!
//! Invariant: each permit that was left is taken once, by either of the two.

use std::sync::atomic::AtomicU32;

use super::word::Word;

/// This bit is set in the word once no permit is left here any more.
const CLOSED: u32 = 1 << 31;

/// The permits that one shard has left for one other.
#[derive(Debug)]
pub struct Handover<W = AtomicU32>(W);

impl<W: Word> Handover<W> {
    /// Leaves a permit, one of at most `permits_max` at a time; false if there are as many, or the receiver has ended.
    pub fn leave(&self, permits_max: u32) -> bool {
        debug_assert!(permits_max < CLOSED, "{permits_max}");
        self.0.update(|word| (word < permits_max).then(|| word + 1))
    }

    /// Takes a permit that was left; false if there is none.
    pub fn take(&self) -> bool {
        self.0.update(|word| (word & !CLOSED > 0).then(|| word - 1))
    }

    /// Whether a permit was left that nobody has taken.
    pub fn has_permit(&self) -> bool {
        self.0.load() & !CLOSED > 0
    }

    /// From now on none is left here; whether there is none to be taken any more.
    pub fn close(&self) -> bool {
        self.0.fetch_or(CLOSED) & !CLOSED == 0
    }
}

impl<W: Word> Default for Handover<W> {
    fn default() -> Self {
        Handover(W::new(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_permit_is_taken_once() {
        let handover: Handover = Handover::default();
        assert!(!handover.take() && !handover.has_permit());
        assert!(handover.leave(2) && handover.leave(2));
        assert!(!handover.leave(2), "no more than two at a time");
        assert!(handover.take() && handover.has_permit());
        assert!(!handover.close(), "one is still to be taken");
        assert!(!handover.leave(2), "it is closed");
        assert!(handover.take() && !handover.take());
        assert!(handover.close());
    }
}
