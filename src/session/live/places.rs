//! The places that events go to: the connection that a stream's messages are written to, and the call that asked its
//! client.

use crate::ring::ConnectionKey;

/// The connection a stream's messages go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamPlace {
    /// The shard that has the connection.
    pub shard: u16,
    /// The connection in that shard.
    pub connection: ConnectionKey,
}

/// A call that asks its client, as the call's shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallPlace {
    /// The shard on which the call runs.
    pub shard: u16,
    /// The shard's own number for the call.
    pub call: u64,
}
