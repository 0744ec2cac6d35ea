//! The simulated ring: queues, order and lateness of completions.
//!
//! `flush` takes in returned buffers, begins the queued operations in order, and then lets every begun operation get
//! as far as the simulated world allows. Operations that are over lie in `done` until their flush is due; due
//! completions are in the order of their ends unless the dice decide otherwise.
#![allow(unsafe_code, reason = "lends buffers as the kernel does")]

use super::faults::Kind;
use super::obligations::Obligations;
use super::operations::{self, Arrival};
use super::world::{Shared, SimulatedNetwork, SimulatedSocket, World};
use crate::ring::buffers::BufferPool;
use crate::ring::mapping::Residence;
use crate::ring::{
    Completion, ConnectionKey, DataRing, HangUp, Operation, Peer, Received, RingCounters, RingOptions,
    RingWaker, SendMode,
};
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::ops::Range;
use std::rc::Rc;

/// A [`DataRing`] on a [`SimulatedNetwork`](super::SimulatedNetwork).
pub struct SimulatedRing {
    world: Shared,
    listener: usize,
    pool: Rc<BufferPool>,
    buffers_free: Vec<u16>,
    queued: VecDeque<Queued>,
    begun: Vec<Begun>,
    done: VecDeque<Done>,
    obligations: Obligations,
    is_accept_armed: bool,
    is_accept_begun: bool,
    is_accept_stopping: bool,
    accept_due: u64,
    is_wake_armed: bool,
    is_wake_begun: bool,
    waker: RingWaker,
    /// The ring's time.
    flushes: u64,
    starvations: u64,
    filled_bytes: usize,
}

enum Queued {
    Accept,
    CancelAccept,
    Wake,
    Operation(Begun),
    Cancel(ConnectionKey, Operation),
    /// Of everything that names a pipe's end.
    CancelPipe(usize),
    Close(ConnectionKey, usize),
}

struct Begun {
    key: ConnectionKey,
    socket: usize,
    work: Work,
}

enum Work {
    Receive,
    /// A receive that is tried when it is begun, and from then on is like the other.
    ReceiveReady,
    /// A receive into a buffer of the caller's, of at most so many bytes.
    Fill {
        buffer: Vec<u8>,
        bytes: usize,
    },
    Send {
        buffer: Vec<u8>,
        range: Range<usize>,
        mode: SendMode,
        sent: usize,
    },
    Watch,
}

impl Work {
    fn operation(&self) -> Operation {
        match self {
            Work::Receive | Work::ReceiveReady | Work::Fill { .. } => Operation::Receive,
            Work::Send { .. } => Operation::Send,
            Work::Watch => Operation::Watch,
        }
    }
}

struct Done {
    due: u64,
    completion: Completion,
}

impl SimulatedNetwork {
    /// A ring with a listener of its own, numbered from 0 in the order of making.
    pub fn ring(&self, options: RingOptions) -> SimulatedRing {
        let listener = {
            let mut world = self.world.lock();
            world.accept_queues.push(VecDeque::new());
            world.accept_queues.len() - 1
        };
        SimulatedRing::new(self.world.clone(), listener, options)
    }
}

impl SimulatedRing {
    pub(super) fn new(world: Shared, listener: usize, options: RingOptions) -> Self {
        let RingOptions {
            buffers,
            buffer_bytes,
            ..
        } = options;
        let pool = BufferPool::new(buffers, buffer_bytes, Residence::WithUse)
            .expect("memory for the simulated ring");
        SimulatedRing {
            world,
            listener,
            pool,
            buffers_free: (0..buffers).rev().collect(),
            queued: VecDeque::new(),
            begun: Vec::new(),
            done: VecDeque::new(),
            obligations: Obligations::default(),
            is_accept_armed: false,
            is_accept_begun: false,
            is_accept_stopping: false,
            accept_due: 0,
            is_wake_armed: false,
            is_wake_begun: false,
            waker: RingWaker::new(None).expect("a descriptor for the simulated ring"),
            flushes: 0,
            starvations: 0,
            filled_bytes: 0,
        }
    }

    /// Bytes that were received straight into buffers of the caller's.
    pub fn filled_bytes(&self) -> usize {
        self.filled_bytes
    }

    /// Checks that the caller left nothing behind.
    ///
    /// # Panics
    /// A ring buffer is lent, or an operation of a connection is in flight.
    pub fn assert_settled(&self) {
        let lent = self.pool.lent();
        assert!(lent == 0, "{lent} ring buffers are still lent");
        let in_flight = self.obligations.in_flight();
        assert!(in_flight == 0, "{in_flight} operations are still in flight");
    }

