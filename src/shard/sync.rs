//! The synchronisation primitives of everything that shards share: words that several write, and queues that several
//! fill.
//!
//! Everything that lies between shards is generic over [`SyncTypes`] and runs on [`StdSync`]. In tests a model
//! checker's types take their place, so that what is checked is what runs.

use std::fmt::Debug;
use std::sync::atomic::AtomicU32;

use crossbeam_queue::SegQueue;

use crate::pool::Word;

/// The words and queues of one machine, real or modelled.
pub trait SyncTypes: 'static {
    /// What several shards read and write.
    type Word: Word + Debug;
    /// What several threads fill and one empties.
    type Queue<E>: Queue<E>;
}

/// A queue that takes what it is given at once. The threads that fill it bound what lies in it.
pub trait Queue<E>: Default {
    /// Puts an event behind all others.
    fn push(&self, event: E);

    /// Takes the oldest event out.
    fn pop(&self) -> Option<E>;

    /// Whether there is no event.
    fn is_empty(&self) -> bool;
}

/// The machine's own words and lock-free queues.
#[derive(Debug)]
pub struct StdSync;

impl SyncTypes for StdSync {
    type Word = AtomicU32;
    type Queue<E> = SegQueue<E>;
}

impl<E> Queue<E> for SegQueue<E> {
    fn push(&self, event: E) {
        SegQueue::push(self, event);
    }

    fn pop(&self) -> Option<E> {
        SegQueue::pop(self)
    }

    fn is_empty(&self) -> bool {
        SegQueue::is_empty(self)
    }
}
