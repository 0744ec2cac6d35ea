//! One blocking call: its function, its cancellation, and the destination of its outcome.
//!
//! A job knows nothing of the queue. It catches its own panics, so that the outcome still reaches the call that waits.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::registry::Cancellation;

/// The end of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It returned.
    Done(T),
    /// It panicked, with this message. The message is for the log, since its text is the tool author's.
    Panicked(String),
    /// It never ran: the pool was shut down first.
    Discarded,
}

/// One blocking call, boxed once.
pub struct Job {
    pub(super) cancellation: Cancellation,
    pub(super) task: Box<dyn Task>,
}

impl Job {
    /// A job that runs `run` and hands its outcome to `reply`, both on the worker's thread. `reply` should only
    /// pass the outcome on, for example into a shard's inbox. It is called at most once, and not at all when the job
    /// is cancelled in the queue or abandoned, in which case its caller knows already.
    pub fn new<T, R, D>(cancellation: Cancellation, run: R, reply: D) -> Job
    where
        T: Send + 'static,
        R: FnOnce(&Cancellation) -> T + Send + 'static,
        D: FnOnce(Outcome<T>) + Send + 'static,
    {
        Job {
            cancellation,
            task: Box::new(Call {
                run: Some(run),
                outcome: Outcome::Discarded,
                reply,
            }),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("cancellation", &self.cancellation)
            .finish_non_exhaustive()
    }
}

/// Whether a job's code panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    Returned,
    Panicked,
}

/// A job with its result type erased.
pub(super) trait Task: Send {
    /// Runs the call, once; never unwinds.
    fn run(&mut self, cancellation: &Cancellation) -> Ran;
    /// Hands the outcome over; `Discarded` when `run` was not called. May unwind if the reply does.
    fn reply(self: Box<Self>);
}

struct Call<T, R, D> {
    run: Option<R>,
    outcome: Outcome<T>,
    reply: D,
}

impl<T, R, D> Task for Call<T, R, D>
where
    T: Send,
    R: FnOnce(&Cancellation) -> T + Send,
    D: FnOnce(Outcome<T>) + Send,
{
    fn run(&mut self, cancellation: &Cancellation) -> Ran {
        let Some(run) = self.run.take() else {
            return Ran::Returned;
        };
        // Nothing of the call is looked at again after a panic, so no broken invariant can be seen.
        match catch_unwind(AssertUnwindSafe(|| run(cancellation))) {
            Ok(value) => {
                self.outcome = Outcome::Done(value);
                Ran::Returned
            }
            Err(payload) => {
                self.outcome = Outcome::Panicked(message(payload));
                Ran::Panicked
            }
        }
    }

    fn reply(self: Box<Self>) {
        let Call { outcome, reply, .. } = *self;
        reply(outcome);
    }
}

/// A panic's message, as `panic!` makes them.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a message".to_owned(),
    };
    // A payload of another type may panic in its own destructor.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    text
}

/// The queue is full, or the pool is stopping; the job comes back, neither run nor replied to.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Every queue place is taken: overload, reason `workers`.
    #[error("the worker queue is full")]
    Full(Job),
    /// [`Workers::shutdown`](super::Workers::shutdown) has begun.
    #[error("the workers are stopping")]
    Stopping(Job),
}
