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

use std::sync::Arc;

use crate::mcp::{SessionId, Sessions};
use crate::registry::Origin;
use crate::ring::ConnectionKey;
use crate::wire::http1::FieldLines;

use crate::shard::channels::{Channel, Framing};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Makes a connection a channel; the head of the request that opened it, if there was one.
    fn begin_channel(&mut self, key: ConnectionKey, framing: Framing, head: Option<FieldLines<'_>>) {
        let token = self.channels.next_token();
        let view = self.view_of(key);
        if let Some(connection) = self.table.connection(key) {
            let mut origin = Origin::new(framing.transport(), connection.peer(&self.ring));
            if let Some(lines) = head {
                origin = origin.with_headers(view.protocol.registry().headers_read(), lines);
            }
            connection.channel = Some(Box::new(Channel::new(framing, origin, token)));
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
            let client = SessionId::client_text(id.as_bytes());
            channel.origin = Arc::new(channel.origin.with_client(client));
        }
    }
}
