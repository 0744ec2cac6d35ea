//! The reports of a ring: one value per completion, with the system's codes already decoded.
//!
//! A completion may be stale, that is for a connection that has since gone; its key says so. Dropping a stale
//! completion is always safe: ring buffers go back and descriptors are closed by their owners' drops.

use super::buffers::RingBuffer;
use super::token::{ConnectionKey, Operation};
use std::io;

/// The end of an operation.
#[derive(Debug)]
#[must_use]
pub enum Completion {
    /// A connection waits in the listener: take it with `accept_now`, then watch again.
    AcceptReady,
    /// The listener cannot be watched. Watch again after a pause.
    AcceptFailed {
        /// The system's error.
        error: io::Error,
    },
    /// `unwatch_listener` has taken effect: the listener is not watched any more.
    AcceptStopped,
    /// A receive is over.
    Received {
        /// The connection.
        key: ConnectionKey,
        /// How it ended.
        outcome: Received,
    },
    /// A receive into a buffer of the caller's is over.
    Filled {
        /// The connection.
        key: ConnectionKey,
        /// The buffer that was given to `receive_into`, with what has arrived behind what was in it.
        buffer: Vec<u8>,
        /// The bytes that have arrived; none is the peer's FIN.
        result: io::Result<usize>,
    },
    /// Its end.
    Sent {
        /// The connection.
        key: ConnectionKey,
        /// The buffer that was given to `send`, unchanged.
        buffer: Vec<u8>,
        /// Bytes taken from the range's start.
        result: io::Result<usize>,
    },
    /// A hang-up watch is over.
    HungUp {
        /// The connection.
        key: ConnectionKey,
        /// What the watch saw.
        outcome: HangUp,
    },
    /// A cancel was carried out. The operation's own completion comes separately.
    Cancelled {
        /// The connection.
        key: ConnectionKey,
        /// The operation to be cancelled.
        #[cfg_attr(
            not(any(test, feature = "internals")),
            expect(dead_code, reason = "only tests look at it")
        )]
        operation: Operation,
    },
    /// The descriptor is closed; with nothing else in flight, the slot may be used again.
    Closed {
        /// The connection.
        key: ConnectionKey,
    },
    /// The ring's waker was used at least once since `arm_wake`: call `arm_wake` again, then look for work.
    Woken,
}

/// The end of a receive.
#[derive(Debug)]
pub enum Received {
    /// Bytes; the guard gives its ring buffer back when dropped. Drop it before awaiting anything.
    Bytes(RingBuffer),
    /// The peer sends no more (FIN).
    End,
    /// No ring buffer was free: receive again once some came back.
    Starved,
    /// Cancelled before bytes came.
    Cancelled,
    /// The connection is broken.
    Failed(io::Error),
}

/// The end of a hang-up watch.
#[derive(Debug)]
pub enum HangUp {
    /// The peer sends no more (FIN); it may still read.
    ReadClosed,
    /// The connection is gone in both directions, or broken.
    Closed,
    /// Cancelled before anything was seen.
    Cancelled,
    /// The watch itself failed.
    #[cfg_attr(
        not(any(test, feature = "internals")),
        expect(dead_code, reason = "only tests look at the error")
    )]
    Failed(io::Error),
}
