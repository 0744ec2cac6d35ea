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
//! dropped. A channel's waiters are not moved to other shards.
//!
//! | file | its part |
//! |---|---|
//! | `exchanges` | messages → exchanges, and their ends |
//! | `events` | HTTP+SSE: events out, messages from other connections in |
//! | `framing` | bytes ↔ messages, by kind of channel |
//! | `reading` | bytes of a channel |
//! | `outbox` | messages on their way out |
//! | `streams` | who listens on a channel |
//! | `ending` | closes, deadlines, drain |

mod ending;
mod events;
mod exchanges;
mod framing;
mod outbox;
mod reading;
mod streams;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mcp::{ChannelFacts, OpenSession, SessionId, SessionToken, Sessions};
use crate::ring::ConnectionKey;
use crate::units::ShardId;
use crate::wire::websocket;

use super::{Shard, ShardRing};
use ending::Ending;
use framing::Framing;
use outbox::Outbox;

/// Unsent bytes with which a channel reads no more and its streams wait.
const OUTBOX_HIGH_BYTES: usize = 64 << 10;
/// Unsent bytes with which what may be dropped is dropped.
const OUTBOX_FULL_BYTES: usize = 256 << 10;

/// Limits of channels.
#[derive(Debug, Clone, Copy)]
pub struct ChannelLimits {
    /// Messages of one channel that are not answered yet, those that listen included.
    pub in_flight_max: u32,
    /// Silence after which a WebSocket is given up; a ping goes out at half of it.
    pub websocket_timeout: Duration,
    /// What one WebSocket message may take.
    pub frames: websocket::Limits,
    /// Messages come back as they are, for test suites of WebSockets.
    pub echoes: bool,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            in_flight_max: 64,
            websocket_timeout: Duration::from_secs(60),
            frames: websocket::Limits {
                message_bytes_max: 4 << 20,
                overhead_bytes_max: websocket::Limits::OVERHEAD_BYTES_MAX_DEFAULT,
            },
            echoes: false,
        }
    }
}

/// What a connection has more when it is a channel.
#[derive(Debug)]
pub(super) struct Channel {
    framing: Framing,
    /// What its requests are cancelled under.
    token: SessionToken,
    /// What was initialized on it.
    session: Option<OpenSession>,
    /// Its messages that are not answered yet.
    exchanges: Vec<ConnectionKey>,
    /// Calls of it that go on as tasks.
    pub(super) tasks: OwnTasks,
    outbox: Option<Outbox>,
    ending: Option<Ending>,
    /// A process's client has said all it had to.
    is_input_over: bool,
    /// Nothing is read until the client has taken what there is for it.
    is_stalled: bool,
    /// Nothing is read until the calls that have begun were run; messages that were read wait for that.
    is_interrupted: bool,
    /// The other end of a process's input is closed, though not all of it may have been read.
    is_hung_up: bool,
    /// A stream has more than there was room for.
    has_more: bool,
    /// A ping is out that was not answered by anything.
    is_pinged: bool,
}

/// Tasks that were asked for on one channel.
#[derive(Debug, Default)]
pub(super) struct OwnTasks {
    running: u32,
    /// Until when the client may be expected to look at the last that has ended.
    result_until: Option<Instant>,
}

impl OwnTasks {
    pub(super) fn begin(&mut self) {
        self.running += 1;
    }

    fn end(&mut self, result_until: Instant) {
        self.running = self.running.saturating_sub(1);
        self.result_until = Some(result_until);
    }

    /// Whether the client may still come for one of them, though not after `cutoff`.
    fn are_awaited(&self, now: Instant, cutoff: Option<Instant>) -> bool {
        let is_awaited = self.running > 0 || self.result_until.is_some_and(|until| now < until);
        is_awaited && cutoff.is_none_or(|cutoff| now < cutoff)
    }
}

impl Channel {
    fn new(framing: Framing, token: SessionToken) -> Channel {
        Channel {
            framing,
            token,
            session: None,
            exchanges: Vec::new(),
            tasks: OwnTasks::default(),
            outbox: None,
            ending: None,
            is_input_over: false,
            is_stalled: false,
            is_interrupted: false,
            is_hung_up: false,
            has_more: false,
            is_pinged: false,
        }
    }

    /// Whether its bytes are wanted.
    pub(super) fn reads_on(&self) -> bool {
        !self.is_stalled
            && !self.is_interrupted
            && !self.is_input_over
            && self.ending.is_none_or(Ending::reads_on)
    }

    /// Whether it is a pipe, whose other end may take its time.
    pub(super) fn is_patient(&self) -> bool {
        matches!(self.framing, Framing::Lines(_))
    }

    fn facts(&self) -> ChannelFacts {
        ChannelFacts {
            token: self.token,
            session: self.session,
        }
    }

    fn unsent_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, Outbox::len)
    }

    fn forget(&mut self, exchange: ConnectionKey) {
        if let Some(at) = self.exchanges.iter().position(|key| *key == exchange) {
            self.exchanges.swap_remove(at);
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
}

impl Channels {
    pub(super) fn new(shard: ShardId) -> Channels {
        Channels {
            shard,
            begun: 0,
            interrupted: VecDeque::new(),
            unmasked: Vec::new(),
        }
    }

    /// The token of a new channel. Requests that are to be cancelled are found by it, on any shard. No session has it:
    /// theirs are random.
    fn next_token(&mut self) -> SessionToken {
        self.begun += 1;
        let number = u128::from(self.shard.0) << 64 | u128::from(self.begun);
        SessionToken(number.to_be_bytes())
    }

    /// A channel goes on with what was read when the calls that have begun were run.
    fn interrupt(&mut self, key: ConnectionKey, channel: &mut Channel) {
        if !std::mem::replace(&mut channel.is_interrupted, true) {
            self.interrupted.push_back(key);
        }
    }

    /// Whether any channel was interrupted.
    pub(super) fn has_interrupted(&self) -> bool {
        !self.interrupted.is_empty()
    }

    /// The channel that was interrupted first.
    fn first_interrupted(&self) -> Option<ConnectionKey> {
        self.interrupted.front().copied()
    }

    /// The channel that was interrupted first goes on.
    fn resume_first(&mut self) -> Option<ConnectionKey> {
        self.interrupted.pop_front()
    }
}

impl<R: ShardRing> Shard<R> {
    pub(super) fn channel(&mut self, key: ConnectionKey) -> Option<&mut Channel> {
        self.table.connection(key)?.channel.as_deref_mut()
    }

    /// The channel whose message an entry is.
    pub(super) fn parent_of(&mut self, key: ConnectionKey) -> Option<ConnectionKey> {
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
