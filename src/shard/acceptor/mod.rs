//! New connections: from the listener's queue into the table, as far as the caps let them.
//!
//! The ring only tells that somebody waits. A connection is taken from the queue when it has a place, so the
//! cap is exact and whoever has none stays in the kernel's backlog until others leave; and few are taken at a
//! time, so that a flood of newcomers does not hold up who is here. Out of descriptors or memory, accepting
//! pauses instead of spinning. No descriptor is kept in reserve for a refusal then: to be read, a refusal
//! must linger, so one descriptor would refuse a client every other second, while those that wait are
//! served as soon as there are descriptors again.
//!
//! ```text
//! Watching ─ ready ─► take, take, … ─ queue empty ─► Watching
//!     no place ─► Full ─ called ─► take …          failed ─► Paused ─ a moment ─► Watching
//! drain: any ─► Stopping ─ watch over ─► Emptying ─ queue empty ─► Over (the listener is closed)
//! ```

mod addresses;
mod connection_cap;

use std::time::Instant;

use crate::ring::AcceptOutage;

pub(super) use addresses::{AddressPlace, AddressVerdict};
pub use connection_cap::ConnectionCap;
pub(super) use connection_cap::ShardCap;

/// Where accepting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AcceptState {
    /// The ring tells when somebody waits.
    Watching,
    /// Somebody may wait, and there is no place: whoever leaves calls.
    Full,
    /// Descriptors or memory ran out, until this moment.
    Paused(Instant),
    /// The watch is being cancelled.
    Stopping,
    /// Nobody joins the queue any more; what is left of it is taken.
    Emptying,
    /// The listener is closed.
    Over,
}

/// A shard's accepting.
pub(super) struct Acceptor {
    pub state: AcceptState,
    pub cap: ShardCap,
    pub outage: AcceptOutage,
}

impl Acceptor {
    /// The listener is to be watched from now on, which is the caller's to begin.
    pub(super) fn new(cap: ShardCap) -> Acceptor {
        Acceptor {
            state: AcceptState::Watching,
            cap,
            outage: AcceptOutage::default(),
        }
    }

    /// There is no listener.
    pub(super) fn close(&mut self) {
        self.state = AcceptState::Over;
    }

    /// The listener is closed, and nobody was left in it.
    pub(super) fn is_over(&self) -> bool {
        self.state == AcceptState::Over
    }

    /// Accepting has begun to stop, or is over.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(
            self.state,
            AcceptState::Stopping | AcceptState::Emptying | AcceptState::Over
        )
    }

    /// A moment is waited for.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, AcceptState::Paused(_))
    }
}
