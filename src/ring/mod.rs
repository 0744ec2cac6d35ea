//! The data ring: the shard's own io_uring for sockets and pipes, behind one narrow trait.
//!
//! [`DataRing`] takes operations on connections and hands back [`Completion`]s. Two backends:
//! [`KernelRing`] (the real one) and [`simulated`] (seeded, with faults, for tests). The trait is
//! synchronous: a connection table is a state machine driven by completions, and runs on either
//! without an executor. [`Parking`] is the one place that knows how the executor waits for the ring.
//!
//! The ring knows nothing of HTTP, deadlines or who may read: its caller decides what to arm, chooses slots
//! and generations, and handles every completion, stale ones included.
//!
//! # Invariants
//!
//! - Memory named by an operation belongs to the ring until its completion: ring buffers live until the
//!   process ends, buffers to send or to receive into are moved in and given back.
//! - Per connection at most one receive, one send and one hang-up watch are in flight.
//! - An operation ends with exactly one completion.
//! - Sends that are over, and receives that found no ring buffer, are reported before anything else: they need no
//!   answer, and the caller must know of them before it decides which connection is next.

mod accept;
mod buffers;
mod completion;
mod kernel;
pub mod listener;
mod mapping;
mod outage;
mod park;
mod peer;
mod probe;
mod provided;
mod setup;
#[cfg(any(test, feature = "internals", feature = "testing"))]
#[cfg_attr(
    not(any(test, feature = "internals")),
    allow(dead_code, reason = "tests of tools order no faults, and look at no figures")
)]
pub mod simulated;
mod sleep;
mod socket;
mod spin;
pub mod steering;
mod supply;
mod ticks;
mod token;
pub mod unix_listener;
mod waker;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod pair_tests;

use std::io;
use std::net::Shutdown;
use std::ops::Range;

pub use buffers::RingBuffer;
pub use completion::{Completion, HangUp, Received};
pub use kernel::KernelRing;
pub use outage::AcceptOutage;
pub use park::{Parking, pass_over_executor};
pub use peer::{Credentials, Peer};
pub use probe::{ProbeError, probe, try_smallest_ring};
pub use setup::RingError;

pub use crate::config::RingOptions;
pub use sleep::{
    Elapsed, ServedSleepers, Sleep, on_woken, poll_with, sleep, timeout, wake_in_turn, wake_now,
    waker_of_shard,
};
pub use socket::Socket;
pub use spin::{Idle, SpinPolicy};
pub use ticks::spawn_ticks;
pub use token::{ConnectionKey, GENERATION_MAX, Operation};
pub use waker::RingWaker;

/// How a send treats a socket that cannot take everything at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendMode {
    /// Take what fits now (`MSG_DONTWAIT`): the completion may report fewer bytes, or `WouldBlock`. A pipe or file
    /// waits until it can take some, in either mode, and takes what it can.
    Attempt,
    /// Wait until everything is taken (`MSG_WAITALL`): fewer bytes only after an error or a cancel.
    All,
}

/// The counters of a ring since it was made, and its buffers now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Ring buffers without bytes: with the kernel, or to be given to it.
    pub buffers_free: usize,
    /// Ring buffers in all.
    pub buffers_total: usize,
    /// Receives that found no ring buffer (`ENOBUFS`).
    pub starvations: u64,
    /// Times the completion queue was seen overflown.
    pub overflows: u64,
    /// Operations that were begun and whose final completion has not been handed out.
    pub in_flight: usize,
}

/// A ring of socket operations. Operations are queued by the methods, begun by [`flush`](Self::flush),
/// and end in [`next_completion`](Self::next_completion).
///
/// In steady state no method allocates.
pub trait DataRing {
    /// An accepted connection, a pair of descriptors that stands for one, or one end of a pipe. It may move to
    /// another shard's ring when no operation names it. Dropping it closes it at once, which is also right only then;
    /// otherwise use [`close`](Self::close).
    type Socket: Send + 'static;

    /// Reports [`Completion::AcceptReady`] once there is a connection to accept on any of the listeners, at once if
    /// there is one already. The watch is one-shot and accepts nothing by itself, so that a caller with a cap can
    /// check it before each connection; an accept that is armed in the kernel would not.
    fn watch_listener(&mut self);

    /// Ends the watch. [`Completion::AcceptReady`] may still come before [`Completion::AcceptStopped`],
    /// which comes exactly once per call, also when nothing was watched.
    fn unwatch_listener(&mut self);

