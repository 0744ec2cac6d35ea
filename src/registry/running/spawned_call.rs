//! A call whose future runs on another thread, and the slot on the shard in which it is waited for.
//!
//! ```text
//!   shard:   first poll ── spawn ──▶ other thread:  polled there until it ends
//!            later poll ◀── Emission::Returned ──── the outcome lies in the place that both share
//! ```
//!
//! The shard is told through the call's link, behind everything that the call has said, and so waits for nothing but
//! itself. A call without a link, as those of a batch are, keeps the waker instead.
//!
//! Invariants: the outcome is given once, by whoever ends the future: its return, its panic, or the runtime that drops
//! it; a slot that is dropped has the future dropped, too.
#![allow(
    clippy::disallowed_types,
    reason = "two threads meet here, each for as long as a move takes"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::call::CallSlot;
use super::call_guard::CallGuard;
use super::guard::guard;
use super::outcome::Outcome;
use super::spawner::{AbortOnDrop, Spawner};
use crate::registry::asking::emission::Emission;
use crate::registry::asking::link::CallLink;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::panics::{PanicFacts, keep_panic, log_caught_panic, take_last_panic};

/// The call on its shard.
pub(super) struct SpawnedSlot<F> {
    spawner: Arc<dyn Spawner>,
    /// Until the first poll.
    future: Option<F>,
    guard: Option<CallGuard>,
    place: Arc<Place>,
    /// Since then.
    running: Option<AbortOnDrop>,
}

// The future is not polled in here.
impl<F> Unpin for SpawnedSlot<F> {}

impl<F> SpawnedSlot<F>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    pub(super) fn new(spawner: Arc<dyn Spawner>, future: F, link: Option<Arc<CallLink>>) -> Self {
        let place = Place {
            state: Mutex::new(State::Running(None)),
            link,
        };
        Self {
            spawner,
            future: Some(future),
            guard: None,
            place: Arc::new(place),
            running: None,
        }
    }
}

impl<F> CallSlot for SpawnedSlot<F>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let slot = self.get_mut();
        if let Some(future) = slot.future.take() {
            let elsewhere = Elsewhere {
                future: Some(future),
                guard: slot.guard.take(),
                place: Arc::clone(&slot.place),
            };
            match slot.spawner.spawn(Box::pin(elsewhere)) {
                Ok(running) => slot.running = Some(running),
                Err(reason) => return Poll::Ready(Err(ToolError::internal(reason))),
            }
        }
        slot.place.poll(cx.waker())
    }

    fn keep(self: Pin<&mut Self>, guard: CallGuard) {
        self.get_mut().guard = Some(guard);
    }

    fn recycle(self: Pin<Box<Self>>) {}
}

/// Where the outcome is left.
struct Place {
    state: Mutex<State>,
    link: Option<Arc<CallLink>>,
}

enum State {
    /// Who is to be woken, if there is no link.
    Running(Option<Waker>),
    Returned(Outcome, Option<PanicFacts>),
    Over,
}

impl Place {
    fn poll(&self, waker: &Waker) -> Poll<Outcome> {
        let mut state = self.lock();
        if let State::Running(kept) = &mut *state {
            if self.link.is_none() {
                *kept = Some(waker.clone());
            }
            return Poll::Pending;
        }
        let State::Returned(outcome, panic) = std::mem::replace(&mut *state, State::Over) else {
            return Poll::Ready(Err(ToolError::internal("a spawned call was polled again")));
        };
        drop(state);
        if let Some(facts) = panic {
            keep_panic(facts);
        }
        Poll::Ready(outcome)
    }

    /// Leaves the outcome, if there is none yet.
    fn finish(&self, outcome: Outcome, panic: Option<PanicFacts>) {
        let mut state = self.lock();
        let State::Running(waker) = &mut *state else {
            return;
        };
        let waker = waker.take();
        *state = State::Returned(outcome, panic);
        drop(state);
        match (&self.link, waker) {
            (Some(link), _) => link.emit(Emission::Returned),
            (None, Some(waker)) => waker.wake(),
            (None, None) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pin_project! {
    /// The future on the other thread.
    struct Elsewhere<F> {
        #[pin]
        future: Option<F>,
        guard: Option<CallGuard>,
        place: Arc<Place>,
    }

    impl<F> PinnedDrop for Elsewhere<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_none() {
                return;
            }
            // There is no client to tell that a destructor panicked.
            if guard(|| this.future.set(None)).is_err() {
                log_caught_panic("a spawned call that was given up, as it was dropped");
            }
            drop(this.guard.take());
            this.place.finish(Err(ToolError::internal("the runtime has dropped the call")), None);
        }
    }
}

impl<F: Future<Output = Outcome>> Future for Elsewhere<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let outcome = match guard(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panicked) => Err(panicked),
        };
        // Dropping it is tool code, too.
        let outcome = guard(|| this.future.set(None)).and(outcome);
        drop(this.guard.take());
        let panic = match outcome {
            Err(ToolError::Panicked) => take_last_panic(),
            _ => None,
        };
        this.place.finish(outcome, panic);
        Poll::Ready(())
    }
}
