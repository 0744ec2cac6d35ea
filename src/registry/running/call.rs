//! A running asynchronous call, its future's type erased.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::call_guard::CallGuard;
use super::ending::Ending;
use super::guard::guard;
use super::outcome::Outcome;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::panics::log_caught_panic;

/// A running asynchronous call. `Unpin`, and ready exactly once; dropping it cancels the call.
#[must_use = "a call does nothing until it is polled"]
pub struct CallFuture {
    state: State,
    pub(super) ending: Ending,
}

enum State {
    Running(Pin<Box<dyn CallSlot>>),
    Ended(Box<Outcome>),
    Finished,
}

impl CallFuture {
    pub(super) fn running(slot: Pin<Box<dyn CallSlot>>) -> Self {
        Self {
            state: State::Running(slot),
            ending: Ending::default(),
        }
    }

    /// A call that ended before it began.
    pub(in crate::registry) fn ended(outcome: Outcome) -> Self {
        Self {
            state: State::Ended(Box::new(outcome)),
            ending: Ending::default(),
        }
    }
}

impl Future for CallFuture {
    type Output = Outcome;

    /// A poll after it was ready gives an internal error.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let State::Running(slot) = &mut self.state {
            // It is written once, where it goes.
            let mut polled = Poll::Pending;
            if let Err(panicked) = guard(|| polled = slot.as_mut().poll(cx)) {
                polled = Poll::Ready(Err(panicked));
            }
            if polled.is_pending() {
                return Poll::Pending;
            }
            if let Err(panicked) = self.finish() {
                polled = Poll::Ready(Err(panicked));
            }
            if !self.ending.is_nothing() {
                polled = polled.map(|outcome| self.ending.of(outcome));
            }
            return polled;
        }
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Ended(outcome) => Poll::Ready(*outcome),
            _ => Poll::Ready(Err(ToolError::internal("a finished call was polled again"))),
        }
    }
}

impl CallFuture {
    pub(super) fn keep(&mut self, guard: CallGuard) {
        if let State::Running(slot) = &mut self.state {
            slot.as_mut().keep(guard);
        }
    }

    /// Drops the future, which is tool code too, and returns the slot.
    fn finish(&mut self) -> Result<(), ToolError> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Running(slot) => guard(|| slot.recycle()),
            _ => Ok(()),
        }
    }
}

impl Drop for CallFuture {
    fn drop(&mut self) {
        // There is no client to tell that a destructor panicked.
        if self.finish().is_err() {
            log_caught_panic("a call that was given up, as it was dropped");
        }
    }
}

/// A slot, its future's type erased.
pub(super) trait CallSlot {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome>;

    /// Keeps this until the future is dropped, if that may be later than the slot is. Comes before the first poll.
    fn keep(self: Pin<&mut Self>, _guard: CallGuard) {}

    /// Drops the future and returns the slot to its list, if the list still exists and has room.
    fn recycle(self: Pin<Box<Self>>);
}
