//! Which calls on the threads of tokio are awake, and which are asleep by the test's clock.
//!
//! A call is asleep once a poll has left it pending and nobody holds the waker that it was polled with: then it waits
//! for nothing but the end of a sleep, or for its client's answer, both of which hold another one. Each poll has a
//! waker of its own, for what an earlier poll has waited for may keep that one's for long.
#![allow(
    clippy::disallowed_types,
    reason = "a call is woken by any thread while another polls it"
)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::clock::VirtualClock;
use crate::registry::{AbortOnDrop, SpawnedFuture, Spawner};
use crate::ring::poll_with;

/// How many calls are awake.
#[derive(Debug, Default)]
pub(super) struct Activity(AtomicUsize);

impl Activity {
    pub(super) fn awake(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Spawns as another does, and watches what was spawned.
pub(super) struct WatchedSpawner {
    pub(super) inner: Arc<dyn Spawner>,
    pub(super) activity: Arc<Activity>,
    pub(super) clock: VirtualClock,
}

impl Spawner for WatchedSpawner {
    fn spawn(&self, future: SpawnedFuture) -> Result<AbortOnDrop, String> {
        self.inner.spawn(Box::pin(Watched {
            future,
            call: Watch::new(&self.activity),
            clock: self.clock.clone(),
        }))
    }

    fn shut_down(&self, patience: Duration) {
        self.inner.shut_down(patience);
    }
}

impl fmt::Debug for WatchedSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedSpawner").field(&self.inner).finish()
    }
}

/// A call's future.
struct Watched {
    future: SpawnedFuture,
    call: Arc<Watch>,
    clock: VirtualClock,
}

/// What is known of a call; it is what wakes the call.
struct Watch {
    activity: Arc<Activity>,
    state: Mutex<State>,
}

struct State {
    is_awake: bool,
    /// It was woken since its poll began.
    is_woken: bool,
    /// What wakes the task that polls it.
    task: Option<Waker>,
}

/// What a call is polled with.
struct OfPoll(Arc<Watch>);

/// The references to it while nobody else holds one.
const OWN_REFERENCES: usize = 2;

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let call = Arc::clone(&self.call);
        call.begin_poll(context.waker());
        let of_poll = Arc::new(OfPoll(Arc::clone(&call)));
        let (own, task) = (Waker::from(Arc::clone(&of_poll)), Waker::from(Arc::clone(&call)));
        let clock = self.clock.clone();
        let future = self.future.as_mut();
        let polled = clock.run(|| poll_with(&own, &task, || future.poll(&mut Context::from_waker(&own))));
        if polled.is_pending() {
            call.end_poll(Arc::strong_count(&of_poll) > OWN_REFERENCES);
        }
        polled
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.call.lock();
        state.sleep(&self.call.activity);
        state.task = None;
    }
}

impl Watch {
    /// A call that is awake.
    fn new(activity: &Arc<Activity>) -> Arc<Watch> {
        activity.0.fetch_add(1, Ordering::SeqCst);
        Arc::new(Watch {
            activity: Arc::clone(activity),
            state: Mutex::new(State {
                is_awake: true,
                is_woken: false,
                task: None,
            }),
        })
    }

    fn begin_poll(&self, task: &Waker) {
        let mut state = self.lock();
        state.wake(&self.activity);
        state.is_woken = false;
        state.task = Some(task.clone());
    }

    /// A poll has left it pending.
    fn end_poll(&self, is_held: bool) {
        let mut state = self.lock();
        if !is_held && !state.is_woken {
            state.sleep(&self.activity);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self, activity: &Activity) {
        if !std::mem::replace(&mut self.is_awake, true) {
            activity.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn sleep(&mut self, activity: &Activity) {
        if std::mem::take(&mut self.is_awake) {
            activity.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        let task = {
            let mut state = self.lock();
            // A call that is over has dropped its task's waker with its future.
            if let Some(task) = state.task.take() {
                state.is_woken = true;
                state.wake(&self.activity);
                task
            } else {
                return;
            }
        };
        task.wake();
    }
}

impl Wake for OfPoll {
    fn wake(self: Arc<Self>) {
        Arc::clone(&self.0).wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;
    use crate::ring::sleep;

    /// A call of this future, and its first poll.
    fn polled(
        activity: &Arc<Activity>,
        clock: &VirtualClock,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> (Pin<Box<Watched>>, Poll<()>) {
        let mut watched = Box::pin(Watched {
            future: Box::pin(future),
            call: Watch::new(activity),
            clock: clock.clone(),
        });
        let polled = watched.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        (watched, polled)
    }

    #[test]
    fn a_call_is_asleep_while_nobody_holds_its_waker() {
        let (activity, clock) = (Arc::<Activity>::default(), VirtualClock::new());
        let (sleeps, of_sleep) = polled(&activity, &clock, async {
            sleep(Duration::from_secs(1)).await;
            pending::<()>().await;
        });
        assert!(of_sleep.is_pending());
        assert_eq!(activity.awake(), 0);
        clock.move_to(clock.now() + Duration::from_secs(1));
        assert_eq!(activity.awake(), 1, "it is woken, and was not polled");
        drop(sleeps);
        assert_eq!(activity.awake(), 0);
    }

    #[test]
    fn a_call_that_something_else_may_wake_is_awake() {
        let (activity, clock) = (Arc::<Activity>::default(), VirtualClock::new());
        let held = Arc::new(Mutex::new(None));
        let hold = Arc::clone(&held);
        let both = async move {
            let mut sleeps = Box::pin(sleep(Duration::from_secs(1)));
            poll_fn(|context| {
                hold.lock()
                    .unwrap()
                    .get_or_insert_with(|| context.waker().clone());
                sleeps.as_mut().poll(context)
            })
            .await;
        };
        let (mut watched, _) = polled(&activity, &clock, both);
        assert_eq!(activity.awake(), 1);
        // A poll that does not hold its own waker leaves it asleep, whatever an earlier one has left behind.
        assert!(
            watched
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert_eq!(activity.awake(), 0);
        held.lock().unwrap().take().into_iter().for_each(Waker::wake);
        assert_eq!(activity.awake(), 1);
        clock.move_to(clock.now() + Duration::from_secs(1));
        assert!(
            watched
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
        drop(watched);
        assert_eq!(activity.awake(), 0);
    }
}
