//! A request that waits for a handler. Its bytes lie in its connection's assembly buffer and are decoded anew when its
//! turn comes.

use std::time::{Duration, Instant};

use crate::jsonrpc::RequestId;
use crate::mcp::{OverloadReason, SessionToken};
use crate::ring::ConnectionKey;

/// An entry of the wait queue.
#[derive(Debug)]
pub(in crate::shard) struct Waiter {
    pub connection: ConnectionKey,
    /// When it began to wait.
    pub since: Instant,
    /// How long it may wait.
    pub patience: Duration,
    /// The conversation and the id of the request, if its client can cancel it.
    pub request: Option<Box<(SessionToken, RequestId)>>,
}

impl Waiter {
    pub(in crate::shard) fn new(connection: ConnectionKey, since: Instant, patience: Duration) -> Waiter {
        Waiter {
            connection,
            since,
            patience,
            request: None,
        }
    }

    /// How long it has waited.
    pub(in crate::shard) fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Until when it may wait, and why no longer. A drain ends it at `cutoff`, early enough to say so.
    pub(in crate::shard) fn deadline(&self, cutoff: Option<Instant>) -> (Instant, OverloadReason) {
        let own = self.since + self.patience;
        match cutoff {
            Some(cutoff) if cutoff < own => (cutoff, OverloadReason::Draining),
            _ => (own, OverloadReason::QueueTimeout),
        }
    }

    pub(super) fn is_request(&self, conversation: SessionToken, id: &RequestId) -> bool {
        let request = self.request.as_deref();
        request.is_some_and(|(own, own_id)| *own == conversation && own_id == id)
    }
}
