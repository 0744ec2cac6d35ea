//! The connection table: one entry per open connection, in a slab of slots.
//!
//! An entry is small on purpose: a parked connection costs this entry and an armed receive, and no buffer.
//! A slot is reused only when nothing is in flight on it, and then under a new generation, so a completion
//! that comes late finds nothing.
//!
//! ```text
//!            bytes                 complete work          outcome
//! Open ─────────────────► Open ───────────────► Calling ──────────► Answering ──► Open
//!   │                       │ no handler free      ▲                    │
//!   │                       └──────► Queued ───────┤    │               │
//!   │                                  └─► Moving ─┘    └─► Streaming ──┤
//!   │                                     (another shard's)             │
//!   │ end, deadline, drain                                              │ close
//!   ▼                                                                   ▼
//! Closing (our FIN is out, the rest is read and dropped) ──► Dead (waits for the ring) ──► free
//! ```

use std::ops::Range;
use std::time::Instant;

use crate::pool::{Assembly, HandlerKey, WaitKey};
use crate::ring::ConnectionKey;
use crate::slab::Slab;
use crate::transport::http::{Intake, ResponseContext};

use super::addresses::AddressPlace;
use super::channels::Channel;
use super::streams::OpenStream;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Reading, or parked between requests.
    Open,
    /// Its request waits for a handler; nothing is read.
    Queued(WaitKey),
    /// It is about to move to this shard, which has a handler for it; nothing is read.
    Moving(u16),
    /// A handler works for it; nothing is read.
    Calling(HandlerKey),
    /// A stream is open on it and no call runs: nothing is read.
    Streaming,
    /// An answer, or the end of a stream, is being sent; nothing is read.
    Answering,
    /// Our side is finished; what the peer still sends is read and dropped.
    Closing,
    /// Waits for its last completions, then its descriptor is closed.
    Dead,
}

/// Which deadline a connection is under; each has its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// For the first byte of a request.
    Idle,
    /// For the rest of a head.
    Head,
    /// For the rest of a body.
    Body,
    /// For the peer to take an answer.
    Write,
    /// For the time when a call without an answer gets a stream.
    Answer,
    /// For the time when a silent stream needs a sign of life.
    KeepAlive,
    /// For the peer to close.
    Close,
    /// For the request of a client beyond its address's cap, to be refused when its first bytes come.
    Refusal,
    /// For nothing of the peer's: a call and a wait have deadlines of their own.
    Nothing,
}

/// What an entry of the table stands for.
#[derive(Debug)]
pub(super) enum Link<S> {
    /// A connection of its own.
    Socket(S),
    /// One message of this channel, until it is answered there.
    Exchange(ConnectionKey),
    /// A call that goes on as a task, without whoever asked for it; the channel it was asked for on, if it was.
    Task(Option<ConnectionKey>),
}

impl<S> Link<S> {
    pub(super) fn socket(&self) -> Option<&S> {
        match self {
            Link::Socket(socket) => Some(socket),
            Link::Exchange(_) | Link::Task(_) => None,
        }
    }
}

/// An answer on its way.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// What of the buffer is left to send.
    pub range: Range<usize>,
    /// Heap bytes charged for an outbox.
    pub charged: usize,
    /// Close behind this answer.
    pub closes: bool,
    pub kind: OutgoingKind,
    /// It ends a request that is counted in flight.
    pub is_counted: bool,
}

/// What a connection does once the bytes are with the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum OutgoingKind {
    /// An answer, or its end: the next request, or the end.
    #[default]
    Answer,
    /// Not a final answer: the request goes on being read behind it.
    Interim,
    /// Some of a stream: the stream goes on.
    Stream,
    /// Messages of a channel: it goes on.
    Channel,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection<S> {
    pub link: Link<S>,
    /// Its place among those of its address, if these are capped; moves with it to another shard.
    pub address: Option<AddressPlace>,
    pub state: State,
    pub waiting: Waiting,
    pub is_receiving: bool,
    /// It is to receive once it is its turn to have a ring buffer.
    pub is_starved: bool,
    /// It found no ring buffer the last time: it has bytes, and goes before who has not been passed over.
    pub is_passed_over: bool,
    pub is_watched: bool,
    pub is_sending: bool,
    /// Cancels the ring has not answered yet.
    pub cancels: u8,
    /// The client has finished sending, and may still read.
    pub is_half_closed: bool,
    /// No request was read from it yet.
    pub is_fresh: bool,
    /// The request in hand has an `Origin`.
    pub is_browser: bool,
    /// What the request in hand says of how it is answered.
    pub response: ResponseContext,
    /// Bytes read and dropped while closing.
    pub dropped_bytes: u32,
    /// How long the request in hand has waited for a handler and a worker.
    pub waited_micros: u32,
    pub intake: Intake,
    pub assembly: Option<Box<Assembly>>,
    /// The handler that lingers with it.
    pub held: Option<HandlerKey>,
    /// The stream that is open on it.
    pub stream: Option<Box<OpenStream>>,
    /// Messages both ways, once it has been made a channel.
    pub channel: Option<Box<Channel>>,
    pub outgoing: Outgoing,
    /// When the current phase (head, body, wait, write) began.
    pub phase_began: Instant,
    /// When the current request's first byte came.
    pub request_at: Instant,
}

