//! What shards share, under a model checker: every order in which their steps can interleave is run.
//!
//! The code checked is the code that runs, on other [`SyncTypes`]. The checker takes a read as old as the memory
//! model allows; all words here are sequentially consistent, which it is told by writing each once before it is
//! shared. A queue is one step, for its own workings are its crate's business.
//!
//! | file | checked |
//! |---|---|
//! | `permits` | none made, none lost, none given once closed |
//! | `slack` | a free permit and a waiter that may have it find each other, without a clock |
//! | `inbox` | events of every producer, and wake-ups |
//! | `places` | the connection cap |
//! | `limits` | places of a tool's calls: never more than there may be, none lost |
//! | `rooms` | room at children and calls that wait elsewhere |
//! | `model_shard` | a shard, as far as others can tell |
//! | `load` | such shards under load, on the machine's memory |

mod inbox;
mod limits;
mod load;
mod model_shard;
mod permits;
mod places;
mod rooms;
mod slack;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicU32;

use super::sync::{Queue, SyncTypes};
use crate::pool::{Lock, LockTypes, Word};

/// The checker's words and queues.
#[derive(Debug)]
struct LoomSync;

impl SyncTypes for LoomSync {
    type Word = ModelledWord;
    type Queue<E> = ModelledQueue<E>;
}

#[derive(Debug)]
struct ModelledWord(AtomicU32);

impl Word for ModelledWord {
    fn new(value: u32) -> Self {
        let word = AtomicU32::new(0);
        // The checker holds only what a sequentially consistent write left to be superseded by the next.
        word.swap(value, Ordering::SeqCst);
        ModelledWord(word)
    }

    fn load(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    fn swap(&self, value: u32) -> u32 {
        self.0.swap(value, Ordering::SeqCst)
    }

    fn fetch_add(&self, count: u32) -> u32 {
        self.0.fetch_add(count, Ordering::SeqCst)
    }

    fn fetch_sub(&self, count: u32) -> u32 {
        self.0.fetch_sub(count, Ordering::SeqCst)
    }

    fn fetch_or(&self, bits: u32) -> u32 {
        self.0.fetch_or(bits, Ordering::SeqCst)
    }

    fn fetch_and(&self, bits: u32) -> u32 {
        self.0.fetch_and(bits, Ordering::SeqCst)
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, u32> {
        self.0
            .compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}

impl LockTypes for LoomSync {
    type Lock<T: Send> = ModelledLock<T>;
}

/// A lock of which every use is one step, ordered by a word.
struct ModelledLock<T> {
    step: ModelledWord,
    value: Mutex<T>,
}

impl<T: Send> Lock<T> for ModelledLock<T> {
    fn new(value: T) -> Self {
        ModelledLock {
            step: ModelledWord::new(0),
            value: Mutex::new(value),
        }
    }

    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.step.fetch_add(1);
        change(&mut self.value.lock().unwrap())
    }
}

/// A queue whose every call is one step, ordered by a word.
struct ModelledQueue<E> {
    step: ModelledWord,
    events: Mutex<VecDeque<E>>,
}

impl<E> Default for ModelledQueue<E> {
    fn default() -> Self {
        ModelledQueue {
            step: ModelledWord::new(0),
            events: Mutex::default(),
        }
    }
}

impl<E> Queue<E> for ModelledQueue<E> {
    fn push(&self, event: E) {
        self.step.fetch_add(1);
        self.events.lock().unwrap().push_back(event);
    }

    fn pop(&self) -> Option<E> {
        self.step.fetch_add(1);
        self.events.lock().unwrap().pop_front()
    }

    fn is_empty(&self) -> bool {
        self.step.fetch_add(1);
        self.events.lock().unwrap().is_empty()
    }
}

/// Runs `model` in every order of its threads' steps.
fn check(name: &str, model: impl Fn() + Send + Sync + 'static) {
    check_bounded(name, None, model);
}

/// Runs `model` in every order in which at most so many threads are interrupted where they could go on.
fn check_bounded(name: &str, preemptions_max: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions_max;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{name}: {runs} orders");
    assert!(runs > 1, "{name}: nothing happens at once");
}

/// Two that write one word and then read the other's: at least one sees the other.
fn cross(writes_first: bool) {
    check("cross", move || {
        let words = Arc::new([ModelledWord::new(0), ModelledWord::new(0)]);
        let theirs = Arc::clone(&words);
        let step = move |words: &[ModelledWord; 2], own: usize| {
            if writes_first {
                words[own].swap(1);
                words[1 - own].load()
            } else {
                let seen = words[1 - own].load();
                words[own].swap(1);
                seen
            }
        };
        let other = loom::thread::spawn(move || step(&theirs, 1));
        let seen = step(&words, 0);
        assert!(seen + other.join().unwrap() > 0, "neither saw the other");
    });
}

#[test]
fn the_checker_orders_writes_before_reads() {
    cross(true);
}

#[test]
#[should_panic(expected = "neither saw the other")]
fn the_checker_finds_reads_before_writes() {
    cross(false);
}
