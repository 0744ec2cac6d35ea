//! The simulated ring, set apart: a measurement of a shard must not measure the stand-in for the kernel.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::ops::Range;
use std::rc::Rc;

use weir::internals::ring::simulated::{SimulatedRing, SimulatedSocket};
use weir::internals::ring::{
    Completion, ConnectionKey, DataRing, Operation, Peer, RingCounters, RingWaker, SendMode,
};
use weir::internals::shard::ShardRing;

use crate::exempt;

/// The ring, shared with the driver of the shard, which flushes it. Its own work is exempt.
#[derive(Clone)]
pub(crate) struct ExemptRing(Rc<RefCell<SimulatedRing>>);

impl ExemptRing {
    pub(crate) fn new(ring: SimulatedRing) -> Self {
        Self(Rc::new(RefCell::new(ring)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut SimulatedRing) -> T) -> T {
        exempt(|| act(&mut self.0.borrow_mut()))
    }
}

impl DataRing for ExemptRing {
    type Socket = SimulatedSocket;

    fn watch_listener(&mut self) {
        self.with(DataRing::watch_listener);
    }

    fn unwatch_listener(&mut self) {
        self.with(DataRing::unwatch_listener);
    }

    fn accept_now(&mut self) -> io::Result<Option<SimulatedSocket>> {
        self.with(DataRing::accept_now)
    }

    fn receive(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.with(|ring| ring.receive(key, socket));
    }

    fn receive_ready(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.with(|ring| ring.receive_ready(key, socket));
    }

    fn receive_into(&mut self, key: ConnectionKey, socket: &SimulatedSocket, buffer: Vec<u8>, bytes: usize) {
        self.with(|ring| ring.receive_into(key, socket, buffer, bytes));
    }

    fn send(
        &mut self,
        key: ConnectionKey,
        socket: &SimulatedSocket,
        buffer: Vec<u8>,
        range: Range<usize>,
        mode: SendMode,
    ) {
        self.with(|ring| ring.send(key, socket, buffer, range, mode));
    }

    fn watch_hang_up(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.with(|ring| ring.watch_hang_up(key, socket));
    }

    fn cancel(&mut self, key: ConnectionKey, operation: Operation) {
        self.with(|ring| ring.cancel(key, operation));
    }

    fn shutdown(&mut self, socket: &SimulatedSocket, how: Shutdown) {
        self.with(|ring| ring.shutdown(socket, how));
    }

    fn close(&mut self, key: ConnectionKey, socket: SimulatedSocket) {
        self.with(|ring| ring.close(key, socket));
    }

    fn arm_wake(&mut self) {
        self.with(DataRing::arm_wake);
    }

    fn waker(&self) -> RingWaker {
        self.with(|ring| ring.waker())
    }

    fn take_error(&self, socket: &SimulatedSocket) -> Option<io::Error> {
        self.with(|ring| ring.take_error(socket))
    }

    fn unread_bytes(&self, socket: &SimulatedSocket) -> usize {
        self.with(|ring| ring.unread_bytes(socket))
    }

    fn peer(&self, socket: &SimulatedSocket) -> io::Result<Peer> {
        self.with(|ring| ring.peer(socket))
    }

    fn release_unneeded(&mut self) {
        self.with(DataRing::release_unneeded);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(DataRing::flush)
    }

    fn next_completion(&mut self) -> Option<Completion> {
        self.with(DataRing::next_completion)
    }

    fn next_early(&mut self) -> Option<Completion> {
        self.with(DataRing::next_early)
    }

    fn has_more(&mut self) -> bool {
        self.with(DataRing::has_more)
    }

    fn counters(&self) -> RingCounters {
        self.with(|ring| ring.counters())
    }
}

impl ShardRing for ExemptRing {
    fn is_shared(&self, _: &SimulatedSocket) -> bool {
        false
    }

    fn refuse_on_unix(&mut self) {}

    fn close_listener(&mut self) {}
}
