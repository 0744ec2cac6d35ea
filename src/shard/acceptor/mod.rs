//! New connections: from the listeners' queues into the table, as far as the caps let them.
//!
//! The ring only tells that connections wait. One is taken from the queue when it has a place, so the cap is exact,
//! and connections without a place stay in the kernel's backlog until others are closed. Few are taken at a time, so
//! that a flood of new connections does not hold up those that are open. Out of descriptors or memory, accepting pauses
//! instead of spinning. No descriptor is kept in reserve for a refusal then: to be read, a refusal must linger, so one
//! descriptor would refuse a client every other second, while those that wait are served as soon as there are
//! descriptors again.
//!
//! ```text
//! Closed ─ opened ─► Watching ─ ready ─► take, take, … ─ queue empty ─► Watching
//!     no place ─► Full ─ told ─► take …            failed ─► Paused ─ a moment ─► Watching
//! drain: any ─► Stopping ─ watch over ─► Emptying ─ queue empty ─► Over (the listener is closed)
//! ```

mod addresses;
mod connection_cap;
mod spread;
mod unix_peers;

use std::io;
use std::time::{Duration, Instant};

use crate::metrics::ShardMetrics;
use crate::ring::AcceptOutage;

use super::shard_ring::ShardRing;
use addresses::AddressVerdict;

pub(super) use addresses::AddressPlace;
pub use connection_cap::ConnectionCap;
pub(super) use connection_cap::ShardCap;
pub(super) use spread::{Deliver, ShardSpread};
pub use spread::{Newcomer, Spread};
use unix_peers::UnixPeerRule;
pub use unix_peers::UnixPeers;

/// Connections taken before anybody else's bytes are looked at: no more than the requests that one pass over the ring
/// brings, so that newcomers get at most half of the time.
const ACCEPTS_PER_LOOK_MAX: usize = 16;
/// How long accepting pauses when descriptors or memory for it ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// In the log, whose accepts fail.
const LISTENER: &str = "mcp";

/// Where accepting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody is let in yet.
    Closed,
    /// The ring tells when a connection waits.
    Watching,
    /// Connections may wait, and there is no place: the shard that frees one tells this one.
    Full,
    /// Descriptors or memory ran out, until this moment.
    Paused(Instant),
    /// The watch is being cancelled.
    Stopping,
    /// No connection joins the queue any more; what is left of it is taken.
    Emptying,
    /// The listener is closed.
    Over,
}

/// Something that accepting may go on with.
#[derive(Debug)]
pub(super) enum AcceptEvent<'a> {
    /// A connection waits in the listener's queue.
    Ready,
    /// The listener cannot be watched.
    Failed(&'a io::Error),
    /// The watch is cancelled.
    Stopped,
    /// A place is free, here or in the process.
    PlaceFree,
    /// Time has passed.
    Tick,
}

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is served, with its place among those of its client, if these are capped.
    Serve(Option<AddressPlace>),
    /// Its client has too many, and is told.
    Refuse(AddressPlace),
    /// Too many of its client's connections are being told already.
    RejectAddress,
    /// Its process is not one to be served.
    RejectPeer,
}

/// A shard's accepting.
pub(super) struct Acceptor<S> {
    state: State,
    cap: ShardCap,
    spread: ShardSpread<S>,
    unix_peers: UnixPeerRule,
    outage: AcceptOutage,
    /// Connections that may still be taken in this look.
    looks: usize,
}

impl<S> Acceptor<S> {
    /// Nobody is let in until it is opened.
    pub(super) fn new(cap: ShardCap, spread: ShardSpread<S>, unix_peers: UnixPeers) -> Acceptor<S> {
        Acceptor {
            state: State::Closed,
            cap,
            spread,
            unix_peers: UnixPeerRule::new(unix_peers),
            outage: AcceptOutage::default(),
            looks: 0,
        }
    }

    /// Begins to watch the listeners, unless it is to stop already.
    pub(super) fn open<R: ShardRing>(&mut self, ring: &mut R) {
        if self.state == State::Closed {
            self.watch(ring);
        }
    }

    /// There is no listener, but one connection, which takes its place now.
    pub(super) fn close_for_one(&mut self) {
        self.state = State::Over;
        let has_place = self.cap.try_enter();
        debug_assert!(has_place, "the only connection has a place");
        self.spread.on_held();
    }

