//! A connection with a socket of its own: HTTP, a WebSocket, an event stream of HTTP+SSE, or a process's pipes.
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

use crate::pool::{HandlerKey, WaitKey};
use crate::ring::{DataRing, Peer};
use crate::shard::acceptor::AddressPlace;
use crate::shard::channels::Channel;
use crate::transport::http::{Intake, Persistence, ResponseContext};

use super::Request;

/// What a closing connection may still send us before we stop listening: enough for what was on its way.
const DROPPED_BYTES_MAX: u32 = 1 << 20;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum State {
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
pub(in crate::shard) enum Waiting {
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

/// What the ring has been asked for on a connection, or is to be asked for.
#[derive(Debug, Default)]
pub(in crate::shard) struct RingState {
    pub is_receiving: bool,
    /// It is to receive once it is its turn to have a ring buffer.
    pub is_starved: bool,
    /// It found no ring buffer the last time: it has bytes, and goes before connections that have not been passed over.
    pub is_passed_over: bool,
    /// Its hang-up is watched for.
    pub is_watched: bool,
    /// Something is being sent, or the next piece of it is about to be.
    pub is_sending: bool,
    /// Cancels the ring has not answered yet.
    pub cancels: u8,
}

impl RingState {
    /// Whether the ring still owes a completion that names the connection.
    pub(in crate::shard) fn is_in_flight(&self) -> bool {
        self.is_receiving || self.is_watched || self.is_sending || self.cancels > 0
    }
}

/// An answer on its way.
#[derive(Debug, Default)]
pub(in crate::shard) struct Outgoing {
    /// What of the buffer is left to send.
    pub range: Range<usize>,
    /// How many bytes of it the ring was given at once.
    pub offered: u32,
    /// Heap bytes charged for an outbox.
    pub charged: usize,
    /// Close behind this answer.
    pub closes: bool,
    pub kind: OutgoingKind,
    /// It ends a request that is counted in flight.
    pub is_counted: bool,
    /// Behind what is in the buffer comes more, which is not written yet.
    pub has_text: bool,
}

/// What a connection does once the bytes are with the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::shard) enum OutgoingKind {
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
pub(in crate::shard) struct Connection<S> {
    pub socket: S,
    /// Who is at the other end, once a call was to know; `None` inside if that cannot be known. It is on the heap,
    /// since most idle connections have made no call yet.
    peer: Option<Box<Option<Peer>>>,
    /// Its place among those of its address, if these are capped; moves with it to another shard.
    pub address: Option<AddressPlace>,
    pub state: State,
    pub waiting: Waiting,
    pub ring: RingState,
    pub request: Request,
    /// How the request in progress is to be answered.
    pub response: ResponseContext,
    pub outgoing: Outgoing,
    pub intake: Intake,
    /// The handler that lingers with it.
    pub held: Option<HandlerKey>,
    /// Messages both ways, once it has been made a channel.
    pub channel: Option<Box<Channel>>,
    /// The client has finished sending, and may still read.
    pub is_half_closed: bool,
    /// No request was read from it yet.
    pub is_fresh: bool,
    /// Bytes read and dropped while closing.
    dropped_bytes: u32,
}

impl<S> Connection<S> {
    pub(super) fn new(socket: S, address: Option<AddressPlace>, now: Instant) -> Connection<S> {
        Connection {
            socket,
            peer: None,
            address,
            state: State::Open,
            waiting: Waiting::Idle,
            ring: RingState::default(),
            request: Request::new(now),
            response: ResponseContext::default(),
            outgoing: Outgoing::default(),
            intake: Intake::default(),
            held: None,
            channel: None,
            is_half_closed: false,
            is_fresh: true,
            dropped_bytes: 0,
        }
    }

    /// Who is at the other end. The system is asked once.
    #[inline]
    pub(in crate::shard) fn peer<R: DataRing<Socket = S>>(&mut self, ring: &R) -> Option<Peer> {
        match &self.peer {
            Some(known) => **known,
            None => self.ask_for_peer(ring),
        }
    }

    #[cold]
    fn ask_for_peer<R: DataRing<Socket = S>>(&mut self, ring: &R) -> Option<Peer> {
        let peer = ring.peer(&self.socket).ok();
        self.peer = Some(Box::new(peer));
        peer
    }

    /// Whether a receive may be armed. One that found no buffer may be asked for again long after: by then a
    /// call may run, behind which nothing is read.
    pub(in crate::shard) fn reads_on(&self) -> bool {
        match self.state {
            State::Open => match &self.channel {
                Some(channel) => channel.reads_on(),
                None => !self.ring.is_sending,
            },
            State::Answering => self.request.assembly.is_none(),
            State::Closing => true,
            State::Queued(_) | State::Moving(_) | State::Calling(_) | State::Streaming | State::Dead => false,
        }
    }

    /// Its client has finished sending and may still read; `unread_bytes` of it wait in the kernel. What it has sent is
    /// answered, and the answer in hand says that it is the last if nothing came behind its request.
    pub(in crate::shard) fn on_half_closed(&mut self, unread_bytes: usize) {
        self.is_half_closed = true;
        // A receive that is armed may have taken bytes that are still to be handled.
        let has_more = unread_bytes > 0 || self.request.assembly.is_some() || self.ring.is_receiving;
        if !has_more {
            self.response.persistence = Persistence::Close;
        }
    }

    /// Drops so many bytes that came while it closes; false if they are more than a client can have had on its way.
    pub(in crate::shard) fn drop_bytes(&mut self, count: usize) -> bool {
        self.dropped_bytes = self.dropped_bytes.saturating_add(count as u32);
        self.dropped_bytes <= DROPPED_BYTES_MAX
    }

    /// Bytes that the client of a channel has not taken, or not been offered.
    pub(in crate::shard) fn unsent_bytes(&self) -> usize {
        let waiting = self.channel.as_ref().map_or(0, |channel| channel.unsent_bytes());
        waiting + self.outgoing.range.len()
    }

    /// Whether it is a pipe, whose other end may take its time.
    pub(in crate::shard) fn is_patient(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| channel.is_patient())
    }

    /// Open, with no answer on its way: what it has sent is of the next request.
    pub(in crate::shard) fn is_between_answers(&self) -> bool {
        self.state == State::Open && !self.ring.is_sending
    }

    /// Open, with a request that is not there yet, and no answer on its way. A channel has deadlines of its own.
    pub(in crate::shard) fn is_incomplete(&self) -> bool {
        self.is_between_answers() && self.request.assembly.is_some() && self.channel.is_none()
    }

    /// Open, with no byte of a request.
    pub(in crate::shard) fn is_parked(&self) -> bool {
        self.state == State::Open && self.request.assembly.is_none() && self.channel.is_none()
    }
}
