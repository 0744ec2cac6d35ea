//! A blocking call: typed arguments and the function, boxed for the trip to a worker thread.

use super::blocking_context::BlockingContext;
use super::guard::guard;
use super::note::noted;
use super::outcome::Outcome;

/// A blocking call that has not run yet. It is `Send`; dropping it is the same as never starting it.
#[must_use = "a blocking call does nothing until it is run"]
pub struct BlockingCall {
    pub(in crate::registry) run: Box<dyn FnOnce(&BlockingContext) -> Outcome + Send>,
    pub(in crate::registry) note: Option<Box<str>>,
}

impl BlockingCall {
    /// Runs the function on this thread. A panic becomes [`ToolError::Panicked`](crate::ToolError::Panicked).
    pub fn run(self, context: &BlockingContext) -> Outcome {
        let outcome = guard(|| (self.run)(context)).and_then(|outcome| outcome);
        noted(outcome, self.note.as_deref())
    }
}
