//! The places that events go to: the connection that a stream's messages are written to, the call that asked its
//! client, and the program that did.

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

/// A program that asks the client of one of its calls. What the client answers is passed on as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChildPlace {
    /// The shard that the answer goes to.
    pub shard: u16,
    /// Who gets it there.
    pub asker: ChildAsker,
}

/// Who asks for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildAsker {
    /// The process itself.
    Child {
        /// The index of its server.
        server: u16,
        /// Its number.
        child: u64,
    },
    /// A call that is with one, in the shard's own numbering.
    Call(u64),
}
