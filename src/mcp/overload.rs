//! The refusal "not now", with one shape for every queue: HTTP 503 and a JSON-RPC error with the request's id.

use std::time::Duration;

pub use crate::metrics::OverloadReason;

/// A refusal of a request that may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// The resource that is short.
    pub reason: OverloadReason,
    /// When to try again, estimated from the recent drain rate.
    pub retry_after: Duration,
    /// Requests waiting on this shard.
    pub queue_depth: usize,
}

impl Overload {
    /// `Retry-After` in whole seconds, rounded up, at least 1.
    pub fn retry_after_seconds(&self) -> u64 {
        let seconds = self.retry_after.as_millis().div_ceil(1000);
        u64::try_from(seconds).unwrap_or(u64::MAX).max(1)
    }

    /// `retryAfterMs`, never negative.
    pub(super) fn retry_after_ms(&self) -> u64 {
        u64::try_from(self.retry_after.as_millis()).unwrap_or(u64::MAX)
    }
}
