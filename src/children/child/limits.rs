//! What a child may take, and how long.

use std::time::Duration;

use crate::config::{PoolMode, PoolSettings};

use super::calls::OWN_IDS_MAX;

/// Calls that one child can have in flight: as many as there are places in an id.
const IN_FLIGHT_MAX: u32 = OWN_IDS_MAX as u32;
/// For a call in all, however often its child says how far it is.
const CALL_MAX: Duration = Duration::from_secs(30 * 60);
/// The time between two looks whether an idle child still answers.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What a child may take, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// Calls in flight at once; at most 65,536.
    pub in_flight_max: u32,
    /// Calls that it gets at all.
    pub calls_max: Option<u32>,
    /// Calls after which a successor is wanted.
    pub worn_after: Option<u32>,
    /// Bytes of a line that it says.
    pub message_bytes_max: usize,
    /// For the handshake and the reading of the lists.
    pub start_timeout: Duration,
    /// For a call, anew from each word on its progress.
    pub call_timeout: Duration,
    /// For a call in all.
    pub call_max: Duration,
    /// For the answer to a call that was cancelled.
    pub cancel_grace: Duration,
    /// For a client's answer to the child's question; `None` if nobody can say which client would be meant.
    pub ask_timeout: Option<Duration>,
    /// For taking some of what it is to read.
    pub write_timeout: Duration,
    /// Without calls, after which it is pinged; for the answer as well.
    pub ping_interval: Duration,
    /// Between the steps of its end.
    pub stop_grace: Duration,
    /// Without calls, after which it is told to be idle.
    pub idle_timeout: Option<Duration>,
    /// Whether the last that went each way is kept.
    pub is_recorded: bool,
}

impl ChildLimits {
    /// Those of a server's children; a start may take this long, and a pipe that is full this long to take something.
    pub fn of(settings: &PoolSettings, start_timeout: Duration, write_timeout: Duration) -> ChildLimits {
        ChildLimits {
            in_flight_max: settings.in_flight_max().min(IN_FLIGHT_MAX),
            calls_max: None,
            worn_after: settings.recycle_calls,
            message_bytes_max: usize::try_from(settings.message_bytes_max).unwrap_or(usize::MAX),
            start_timeout,
            call_timeout: settings.call_timeout,
            call_max: CALL_MAX.max(settings.call_timeout),
            cancel_grace: settings.cancel_grace,
            ask_timeout: None,
            write_timeout,
            ping_interval: PING_INTERVAL,
            stop_grace: settings.stop_grace,
            // Children of sessions are another matter: their clients come back.
            idle_timeout: settings
                .idle_timeout()
                .filter(|_| settings.mode == PoolMode::Shared),
            is_recorded: false,
        }
    }
}
