//! What a shard does with channels: their bytes become messages, each message an exchange, and what is said about it
//! goes back through the channel's outbox.
//!
//! | file | its part |
//! |---|---|
//! | `reading` | bytes of a channel |
//! | `exchanges` | messages → exchanges, and their ends |
//! | `events` | HTTP+SSE: messages from other connections |
//! | `outbox` | messages on their way out |
//! | `streams` | streams on a channel |
//! | `ending` | closes, deadlines, drain |

mod ending;
mod events;
mod exchanges;
mod outbox;
mod reading;
mod streams;

use std::sync::Arc;

use crate::mcp::{SessionId, Sessions};
use crate::ring::ConnectionKey;

use crate::shard::channels::{Channel, Framing};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    pub(in crate::shard) fn channel(&mut self, key: ConnectionKey) -> Option<&mut Channel> {
        self.table.connection(key)?.channel.as_deref_mut()
    }

    /// The channel whose message an entry is.
    pub(in crate::shard) fn parent_of(&mut self, key: ConnectionKey) -> Option<ConnectionKey> {
        self.table.parent(key)
    }

    /// Makes a connection a channel.
    fn begin_channel(&mut self, key: ConnectionKey, framing: Framing) {
        let token = self.channels.next_token();
        if let Some(connection) = self.table.connection(key) {
            connection.channel = Some(Box::new(Channel::new(framing, token)));
        }
    }

    /// `initialize` was answered: what was agreed holds for the channel from now on.
    fn adopt_session(&mut self, key: ConnectionKey, id: &SessionId) {
        let store = Arc::clone(&self.service.store);
        let opened = store.open(id.as_bytes(), self.principal(), self.clock.unix_now);
        if let (Some(session), Some(channel)) = (opened, self.channel(key)) {
            channel.token = session.token;
            channel.session = Some(session);
        }
    }
}
