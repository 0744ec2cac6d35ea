//! A call whose result may be there at once; otherwise it is a blocking call.

use super::blocking_call::BlockingCall;
use super::call::CallFuture;
use super::call_guard::CallGuard;
use super::ending::Ending;
use super::guard::guard;
use super::outcome::Outcome;

/// A call that has not begun.
#[must_use = "a call does nothing until it has begun"]
pub struct ReadiedCall {
    begin: Begin,
    pub(super) ending: Ending,
    pub(super) guard: Option<CallGuard>,
}

/// Gives the outcome, or the call to be run on a worker.
type Begin = Box<dyn FnOnce() -> Result<Outcome, BlockingCall>>;

impl ReadiedCall {
    pub(super) fn new(begin: Begin) -> Self {
        Self {
            begin,
            ending: Ending::default(),
            guard: None,
        }
    }

    /// A future that is ready; otherwise a blocking call. A panic becomes
    /// [`ToolError::Panicked`](crate::ToolError::Panicked).
    ///
    /// # Errors
    /// What it waits for is not there: the call is to be run on a worker.
    pub fn begin(self) -> Result<CallFuture, BlockingCall> {
        let outcome = match guard(self.begin) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(mut blocking)) => {
                blocking.ending = self.ending;
                blocking.guard = self.guard;
                return Err(blocking);
            }
            Err(panicked) => Err(panicked),
        };
        Ok(CallFuture::ended(self.ending.of(outcome)))
    }
}
