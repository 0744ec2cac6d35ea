//! A way to wake a shard's executor from outside when it sleeps though it should not.
//!
//! The inbox's wake-up goes through the data ring, which an executor that sleeps with runnable tasks does
//! not look at. Waking one of its tasks does reach it.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

/// Wakes one shard's executor; any thread.
#[derive(Debug, Clone, Default)]
pub struct ExecutorWaker(Arc<OnceLock<Waker>>);

impl ExecutorWaker {
    /// Names the task to wake: one that does nothing when woken.
    pub(super) fn set_task(&self, waker: &Waker) {
        // A task's waker stays the same for its life.
        let _ = self.0.set(waker.clone());
    }

    /// Wakes the executor. Not for frequent use: it is the watchdog's.
    pub fn wake(&self) {
        if let Some(waker) = self.0.get() {
            waker.wake_by_ref();
        }
    }
}
