//! What shards share through: words that several write, and queues that several fill.
//!
//! Everything between shards is written against [`Medium`] and runs on [`Memory`]. In tests a model checker's
//! medium takes its place, so that what is checked is what runs.

use std::fmt::Debug;
use std::sync::atomic::AtomicU32;

use crossbeam_queue::{ArrayQueue, SegQueue};

use crate::pool::Word;

/// The words and queues of one machine, real or modelled.
pub trait Medium: 'static {
    /// What several shards read and write.
    type Word: Word + Debug;
    /// What several threads fill and one empties.
    type Letters<M>: Letters<M>;
    /// The same without a bound, for those who must never wait for a place.
    type Unbounded<M>: Unbounded<M>;

    /// Lets others run, one of whom must do something before the caller can go on.
    fn give_way();
}

/// A bounded queue.
pub trait Letters<M> {
    /// A queue of `capacity` places.
    fn new(capacity: usize) -> Self;

    /// Puts a letter behind all others.
    ///
    /// # Errors
    /// The letter itself when no place is free.
    fn push(&self, letter: M) -> Result<(), M>;

    /// Takes the oldest out.
    fn pop(&self) -> Option<M>;

    /// Whether none is there.
    fn is_empty(&self) -> bool;
}

/// A queue that always has a place. Whoever fills it sees to it that there is an end to what lies in it.
pub trait Unbounded<M>: Default {
    /// Puts a letter behind all others.
    fn push(&self, letter: M);

    /// Takes the oldest out.
    fn pop(&self) -> Option<M>;
}

/// The machine's memory.
#[derive(Debug)]
pub struct Memory;

impl Medium for Memory {
    type Word = AtomicU32;
    type Letters<M> = ArrayQueue<M>;
    type Unbounded<M> = SegQueue<M>;

    fn give_way() {
        std::thread::yield_now();
    }
}

impl<M> Letters<M> for ArrayQueue<M> {
    fn new(capacity: usize) -> Self {
        ArrayQueue::new(capacity)
    }

    fn push(&self, letter: M) -> Result<(), M> {
        ArrayQueue::push(self, letter)
    }

    fn pop(&self) -> Option<M> {
        ArrayQueue::pop(self)
    }

    fn is_empty(&self) -> bool {
        ArrayQueue::is_empty(self)
    }
}

impl<M> Unbounded<M> for SegQueue<M> {
    fn push(&self, letter: M) {
        SegQueue::push(self, letter);
    }

    fn pop(&self) -> Option<M> {
        SegQueue::pop(self)
    }
}
