//! The spin policy: when a busy shard stays in its ring, and when it lets the executor look at its own events.
//!
//! Parking costs about eleven system calls and a pass of the executor's reactor. A shard whose next
//! completion is near is better off blocked in the ring's own `enter` for a moment. But timers,
//! cross-shard wake-ups and files live in the executor's ring, so staying is bounded in time.
//!
//! Callers with other runnable tasks must not stay: nothing else runs meanwhile.
#![allow(
    clippy::disallowed_methods,
    reason = "the policy decides when the clock is read"
)]

use super::DataRing;
use super::kernel::KernelRing;
use std::io;
use std::time::{Duration, Instant};

/// Times that decide between staying and parking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpinOptions {
    /// Longest time blocked in the ring before parking; zero never blocks there.
    pub busy_poll: Duration,
    /// Longest time between two passes of the executor's reactor.
    pub executor_pass: Duration,
}

impl Default for SpinOptions {
    fn default() -> Self {
        SpinOptions {
            // This value is not settled: measurements on a busy machine did not rank 30, 100 and 300 µs. It should be
            // decided with `canned --busy-poll-micros` on a quiet one.
            busy_poll: Duration::from_micros(100),
            executor_pass: Duration::from_millis(1),
        }
    }
}

/// Keeps a shard's pump between its two duties.
#[derive(Debug)]
pub struct SpinPolicy {
    options: SpinOptions,
    passed: Instant,
}

impl SpinPolicy {
    /// A policy that begins as if the executor had just had its turn.
    pub fn new(options: SpinOptions) -> Self {
        SpinPolicy {
            options,
            passed: Instant::now(),
        }
    }

    /// Stays in the ring for a moment. Returns whether that brought completions; if not, the caller should park.
    ///
    /// # Errors
    /// Fails like [`KernelRing::flush_and_wait`].
    pub fn try_stay(&mut self, ring: &mut KernelRing) -> io::Result<bool> {
        if self.passed.elapsed() >= self.options.executor_pass {
            ring.flush()?;
            return Ok(false);
        }
        ring.flush_and_wait(self.options.busy_poll)?;
        Ok(ring.has_completions())
    }

    /// Notes that the executor has had its turn: call it after parking.
    pub fn on_parked(&mut self) {
        self.passed = Instant::now();
    }
}