impl<S> Connection<S> {
    fn new(link: Link<S>, address: Option<AddressPlace>, now: Instant) -> Connection<S> {
        Connection {
            link,
            address,
            state: State::Open,
            waiting: Waiting::Idle,
            is_receiving: false,
            is_starved: false,
            is_passed_over: false,
            is_watched: false,
            is_sending: false,
            cancels: 0,
            is_half_closed: false,
            is_fresh: true,
            is_browser: false,
            response: ResponseContext::default(),
            dropped_bytes: 0,
            waited_micros: 0,
            intake: Intake::default(),
            assembly: None,
            held: None,
            stream: None,
            channel: None,
            outgoing: Outgoing::default(),
            phase_began: now,
            request_at: now,
        }
    }

    /// The channel whose message it is.
    pub(super) fn parent(&self) -> Option<ConnectionKey> {
        match self.link {
            Link::Exchange(parent) => Some(parent),
            Link::Socket(_) | Link::Task(_) => None,
        }
    }

    /// Whether the ring still owes a completion that names this connection.
    pub(super) fn is_in_flight(&self) -> bool {
        self.is_receiving || self.is_watched || self.is_sending || self.cancels > 0
    }

    /// Whether a receive may be armed. One that found no buffer may be asked for again long after: by then a
    /// call may run, behind which nothing is read.
    pub(super) fn reads_on(&self) -> bool {
        match self.state {
            State::Open => match &self.channel {
                Some(channel) => channel.reads_on(),
                None => !self.is_sending,
            },
            State::Answering => self.assembly.is_none(),
            State::Closing => true,
            State::Queued(_) | State::Moving(_) | State::Calling(_) | State::Streaming | State::Dead => false,
        }
    }

    /// Open, with no answer on its way: what it has sent is of the next request.
    pub(super) fn is_between_answers(&self) -> bool {
        self.state == State::Open && !self.is_sending
    }

    /// Open, with no byte of a request.
    pub(super) fn is_parked(&self) -> bool {
        self.state == State::Open && self.assembly.is_none() && self.channel.is_none()
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "most slots are live, and boxes would be allocated one by one"
)]
enum Slot<S> {
    Live(Connection<S>),
    /// The descriptor is with the ring to be closed; until then it counts.
    Closing(Option<AddressPlace>),
}

/// The connections, by their keys.
pub(super) struct Table<S> {
    slots: Slab<ConnectionKey, Slot<S>>,
}

impl<S> Table<S> {
    pub(super) fn new() -> Table<S> {
        Table {
            slots: Slab::default(),
        }
    }

    /// Enters a connection, or a message of a channel.
    ///
    /// # Panics
    /// With as many connections as slots can be numbered, which no process has descriptors for.
    pub(super) fn insert(
        &mut self,
        link: Link<S>,
        address: Option<AddressPlace>,
        now: Instant,
    ) -> ConnectionKey {
        let connection = Slot::Live(Connection::new(link, address, now));
        match self.slots.insert(connection) {
            Ok(key) => key,
            Err(_) => panic!("{} connections at once", self.slots.len()),
        }
    }

    /// The connection a key names, while it is in the table.
    pub(super) fn at(&mut self, key: ConnectionKey) -> Option<&mut Connection<S>> {
        match self.slots.get_mut(key)? {
            Slot::Live(connection) => Some(connection),
            Slot::Closing(_) => None,
        }
    }

    /// The key of whatever connection is in a slot.
    pub(super) fn key_at(&self, slot: u32) -> Option<ConnectionKey> {
        let key = self.slots.key_at(slot)?;
        matches!(self.slots.get(key), Some(Slot::Live(_))).then_some(key)
    }

    /// Takes a connection out whose descriptor is to be closed: the slot keeps what is counted until [`Table::free`].
    pub(super) fn remove_to_close(&mut self, key: ConnectionKey) -> Option<S> {
        let slot = self.slots.get_mut(key)?;
        let Slot::Live(connection) = slot else { return None };
        if connection.link.socket().is_none() {
            self.slots.remove(key);
            return None;
        }
        let closing = Slot::Closing(connection.address.take());
        match std::mem::replace(slot, closing) {
            Slot::Live(Connection {
                link: Link::Socket(socket),
                ..
            }) => Some(socket),
            Slot::Live(_) | Slot::Closing(_) => None,
        }
    }

    /// The descriptor is closed: the slot may be used again, under a new generation. Gives what was counted.
    pub(super) fn free(&mut self, key: ConnectionKey) -> Option<AddressPlace> {
        match self.slots.get(key)? {
            Slot::Closing(_) => {}
            Slot::Live(_) => return None,
        }
        match self.slots.remove(key)? {
            Slot::Closing(address) => address,
            Slot::Live(_) => None,
        }
    }

    /// Takes a connection out that lives on elsewhere: its slot is free at once. Nothing is in flight on it.
    pub(super) fn release(&mut self, key: ConnectionKey) -> Option<Connection<S>> {
        let connection = self.at(key)?;
        debug_assert!(
            !connection.is_in_flight(),
            "{key:?} moves while the ring still names it"
        );
        match self.slots.remove(key)? {
            Slot::Live(connection) => Some(connection),
            Slot::Closing(_) => None,
        }
    }

    /// Descriptors held, those being closed included.
    pub(super) fn open(&self) -> usize {
        self.slots.len() as usize
    }

    /// Keys of the connections in the table, in slot order.
    pub(super) fn keys(&self) -> impl Iterator<Item = ConnectionKey> + '_ {
        let live = self.slots.iter();
        live.filter_map(|(key, slot)| matches!(slot, Slot::Live(_)).then_some(key))
    }
}
