//! One message of a channel that is to be answered there: it waits, runs, asks and listens as a request of a
//! connection does, but has no socket, and nothing of it is in the ring.
//!
//! ```text
//! Reading ── no handler free ──► Queued ──┐
//!    │                                    ▼
//!    ├─────────────────────────────────► Calling ◄──► Streaming (asks its client) ── answered ──► gone
//!    └─ subscriptions/listen, tasks/result ─────────► Streaming (listens) ── ended ─────────────► gone
//! ```

use std::time::Instant;

use crate::pool::{HandlerKey, WaitKey};
use crate::ring::ConnectionKey;

use super::Request;

/// A message of a channel.
#[derive(Debug)]
pub(in crate::shard) struct Exchange {
    /// The channel, which gets its answer.
    pub parent: ConnectionKey,
    pub state: ExchangeState,
    pub request: Request,
}

/// What a message of a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum ExchangeState {
    /// It is being decoded.
    Reading,
    /// It waits for a handler.
    Queued(WaitKey),
    /// A handler works for it.
    Calling(HandlerKey),
    /// Its client listens on it, or its call waits for the client without a handler.
    Streaming,
}

impl Exchange {
    /// A message of `parent` whose first byte came at `began`.
    pub(in crate::shard) fn new(
        parent: ConnectionKey,
        is_browser: bool,
        began: Instant,
        now: Instant,
    ) -> Self {
        Exchange {
            parent,
            state: ExchangeState::Reading,
            request: Request {
                is_browser,
                began,
                ..Request::new(now)
            },
        }
    }
}
