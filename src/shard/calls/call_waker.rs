//! The waker of a pending call: it wakes the call's task, and shows whether anybody but the shard can wake it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use crate::ring::{on_woken, poll_with, wake_in_turn};

/// What a call waits for that is pending.
#[derive(Debug)]
pub enum Awaits {
    /// Its turn: it will be polled as soon as tasks run. Before its first poll by its task there is no waker.
    Turn(Option<Waker>),
    /// Something that the shard itself will wake it for: the end of a sleep, or its client's answer.
    Shard(Waker),
    /// Anything: its waker is held by somebody, who may need the executor for it.
    Anything(Waker),
}

impl Awaits {
    /// What wakes its task.
    pub(super) fn task(&self) -> Option<&Waker> {
        match self {
            Awaits::Turn(waker) => waker.as_ref(),
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
    /// Whether the call is being polled; the shard's thread alone looks.
    is_polled: AtomicBool,
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
        if thread::current().id() != self.thread {
            self.woken.fetch_max(WOKEN_ELSEWHERE, Ordering::Release);
            return self.task.wake_by_ref();
        }
        self.woken.fetch_max(WOKEN_HERE, Ordering::Release);
        // In its own poll, it is given another turn after that.
        if !self.is_polled.load(Ordering::Relaxed) {
            self.task.wake_by_ref();
            on_woken();
        }
    }
}

impl CallWaker {
    /// A waker of the call that this task polls.
    pub(in crate::shard) fn new(task: &Waker) -> CallWaker {
        let shared = Arc::new(Shared {
            task: task.clone(),
            thread: thread::current().id(),
            is_polled: AtomicBool::new(false),
            woken: AtomicU8::new(NOT_WOKEN),
        });
        let waker = Waker::from(Arc::clone(&shared));
        CallWaker { shared, waker }
    }

    /// Polls the call. One that woke itself gets its next turn from the shard, so that tasks that never wait leave the
    /// executor its own.
    pub(in crate::shard) fn poll<F>(&self, call: &mut F) -> Result<F::Output, Awaits>
    where
        F: Future + Unpin,
    {
        self.shared.woken.store(NOT_WOKEN, Ordering::Release);
        self.shared.is_polled.store(true, Ordering::Relaxed);
        let task = &self.shared.task;
        let polled = poll_with(&self.waker, task, || {
            Pin::new(call).poll(&mut Context::from_waker(&self.waker))
        });
        self.shared.is_polled.store(false, Ordering::Relaxed);
        match polled {
            Poll::Ready(outcome) => Ok(outcome),
            Poll::Pending => {
                let awaits = self.awaits(task.clone());
                if let Awaits::Turn(_) = awaits {
                    wake_in_turn(task);
                }
                Err(awaits)
            }
        }
    }

    fn awaits(&self, task: Waker) -> Awaits {
        let is_held = Arc::strong_count(&self.shared) > OWN_REFERENCES;
        // Whoever woke it and then let go of it did so in this order.
        fence(Ordering::Acquire);
        match self.shared.woken.load(Ordering::Acquire) {
            // Its task is known to the executor, which has yet to look at what other threads woke.
            WOKEN_ELSEWHERE => Awaits::Anything(task),
            // Until then the executor has its turn, too, whoever holds it.
            WOKEN_HERE => Awaits::Turn(Some(task)),
            _ if is_held => Awaits::Anything(task),
            _ => Awaits::Shard(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;
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
        // Its turn comes first, even so.
        let wakes_itself = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(poll(&waker, wakes_itself), Said::Turn);
        drop(kept);
        assert_eq!(poll(&waker, pending::<()>()), Said::Shard);
    }

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_call_that_wakes_itself_runs_with_the_shards_next_turn_and_any_other_at_once() {
        let served = crate::ring::ServedSleepers::new();
        let wakes = Arc::new(Counted::default());
        let waker = CallWaker::new(&Waker::from(Arc::clone(&wakes)));
        let wakes_itself = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(poll(&waker, wakes_itself), Said::Turn);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        assert!(served.wake(), "it wants its turn");
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(!served.wake());
        let mut kept = None;
        let keeps = poll_fn(|context| {
            kept = Some(context.waker().clone());
            Poll::<()>::Pending
        });
        assert_eq!(poll(&waker, keeps), Said::Anything);
        kept.unwrap().wake();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
        assert!(served.wake(), "the shard is not to wait before it has run");
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