    /// Takes the oldest connection that waits in a listener, from each listener in its turn; `None` if none does. This
    /// is one system call for each listener that may have one, and does not block.
    ///
    /// # Errors
    /// The system's, such as used-up descriptors: the connection goes on waiting.
    fn accept_now(&mut self) -> io::Result<Option<Self::Socket>>;

    /// Receives once into a ring buffer, and waits for bytes. No buffer is lent until they are there.
    fn receive(&mut self, key: ConnectionKey, socket: &Self::Socket);

    /// Does the same for a connection that is known to have bytes, such as one whose receive found no buffer: the bytes
    /// are taken at once, so that no connection whose bytes come later gets the buffer instead.
    fn receive_ready(&mut self, key: ConnectionKey, socket: &Self::Socket);

    /// Receives up to `bytes` (at least 1) into `buffer`, behind what is in it, and takes what is there as soon as
    /// anything is. The buffer must have room for them. No ring buffer is needed. The ring owns `buffer` until
    /// [`Completion::Filled`] gives it back. It counts as the connection's receive, also for [`cancel`](Self::cancel).
    fn receive_into(&mut self, key: ConnectionKey, socket: &Self::Socket, buffer: Vec<u8>, bytes: usize);

    /// Sends `buffer[range]`, which must not be empty. The ring owns `buffer` until
    /// [`Completion::Sent`] gives it back. A peer that is gone is an error, never a signal.
    fn send(
        &mut self,
        key: ConnectionKey,
        socket: &Self::Socket,
        buffer: Vec<u8>,
        range: Range<usize>,
        mode: SendMode,
    );

    /// Watches for the peer's FIN, a hang-up or an error without receiving. The watch is one-shot. Of a pair of
    /// descriptors only the input is watched, which may hold more to be read.
    fn watch_hang_up(&mut self, key: ConnectionKey, socket: &Self::Socket);

    /// Asks for the connection's `operation` to end early. Both the operation's own completion and
    /// [`Completion::Cancelled`] follow, in either order; until both are in, bytes may still arrive.
    fn cancel(&mut self, key: ConnectionKey, operation: Operation);

    /// Shuts one or both directions down now, without queueing, and ends an armed receive. Of a pair of descriptors,
    /// whose other holders must not notice, and of a pipe, `Both` cancels what is under way, and `Write` does nothing.
    fn shutdown(&mut self, socket: &Self::Socket, how: Shutdown);

    /// Closes the connection behind everything queued before. No receive and no watch may be in flight: they keep
    /// the socket open, so the peer would see no FIN.
    fn close(&mut self, key: ConnectionKey, socket: Self::Socket);

    /// Reports [`Completion::Woken`] once after [`RingWaker::wake`] was called. This is one-shot.
    fn arm_wake(&mut self);

    /// The waker with which other threads wake this ring.
    fn waker(&self) -> RingWaker;

    /// Takes the error that is pending on a connection: the reason why it broke, if it did.
    fn take_error(&self, socket: &Self::Socket) -> Option<io::Error>;

    /// Bytes that have arrived and were not received. This is one system call.
    fn unread_bytes(&self, socket: &Self::Socket) -> usize;

    /// Who is at the other end: one or two system calls.
    ///
    /// # Errors
    /// The system's, when the connection is gone, and `Unsupported` for a pair of descriptors.
    fn peer(&self, socket: &Self::Socket) -> io::Result<Peer>;

    /// Gives returned buffers back, begins what was queued and collects what is done: at most one
    /// system call, none when there is nothing to do.
    ///
    /// # Errors
    /// Only those that make the ring unusable; interruptions and full queues are handled inside.
    fn flush(&mut self) -> io::Result<()>;

    /// Does the same, but may leave receives that wait for bytes to the next flush if nothing else is queued. For a
    /// caller that is about to wait: the call that waits begins them.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    fn flush_before_wait(&mut self) -> io::Result<()> {
        self.flush()
    }

    /// The next completion, without a system call. Early ones come first; apart from that the oldest comes first.
    fn next_completion(&mut self) -> Option<Completion>;

    /// The next early completion, oldest first, without a system call. Early are sends that are over, because others
    /// need what they free, and receives that found no ring buffer, because they come before connections that have yet
    /// to ask.
    fn next_early(&mut self) -> Option<Completion>;

    /// Whether the next flush will collect something. If it will not, and no completion is left to hand out, everything
    /// that had happened by the last flush is known.
    fn has_more(&mut self) -> bool;

    /// Gives memory back to the kernel that was not needed since the last call: pages of ring buffers in which nothing
    /// has arrived meanwhile.
    fn release_unneeded(&mut self);

    /// Counters and gauges, for metrics and shutdown.
    fn counters(&self) -> RingCounters;
}
