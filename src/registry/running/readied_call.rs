//! A call whose result may be there at once; otherwise it is a blocking call.

use super::blocking_call::BlockingCall;
use super::call::CallFuture;
use super::call_guard::CallGuard;
use super::ending::Ending;
use super::guard::guard;
use super::outcome::Outcome;
use super::started::Started;

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

    /// What it is now: a future that is ready, or a blocking call. A panic becomes
    /// [`ToolError::Panicked`](crate::ToolError::Panicked).
    pub fn begin(self) -> Started {
        let Self {
            begin,
            ending,
            guard: kept,
        } = self;
        let outcome = match guard(begin) {
            Ok(Err(blocking)) => {
                return Started::Blocking(BlockingCall {
                    ending,
                    guard: kept,
                    ..blocking
                });
            }
            Ok(Ok(outcome)) => outcome,
            Err(panicked) => Err(panicked),
        };
        Started::Future(CallFuture::ended(ending.of(outcome)))
    }
}
