//! Channels: connections that carry messages both ways, many calls at once. WebSockets, stdio, and the event streams
//! of HTTP+SSE (2024-11-05).
//!
//! A channel is an entry of the connection table that stays open and reads at any time. Each message of it becomes an
//! *exchange*, an entry of its own without a socket, which waits for a handler, runs, asks and listens as an HTTP
//! connection does; what it says goes into the channel's one outbox, and with its answer it is gone. So an idle
//! channel holds no handler and no buffer, and one that is busy holds one handler for each call in flight.
//!
//! ```text
//! Open (HTTP) ─ 101 ─► channel ─ message ─► exchange ─► Queued, Calling, Streaming ─ answer ─► outbox ─► sent
//!                        │ close, violation, drain: the outbox goes out, then FIN
//!                        └ gone: its exchanges with it (legacy calls that run finish unheard)
//! ```
//!
//! Bounded: exchanges that stay by `in_flight_max`; the outbox by not reading on, and not taking messages of streams,
//! while a client has not taken [`OUTBOX_HIGH_BYTES`]; progress and log messages beyond [`OUTBOX_FULL_BYTES`] are
//! dropped. A message that waits may move to a shard with slack; its channel stays, and what is said about it comes
//! back as mail.
//!
//! | file | its part |
//! |---|---|
//! | `channel` | one channel |
//! | `framing` | bytes ↔ messages, by kind of channel |
//! | `events` | the events of HTTP+SSE |
//! | `outbox` | messages on their way out |
//! | `remote` | what is known of messages that another shard serves, and of those served for another |
//! | `ending` | why and how it ends |
//!
//! What a shard does with them is in `messaging`.

mod channel;
mod ending;
mod events;
mod framing;
mod outbox;
mod remote;

use std::collections::VecDeque;

use crate::config::ChannelSettings;
use crate::mcp::SessionToken;
use crate::ring::ConnectionKey;
use crate::units::ShardId;
use crate::wire::websocket;

pub(super) use channel::Channel;
pub(super) use ending::{Close, Ending};
pub(super) use events::Events;
pub(super) use framing::Framing;
pub(super) use outbox::Outbox;
pub(super) use remote::{Away, ChannelPlace, Home, Visitors};

/// Unsent bytes with which a channel reads no more and its streams wait.
pub(super) const OUTBOX_HIGH_BYTES: usize = 64 << 10;
/// Unsent bytes with which what may be dropped is dropped.
pub(super) const OUTBOX_FULL_BYTES: usize = 256 << 10;

/// What one channel may take.
#[derive(Debug, Clone, Copy)]
pub struct ChannelLimits {
    /// Messages in flight, and silence.
    pub settings: ChannelSettings,
    /// What one WebSocket message may take.
    pub frames: websocket::Limits,
    /// Messages come back as they are, for test suites of WebSockets.
    pub echoes: bool,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            settings: ChannelSettings::default(),
            frames: websocket::Limits {
                message_bytes_max: 4 << 20,
                overhead_bytes_max: websocket::Limits::OVERHEAD_BYTES_MAX_DEFAULT,
            },
            echoes: false,
        }
    }
}

/// What the channels of one shard share.
pub(super) struct Channels {
    shard: ShardId,
    /// Channels there ever were.
    begun: u64,
    /// Those with messages that were read and not taken, as calls of the one before were to be run first.
    interrupted: VecDeque<ConnectionKey>,
    /// Where a masked message is put together.
    unmasked: Vec<u8>,
    /// Messages of other shards' channels that are served here.
    pub visitors: Visitors,
}

impl Channels {
    pub(super) fn new(shard: ShardId) -> Channels {
        Channels {
            shard,
            begun: 0,
            interrupted: VecDeque::new(),
            unmasked: Vec::new(),
            visitors: Visitors::default(),
        }
    }

    /// The token of a new channel. Requests that are to be cancelled are found by it, on any shard. No session has it:
    /// theirs are random.
    pub(super) fn next_token(&mut self) -> SessionToken {
        self.begun += 1;
        let number = u128::from(self.shard.0) << 64 | u128::from(self.begun);
        SessionToken(number.to_be_bytes())
    }

    /// The buffer for a masked message.
    pub(super) fn take_unmasked(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unmasked)
    }

    /// Takes that buffer back; of what it has grown to, so much is kept.
    pub(super) fn put_unmasked(&mut self, mut buffer: Vec<u8>, kept_bytes: usize) {
        buffer.clear();
        buffer.shrink_to(kept_bytes);
        self.unmasked = buffer;
    }

    /// A channel goes on with what was read when the calls that have begun were run.
    pub(super) fn interrupt(&mut self, key: ConnectionKey, channel: &mut Channel) {
        if !std::mem::replace(&mut channel.is_interrupted, true) {
            self.interrupted.push_back(key);
        }
    }

    /// Whether any channel was interrupted.
    pub(super) fn has_interrupted(&self) -> bool {
        !self.interrupted.is_empty()
    }

    /// The channel that was interrupted first.
    pub(super) fn first_interrupted(&self) -> Option<ConnectionKey> {
        self.interrupted.front().copied()
    }

    /// The channel that was interrupted first goes on.
    pub(super) fn resume_first(&mut self) -> Option<ConnectionKey> {
        self.interrupted.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Lines;
    use crate::registry::Origin;

    #[test]
    fn tokens_differ_within_a_shard_and_between_shards() {
        let (mut first, mut second) = (Channels::new(ShardId(0)), Channels::new(ShardId(1)));
        let tokens = [
            first.next_token(),
            first.next_token(),
            second.next_token(),
            second.next_token(),
        ];
        for (at, token) in tokens.iter().enumerate() {
            assert!(!tokens[..at].contains(token), "{at}");
        }
    }

    #[test]
    fn a_channel_is_interrupted_once_and_the_first_goes_on_first() {
        let mut channels = Channels::new(ShardId(0));
        let keys = [0, 1].map(|slot| ConnectionKey { slot, generation: 0 });
        let token = channels.next_token();
        let mut both =
            [0, 1].map(|_| Channel::new(Framing::Lines(Lines::default()), Origin::default(), token));
        for _ in 0..2 {
            for (key, channel) in keys.iter().zip(&mut both) {
                channels.interrupt(*key, channel);
            }
        }
        assert!(!both[0].reads_on(), "nothing is read meanwhile");
        assert_eq!(channels.first_interrupted(), Some(keys[0]));
        assert_eq!(channels.resume_first(), Some(keys[0]));
        assert_eq!(channels.resume_first(), Some(keys[1]));
        assert!(!channels.has_interrupted());
    }
}
