//! The machine the rings share: connections, accept queues, and the peers a test plays.
//!
//! It is shared behind a lock only so that sockets can be sent between shards as real descriptors can.
//!
//! A connection, seen from the server: open → (write side shut) → closed, or reset at any point. Ids are
//! never reused, so that a use after close is noticed.
#![allow(
    clippy::disallowed_types,
    reason = "peers of the simulated network may live on other threads"
)]

use super::faults::{Fate, Fault, Faults};
use crate::ring::{Credentials, Peer};
use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes a peer takes before it must read, as a small socket buffer would.
const WINDOW_BYTES: usize = 64 * 1024;

/// One machine's network: makes rings and peers, orders faults.
#[derive(Clone)]
pub struct SimulatedNetwork {
    pub(super) world: Shared,
}

impl SimulatedNetwork {
    /// A network without faults until they are ordered; everything random follows from `seed`.
    pub fn new(seed: u64) -> Self {
        SimulatedNetwork {
            world: Shared(Arc::new(Mutex::new(World {
                fate: Fate::new(seed),
                connections: Vec::new(),
                accept_queues: Vec::new(),
            }))),
        }
    }

    /// Connects to a listener. The connection can be used at once, accepted or not.
    pub fn connect(&self, listener: usize) -> SimulatedPeer {
        self.connect_from(listener, None)
    }

    /// Connects to a listener as a process of this machine.
    #[cfg(test)]
    pub(crate) fn connect_as(&self, listener: usize, process: Credentials) -> SimulatedPeer {
        self.connect_from(listener, Some(process))
    }

    fn connect_from(&self, listener: usize, process: Option<Credentials>) -> SimulatedPeer {
        let mut world = self.world.lock();
        let id = world.connections.len();
        world.connections.push(Connection {
            process,
            ..Connection::default()
        });
        world.accept_queues[listener].push_back(id);
        SimulatedPeer {
            world: self.world.clone(),
            id,
        }
    }

    /// A pipe: the server's end, which reads or writes, and what a test plays at the other end. Of a peer's methods
    /// those that write and [`finish`](SimulatedPeer::finish) are for a pipe that the server reads, and those that
    /// read and [`close`](SimulatedPeer::close) for one that it writes.
    pub fn pipe(&self) -> (SimulatedSocket, SimulatedPeer) {
        let mut world = self.world.lock();
        let id = world.connections.len();
        world.connections.push(Connection {
            is_pipe: true,
            is_accepted: true,
            ..Connection::default()
        });
        let peer = SimulatedPeer {
            world: self.world.clone(),
            id,
        };
        (SimulatedSocket::new(self.world.clone(), id), peer)
    }

    /// Makes faults happen with these chances from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world.lock().fate.faults = faults;
    }

    /// Orders a fault for the next operation of its kind; several orders are obeyed in turn.
    pub fn order(&self, fault: Fault) {
        self.world.lock().fate.orders.push_back(fault);
    }

    /// Stops all faults, ordered ones included.
    pub fn calm(&self) {
        let mut world = self.world.lock();
        world.fate.faults = Faults::default();
        world.fate.orders.clear();
    }

    /// Accepted connections whose server side is not closed.
    pub fn connections_open(&self) -> usize {
        let world = self.world.lock();
        let open = |connection: &&Connection| connection.is_accepted && !connection.is_closed;
        world.connections.iter().filter(open).count()
    }
}

impl fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedNetwork").finish_non_exhaustive()
    }
}

/// A client a test plays. Dropping it leaves the connection as it is.
pub struct SimulatedPeer {
    world: Shared,
    id: usize,
}

/// The state of a peer's connection once it has read everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerView {
    /// More may come.
    Open,
    /// The server sends no more (FIN).
    Ended,
    /// Broken (RST).
    Reset,
}

impl SimulatedPeer {
    /// Sends bytes. They arrive even if the server stops reading; a closed or reset connection drops
    /// them and is reset.
    pub fn write(&self, bytes: &[u8]) {
        self.with(|connection| {
            assert!(!connection.is_inbound_ended, "the peer writes after its FIN");
            if connection.is_closed {
                connection.is_reset |= !connection.is_pipe;
            } else if !connection.is_reset {
                connection.inbound.extend(bytes);
            }
        });
    }

    /// Reads everything sent so far, which opens the window again.
    pub fn read(&self) -> Vec<u8> {
        self.with(|connection| std::mem::take(&mut connection.outbound))
    }

    /// How many unread bytes this peer lets the server send.
    pub fn set_window(&self, bytes: usize) {
        self.with(|connection| connection.window_bytes = bytes);
    }

    /// Sends no more, still reads (FIN).
    pub fn finish(&self) {
        self.with(|connection| connection.is_inbound_ended = true);
    }

    /// Neither sends nor reads any more; what the server sends next breaks the connection.
    pub fn close(&self) {
        self.with(|connection| {
            connection.is_inbound_ended = true;
            connection.is_peer_gone = true;
        });
    }

    /// Breaks the connection (RST); bytes on their way are lost.
    pub fn reset(&self) {
        self.with(Connection::reset);
    }

    /// Vanishes, which the kernel has found out by its probes: `ETIMEDOUT`.
    pub fn vanish(&self) {
        self.with(|connection| {
            connection.has_vanished = true;
            connection.reset();
        });
    }

