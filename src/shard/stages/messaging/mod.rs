//! What a shard does with channels: their bytes become messages, each message an exchange, and what is said about it
//! goes back through the channel's outbox.
//!
//! | file | its part |
//! |---|---|
//! | `reading` | bytes of a channel |
//! | `exchanges` | messages → exchanges, and their ends |
//! | `events` | HTTP+SSE: messages from other connections |
//! | `outbox` | messages on their way out |
//! | `remote` | messages that another shard serves, and those served for another |
//! | `streams` | streams on a channel |
//! | `ending` | closes, deadlines, drain |

mod ending;
mod events;
mod exchanges;
mod outbox;
mod reading;
mod remote;
mod streams;

use crate::mcp::{SessionId, Sessions};
use crate::ring::ConnectionKey;

use crate::shard::channels::{Channel, Framing};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Makes a connection a channel.
    fn begin_channel(&mut self, key: ConnectionKey, framing: Framing) {
        let token = self.channels.next_token();
        if let Some(connection) = self.table.connection(key) {
            connection.channel = Some(Box::new(Channel::new(framing, token)));
        }
    }

    /// `initialize` was answered: what was agreed holds for the channel from now on.
    fn adopt_session(&mut self, key: ConnectionKey, id: &SessionId) {
        let (principal, now) = (self.service.principal(), self.clock.unix_now());
        let view = self.view_of(key);
        let opened = Sessions::open(&*view.state, id.as_bytes(), principal, now);
        if let (Some(session), Some(channel)) = (opened, self.table.channel(key)) {
            channel.token = session.token;
            channel.session = Some(session);
        }
    }
}
