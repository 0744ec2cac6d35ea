//! When waiters are next offered to other shards: sooner than the next tick, so the pump waits no longer than this.

use std::time::Instant;

/// The time of the next offer.
#[derive(Debug, Default)]
pub(super) struct OfferTimer {
    due: Option<Instant>,
    has_news: bool,
}

impl OfferTimer {
    /// Makes an offer due at this time, unless one is due before.
    pub(super) fn set(&mut self, due: Instant) {
        if self.due.is_none_or(|set| due < set) {
            self.due = Some(due);
            self.has_news = true;
        }
    }

    /// When the next offer is due, if one is.
    pub(super) fn next(&mut self) -> Option<Instant> {
        self.has_news = false;
        self.due
    }

    /// Whether it has come nearer since that was last asked.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Whether it is time for the offer, which is due no more then.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }
}
