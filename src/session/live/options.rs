//! The limits of live state.

use std::time::Duration;

/// How much may be live, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Sessions with something live, in the process.
    pub sessions_max: usize,
    /// The same for one principal. The anonymous principal, who is everybody, is bounded by `sessions_max` alone.
    pub sessions_per_principal_max: usize,
    /// URIs that one session or one stream of subscriptions subscribes to.
    pub subscriptions_max: usize,
    /// Bytes of all live state that is counted: see [`LiveStats`](super::LiveStats).
    pub bytes_max: usize,
    /// Bytes of messages of one stream that its client has not taken; a stream with more is cut off. Also the bytes of
    /// messages that were delivered to one channel and are not processed; beyond them, deliveries are refused.
    pub backlog_bytes_max: usize,
    /// The same in messages, since a short message is mostly overhead.
    pub backlog_messages_max: usize,
    /// Bytes of sent messages that one resumable stream retains.
    pub replay_bytes_max: usize,
    /// Finished streams of calls that one session retains.
    pub replay_streams_max: usize,
    /// How long messages, and streams without a connection, are retained.
    pub replay_age: Duration,
    /// How long a session without a connection may be silent before it is evicted.
    pub idle: Duration,
    /// How long session ids are valid, and so how long evicted ones have to be remembered.
    pub session_max_age: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            sessions_max: 32 * 1024,
            sessions_per_principal_max: 4 * 1024,
            subscriptions_max: 1024,
            bytes_max: 64 * 1024 * 1024,
            backlog_bytes_max: 256 * 1024,
            backlog_messages_max: 1024,
            replay_bytes_max: 64 * 1024,
            replay_streams_max: 8,
            replay_age: Duration::from_secs(60),
            idle: Duration::from_secs(30 * 60),
            session_max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}
