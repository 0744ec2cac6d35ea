//! The pool's bookkeeping: the queue, the running jobs, the abandoned jobs, and the counts.
//!
//! Under its lock no job runs, and nothing that belongs to a job is dropped.
//! Invariant: `busy = running` jobs plus those whose result is just being handed over;
//! `busy - abandoned <= jobs_max`.
#![allow(
    clippy::disallowed_types,
    reason = "the one place where submitters and worker threads meet"
)]

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::job::{Job, Ran, Refused, Task};
use crate::metrics::WorkerFigures;
use crate::registry::{Cancellation, log_caught_panic};

/// The state in which [`JobHandle::abandon`] found the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was still queued: it will neither run nor be replied to.
    Dropped,
    /// It runs. Its reply never comes.
    Running,
    /// It had ended: its reply was or is being called, or it had been abandoned before.
    Ended,
}

/// A submitted job, to give up. Dropping the handle does not.
#[derive(Clone, Debug)]
pub struct JobHandle {
    id: u64,
    cancellation: Cancellation,
    // The reference is weak: a handle that is kept for long does not keep the pool.
    shared: Weak<Shared>,
}

impl JobHandle {
    /// Gives up a job whose result nobody wants any more. Its cancellation is set; a job that is queued leaves the
    /// queue and never runs. A job that runs no longer counts as work, a spare thread takes its place while there is
    /// one, and its result will be dropped.
    pub fn abandon(&self) -> Stopped {
        self.cancellation.cancel();
        self.shared
            .upgrade()
            .map_or(Stopped::Ended, |shared| shared.abandon(self.id))
    }
}

/// The state that threads, submitters and handles share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Signals the threads that there is a job to take, or that the pool ends.
    wake: Condvar,
    /// Signals the shutdown that a thread has ended.
    thread_ended: Condvar,
    jobs_max: u64,
    queue_depth_max: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Ids ascend from front to back.
    queue: VecDeque<(u64, Job)>,
    running: HashMap<u64, RunningJob>,
    next_id: u64,
    is_stopping: bool,
    ended: Vec<ThreadId>,
    /// `threads`, `threads_configured`, `jobs_max`, `queued` and `queue_depth_max` are filled in when asked for.
    figures: WorkerFigures,
}

#[derive(Debug)]
struct RunningJob {
    cancellation: Cancellation,
    is_abandoned: bool,
}

impl Shared {
    pub(super) fn new(jobs_max: usize, queue_depth_max: usize) -> Shared {
        let queue = VecDeque::with_capacity(queue_depth_max.min(QUEUE_RESERVED_MAX));
        Shared {
            state: Mutex::new(State {
                queue,
                ..State::default()
            }),
            wake: Condvar::new(),
            thread_ended: Condvar::new(),
            jobs_max: jobs_max as u64,
            queue_depth_max: queue_depth_max as u64,
        }
    }

    pub(super) fn try_submit(shared: &Arc<Shared>, job: Job) -> Result<JobHandle, Refused> {
        let mut state = shared.lock();
        if state.is_stopping {
            return Err(Refused::Stopping(job));
        }
        // A free thread needs no queue place, so a queue of zero still serves.
        let places = shared.queue_depth_max.saturating_add(shared.free_threads(&state));
        if state.queue.len() as u64 >= places {
            state.figures.refused_total += 1;
            return Err(Refused::Full(job));
        }
        Ok(Shared::enqueue(shared, state, job))
    }

    /// The same, however full the queue is.
    pub(super) fn submit_step(shared: &Arc<Shared>, job: Job) -> Result<JobHandle, Refused> {
        let state = shared.lock();
        if state.is_stopping {
            return Err(Refused::Stopping(job));
        }
        Ok(Shared::enqueue(shared, state, job))
    }

    fn enqueue(shared: &Arc<Shared>, mut state: MutexGuard<'_, State>, job: Job) -> JobHandle {
        let id = state.next_id;
        state.next_id += 1;
        let handle = JobHandle {
            id,
            cancellation: job.cancellation.clone(),
            shared: Arc::downgrade(shared),
        };
        state.queue.push_back((id, job));
        drop(state);
        shared.wake.notify_one();
        handle
    }

    pub(super) fn figures(&self) -> WorkerFigures {
        let state = self.lock();
        WorkerFigures {
            jobs_max: self.jobs_now_max(&state),
            threads_configured: self.jobs_max,
            queued: state.queue.len() as u64,
            queue_depth_max: self.queue_depth_max,
            ..state.figures
        }
    }

