//! Draining a shard: nothing queued in the kernel is reset, what is in flight finishes, then it is over.
//!
//! ```text
//! begin ─ new SYNs are kept away ─ grace ─► stop accepting, take what is queued, close the listener
//!       ─ listeners' streams end, questions fail
//!       ─ parked connections get FIN ─────► connections that never spoke get theirs after the fresh grace
//!       ─ requests that are not there after their grace are given up (408)
//!       ─ every answer closes its connection ─► finished when no connection is left
//! ```
//!
//! New connections are kept away by the server before it begins, and the hard deadline is the server's, too. What is
//! left then, and a server that is dropped without a drain, is aborted: calls are cancelled and connections closed as
//! they are.

use std::time::{Duration, Instant};

/// How long before the process ends those who still wait are refused, so that they hear it: this, or a quarter of
/// the whole time if that is less.
const REFUSAL_GRACE: Duration = Duration::from_millis(500);
/// How long a channel whose task has ended stays for its client to fetch the result: clients look once a second.
pub(super) const RESULT_GRACE: Duration = Duration::from_millis(1500);
/// How long a closing connection waits for the peer's FIN: in service, and while draining.
pub(super) const CLOSE_LINGER: Duration = Duration::from_secs(2);
pub(super) const CLOSE_LINGER_DRAINING: Duration = Duration::from_millis(250);

/// Where a drain stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    pub began: Instant,
    /// When the process ends, finished or not.
    pub deadline: Instant,
    /// Nothing is finished any more.
    pub is_aborted: bool,
}

impl Drain {
    /// The time from its beginning to the end of the process.
    pub(super) fn time(&self) -> Duration {
        self.deadline.saturating_duration_since(self.began)
    }

    /// When requests that still wait are refused, and running tasks fail, so that their clients hear it.
    pub(super) fn cutoff(&self) -> Instant {
        self.deadline - (self.time() / 4).min(REFUSAL_GRACE)
    }

    /// Until when a channel may stay for a task or its result: what then still runs has failed at the cutoff, and its
    /// client has heard so.
    pub(super) fn result_cutoff(&self) -> Instant {
        let cutoff = self.cutoff();
        cutoff + self.deadline.saturating_duration_since(cutoff) / 4
    }
}
