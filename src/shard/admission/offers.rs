//! When waiters are next offered to other shards: sooner than the next tick, so a task of its own waits for it.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// The time of the next offer, and who is to be woken when it is set.
#[derive(Debug, Default)]
pub(super) struct OfferTimer {
    due: Option<Instant>,
    waker: Option<Waker>,
}

impl OfferTimer {
    /// Makes an offer due at this time, unless one is due before.
    pub(super) fn set(&mut self, due: Instant) {
        if self.due.is_none_or(|set| due < set) {
            self.due = Some(due);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    /// Takes the time of the next offer, once it is set.
    pub(super) fn poll_due(&mut self, context: &Context<'_>) -> Poll<Instant> {
        match self.due.take() {
            Some(due) => Poll::Ready(due),
            None => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
