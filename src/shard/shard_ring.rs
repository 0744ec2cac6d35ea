//! What a shard needs of its data ring.

#[cfg(any(test, feature = "internals"))]
use crate::ring::simulated::SimulatedRing;
use crate::ring::{DataRing, KernelRing};

/// What a shard needs of its ring beyond moving bytes: ending the listening without losing anyone.
pub trait ShardRing: DataRing {
    /// Closes the listener, which is not watched any more. Connections that are still queued in it are reset.
    fn close_listener(&mut self);
}

impl ShardRing for KernelRing {
    fn close_listener(&mut self) {
        drop(self.take_listener());
    }
}

#[cfg(any(test, feature = "internals"))]
impl ShardRing for SimulatedRing {
    fn close_listener(&mut self) {}
}
