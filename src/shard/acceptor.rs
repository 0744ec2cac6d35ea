//! New connections: the listener's end of the data ring, and the process-wide count that caps them.
//!
//! Past `connections_max` a shard stops accepting and the kernel's backlog pushes back. A multishot accept
//! takes whatever is queued before anybody can stop it, so close to the cap connections are accepted one by
//! one: it is passed by one connection per other shard at most. Out of descriptors, accepting pauses for a
//! tick instead of spinning.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ring::simulated::{SimulatedRing, SimulatedSocket};
use crate::ring::{DataRing, KernelRing, listener};

/// Connections that one accept may take before the shard sees the first of them: a full listener's queue.
const BURST_MAX: usize = 4096;

/// What a shard needs of its ring beyond moving bytes: ending the listening without losing anyone.
pub trait ShardRing: DataRing {
    /// Keeps new connections away; those whose handshake has begun still arrive.
    fn turn_away(&mut self);

    /// Takes the connections still queued in the listener, and closes it. The accept is over.
    fn finish_listening(&mut self) -> Vec<Self::Socket>;
}

impl ShardRing for KernelRing {
    fn turn_away(&mut self) {
        if let Some(socket) = self.listener() {
            // Without the filter a client that connects in the last moment sees a reset: worse, not wrong.
            if let Err(error) = listener::stop_new_connections(&socket) {
                tracing::warn!(%error, "new connections cannot be kept away while draining");
            }
        }
    }

    fn finish_listening(&mut self) -> Vec<OwnedFd> {
        let Some(socket) = self.take_listener() else {
            return Vec::new();
        };
        let mut queued = Vec::new();
        while let Ok(Some(connection)) = listener::accept_now(&socket) {
            queued.push(connection);
        }
        queued
    }
}

impl ShardRing for SimulatedRing {
    /// The simulated listener knows no handshakes: who connects from now on waits in its queue.
    fn turn_away(&mut self) {}

    fn finish_listening(&mut self) -> Vec<SimulatedSocket> {
        std::iter::from_fn(|| self.accept_now()).collect()
    }
}

/// Open connections of the whole process, against their cap. One atomic, touched per connection.
#[derive(Debug, Clone)]
pub struct Gate {
    open: Arc<AtomicUsize>,
    max: usize,
}

impl Gate {
    /// A cap of `max` connections over all shards that share the gate.
    pub fn new(max: usize) -> Gate {
        Gate {
            open: Arc::new(AtomicUsize::new(0)),
            max,
        }
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection in.
    pub(super) fn on_opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection out.
    pub(super) fn on_closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the cap is out of reach of what a listener's queue can hold, all taken in one go.
    pub(super) fn has_room_for_burst(&self) -> bool {
        self.open() + BURST_MAX < self.max
    }

    /// Whether no more connections are to be taken.
    pub(super) fn is_full(&self) -> bool {
        self.open() >= self.max
    }
}
