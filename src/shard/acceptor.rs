//! New connections: from the listener's queue into the table, as far as the gate lets them.
//!
//! The ring only tells that somebody waits. A connection is taken from the queue when it has a place, so the
//! cap is exact and whoever has none stays in the kernel's backlog until others leave; and few are taken at a
//! time, so that a flood of newcomers does not hold up who is here. Out of descriptors or memory, accepting
//! pauses instead of spinning. No descriptor is kept in reserve for a refusal then: to be read, a refusal
//! must linger, so one descriptor would refuse a client every other second, while those that wait are
//! served as soon as there are descriptors again.
//!
//! ```text
//! Watching ─ ready ─► take, take, … ─ queue empty ─► Watching
//!     no place ─► Full ─ called ─► take …          failed ─► Paused ─ a moment ─► Watching
//! drain: any ─► Stopping ─ watch over ─► Emptying ─ queue empty ─► Over (the listener is closed)
//! ```

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::mcp::OverloadReason;
use crate::ring::simulated::SimulatedRing;
use crate::ring::{AcceptOutage, ConnectionKey, DataRing, KernelRing};
use crate::timers::TimerKind;

use super::Shard;
use super::addresses::{AddressPlace, Admission};
use super::connections::Waiting;
use super::gate::ShardGate;

/// Connections taken before anybody else's bytes are looked at: no more than the requests that one pass over the ring
/// brings, so that newcomers get at most half of the time.
const ACCEPTS_PER_LOOK_MAX: usize = 16;
/// How long accepting pauses when descriptors or memory for it ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a client beyond its address's cap may take to send what is then refused. A refusal of a request
/// is understood; one that comes before it looks like a broken connection to some clients.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(250);
/// In the log, whose accepts fail.
const LISTENER: &str = "mcp";

/// What a shard needs of its ring beyond moving bytes: ending the listening without losing anyone.
pub trait ShardRing: DataRing {
    /// Closes the listener, which is not watched any more. Who is still queued in it is reset.
    fn close_listener(&mut self);
}

impl ShardRing for KernelRing {
    fn close_listener(&mut self) {
        drop(self.take_listener());
    }
}

impl ShardRing for SimulatedRing {
    fn close_listener(&mut self) {}
}

/// Where accepting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The ring tells when somebody waits.
    Watching,
    /// Somebody may wait, and there is no place: whoever leaves calls.
    Full,
    /// Descriptors or memory ran out, until this moment.
    Paused(Instant),
    /// The watch is being cancelled.
    Stopping,
    /// Nobody joins the queue any more; what is left of it is taken.
    Emptying,
    /// The listener is closed.
    Over,
}

/// A shard's accepting.
pub(super) struct Acceptor {
    state: State,
    gate: ShardGate,
    outage: AcceptOutage,
}

impl Acceptor {
    /// The listener is to be watched from now on, which is the caller's to begin.
    pub(super) fn new(gate: ShardGate) -> Acceptor {
        Acceptor {
            state: State::Watching,
            gate,
            outage: AcceptOutage::default(),
        }
    }

    /// There is no listener.
    pub(super) fn close(&mut self) {
        self.state = State::Over;
    }

    /// The listener is closed, and nobody was left in it.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// A moment is waited for.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused(_))
    }
}

impl<R: ShardRing> Shard<R> {
    pub(super) fn handle_accept_ready(&mut self) {
        if self.acceptor.state == State::Watching {
            self.accept_waiting();
        }
    }

    pub(super) fn handle_accept_failed(&mut self, error: &io::Error) {
        if self.acceptor.state == State::Watching {
            self.pause_accept(error);
        }
    }

    /// The drain's cancel is done.
    pub(super) fn handle_accept_stopped(&mut self) {
        if self.acceptor.state == State::Stopping {
            self.acceptor.state = State::Emptying;
            self.accept_waiting();
        }
    }

    /// Goes on if a place came free; called when the shard was woken.
    pub(super) fn look_for_place(&mut self) {
        if self.acceptor.state == State::Full && !self.acceptor.gate.is_waiting() {
            self.accept_waiting();
        }
    }

    /// What time brings.
    pub(super) fn tick_accept(&mut self) {
        self.acceptor.outage.tell_end(LISTENER, self.clock.now);
        match self.acceptor.state {
            State::Paused(until) if self.clock.now >= until => self.watch_listener(),
            State::Emptying => self.accept_waiting(),
            _ => self.look_for_place(),
        }
    }

