//! Accepting: from the listener's queue into the table, as far as the caps let connections in.

use std::time::Duration;

use crate::mcp::OverloadReason;
use crate::ring::ConnectionKey;

use crate::shard::acceptor::{AcceptEvent, Newcomer, Verdict};
use crate::shard::connections::Waiting;
use crate::shard::{Clients, Shard, ShardRing};

/// How long a client beyond its address's cap may take to send what is then refused. A refusal of a request
/// is understood; one that comes before it looks like a broken connection to some clients.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(250);

impl<R: ShardRing> Shard<R> {
    /// Takes the connections that may be taken now.
    pub(in crate::shard) fn handle_accept(&mut self, event: &AcceptEvent<'_>) {
        let now = self.clock.now();
        let (ring, metrics) = (&mut self.ring, &self.metrics);
        if !self.acceptor.handle(event, ring, metrics, now) {
            return;
        }
        while let Some(socket) = self.acceptor.next(&mut self.ring, &self.metrics, now) {
            self.admit(socket);
        }
    }

    /// Begins to take clients in.
    pub(in crate::shard) fn open(&mut self, clients: Clients<R::Socket>) {
        match clients {
            Clients::Listeners => self.acceptor.open(&mut self.ring),
            // A shard that is about to end begins nothing.
            Clients::One(pipes) if !self.drain.is_begun() => self.serve_stdio(pipes),
            Clients::One(_) | Clients::Later => {}
        }
    }

    /// Serves the one client of a process that has no listener.
    fn serve_stdio(&mut self, pipes: R::Socket) {
        self.acceptor.close_for_one();
        self.metrics.on_accepted();
        let key = self.table.insert_connection(pipes, None, self.clock.now());
        self.clock.reserve(key);
        self.open_stdio(key);
    }

    /// Decides about a connection that has its place.
    fn admit(&mut self, socket: R::Socket) {
        let now = self.clock.now();
        match self.acceptor.verdict(&self.ring, &socket, now) {
            Verdict::Serve(address) => {
                if let Some(newcomer) = self.acceptor.keep_or_hand_over(&self.ring, socket, address) {
                    self.begin_serving(newcomer);
                }
            }
            Verdict::Refuse(address) => {
                let key = self.enter(self.acceptor.keep(socket, Some(address)));
                self.intake.arm_receive(key, &mut self.table, &mut self.ring);
                if let Some(connection) = self.table.connection(key) {
                    connection.waiting = Waiting::Refusal;
                }
                self.clock.set_deadline(key, now + REFUSAL_PATIENCE);
            }
            Verdict::RejectAddress => {
                self.metrics.refusals.increment(OverloadReason::Connections);
                let key = self.enter(self.acceptor.keep(socket, None));
                self.abort(key);
            }
            Verdict::RejectPeer => {
                self.metrics.unix_peers_refused.increment();
                let key = self.enter(self.acceptor.keep(socket, None));
                self.abort(key);
            }
        }
    }

    /// A connection comes that another shard has accepted.
    pub(in crate::shard) fn receive_newcomer(&mut self, newcomer: Newcomer<R::Socket>) {
        self.acceptor.on_handed_over();
        self.begin_serving(newcomer);
    }

    fn begin_serving(&mut self, newcomer: Newcomer<R::Socket>) {
        let key = self.enter(newcomer);
        self.intake.arm_receive(key, &mut self.table, &mut self.ring);
        self.set_read_deadline(key);
    }

    /// Enters a connection into the table.
    fn enter(&mut self, newcomer: Newcomer<R::Socket>) -> ConnectionKey {
        self.metrics.on_accepted();
        let Newcomer { socket, address } = newcomer;
        let key = self.table.insert_connection(socket, address, self.clock.now());
        self.clock.reserve(key);
        key
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
