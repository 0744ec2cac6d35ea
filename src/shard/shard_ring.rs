//! What a shard needs of its data ring.

#[cfg(any(test, feature = "internals", feature = "testing"))]
use crate::ring::simulated::{SimulatedRing, SimulatedSocket};
use crate::ring::{DataRing, KernelRing, Socket};

/// What a shard needs of its ring beyond moving bytes: ending the listening without losing anyone.
pub trait ShardRing: DataRing {
    /// Whether a connection came to a listening socket that all shards share.
    fn is_shared(&self, socket: &Self::Socket) -> bool;

    /// Makes listening Unix sockets refuse new connections; those that are queued can still be accepted. New
    /// connections to internet sockets are kept away by the server.
    fn refuse_on_unix(&mut self);

    /// Closes the listeners, which are not watched any more. Connections that are still queued in them are reset.
    fn close_listener(&mut self);
}

impl ShardRing for KernelRing {
    fn is_shared(&self, socket: &Socket) -> bool {
        socket.is_unix()
    }

    fn refuse_on_unix(&mut self) {
        KernelRing::refuse_on_unix(self);
    }

    fn close_listener(&mut self) {
        self.drop_listeners();
    }
}

#[cfg(any(test, feature = "internals", feature = "testing"))]
impl ShardRing for SimulatedRing {
    fn is_shared(&self, socket: &SimulatedSocket) -> bool {
        socket.is_a_process()
    }

    fn refuse_on_unix(&mut self) {}

    fn close_listener(&mut self) {}
}
