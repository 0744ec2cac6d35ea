//! Where events go: to the connection that a stream's messages are written to, and to the call that asked its client.

use crate::ring::ConnectionKey;

/// The connection a stream's messages go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamPlace {
    /// Whose connection it is.
    pub shard: u16,
    /// The connection there.
    pub connection: ConnectionKey,
}

/// A call that asks its client, as the call's shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallPlace {
    /// Where it runs.
    pub shard: u16,
    /// The shard's own number for it.
    pub call: u64,
}