    /// The state of the connection after the bytes that [`read`](Self::read) returns.
    pub fn view(&self) -> PeerView {
        self.with(|connection| {
            if connection.is_reset {
                PeerView::Reset
            } else if connection.is_outbound_ended {
                PeerView::Ended
            } else {
                PeerView::Open
            }
        })
    }

    /// Whether there is something to read, or the server sends no more.
    #[cfg(feature = "testing")]
    pub(crate) fn has_news(&self) -> bool {
        self.with(|connection| {
            !connection.outbound.is_empty() || connection.is_outbound_ended || connection.is_reset
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        act(&mut self.world.lock().connections[self.id])
    }
}

impl fmt::Debug for SimulatedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedPeer({})", self.id)
    }
}

/// The server's end of an accepted connection. Dropping it closes it, like a descriptor.
pub struct SimulatedSocket {
    world: Shared,
    id: usize,
    is_owned: bool,
}

impl SimulatedSocket {
    pub(super) fn new(world: Shared, id: usize) -> Self {
        SimulatedSocket {
            world,
            id,
            is_owned: true,
        }
    }

    pub(super) fn id(&self) -> usize {
        self.id
    }

    /// Gives up ownership without closing.
    pub(super) fn into_id(mut self) -> usize {
        self.is_owned = false;
        self.id
    }

    /// Whether a process of this machine is at the other end.
    pub(crate) fn is_a_process(&self) -> bool {
        self.world.lock().connections[self.id].process.is_some()
    }

    pub(super) fn peer(&self) -> Peer {
        let process = self.world.lock().connections[self.id].process;
        // 192.0.2.0/24 is reserved for documentation (RFC 5737).
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), self.id as u16));
        process.map_or(Peer::Internet(address), Peer::Process)
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        if !self.is_owned {
            return;
        }
        let mut world = self.world.lock();
        let connection = &mut world.connections[self.id];
        let in_flight = connection.operations_in_flight;
        connection.close();
        drop(world);
        if !std::thread::panicking() {
            assert!(
                in_flight == 0,
                "socket {} is dropped under {in_flight} operations",
                self.id
            );
        }
    }
}

impl fmt::Debug for SimulatedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedSocket({})", self.id)
    }
}

/// The world behind its lock.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        // A broken obligation panics with the lock held; later drops must still get through.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct World {
    pub(super) fate: Fate,
    pub(super) connections: Vec<Connection>,
    /// By listener: connections not yet accepted.
    pub(super) accept_queues: Vec<VecDeque<usize>>,
}

/// Both directions of a connection, and the state of its ends.
pub(super) struct Connection {
    /// From the peer, not received yet.
    pub(super) inbound: VecDeque<u8>,
    pub(super) is_inbound_ended: bool,
    /// The process at the other end, if it is on this machine.
    process: Option<Credentials>,
    /// It goes one way, and knows no resets.
    pub(super) is_pipe: bool,
    /// To the peer, not read yet.
    pub(super) outbound: Vec<u8>,
    pub(super) is_outbound_ended: bool,
    pub(super) window_bytes: usize,
    pub(super) is_read_shut: bool,
    pub(super) is_reset: bool,
    /// Broken because the peer was silent for too long.
    pub(super) has_vanished: bool,
    pub(super) is_peer_gone: bool,
    pub(super) is_accepted: bool,
    /// The descriptor is gone; the connection follows when nothing is in flight.
    is_descriptor_closed: bool,
    pub(super) is_closed: bool,
    /// Queued or begun, in any ring.
    pub(super) operations_in_flight: usize,
}

impl Default for Connection {
    fn default() -> Self {
        Connection {
            inbound: VecDeque::new(),
            is_inbound_ended: false,
            process: None,
            is_pipe: false,
            outbound: Vec::new(),
            is_outbound_ended: false,
            window_bytes: WINDOW_BYTES,
            is_read_shut: false,
            is_reset: false,
            has_vanished: false,
            is_peer_gone: false,
            is_accepted: false,
            is_descriptor_closed: false,
            is_closed: false,
            operations_in_flight: 0,
        }
    }
}

impl Connection {
    pub(super) fn reset(&mut self) {
        self.is_reset = true;
        self.inbound.clear();
    }

    pub(super) fn room(&self) -> usize {
        self.window_bytes.saturating_sub(self.outbound.len())
    }

    pub(super) fn shut_down(&mut self, how: Shutdown) {
        self.is_read_shut |= how != Shutdown::Write;
        self.is_outbound_ended |= how != Shutdown::Read;
    }

    /// Notes that an operation is over: a descriptor that was closed under it now closes the connection.
    pub(super) fn finish_operation(&mut self) {
        self.operations_in_flight -= 1;
        if self.is_descriptor_closed {
            self.close();
        }
    }

    /// Closes the descriptor. As in the kernel, what is in flight keeps the connection open, and unread
    /// bytes turn the FIN into an RST.
    pub(super) fn close(&mut self) {
        self.is_descriptor_closed = true;
        if self.operations_in_flight > 0 {
            return;
        }
        self.is_closed = true;
        self.is_outbound_ended = true;
        self.is_reset |= !self.inbound.is_empty() && !self.is_pipe;
    }
}
