//! Threads for blocking tools: a fixed number, one bounded queue, first in first out.
//!
//! The pool refuses jobs when its queue is full, and never blocks a submitter beyond a short critical section. It has
//! no priorities and no clock: the submitter decides when a job has run too long and calls [`JobHandle::abandon`]. One
//! mutex guards the bookkeeping, and is never held while a job, a reply or a drop of either runs; at one lock per tool
//! call on threads that are about to block anyway, a lock-free queue would gain nothing.
//!
//! ```text
//! submitted → queued → running → replied
//!               │         └────→ abandoned → ended, result dropped
//!               └→ cancelled or discarded, never runs
//! ```
//!
//! Invariants: a job is in exactly one of these states; at most `threads` jobs that nobody has given up run at
//! once; a reply is called at most once, and never for a job that was cancelled in the queue or abandoned.

mod job;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use thiserror::Error;

pub use crate::config::WorkerSettings;
use crate::metrics::WorkerFigures;
use crate::registry::{Cancellation, discard_by, note_panics_here};
use crate::units::CpuId;

pub use job::{Job, Outcome, Refused};
use shared::Shared;
pub use shared::{JobHandle, Stopped};

/// Why the threads could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The caller asked for no thread.
    #[error("workers = 0, but blocking tools need at least 1")]
    NoThreads,
    /// A CPU number is beyond the kernel's masks.
    #[error("worker CPU {cpu} is out of range; the largest is {}", CpuSet::MAX_CPU - 1)]
    CpuOutOfRange {
        /// The CPU number.
        cpu: usize,
    },
    /// The system refused a thread.
    #[error(
        "worker thread {index} of {total} could not be started: {source}; lower --workers or raise the limit on tasks"
    )]
    Spawn {
        /// The thread's index.
        index: usize,
        /// Threads wanted, spare ones included.
        total: usize,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// The result of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Threads that ended in time.
    pub joined: usize,
    /// Threads left behind in a job that did not end; they die with the process.
    pub left_behind: usize,
    /// Queued jobs that never ran; each got [`Outcome::Discarded`].
    pub discarded: usize,
}

/// The pool: owns the threads. Dropping it discards the queue and leaves the threads to end by themselves.
#[derive(Debug)]
pub struct Workers {
    submitter: Submitter,
    threads: Vec<JoinHandle<()>>,
}

/// A shard's end of the pool: cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Submitter {
    shared: Arc<Shared>,
}

impl Workers {
    /// Starts the threads: `threads + abandoned_max`, all of them now. A spare is an idle thread, which costs a
    /// reserved stack and nothing else; started later, by a shard, it would inherit the shard's CPU, and could
    /// fail when it is needed.
    ///
    /// Call it from a thread that is not pinned.
    ///
    /// # Errors
    /// Fails when no threads are asked for, when a CPU number is out of range, or when the system refuses a thread;
    /// those already started end.
    pub fn start(settings: &WorkerSettings) -> Result<Workers, StartError> {
        Self::start_with(settings, || ())
    }

    /// Does the same; each thread begins with `on_start`.
    ///
    /// # Errors
    /// The same.
    pub fn start_with(
        settings: &WorkerSettings,
        on_start: impl Fn() + Clone + Send + 'static,
    ) -> Result<Workers, StartError> {
        let threads = settings.options.thread_count();
        if threads == 0 {
            return Err(StartError::NoThreads);
        }
        let cpus = cpu_set(&settings.cpus)?;
        let shared = Arc::new(Shared::new(threads, settings.queue_depth_max));
        let total = threads.saturating_add(settings.abandoned_max);
        let submitter = Submitter {
            shared: Arc::clone(&shared),
        };
        let mut workers = Workers {
            submitter,
            threads: Vec::with_capacity(total),
        };
        for index in 0..total {
            shared.count_thread();
            let of_thread = Arc::clone(&shared);
            let on_start = on_start.clone();
            let spawned = thread::Builder::new()
                .name(format!("weir-worker-{index}"))
                .spawn(move || {
                    note_panics_here();
                    on_start();
                    work(&of_thread, cpus.as_ref());
                });
            match spawned {
                Ok(thread) => workers.threads.push(thread),
                Err(source) => {
                    shared.uncount_thread();
                    // Dropping `workers` ends the threads started so far.
                    return Err(StartError::Spawn { index, total, source });
                }
            }
        }
        Ok(workers)
    }

    /// A handle to submit with.
    pub fn submitter(&self) -> Submitter {
        self.submitter.clone()
    }

    /// The gauges and totals of this moment.
    #[cfg(any(test, feature = "internals"))]
    pub fn figures(&self) -> WorkerFigures {
        self.submitter.figures()
    }

    /// Stops accepting, discards what is queued, tells running jobs to stop, and waits at most `patience` for the
    /// threads. Jobs that still run then are left behind.
    pub fn shutdown(mut self, patience: Duration) -> ShutdownReport {
        let shared = Arc::clone(&self.submitter.shared);
        let discarded = shared.stop();
        shared.wait_all_ended(patience);
        shared.wait_idle_ended();
        let ended = shared.ended();
        let (joined, left): (Vec<_>, Vec<_>) = self
            .threads
            .drain(..)
            .partition(|thread| ended.contains(&thread.thread().id()));
        let report = ShutdownReport {
            joined: joined.len(),
            left_behind: left.len(),
            discarded,
        };
        for thread in joined {
            // The thread has announced its end and runs no foreign code any more; its panic, if any, was counted.
            let _ = thread.join();
        }
        report
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.submitter.shared.stop();
    }
}

impl Submitter {
    /// Queues `job`: one short lock and one wake-up, no allocation while the queue stays within a few thousand.
    ///
    /// # Errors
    /// Fails when the queue is full or the pool is stopping; the job comes back.
    pub fn try_submit(&self, job: Job) -> Result<JobHandle, Refused> {
        Shared::try_submit(&self.shared, job)
    }

    /// Queues the next step of work that is under way, however full the queue is. Whoever calls it bounds how much work
    /// has a step there.
    ///
    /// # Errors
    /// Fails when the pool is stopping; the job comes back.
    pub fn submit_step(&self, job: Job) -> Result<JobHandle, Refused> {
        Shared::submit_step(&self.shared, job)
    }

    /// From now on whatever of an author's would be dropped by this thread, which serves others, is dropped by a
    /// worker. When those have stopped, nobody is served any more, and it is dropped where it is.
    pub fn drop_for_this_thread(&self) {
        let workers = self.clone();
        discard_by(move |discarded| {
            let job = Job::new(Cancellation::new(), move |_| drop(discarded), |_| ());
            drop(workers.submit_step(job));
        });
    }

    /// The gauges and totals of this moment.
    pub fn figures(&self) -> WorkerFigures {
        self.shared.figures()
    }
}

/// One thread's life.
fn work(shared: &Shared, cpus: Option<&CpuSet>) {
    if let Some(cpus) = cpus
        && sched_setaffinity(None, cpus).is_err()
    {
        // The CPU went away since the start, or a sandbox forbids it: an unpinned thread is slower, not wrong.
        shared.on_pin_failed();
    }
    let _end = shared.announce_end_on_drop();
    while let Some(mut running) = shared.next_job() {
        running.run();
    }
}

fn cpu_set(cpus: &[CpuId]) -> Result<Option<CpuSet>, StartError> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    for &CpuId(cpu) in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(StartError::CpuOutOfRange { cpu });
        }
        set.set(cpu);
    }
    Ok(Some(set))
}