    /// Waits for a job that may run, or for the end (`None`).
    pub(super) fn next_job(&self) -> Option<Running<'_>> {
        let mut state = self.lock();
        loop {
            if self.free_threads(&state) > 0
                && let Some((id, job)) = state.queue.pop_front()
            {
                state.figures.busy += 1;
                let entry = RunningJob {
                    cancellation: job.cancellation.clone(),
                    is_abandoned: false,
                };
                state.running.insert(id, entry);
                return Some(Running {
                    shared: self,
                    id,
                    job: Some(job),
                    was_abandoned: false,
                });
            }
            if state.is_stopping {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stops accepting, discards the queue and tells running jobs to stop. Returns how many jobs were discarded; may be
    /// called again.
    pub(super) fn stop(&self) -> usize {
        let mut state = self.lock();
        state.is_stopping = true;
        let discarded = std::mem::take(&mut state.queue);
        for job in state.running.values() {
            job.cancellation.cancel();
        }
        drop(state);
        self.wake.notify_all();
        let count = discarded.len();
        for (_, job) in discarded {
            job.cancellation.cancel();
            reply(job.task);
        }
        count
    }

    /// Waits until every thread has ended, at most `patience`.
    pub(super) fn wait_all_ended(&self, patience: Duration) {
        let some_alive = |state: &mut State| state.figures.threads > 0;
        drop(
            self.thread_ended
                .wait_timeout_while(self.lock(), patience, some_alive),
        );
    }

    /// Waits until the threads without a job have ended. They run no foreign code, so the wait needs no limit; the
    /// queue must be empty.
    pub(super) fn wait_idle_ended(&self) {
        let some_idle = |state: &mut State| state.figures.threads > state.figures.busy;
        drop(self.thread_ended.wait_while(self.lock(), some_idle));
    }

    /// The threads that have announced their end.
    pub(super) fn ended(&self) -> Vec<ThreadId> {
        self.lock().ended.clone()
    }

    pub(super) fn on_pin_failed(&self) {
        self.lock().figures.pin_failures_total += 1;
    }

    /// Counts a thread that is about to be started, so that it is there from the first submission on.
    pub(super) fn count_thread(&self) {
        self.lock().figures.threads += 1;
    }

    /// Takes the count back: the system refused the thread.
    pub(super) fn uncount_thread(&self) {
        self.lock().figures.threads -= 1;
    }

    /// Counts this thread out when the guard drops, however the thread ends.
    pub(super) fn announce_end_on_drop(&self) -> ThreadEnd<'_> {
        ThreadEnd { shared: self }
    }

    fn abandon(&self, id: u64) -> Stopped {
        let Some(mut state) = self.drop_queued(id) else {
            return Stopped::Dropped;
        };
        match state.running.get_mut(&id) {
            Some(job) if !job.is_abandoned => job.is_abandoned = true,
            _ => return Stopped::Ended,
        }
        state.figures.abandoned_total += 1;
        state.figures.abandoned += 1;
        drop(state);
        self.wake.notify_one();
        Stopped::Running
    }

    /// Drops a job that is still in the queue; if it is not there, the caller keeps the lock.
    fn drop_queued(&self, id: u64) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        let Some(job) = state.take_queued(id) else {
            return Some(state);
        };
        drop(state);
        drop_quietly(job);
        None
    }

    /// Threads that may take a job now. Spares count only while a job is abandoned; threads in a stuck job do not
    /// count.
    fn free_threads(&self, state: &State) -> u64 {
        let figures = &state.figures;
        let wanted = figures.busy.saturating_sub(figures.abandoned);
        self.jobs_now_max(state).saturating_sub(wanted)
    }

    fn jobs_now_max(&self, state: &State) -> u64 {
        self.jobs_max
            .min(state.figures.threads.saturating_sub(state.figures.abandoned))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock; if it ever did, the counts are still usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue's first allocation; a longer one grows when it is used.
const QUEUE_RESERVED_MAX: usize = 4096;

impl State {
    fn take_queued(&mut self, id: u64) -> Option<Job> {
        let at = self.queue.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.figures.cancelled_total += 1;
        self.queue.remove(at).map(|(_, job)| job)
    }
}

/// A job taken by this thread. Dropping this gives its place back.
pub(super) struct Running<'a> {
    shared: &'a Shared,
    id: u64,
    job: Option<Job>,
    was_abandoned: bool,
}

impl Running<'_> {
    /// Runs the job and hands its outcome over, unless its caller has given it up meanwhile.
    pub(super) fn run(&mut self) {
        let Some(Job {
            cancellation,
            mut task,
        }) = self.job.take()
        else {
            return;
        };
        let ran = task.run(&cancellation);
        let mut state = self.shared.lock();
        self.was_abandoned = state.running.remove(&self.id).is_some_and(|job| job.is_abandoned);
        state.figures.panicked_total += u64::from(ran == Ran::Panicked);
        state.figures.completed_total += u64::from(!self.was_abandoned);
        drop(state);
        if self.was_abandoned && ran == Ran::Panicked {
            log_caught_panic("a blocking call that was given up");
        }
        if self.was_abandoned {
            // The job still counts as abandoned: dropping the unwanted result may block too.
            drop_quietly(task);
        } else {
            reply(task);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.figures.busy -= 1;
        state.figures.abandoned -= u64::from(self.was_abandoned);
        // Nobody is woken: this thread looks at the queue next, and takes the place it has just given back.
    }
}

/// Announces a thread's end.
pub(super) struct ThreadEnd<'a> {
    shared: &'a Shared,
}

impl Drop for ThreadEnd<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.figures.threads -= 1;
        state.ended.push(thread::current().id());
        drop(state);
        self.shared.thread_ended.notify_all();
    }
}

/// Catches what `Job` did not: a reply that panics costs its own answer, not the thread.
fn reply(task: Box<dyn Task>) {
    if catch_unwind(AssertUnwindSafe(|| task.reply())).is_err() {
        log_caught_panic("the outcome of a blocking call, as it was handed over");
    }
}

fn drop_quietly<T>(unwanted: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(unwanted))).is_err() {
        log_caught_panic("the outcome of a blocking call that was given up, as it was dropped");
    }
}
