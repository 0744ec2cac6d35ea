//! Drives a shard without an executor, on the simulated ring and by a clock that somebody moves: for tests of tools.
//!
//! It does in one step what the pump does in a turn, in the same order, and runs the tasks of pending calls itself. It
//! never waits: its owner asks it when something is due, and whether anything else may wake a call.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Context, Poll, Wake};
use std::time::Instant;

use crate::pool::HandlerKey;
use crate::ring::ServedSleepers;
use crate::ring::simulated::SimulatedRing;

use super::Shard;
use super::calls::{Awaits, CallWaker};
use super::inbox::Waker;

/// Completions handled before tasks have their turn.
const BATCH_COMPLETIONS_MAX: usize = 256;

/// A shard, the tasks of its pending calls, and those of them that sleep.
pub struct Stepper {
    shard: Shard<SimulatedRing>,
    tasks: Vec<Task>,
    sleepers: ServedSleepers,
    /// Makes the owner take a step.
    waker: Arc<dyn Waker>,
}

/// The task of a pending call.
struct Task {
    handler: HandlerKey,
    woken: Arc<Woken>,
    call_waker: CallWaker,
}

struct Woken {
    is_woken: AtomicBool,
    owner: Arc<dyn Waker>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.owner.wake();
        }
    }
}

impl Stepper {
    /// Drives this shard on the thread that calls it; any thread that has something for it wakes `waker`.
    pub fn new(shard: Shard<SimulatedRing>, waker: Arc<dyn Waker>) -> Stepper {
        Stepper {
            shard,
            tasks: Vec::new(),
            sleepers: ServedSleepers::new(),
            waker,
        }
    }

    /// One turn. Returns whether anything happened; if nothing did, nothing will before something is due or somebody
    /// wakes the shard.
    ///
    /// # Errors
    /// What makes the ring unusable.
    pub fn step(&mut self) -> io::Result<bool> {
        let mut is_busy = self.sleepers.wake();
        self.shard.begin_pass();
        self.shard.flush()?;
        self.shard.offer_if_due();
        loop {
            let handled = self.shard.handle_completions(BATCH_COMPLETIONS_MAX);
            self.run_started();
            is_busy |= handled > 0;
            if handled == 0 {
                break;
            }
        }
        is_busy |= self.run_tasks();
        self.shard.flush()?;
        Ok(is_busy || self.shard.has_pieces() || self.shard.calls.has_runnable())
    }

    /// The clock was moved: what is due happens.
    pub fn tick(&mut self) {
        self.shard.begin_pass();
        self.shard.handle_tick();
    }

    /// When something is due by the clock, at the earliest.
    pub fn next_due(&mut self) -> Option<Instant> {
        let offer = self.shard.admission.next_offer();
        let due = [offer, self.sleepers.next_end(), self.shard.clock.next_due()];
        due.into_iter().flatten().min()
    }

    /// Whether a call waits for something that only another thread may bring.
    pub fn awaits_others(&self) -> bool {
        self.shard.calls.awaits_executor()
    }

    /// Polls what was started, once; what is pending then becomes a task.
    fn run_started(&mut self) {
        let mut context = Context::from_waker(task::Waker::noop());
        while let Some((handler, mut call)) = self.shard.next_started() {
            match Pin::new(&mut call).poll(&mut context) {
                Poll::Ready(outcome) => self.shard.settle(handler, outcome),
                Poll::Pending => {
                    self.shard.suspend(handler, call, Awaits::Turn(None));
                    let woken = Arc::new(Woken {
                        is_woken: AtomicBool::new(true),
                        owner: Arc::clone(&self.waker),
                    });
                    let call_waker = CallWaker::new(&task::Waker::from(Arc::clone(&woken)));
                    self.tasks.push(Task {
                        handler,
                        woken,
                        call_waker,
                    });
                }
            }
        }
    }

    /// Runs the tasks that were woken. Returns whether there were any.
    fn run_tasks(&mut self) -> bool {
        let mut has_run = false;
        for task in std::mem::take(&mut self.tasks) {
            if !task.woken.is_woken.swap(false, Ordering::AcqRel) {
                self.tasks.push(task);
                continue;
            }
            has_run = true;
            let Some(mut call) = self.shard.resume_call(task.handler) else {
                continue;
            };
            match task.call_waker.poll(&mut call) {
                Ok(outcome) => self.shard.settle(task.handler, outcome),
                Err(awaits) => {
                    self.shard.suspend(task.handler, call, awaits);
                    self.tasks.push(task);
                }
            }
        }
        has_run
    }
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepper")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}
