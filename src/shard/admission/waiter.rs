//! A request that waits for a handler. Its bytes lie in its connection's assembly buffer and are decoded anew when its
//! turn comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::jsonrpc::RequestId;
use crate::mcp::{OverloadReason, SessionToken};
use crate::pool::ToolPermit;
use crate::ring::ConnectionKey;

use super::tool_permits::Awaited;

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
    /// What it has of its tool's limit.
    pub limited: Limited,
}

/// What a request that waits has of its tool's limit.
#[derive(Debug)]
pub(in crate::shard) enum Limited {
    /// Nothing: its tool has no limit.
    No,
    /// A place behind other calls of the tool: it is not in line for a handler.
    #[allow(dead_code, reason = "the ticket leaves the line when it is dropped")]
    Waits(Box<Awaited>),
    /// A permit.
    Passed(Arc<ToolPermit>),
}

impl Waiter {
    pub(in crate::shard) fn new(connection: ConnectionKey, since: Instant, patience: Duration) -> Waiter {
        Waiter {
            connection,
            since,
            patience,
            request: None,
            limited: Limited::No,
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
            _ if self.is_in_line() => (own, OverloadReason::QueueTimeout),
            _ => (own, OverloadReason::Tool),
        }
    }

    /// Whether it waits for a handler, and not for other calls of its tool.
    pub(in crate::shard) fn is_in_line(&self) -> bool {
        !matches!(self.limited, Limited::Waits(_))
    }

    /// The permit of its tool, if it has one.
    pub(in crate::shard) fn take_tool_permit(&mut self) -> Option<Arc<ToolPermit>> {
        match std::mem::replace(&mut self.limited, Limited::No) {
            Limited::Passed(permit) => Some(permit),
            Limited::No | Limited::Waits(_) => None,
        }
    }

    /// It waits for something else from now on, no longer than before; how long it has waited.
    pub(super) fn begin_phase(&mut self, now: Instant) -> Duration {
        let waited = self.waited(now);
        self.since = now;
        self.patience = self.patience.saturating_sub(waited);
        waited
    }

    pub(super) fn is_request(&self, conversation: SessionToken, id: &RequestId) -> bool {
        let request = self.request.as_deref();
        request.is_some_and(|(own, own_id)| *own == conversation && own_id == id)
    }
}