    /// Whether the listener is closed, with no connection left in it.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether it waits until descriptors or memory may be free again.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused(_))
    }

    /// Whether connections are to be taken now, as [`Acceptor::next`] gives them.
    pub(super) fn handle<R: ShardRing>(
        &mut self,
        event: &AcceptEvent<'_>,
        ring: &mut R,
        metrics: &ShardMetrics,
        now: Instant,
    ) -> bool {
        if let AcceptEvent::Tick = event {
            self.outage.tell_end(LISTENER, now);
        }
        let takes = match (event, self.state) {
            (AcceptEvent::Ready, State::Watching) | (AcceptEvent::Tick, State::Emptying) => true,
            (AcceptEvent::Stopped, State::Stopping) => {
                self.state = State::Emptying;
                true
            }
            (AcceptEvent::PlaceFree | AcceptEvent::Tick, State::Full) => !self.cap.is_waiting(),
            (AcceptEvent::Failed(error), State::Watching) => {
                self.pause(error, metrics, now);
                false
            }
            (AcceptEvent::Tick, State::Paused(until)) if now >= until => {
                self.watch(ring);
                false
            }
            _ => false,
        };
        if takes {
            self.cap.stop_waiting();
            self.looks = ACCEPTS_PER_LOOK_MAX;
        }
        takes
    }

    /// Takes the next connection from the queue, with a place. There is none once no place or no connection is left, or
    /// a look's worth was taken: then a new watch tells at once of those that still wait, behind what else there is to
    /// do.
    pub(super) fn next<R: ShardRing>(
        &mut self,
        ring: &mut R,
        metrics: &ShardMetrics,
        now: Instant,
    ) -> Option<R::Socket> {
        if self.looks == 0 {
            self.watch_unless_emptying(ring);
            return None;
        }
        self.looks -= 1;
        if !self.cap.try_enter() && !self.cap.await_place() {
            if self.state != State::Emptying {
                self.state = State::Full;
            }
            return None;
        }
        match ring.accept_now() {
            Ok(Some(socket)) => Some(socket),
            Ok(None) => {
                self.cap.leave(None);
                self.on_queue_empty(ring);
                None
            }
            Err(error) => {
                self.cap.leave(None);
                self.pause(&error, metrics, now);
                None
            }
        }
    }

    /// What becomes of a connection that has its place in the process.
    pub(super) fn verdict<R: ShardRing>(&mut self, ring: &R, socket: &R::Socket, now: Instant) -> Verdict {
        let addresses = self.cap.addresses();
        if addresses.is_none() && !self.unix_peers.is_needed() {
            return Verdict::Serve(None);
        }
        // A client of the internet that is gone already has no address.
        let peer = ring.peer(socket).ok();
        if !self.unix_peers.serves(peer.as_ref()) {
            self.unix_peers.on_refused(peer.as_ref(), now);
            return Verdict::RejectPeer;
        }
        match addresses.zip(peer).map(|(addresses, peer)| addresses.enter(peer)) {
            None => Verdict::Serve(None),
            Some(AddressVerdict::Serve(place)) => Verdict::Serve(Some(place)),
            Some(AddressVerdict::Refuse(place)) => Verdict::Refuse(place),
            Some(AddressVerdict::Reject) => Verdict::RejectAddress,
        }
    }

    /// Keeps a connection that is to be served, or hands it over to a shard with fewer if it came to a socket that all
    /// shards share. Then there is nothing left to do for it here. A shard that drains keeps what it takes.
    pub(super) fn keep_or_hand_over<R: ShardRing<Socket = S>>(
        &self,
        ring: &R,
        socket: S,
        address: Option<AddressPlace>,
    ) -> Option<Newcomer<S>> {
        let mut newcomer = Newcomer { socket, address };
        let is_serving = matches!(self.state, State::Watching | State::Full);
        if is_serving
            && ring.is_shared(&newcomer.socket)
            && let Some(target) = self.spread.lighter()
        {
            newcomer = self.spread.send(target, newcomer).err()?;
        }
        self.spread.on_held();
        Some(newcomer)
    }

    /// Keeps a connection that is not to be served: it ends where it was accepted.
    pub(super) fn keep(&self, socket: S, address: Option<AddressPlace>) -> Newcomer<S> {
        self.spread.on_held();
        Newcomer { socket, address }
    }

    /// A connection that another shard has handed over has come.
    pub(super) fn on_handed_over(&self) {
        self.spread.on_arrived();
    }

    /// A connection comes with a request that waited elsewhere.
    pub(super) fn on_moved_in(&self) {
        self.spread.on_held();
    }

    /// A connection leaves with a request that waited here.
    pub(super) fn on_moved_out(&self) {
        self.spread.on_gone();
    }

    /// Whether nothing is on its way here, and from now on nothing will be.
    pub(super) fn retire(&self) -> bool {
        self.spread.retire()
    }

    /// A connection that was let in is closed: its place is free, and the descriptor that was missing may be.
    pub(super) fn on_closed<R: ShardRing>(&mut self, ring: &mut R, address: Option<AddressPlace>) {
        self.spread.on_gone();
        self.cap.leave(address);
        if self.is_paused() {
            self.watch(ring);
        }
    }

    /// Begins to stop: no more is taken than is queued by now. Once.
    pub(super) fn stop<R: ShardRing>(&mut self, ring: &mut R) {
        if !matches!(self.state, State::Stopping | State::Emptying | State::Over) {
            self.state = State::Stopping;
            ring.refuse_on_unix();
            ring.unwatch_listener();
        }
    }

    fn watch<R: ShardRing>(&mut self, ring: &mut R) {
        self.state = State::Watching;
        ring.watch_listener();
    }

    fn watch_unless_emptying<R: ShardRing>(&mut self, ring: &mut R) {
        if self.state != State::Emptying {
            self.watch(ring);
        }
    }

    fn on_queue_empty<R: ShardRing>(&mut self, ring: &mut R) {
        if self.state == State::Emptying {
            self.state = State::Over;
            ring.close_listener();
        } else {
            self.watch(ring);
        }
    }

    /// Out of descriptors, most likely. A shard that drains tries again at its next tick.
    fn pause(&mut self, error: &io::Error, metrics: &ShardMetrics, now: Instant) {
        metrics.accept_failures.increment();
        self.outage.on_failure(LISTENER, error, now);
        if self.state != State::Emptying {
            self.state = State::Paused(now + ACCEPT_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::ToolLabels;
    use crate::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedRing, SimulatedSocket};
    use crate::ring::{Completion, DataRing, RingOptions};
    use crate::units::ShardId;

    /// One acceptor, of a process that may have `connections_max` connections.
    struct Rig {
        network: SimulatedNetwork,
        ring: SimulatedRing,
        acceptor: Acceptor<SimulatedSocket>,
        metrics: Arc<ShardMetrics>,
        now: Instant,
        peers: Vec<SimulatedPeer>,
    }

    impl Rig {
        fn new(connections_max: usize) -> Rig {
            let network = SimulatedNetwork::new(7);
            let ring = network.ring(RingOptions::default());
            let acceptor = Acceptor::new(
                ConnectionCap::new(connections_max, None, 1).join(Box::new(|| ())),
                ShardSpread::join(Spread::new(1), ShardId(0), Box::new(|_| ())),
                UnixPeers::Any,
            );
            Rig {
                network,
                acceptor: Acceptor {
                    state: State::Watching,
                    ..acceptor
                },
                ring,
                metrics: ShardMetrics::new(ShardId(0), &ToolLabels::new([], 0)),
                now: Instant::now(),
                peers: Vec::new(),
            }
        }

        fn connect(&mut self, count: usize) {
            for _ in 0..count {
                self.peers.push(self.network.connect(0));
            }
        }

        /// The connections that are taken because of this.
        fn handle(&mut self, event: &AcceptEvent<'_>) -> Vec<SimulatedSocket> {
            let mut taken = Vec::new();
            let (ring, metrics) = (&mut self.ring, &self.metrics);
            if self.acceptor.handle(event, ring, metrics, self.now) {
                while let Some(socket) = self.acceptor.next(ring, metrics, self.now) {
                    let kept = self.acceptor.keep_or_hand_over(ring, socket, None);
                    taken.extend(kept.map(|newcomer| newcomer.socket));
                }
            }
            taken
        }

        /// What the ring has to say, if anything.
        fn completion(&mut self) -> Option<Completion> {
            self.ring.flush().unwrap();
            self.ring.next_completion()
        }
    }

    #[test]
    fn a_closed_acceptor_is_opened_once_and_not_when_it_stops() {
        let mut rig = Rig::new(100);
        rig.acceptor.state = State::Closed;
        rig.connect(1);
        assert!(rig.completion().is_none(), "nobody watches");
        for event in [AcceptEvent::Ready, AcceptEvent::PlaceFree, AcceptEvent::Tick] {
            assert!(rig.handle(&event).is_empty());
        }
        rig.acceptor.open(&mut rig.ring);
        rig.acceptor.open(&mut rig.ring);
        assert!(matches!(rig.completion(), Some(Completion::AcceptReady)));
        let mut stopped = Rig::new(100);
        stopped.acceptor.state = State::Closed;
        stopped.acceptor.stop(&mut stopped.ring);
        stopped.acceptor.open(&mut stopped.ring);
        stopped.connect(1);
        assert!(matches!(stopped.completion(), Some(Completion::AcceptStopped)));
        assert_eq!(stopped.handle(&AcceptEvent::Stopped).len(), 1);
        assert!(stopped.acceptor.is_over());
    }

    #[test]
    fn few_are_taken_in_one_look_and_the_rest_with_the_next() {
        let mut rig = Rig::new(100);
        rig.ring.watch_listener();
        rig.connect(ACCEPTS_PER_LOOK_MAX + 2);
        assert!(matches!(rig.completion(), Some(Completion::AcceptReady)));
        let first = rig.handle(&AcceptEvent::Ready);
        assert_eq!(first.len(), ACCEPTS_PER_LOOK_MAX);
        assert!(matches!(rig.completion(), Some(Completion::AcceptReady)));
        assert_eq!(rig.handle(&AcceptEvent::Ready).len(), 2);
        assert!(rig.completion().is_none(), "nobody is left");
    }

    #[test]
    fn without_a_place_connections_wait_in_the_backlog() {
        let mut rig = Rig::new(1);
        rig.connect(2);
        assert_eq!(rig.handle(&AcceptEvent::Ready).len(), 1);
        assert!(rig.handle(&AcceptEvent::Tick).is_empty());
        assert!(
            rig.handle(&AcceptEvent::Ready).is_empty(),
            "the listener is not watched meanwhile"
        );
        rig.acceptor.on_closed(&mut rig.ring, None);
        assert_eq!(rig.handle(&AcceptEvent::PlaceFree).len(), 1);
    }

    #[test]
    fn a_failure_pauses_accepting_until_its_time_or_until_somebody_leaves() {
        let mut rig = Rig::new(2);
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        assert!(rig.handle(&AcceptEvent::Failed(&error)).is_empty());
        assert!(rig.acceptor.is_paused());
        assert_eq!(rig.metrics.accept_failures.value(), 1);
        rig.connect(1);
        assert!(rig.handle(&AcceptEvent::Ready).is_empty(), "it is paused");
        rig.handle(&AcceptEvent::Tick);
        assert!(rig.acceptor.is_paused());
        rig.now += ACCEPT_PAUSE;
        rig.handle(&AcceptEvent::Tick);
        assert!(!rig.acceptor.is_paused());
        assert!(matches!(rig.completion(), Some(Completion::AcceptReady)));
        assert_eq!(rig.handle(&AcceptEvent::Ready).len(), 1);
        rig.connect(1);
        assert!(matches!(rig.completion(), Some(Completion::AcceptReady)));
        rig.handle(&AcceptEvent::Failed(&error));
        rig.acceptor.on_closed(&mut rig.ring, None);
        assert!(!rig.acceptor.is_paused(), "a descriptor is free");
    }

    #[test]
    fn an_acceptor_that_stops_takes_whoever_is_queued() {
        let mut rig = Rig::new(1);
        rig.ring.watch_listener();
        rig.connect(2);
        rig.acceptor.stop(&mut rig.ring);
        assert!(rig.handle(&AcceptEvent::Ready).is_empty(), "it is stopping");
        assert_eq!(rig.handle(&AcceptEvent::Stopped).len(), 1);
        assert!(!rig.acceptor.is_over(), "one is queued, and has no place");
        rig.acceptor.on_closed(&mut rig.ring, None);
        assert_eq!(rig.handle(&AcceptEvent::Tick).len(), 1);
        rig.acceptor.on_closed(&mut rig.ring, None);
        assert!(rig.handle(&AcceptEvent::Tick).is_empty());
        assert!(rig.acceptor.is_over());
    }
}