    /// Begins to stop: no more is taken than is queued by now. Once.
    pub(super) fn stop_accept(&mut self) {
        if !matches!(
            self.acceptor.state,
            State::Stopping | State::Emptying | State::Over
        ) {
            self.acceptor.state = State::Stopping;
            self.ring.unwatch_listener();
        }
    }

    /// A connection that was let in is closed: its place is free, and the descriptor that was missing may be.
    pub(super) fn on_left(&mut self, address: Option<AddressPlace>) {
        self.acceptor.gate.leave(address);
        if self.acceptor.is_paused() {
            self.watch_listener();
        }
    }

    fn watch_listener(&mut self) {
        self.acceptor.state = State::Watching;
        self.ring.watch_listener();
    }

    /// Takes who waits, a few at a time, each with a place.
    fn accept_waiting(&mut self) {
        self.acceptor.gate.stop_waiting();
        for _ in 0..ACCEPTS_PER_LOOK_MAX {
            let gate = &self.acceptor.gate;
            if !gate.try_enter() && !gate.await_place() {
                return self.on_no_place();
            }
            match self.ring.accept_now() {
                Ok(Some(socket)) => self.admit(socket),
                Ok(None) => {
                    self.acceptor.gate.leave(None);
                    return self.on_queue_empty();
                }
                Err(error) => {
                    self.acceptor.gate.leave(None);
                    return self.pause_accept(&error);
                }
            }
        }
        // Who still waits is told of at once by a new watch, behind what else there is to do.
        if self.acceptor.state != State::Emptying {
            self.watch_listener();
        }
    }

    fn on_no_place(&mut self) {
        if self.acceptor.state != State::Emptying {
            self.acceptor.state = State::Full;
        }
    }

    fn on_queue_empty(&mut self) {
        if self.acceptor.state == State::Emptying {
            self.acceptor.state = State::Over;
            self.ring.close_listener();
        } else {
            self.watch_listener();
        }
    }

    /// Out of descriptors, most likely. A shard that drains tries again at its next tick.
    fn pause_accept(&mut self, error: &io::Error) {
        self.metrics.accept_failures.increment();
        self.acceptor.outage.on_failure(LISTENER, error, self.clock.now);
        if self.acceptor.state != State::Emptying {
            self.acceptor.state = State::Paused(self.clock.now + ACCEPT_PAUSE);
        }
    }

    /// Serves the one client of a process that has no listener.
    pub(super) fn serve_stdio(&mut self, pipes: R::Socket) {
        self.acceptor.close();
        let has_place = self.acceptor.gate.try_enter();
        debug_assert!(has_place, "the only connection has a place");
        self.metrics.on_accepted();
        let key = self.table.insert_connection(pipes, None, self.clock.now);
        self.clock.timers.reserve(TimerKind::Connection, key.slot + 1);
        self.open_stdio(key);
    }

    /// Enters a connection that has its place.
    fn admit(&mut self, socket: R::Socket) {
        self.metrics.on_accepted();
        let admission = self.admission(&socket);
        let (address, is_refused, is_turned_away) = match admission {
            None => (None, false, false),
            Some(Admission::Serve(place)) => (Some(place), false, false),
            Some(Admission::Refuse(place)) => (Some(place), true, false),
            Some(Admission::TurnAway) => (None, false, true),
        };
        let key = self.table.insert_connection(socket, address, self.clock.now);
        self.clock.timers.reserve(TimerKind::Connection, key.slot + 1);
        if is_turned_away {
            self.metrics.refusals.increment(OverloadReason::Connections);
            return self.abort(key);
        }
        self.arm_receive(key);
        if is_refused {
            self.await_refusal(key);
        } else {
            self.set_read_deadline(key);
        }
    }

    /// What its address's cap has to say of a connection, if there is one. Without an address it is gone already.
    fn admission(&self, socket: &R::Socket) -> Option<Admission> {
        let addresses = self.acceptor.gate.addresses()?;
        let address: IpAddr = self.ring.peer_address(socket).ok()?.ip();
        Some(addresses.enter(address))
    }

    fn await_refusal(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key) {
            connection.waiting = Waiting::Refusal;
        }
        self.set_deadline(key, self.clock.now + REFUSAL_PATIENCE);
    }

    /// Tells a client that its address has too many connections. Of what it sent, `front`, nothing is looked at but
    /// whether a page may read that; a browser that asks for a page is answered, so that the page then hears it.
    pub(super) fn refuse_connection(&mut self, key: ConnectionKey, front: &[u8]) {
        self.note_origin_in(key, front);
        if !self.answer_preflight_in(key, front) {
            self.refuse_undecoded(key, OverloadReason::Connections);
        }
    }
}