    fn queue(&mut self, key: ConnectionKey, socket: &SimulatedSocket, work: Work) {
        self.obligations.begin(key, socket.id(), work.operation());
        self.world.lock().connections[socket.id()].operations_in_flight += 1;
        self.queued.push_back(Queued::Operation(Begun {
            key,
            socket: socket.id(),
            work,
        }));
    }

    fn begin(&mut self, queued: Queued) {
        match queued {
            Queued::Accept => self.is_accept_begun = true,
            Queued::Wake => self.is_wake_begun = true,
            Queued::CancelAccept => {
                self.is_accept_begun = false;
                self.is_accept_armed = false;
                self.finish_accept(Completion::AcceptStopped);
            }
            Queued::Operation(mut begun) if matches!(begun.work, Work::ReceiveReady) => {
                begun.work = Work::Receive;
                if let Some(begun) = self.advance(begun) {
                    self.begun.push(begun);
                }
            }
            Queued::Operation(begun) => self.begun.push(begun),
            Queued::Cancel(key, operation) => self.begin_cancel(key, operation),
            Queued::CancelPipe(socket) => {
                let begun = self.begun.drain(..);
                let (named, others): (Vec<_>, Vec<_>) = begun.partition(|begun| begun.socket == socket);
                self.begun = others;
                named.into_iter().for_each(|begun| self.end_cancelled(begun));
            }
            Queued::Close(key, socket) => {
                self.world.lock().connections[socket].close();
                self.finish(Completion::Closed { key });
            }
        }
    }

    /// Bytes that are there already win over the cancel; which completion comes first is open.
    fn begin_cancel(&mut self, key: ConnectionKey, operation: Operation) {
        let matches = |begun: &Begun| begun.key == key && begun.work.operation() == operation;
        let target = self.begun.iter().position(matches);
        let cancel_first = self.world.lock().fate.dice.happens(500);
        if cancel_first {
            self.finish(Completion::Cancelled { key, operation });
        }
        if let Some(at) = target {
            let begun = self.begun.remove(at);
            self.end_cancelled(begun);
        }
        if !cancel_first {
            self.finish(Completion::Cancelled { key, operation });
        }
    }

    fn end_cancelled(&mut self, begun: Begun) {
        if let Some(begun) = self.advance(begun) {
            self.end(begun.socket, cancelled(begun.key, begun.work));
        }
    }

    /// Lets an operation get on; gives it back if it is not over.
    fn advance(&mut self, mut begun: Begun) -> Option<Begun> {
        let Begun { key, socket, .. } = begun;
        let world = self.world.clone();
        let mut world = world.lock();
        let completion = match &mut begun.work {
            Work::Receive | Work::ReceiveReady => self
                .advance_receive(&mut world, socket)
                .map(|outcome| Completion::Received { key, outcome }),
            Work::Fill { buffer, bytes } => {
                operations::fill(&mut world, socket, buffer, *bytes).map(|result| {
                    let buffer = std::mem::take(buffer);
                    self.filled_bytes += result.as_ref().map_or(0, |bytes| *bytes);
                    Completion::Filled { key, buffer, result }
                })
            }
            Work::Watch => {
                operations::watch(&world, socket).map(|outcome| Completion::HungUp { key, outcome })
            }
            Work::Send {
                buffer,
                range,
                mode,
                sent,
            } => operations::send(&mut world, socket, &buffer[range.clone()], sent, *mode).map(|result| {
                let buffer = std::mem::take(buffer);
                Completion::Sent { key, buffer, result }
            }),
        };
        drop(world);
        match completion {
            Some(completion) => {
                self.end(socket, completion);
                None
            }
            None => Some(begun),
        }
    }

    fn advance_receive(&mut self, world: &mut World, socket: usize) -> Option<Received> {
        let room = self.buffers_free.last().map(|_| self.pool.buffer_bytes());
        Some(match operations::receive(world, socket, room)? {
            Arrival::Bytes(bytes) => {
                let id = self.buffers_free.pop().expect("`room` was given for it");
                // SAFETY: `id` was on the free list, so it is neither lent nor returned, and nothing
                // but this function fills buffers.
                let mut buffer = unsafe { self.pool.lend(id, bytes) };
                let inbound = world.connections[socket].inbound.drain(..bytes);
                buffer.iter_mut().zip(inbound).for_each(|(to, from)| *to = from);
                Received::Bytes(buffer)
            }
            Arrival::End => Received::End,
            Arrival::Cancelled => Received::Cancelled,
            Arrival::Failed(error) => Received::Failed(error),
            Arrival::Starved => {
                self.starvations += 1;
                Received::Starved
            }
        })
    }

