//! Accepting: from the listener's queue into the table, as far as the caps let connections in.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::mcp::OverloadReason;
use crate::ring::ConnectionKey;
use crate::timers::TimerKind;

use crate::shard::acceptor::{AcceptState, AddressPlace, AddressVerdict};
use crate::shard::connections::Waiting;
use crate::shard::{Shard, ShardRing};

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

impl<R: ShardRing> Shard<R> {
    pub(in crate::shard) fn handle_accept_ready(&mut self) {
        if self.acceptor.state == AcceptState::Watching {
            self.accept_waiting();
        }
    }

    pub(in crate::shard) fn handle_accept_failed(&mut self, error: &io::Error) {
        if self.acceptor.state == AcceptState::Watching {
            self.pause_accept(error);
        }
    }

    /// The drain's cancel is done.
    pub(in crate::shard) fn handle_accept_stopped(&mut self) {
        if self.acceptor.state == AcceptState::Stopping {
            self.acceptor.state = AcceptState::Emptying;
            self.accept_waiting();
        }
    }

    /// Goes on if a place came free; called when the shard was woken.
    pub(in crate::shard) fn on_place_free(&mut self) {
        if self.acceptor.state == AcceptState::Full && !self.acceptor.cap.is_waiting() {
            self.accept_waiting();
        }
    }

    /// What time brings.
    pub(in crate::shard) fn tick_accept(&mut self) {
        self.acceptor.outage.tell_end(LISTENER, self.clock.now);
        match self.acceptor.state {
            AcceptState::Paused(until) if self.clock.now >= until => self.watch_listener(),
            AcceptState::Emptying => self.accept_waiting(),
            _ => self.on_place_free(),
        }
    }

    /// Begins to stop: no more is taken than is queued by now. Once.
    pub(in crate::shard) fn stop_accept(&mut self) {
        if !self.acceptor.is_stopping() {
            self.acceptor.state = AcceptState::Stopping;
            self.ring.unwatch_listener();
        }
    }

    /// A connection that was let in is closed: its place is free, and the descriptor that was missing may be.
    pub(in crate::shard) fn on_left(&mut self, address: Option<AddressPlace>) {
        self.acceptor.cap.leave(address);
        if self.acceptor.is_paused() {
            self.watch_listener();
        }
    }

    fn watch_listener(&mut self) {
        self.acceptor.state = AcceptState::Watching;
        self.ring.watch_listener();
    }

    /// Takes who waits, a few at a time, each with a place.
    fn accept_waiting(&mut self) {
        self.acceptor.cap.stop_waiting();
        for _ in 0..ACCEPTS_PER_LOOK_MAX {
            let cap = &self.acceptor.cap;
            if !cap.try_enter() && !cap.await_place() {
                return self.on_no_place();
            }
            match self.ring.accept_now() {
                Ok(Some(socket)) => self.admit(socket),
                Ok(None) => {
                    self.acceptor.cap.leave(None);
                    return self.on_queue_empty();
                }
                Err(error) => {
                    self.acceptor.cap.leave(None);
                    return self.pause_accept(&error);
                }
            }
        }
        // Who still waits is told of at once by a new watch, behind what else there is to do.
        if self.acceptor.state != AcceptState::Emptying {
            self.watch_listener();
        }
    }

    fn on_no_place(&mut self) {
        if self.acceptor.state != AcceptState::Emptying {
            self.acceptor.state = AcceptState::Full;
        }
    }

    fn on_queue_empty(&mut self) {
        if self.acceptor.state == AcceptState::Emptying {
            self.acceptor.state = AcceptState::Over;
            self.ring.close_listener();
        } else {
            self.watch_listener();
        }
    }

    /// Out of descriptors, most likely. A shard that drains tries again at its next tick.
    fn pause_accept(&mut self, error: &io::Error) {
        self.metrics.accept_failures.increment();
        self.acceptor.outage.on_failure(LISTENER, error, self.clock.now);
        if self.acceptor.state != AcceptState::Emptying {
            self.acceptor.state = AcceptState::Paused(self.clock.now + ACCEPT_PAUSE);
        }
    }

    /// Serves the one client of a process that has no listener.
    pub(in crate::shard) fn serve_stdio(&mut self, pipes: R::Socket) {
        self.acceptor.close();
        let has_place = self.acceptor.cap.try_enter();
        debug_assert!(has_place, "the only connection has a place");
        self.metrics.on_accepted();
        let key = self.table.insert_connection(pipes, None, self.clock.now);
        self.clock.timers.reserve(TimerKind::Connection, key.slot + 1);
        self.open_stdio(key);
    }

    /// Enters a connection that has its place.
    fn admit(&mut self, socket: R::Socket) {
        self.metrics.on_accepted();
        let verdict = self.address_verdict(&socket);
        let (address, is_refused, is_rejected) = match verdict {
            None => (None, false, false),
            Some(AddressVerdict::Serve(place)) => (Some(place), false, false),
            Some(AddressVerdict::Refuse(place)) => (Some(place), true, false),
            Some(AddressVerdict::Reject) => (None, false, true),
        };
        let key = self.table.insert_connection(socket, address, self.clock.now);
        self.clock.timers.reserve(TimerKind::Connection, key.slot + 1);
        if is_rejected {
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
    fn address_verdict(&self, socket: &R::Socket) -> Option<AddressVerdict> {
        let addresses = self.acceptor.cap.addresses()?;
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
    pub(in crate::shard) fn refuse_connection(&mut self, key: ConnectionKey, front: &[u8]) {
        self.note_origin_in(key, front);
        if !self.answer_preflight_in(key, front) {
            self.refuse_undecoded(key, OverloadReason::Connections);
        }
    }
}
