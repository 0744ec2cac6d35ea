//! One message of a channel that is to be answered there: it waits, runs, asks and listens as a request of a
//! connection does, but has no socket, and nothing of it is in the ring.
//!
//! ```text
//! Reading ── no handler free ──► Queued ──┐
//!    │                                    ▼
//!    ├─────────────────────────────────► Calling ◄──► Streaming (asks its client) ── answered ──► gone
//!    └─ subscriptions/listen, tasks/result ─────────► Streaming (listens) ── ended ─────────────► gone
//! ```
//!
//! One that waits may move to another shard. Then it is two entries: this one, which stands for it in its channel, and
//! one where it is served, whose parent is elsewhere.
//!
//! ```text
//! Queued ─ slack elsewhere ─► Moving ─► Away ── its answer came ──► gone      (the channel's shard)
//!                                         Reading ─► Calling … ── answered ──► gone      (the other)
//! ```

use std::time::Instant;

use crate::pool::{HandlerKey, WaitKey};
use crate::ring::ConnectionKey;

use super::Request;
use crate::shard::channels::{Away, Home};
use crate::units::ViewId;

/// A message of a channel.
#[derive(Debug)]
pub(in crate::shard) struct Exchange {
    pub parent: Parent,
    pub state: ExchangeState,
    pub request: Request,
    /// Where it is served, if that is another shard.
    pub away: Option<Box<Away>>,
}

/// The channel of a message, which gets its answer.
#[derive(Debug)]
pub(in crate::shard) enum Parent {
    Here(ConnectionKey),
    /// It is on another shard.
    Elsewhere(Box<Home>),
}

/// What a message of a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum ExchangeState {
    /// It is being decoded.
    Reading,
    /// It waits for a handler.
    Queued(WaitKey),
    /// It is about to move to another shard, which has a handler for it.
    Moving,
    /// Another shard serves it.
    Away,
    /// A handler works for it.
    Calling(HandlerKey),
    /// Its client listens on it, or its call waits for the client without a handler.
    Streaming,
}

impl Exchange {
    /// A message of `parent` for `view` whose first byte came at `began`.
    pub(in crate::shard) fn new(
        parent: Parent,
        view: ViewId,
        is_browser: bool,
        began: Instant,
        now: Instant,
    ) -> Self {
        Exchange {
            parent,
            away: None,
            state: ExchangeState::Reading,
            request: Request {
                view,
                is_browser,
                began,
                ..Request::new(now)
            },
        }
    }
}
