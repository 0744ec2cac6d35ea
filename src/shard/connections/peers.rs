//! Who is at the other end of an entry, for the log and for the calls that it makes.

use std::sync::Arc;

use crate::registry::Origin;
use crate::ring::{ConnectionKey, DataRing, Peer};

use super::{Parent, Table};

impl<S> Table<S> {
    /// The peer of an entry: its address, its process, or the name of what has neither.
    pub(in crate::shard) fn peer<R: DataRing<Socket = S>>(
        &mut self,
        key: ConnectionKey,
        ring: &R,
    ) -> Option<String> {
        let key = match self.exchange(key).map(|exchange| &exchange.parent) {
            Some(Parent::Here(channel)) => *channel,
            Some(Parent::Elsewhere(home)) => return Some(peer_name(home.origin.peer)),
            None => key,
        };
        let connection = self.connection(key)?;
        Some(peer_name(connection.peer(ring)))
    }

    /// What the calls of a message are told of its client, beside what the message says.
    pub(in crate::shard) fn origin(&mut self, message: ConnectionKey) -> Option<Arc<Origin>> {
        let channel = match &self.exchange(message)?.parent {
            Parent::Elsewhere(home) => return Some(Arc::clone(&home.origin)),
            Parent::Here(channel) => *channel,
        };
        let channel = self.channel(channel)?;
        Some(Arc::clone(&channel.origin))
    }
}

/// A client as the log names it.
fn peer_name(peer: Option<Peer>) -> String {
    peer.map_or_else(|| "stdio".to_owned(), |peer| peer.to_string())
}