    fn advance_accept(&mut self) {
        if self.is_accept_begun && !self.world.lock().accept_queues[self.listener].is_empty() {
            self.is_accept_begun = false;
            self.is_accept_armed = false;
            self.finish_accept(Completion::AcceptReady);
        }
    }

    /// The operation on `socket` is over in the kernel.
    fn end(&mut self, socket: usize, mut completion: Completion) {
        let mut world = self.world.lock();
        world.connections[socket].finish_operation();
        if let Completion::HungUp { outcome, .. } = &mut completion
            && world.fate.strike(Kind::Watch, 0).is_some()
        {
            *outcome = HangUp::Failed(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        drop(world);
        self.finish(completion);
    }

    fn finish(&mut self, completion: Completion) {
        let mut world = self.world.lock();
        let due = self.flushes + world.fate.delay();
        let reordered = world.fate.faults.reordered;
        let at = if world.fate.dice.happens(reordered) {
            world.fate.dice.below(self.done.len() + 1)
        } else {
            self.done.len()
        };
        drop(world);
        self.done.insert(at, Done { due, completion });
    }

    /// Completions of the listener's watch come in order, however late.
    fn finish_accept(&mut self, completion: Completion) {
        let delay = self.world.lock().fate.delay();
        self.accept_due = self.accept_due.max(self.flushes + delay);
        self.done.push_back(Done {
            due: self.accept_due,
            completion,
        });
    }

    fn take_done(&mut self, at: usize) -> Option<Completion> {
        let completion = self.done.remove(at)?.completion;
        self.hand_out(&completion);
        Some(completion)
    }

    fn hand_out(&mut self, completion: &Completion) {
        match completion {
            Completion::Received { key, .. } | Completion::Filled { key, .. } => {
                self.obligations.end(*key, Operation::Receive);
            }
            Completion::Sent { key, .. } => self.obligations.end(*key, Operation::Send),
            Completion::HungUp { key, .. } => self.obligations.end(*key, Operation::Watch),
            Completion::Cancelled { key, .. } => self.obligations.end_cancel(*key),
            Completion::Closed { key } => self.obligations.end_close(*key),
            Completion::Woken => self.is_wake_armed = false,
            Completion::AcceptStopped => self.is_accept_stopping = false,
            Completion::AcceptReady | Completion::AcceptFailed { .. } => {}
        }
    }
}

impl DataRing for SimulatedRing {
    type Socket = SimulatedSocket;

    fn watch_listener(&mut self) {
        assert!(!self.is_accept_armed, "the listener is watched twice");
        self.is_accept_armed = true;
        self.queued.push_back(Queued::Accept);
    }

    fn unwatch_listener(&mut self) {
        assert!(!self.is_accept_stopping, "the watch is cancelled twice");
        self.is_accept_stopping = true;
        self.queued.push_back(Queued::CancelAccept);
    }

    fn accept_now(&mut self) -> io::Result<Option<SimulatedSocket>> {
        let accepted = operations::accept(&mut self.world.lock(), self.listener)?;
        Ok(accepted.map(|id| SimulatedSocket::new(self.world.clone(), id)))
    }

    fn receive(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.queue(key, socket, Work::Receive);
    }

    /// This comes before the receives that wait for bytes: the kernel takes the bytes while it takes the operation in.
    fn receive_ready(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.queue(key, socket, Work::ReceiveReady);
    }

    fn receive_into(&mut self, key: ConnectionKey, socket: &SimulatedSocket, buffer: Vec<u8>, bytes: usize) {
        let room = buffer.capacity() - buffer.len();
        assert!(
            bytes > 0 && bytes <= room,
            "{bytes} bytes for room of {room} on {key:?}"
        );
        self.queue(key, socket, Work::Fill { buffer, bytes });
    }

    fn send(
        &mut self,
        key: ConnectionKey,
        socket: &SimulatedSocket,
        buffer: Vec<u8>,
        range: Range<usize>,
        mode: SendMode,
    ) {
        let bytes = &buffer[range.clone()];
        assert!(!bytes.is_empty(), "a send of nothing on {key:?}");
        let work = Work::Send {
            buffer,
            range,
            mode,
            sent: 0,
        };
        self.queue(key, socket, work);
    }

    fn watch_hang_up(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.queue(key, socket, Work::Watch);
    }

    fn cancel(&mut self, key: ConnectionKey, operation: Operation) {
        self.obligations.begin_cancel(key);
        self.queued.push_back(Queued::Cancel(key, operation));
    }

    fn shutdown(&mut self, socket: &SimulatedSocket, how: Shutdown) {
        let mut world = self.world.lock();
        let connection = &mut world.connections[socket.id()];
        if !connection.is_pipe {
            connection.shut_down(how);
        } else if how == Shutdown::Both {
            self.queued.push_back(Queued::CancelPipe(socket.id()));
        }
    }

    fn close(&mut self, key: ConnectionKey, socket: SimulatedSocket) {
        self.obligations.begin_close(key, socket.id());
        self.queued.push_back(Queued::Close(key, socket.into_id()));
    }

    fn arm_wake(&mut self) {
        assert!(!self.is_wake_armed, "the wake-up is armed twice");
        self.is_wake_armed = true;
        self.queued.push_back(Queued::Wake);
    }

    fn waker(&self) -> RingWaker {
        self.waker.clone()
    }

    fn take_error(&self, socket: &SimulatedSocket) -> Option<io::Error> {
        operations::error_of(&self.world.lock().connections[socket.id()])
    }

    fn unread_bytes(&self, socket: &SimulatedSocket) -> usize {
        self.world.lock().connections[socket.id()].inbound.len()
    }

    fn peer(&self, socket: &SimulatedSocket) -> io::Result<Peer> {
        Ok(socket.peer())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        let pool = Rc::clone(&self.pool);
        pool.take_returned(|id| self.buffers_free.push(id));
        while let Some(queued) = self.queued.pop_front() {
            self.begin(queued);
        }
        self.advance_accept();
        for begun in std::mem::take(&mut self.begun) {
            if let Some(begun) = self.advance(begun) {
                self.begun.push(begun);
            }
        }
        if self.is_wake_begun && self.waker.take() {
            self.is_wake_begun = false;
            self.finish(Completion::Woken);
        }
        Ok(())
    }

    fn next_completion(&mut self) -> Option<Completion> {
        if let Some(early) = self.next_early() {
            return Some(early);
        }
        let at = self.done.iter().position(|done| done.due <= self.flushes)?;
        self.take_done(at)
    }

    fn next_early(&mut self) -> Option<Completion> {
        let is_early = |done: &Done| {
            let completion = &done.completion;
            matches!(
                completion,
                Completion::Sent { .. }
                    | Completion::Received {
                        outcome: Received::Starved,
                        ..
                    }
            )
        };
        let mut done = self.done.iter();
        let at = done.position(|done| done.due <= self.flushes && is_early(done))?;
        self.take_done(at)
    }

    /// Late completions have not happened yet.
    fn has_more(&mut self) -> bool {
        false
    }

    /// Its memory goes with it.
    fn release_unneeded(&mut self) {}

    fn counters(&self) -> RingCounters {
        RingCounters {
            buffers_free: self.buffers_free.len() + self.pool.returned(),
            buffers_total: usize::from(self.pool.count()),
            starvations: self.starvations,
            overflows: 0,
            in_flight: self.obligations.in_flight()
                + usize::from(self.is_accept_armed)
                + usize::from(self.is_accept_stopping)
                + usize::from(self.is_wake_armed),
        }
    }
}

impl Drop for SimulatedRing {
    fn drop(&mut self) {
        // Sockets that nobody took close themselves; operations still in flight die with the ring.
        let queued = self.queued.drain(..);
        for begun in queued.filter_map(|queued| match queued {
            Queued::Operation(begun) => Some(begun),
            _ => None,
        }) {
            self.begun.push(begun);
        }
        for begun in self.begun.drain(..) {
            self.world.lock().connections[begun.socket].finish_operation();
        }
        self.done.clear();
        if !std::thread::panicking() {
            let lent = self.pool.lent();
            assert!(lent == 0, "{lent} ring buffers outlive their ring");
        }
    }
}

fn cancelled(key: ConnectionKey, work: Work) -> Completion {
    match work {
        Work::Receive | Work::ReceiveReady => Completion::Received {
            key,
            outcome: Received::Cancelled,
        },
        Work::Fill { buffer, .. } => Completion::Filled {
            key,
            buffer,
            result: Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        },
        Work::Watch => Completion::HungUp {
            key,
            outcome: HangUp::Cancelled,
        },
        Work::Send { buffer, sent, .. } => Completion::Sent {
            key,
            buffer,
            result: if sent > 0 {
                Ok(sent)
            } else {
                Err(io::Error::from_raw_os_error(libc::ECANCELED))
            },
        },
    }
}
