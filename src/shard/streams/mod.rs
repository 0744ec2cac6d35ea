//! Streams of events on one shard: which of them have something to send, and what is open on a connection.
//!
//! A stream's messages lie in the live store, where any thread may add to them; the shard that has its connection is
//! told, takes what is ready and sends it as one chunk. What a call says on the shard of its connection goes to the
//! connection directly, unless its client may come back for it. One send is in flight at a time, so a client that does
//! not read keeps its messages waiting in the store, bounded there, and nobody else.
//!
//! An open stream holds no handler and no buffer.

mod open;
mod outbox;

use std::collections::VecDeque;

use crate::ring::ConnectionKey;
use crate::session::live::StreamPlace;
use crate::units::ShardId;

pub(super) use open::{Chunk, KEEP_ALIVE_CHUNK, OpenStream, Role};
pub(super) use outbox::{SEND_BYTES, StreamOutbox, stream_reserve};

/// What the streams of one shard share.
pub(super) struct Streams {
    shard: ShardId,
    /// Connections and messages whose stream has something to send, oldest first.
    ready: VecDeque<ConnectionKey>,
}

impl Streams {
    pub(super) fn new(shard: ShardId) -> Streams {
        Streams {
            shard,
            ready: VecDeque::new(),
        }
    }

    /// How the store names a connection or a message of this shard.
    pub(super) fn place(&self, connection: ConnectionKey) -> StreamPlace {
        StreamPlace {
            shard: self.shard.0,
            connection,
        }
    }

    /// Whether the store names a connection or a message of this shard by it.
    pub(super) fn is_here(&self, place: StreamPlace) -> bool {
        place.shard == self.shard.0
    }

    /// A stream has something to send.
    pub(super) fn on_ready(&mut self, connection: ConnectionKey) {
        self.ready.push_back(connection);
    }

    /// The stream that has had something to send for longest.
    pub(super) fn next_ready(&mut self) -> Option<ConnectionKey> {
        self.ready.pop_front()
    }

    /// Whether some were left for the next turn.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A connection or a message and its stream part: the stream may go on without it, and another connection may take
    /// it up.
    pub(super) fn detach(&self, connection: ConnectionKey, open: &OpenStream) {
        open.stream().detach(self.place(connection));
        if let Role::Subscription(_) = open.role() {
            open.stream().end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longest_sends_first() {
        let mut streams = Streams::new(ShardId(3));
        let keys = [5, 2].map(|slot| ConnectionKey { slot, generation: 1 });
        keys.iter().for_each(|key| streams.on_ready(*key));
        assert!(streams.has_ready());
        assert_eq!(streams.next_ready(), Some(keys[0]));
        assert_eq!(streams.next_ready(), Some(keys[1]));
        assert_eq!((streams.next_ready(), streams.has_ready()), (None, false));
        let place = streams.place(keys[0]);
        assert_eq!((place.shard, place.connection), (3, keys[0]));
    }
}
