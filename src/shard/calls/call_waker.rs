//! The waker of a pending call: it wakes the call's task, and shows whether anybody but the shard can wake it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use crate::ring::poll_with;

/// What a call waits for that is pending.
#[derive(Debug)]
pub enum Awaits {
    /// Its turn: it will be polled as soon as tasks run. Before its first poll by its task there is no waker.
    Turn(Option<Waker>),
    /// Something that the shard itself will wake it for: the end of a sleep.
    Shard(Waker),
    /// Anything: its waker is held by somebody, who may need the executor for it.
    Anything(Waker),
}

impl Awaits {
    /// What wakes its task.
    pub(super) fn into_waker(self) -> Option<Waker> {
        match self {
            Awaits::Turn(waker) => waker,
            Awaits::Shard(waker) | Awaits::Anything(waker) => Some(waker),
        }
    }
}

/// One call's waker, kept from poll to poll.
#[derive(Debug)]
pub(in crate::shard) struct CallWaker {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug)]
struct Shared {
    task: Waker,
    /// The shard's.
    thread: ThreadId,
    /// Whence it was woken since the last poll began; another thread is remembered first.
    woken: AtomicU8,
}

const NOT_WOKEN: u8 = 0;
const WOKEN_HERE: u8 = 1;
const WOKEN_ELSEWHERE: u8 = 2;

/// The references that a [`CallWaker`] itself holds.
const OWN_REFERENCES: usize = 2;

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let whence = if thread::current().id() == self.thread {
            WOKEN_HERE
        } else {
            WOKEN_ELSEWHERE
        };
        self.woken.fetch_max(whence, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl CallWaker {
    /// A waker of the call that this task polls.
    pub(in crate::shard) fn new(task: &Waker) -> CallWaker {
        let shared = Arc::new(Shared {
            task: task.clone(),
            thread: thread::current().id(),
            woken: AtomicU8::new(NOT_WOKEN),
        });
        let waker = Waker::from(Arc::clone(&shared));
        CallWaker { shared, waker }
    }

    /// Polls the call.
    pub(in crate::shard) fn poll<F>(&self, call: &mut F) -> Result<F::Output, Awaits>
    where
        F: Future + Unpin,
    {
        self.shared.woken.store(NOT_WOKEN, Ordering::Release);
        let task = &self.shared.task;
        let polled = poll_with(&self.waker, task, || {
            Pin::new(call).poll(&mut Context::from_waker(&self.waker))
        });
        match polled {
            Poll::Ready(outcome) => Ok(outcome),
            Poll::Pending => Err(self.awaits(task.clone())),
        }
    }

    fn awaits(&self, task: Waker) -> Awaits {
        let is_held = Arc::strong_count(&self.shared) > OWN_REFERENCES;
        // Whoever woke it and then let go of it did so in this order.
        fence(Ordering::Acquire);
        match self.shared.woken.load(Ordering::Acquire) {
            // Its task is known to the executor, which has yet to look at what other threads woke.
            WOKEN_ELSEWHERE => Awaits::Anything(task),
            _ if is_held => Awaits::Anything(task),
            NOT_WOKEN => Awaits::Shard(task),
            _ => Awaits::Turn(Some(task)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};
    use std::pin::pin;
    use std::time::Duration;

    #[derive(Debug, PartialEq, Eq)]
    enum Said {
        Ready,
        Turn,
        Shard,
        Anything,
    }

    fn said<T>(polled: Result<T, Awaits>) -> Said {
        match polled {
            Ok(_) => Said::Ready,
            Err(Awaits::Turn(waker)) => {
                assert!(waker.is_some());
                Said::Turn
            }
            Err(Awaits::Shard(_)) => Said::Shard,
            Err(Awaits::Anything(_)) => Said::Anything,
        }
    }

    fn poll(waker: &CallWaker, call: impl Future) -> Said {
        said(waker.poll(&mut pin!(call)))
    }

    #[test]
    fn what_a_call_waits_for_shows_by_what_became_of_its_waker() {
        let waker = CallWaker::new(Waker::noop());
        assert_eq!(poll(&waker, ready(())), Said::Ready);
        assert_eq!(poll(&waker, pending::<()>()), Said::Shard);
        let wakes_itself = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(poll(&waker, wakes_itself), Said::Turn);
        let mut kept = None;
        let keeps = poll_fn(|context| {
            kept = Some(context.waker().clone());
            Poll::<()>::Pending
        });
        assert_eq!(poll(&waker, keeps), Said::Anything);
        // It is held from before.
        assert_eq!(poll(&waker, pending::<()>()), Said::Anything);
        drop(kept);
        assert_eq!(poll(&waker, pending::<()>()), Said::Shard);
    }

    #[test]
    fn another_threads_wake_up_is_anything_even_if_nothing_is_held_any_more() {
        let waker = CallWaker::new(Waker::noop());
        let wakes_elsewhere = poll_fn(|context| {
            let given = context.waker().clone();
            thread::spawn(move || given.wake()).join().unwrap();
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(poll(&waker, wakes_elsewhere), Said::Anything);
        assert_eq!(poll(&waker, pending::<()>()), Said::Shard);
    }

    #[test]
    fn a_sleep_is_the_shards_and_any_other_timer_is_not() {
        let _served = crate::ring::ServedSleepers::new();
        let waker = CallWaker::new(Waker::noop());
        let mut sleeps = pin!(crate::ring::sleep(Duration::from_secs(60)));
        assert_eq!(said(waker.poll(&mut sleeps)), Said::Shard);
        assert_eq!(said(waker.poll(&mut sleeps)), Said::Shard);
    }
}
