//! Where the clients of a shard come from, and since when.

/// Where clients come from, of whom one may come by a connection `S`.
#[derive(Debug)]
pub enum Clients<S> {
    /// They connect to the ring's listeners.
    Listeners,
    /// There is one, on these pipes. No listener is watched.
    One(S),
    /// [`ShardEvent::Open`](super::ShardEvent::Open) will say so; until then whoever connects waits in the kernel's
    /// backlog.
    Later,
}
