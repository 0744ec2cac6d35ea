//! What shards share, under a model checker: every order in which their steps can interleave is run.
//!
//! The code checked is the code that runs, on another [`Medium`]. The checker takes a read as old as the memory
//! model allows; all words here are sequentially consistent, which it is told by writing each once before it is
//! shared. A queue is one step, for its own workings are its crate's business.
//!
//! | file | checked |
//! |---|---|
//! | `permits` | none made, none lost, none given once closed |
//! | `slack` | a free permit and a waiter that may have it find each other, without a clock |
//! | `mail` | mail and wake-ups |
//! | `heard` | calls that speak outside a poll |
//! | `places` | the connection gate |
//! | `site` | a shard, as far as others can tell |
//! | `load` | such shards under load, on the machine's memory |

mod heard;
mod load;
mod mail;
mod permits;
mod places;
mod site;
mod slack;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicU32;

use super::medium::{Letters, Medium, Unbounded};
use crate::pool::Word;

/// The checker's words and queues.
#[derive(Debug)]
struct Modelled;

impl Medium for Modelled {
    type Word = ModelledWord;
    type Letters<M> = ModelledLetters<M>;
    type Unbounded<M> = ModelledLetters<M>;

    fn give_way() {
        loom::thread::yield_now();
    }
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

/// A queue whose every call is one step, ordered by a word.
struct ModelledLetters<M> {
    step: ModelledWord,
    capacity: usize,
    letters: Mutex<VecDeque<M>>,
}

impl<M> Letters<M> for ModelledLetters<M> {
    fn new(capacity: usize) -> Self {
        ModelledLetters {
            step: ModelledWord::new(0),
            capacity,
            letters: Mutex::default(),
        }
    }

    fn push(&self, letter: M) -> Result<(), M> {
        self.step.fetch_add(1);
        let mut letters = self.letters.lock().unwrap();
        if letters.len() == self.capacity {
            return Err(letter);
        }
        letters.push_back(letter);
        Ok(())
    }

    fn pop(&self) -> Option<M> {
        self.step.fetch_add(1);
        self.letters.lock().unwrap().pop_front()
    }

    fn is_empty(&self) -> bool {
        self.step.fetch_add(1);
        self.letters.lock().unwrap().is_empty()
    }
}

impl<M> Default for ModelledLetters<M> {
    fn default() -> Self {
        Letters::new(usize::MAX)
    }
}

impl<M> Unbounded<M> for ModelledLetters<M> {
    fn push(&self, letter: M) {
        let pushed = Letters::push(self, letter);
        assert!(pushed.is_ok(), "a queue without bound is full");
    }

    fn pop(&self) -> Option<M> {
        Letters::pop(self)
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
