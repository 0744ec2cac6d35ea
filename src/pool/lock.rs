//! The lock around what several threads change together, each for a few steps.
//!
//! What needs one is written against the trait, so that a model checker's lock can stand in for the machine's, and what
//! is checked is what runs.
#![allow(
    clippy::disallowed_types,
    reason = "it is held for a few steps, in which nothing is called"
)]

use std::sync::{Mutex, PoisonError};

/// A value that one thread at a time may change.
pub trait Lock<T>: Send + Sync {
    /// A lock around `value`.
    fn new(value: T) -> Self;
    /// Runs `change` while nobody else does. It calls nothing that could lock again.
    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R;
}

/// The locks of one machine, real or modelled.
pub trait LockTypes: 'static {
    /// A lock around a value of this type.
    type Lock<T: Send>: Lock<T>;
}

/// The machine's own locks.
#[derive(Debug)]
pub struct StdLocks;

impl LockTypes for StdLocks {
    type Lock<T: Send> = Mutex<T>;
}

impl<T: Send> Lock<T> for Mutex<T> {
    fn new(value: T) -> Self {
        Mutex::new(value)
    }

    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // Nothing that can panic runs halfway through a change.
        change(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
