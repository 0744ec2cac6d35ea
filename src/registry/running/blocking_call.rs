//! A blocking call: typed arguments and the function, boxed for the trip to a worker thread.

use super::blocking_context::BlockingContext;
use super::call_guard::CallGuard;
use super::ending::Ending;
use super::guard::guard;
use super::outcome::Outcome;

/// A blocking call that has not run yet. It is `Send`; dropping it is the same as never starting it.
#[must_use = "a blocking call does nothing until it is run"]
pub struct BlockingCall {
    pub(super) run: Box<dyn FnOnce(&BlockingContext) -> Outcome + Send>,
    pub(super) ending: Ending,
    pub(super) guard: Option<CallGuard>,
}

impl BlockingCall {
    /// Runs the function on this thread. A panic becomes [`ToolError::Panicked`](crate::ToolError::Panicked).
    pub fn run(self, context: &BlockingContext) -> Outcome {
        let within;
        let context = match &self.ending.mount {
            None => context,
            Some(mount) => {
                within = context.clone().within(mount);
                &within
            }
        };
        let outcome = guard(|| (self.run)(context)).and_then(|outcome| outcome);
        drop(self.guard);
        self.ending.of(outcome)
    }
}
