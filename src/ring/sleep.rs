//! Sleeping on a shard, without a timer of the executor's.
//!
//! A call that sleeps waits for nothing but the shard itself, which can go on waiting in its ring. Whoever drives the
//! shard looks when the next sleep is over, waits no longer than that, and wakes who slept.
//!
//! What is polled while a call is, with that call's waker, is woken by the call's task directly and holds no waker:
//! a waker that is held shows that the call awaits something else.
#![allow(
    clippy::disallowed_methods,
    reason = "sleeps are measured against the real clock"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// When a sleep is over, and its number.
type SleepKey = (Instant, u64);

/// What a sleep that has no end waits for: about thirty years.
const FOREVER: Duration = Duration::from_secs(1 << 30);

thread_local! {
    static SLEEPERS: RefCell<Sleepers> = const { RefCell::new(Sleepers::new()) };
}

/// Who sleeps on this thread's shard.
struct Sleepers {
    /// Whether somebody wakes them.
    are_served: bool,
    by_end: BTreeMap<SleepKey, Waker>,
    next_number: u64,
    /// The waker with which a call is being polled, by what it points to.
    polled_with: Option<*const ()>,
    /// Sleeps that were begun in that poll, with that waker.
    begun: Vec<SleepKey>,
    /// Whether the first end has come nearer since this was asked.
    has_news: bool,
    /// Who is to be told of that.
    waiter: Option<Waker>,
}

impl Sleepers {
    const fn new() -> Sleepers {
        Sleepers {
            are_served: false,
            by_end: BTreeMap::new(),
            next_number: 0,
            polled_with: None,
            begun: Vec::new(),
            has_news: false,
            waiter: None,
        }
    }

    /// Returns the waker that it replaces, to be dropped outside the borrow.
    fn insert(&mut self, key: SleepKey, context: &Context<'_>) -> Option<Waker> {
        let waker = context.waker();
        let is_first = self
            .by_end
            .first_key_value()
            .is_none_or(|(first, _)| key < *first);
        let replaced = if self.polled_with == Some(waker.data()) {
            self.begun.push(key);
            self.by_end.insert(key, Waker::noop().clone())
        } else {
            self.by_end.insert(key, waker.clone())
        };
        if is_first {
            self.has_news = true;
            if let Some(waiter) = &self.waiter {
                waiter.wake_by_ref();
            }
        }
        replaced
    }
}

/// Waits for so long on the shard of this thread; without one, on the executor.
pub async fn sleep(duration: Duration) {
    if !SLEEPERS.with_borrow(|sleepers| sleepers.are_served) {
        return glommio::timer::sleep(duration).await;
    }
    let now = Instant::now();
    let end = now.checked_add(duration).unwrap_or_else(|| now + FOREVER);
    Sleep {
        end,
        number: None,
        stays_here: PhantomData,
    }
    .await;
}

struct Sleep {
    end: Instant,
    /// Its number among the sleepers, once it waits.
    number: Option<u64>,
    stays_here: PhantomData<Rc<()>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.end {
            return Poll::Ready(());
        }
        let replaced = SLEEPERS.with_borrow_mut(|sleepers| {
            let number = *self.number.get_or_insert_with(|| {
                sleepers.next_number += 1;
                sleepers.next_number
            });
            sleepers.insert((self.end, number), context)
        });
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        // At the thread's end there may be no sleepers any more. The waker is dropped outside the borrow.
        let removed = SLEEPERS.try_with(|sleepers| sleepers.borrow_mut().by_end.remove(&(self.end, number)));
        drop(removed);
    }
}

/// From here on the sleepers of this thread are served, until this is dropped.
#[derive(Debug)]
pub struct ServedSleepers(PhantomData<Rc<()>>);

impl ServedSleepers {
    /// Begins to serve them.
    #[allow(clippy::new_without_default, reason = "it does something")]
    pub fn new() -> ServedSleepers {
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.are_served = true);
        ServedSleepers(PhantomData)
    }

    /// When the next sleep is over, if anybody sleeps.
    pub fn next_end(&self) -> Option<Instant> {
        SLEEPERS.with_borrow_mut(|sleepers| {
            sleepers.has_news = false;
            let first = sleepers.by_end.first_key_value();
            first.map(|((end, _), _)| *end)
        })
    }

    /// Wakes all whose sleep is over. Whether there were any: their tasks are runnable now.
    pub fn wake(&self) -> bool {
        let mut has_woken = false;
        loop {
            let woken = SLEEPERS.with_borrow_mut(|sleepers| {
                let first = sleepers.by_end.first_entry()?;
                (first.key().0 <= Instant::now()).then(|| first.remove())
            });
            let Some(waker) = woken else { return has_woken };
            waker.wake();
            has_woken = true;
        }
    }
}

impl Drop for ServedSleepers {
    fn drop(&mut self) {
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.are_served = false);
    }
}

/// Polls a call with a waker of its own; sleeps wake `task` instead, and hold nothing.
pub fn poll_with<T>(own: &Waker, task: &Waker, poll: impl FnOnce() -> T) -> T {
    /// Ends it also if the poll panics.
    struct End<'a>(&'a Waker);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            SLEEPERS.with_borrow_mut(|sleepers| {
                sleepers.polled_with = None;
                while let Some(key) = sleepers.begun.pop() {
                    if let Some(waker) = sleepers.by_end.get_mut(&key) {
                        waker.clone_from(self.0);
                    }
                }
            });
        }
    }
    SLEEPERS.with_borrow_mut(|sleepers| sleepers.polled_with = Some(own.data()));
    let _end = End(task);
    poll()
}

/// Ready once the next sleep ends sooner than when that was last asked.
pub(super) fn poll_news(context: &Context<'_>) -> Poll<()> {
    SLEEPERS.with_borrow_mut(|sleepers| {
        if std::mem::take(&mut sleepers.has_news) {
            sleepers.waiter = None;
            return Poll::Ready(());
        }
        let waker = context.waker();
        match &mut sleepers.waiter {
            Some(waiter) => waiter.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    })
}

/// Nobody waits to be told of that any more.
pub(super) fn forget_waiter() {
    let waiter = SLEEPERS.try_with(|sleepers| sleepers.borrow_mut().waiter.take());
    drop(waiter);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Counted {
        fn wakes(&self) -> u32 {
            self.0.load(Ordering::SeqCst)
        }
    }

    const LONG: Duration = Duration::from_secs(3600);

    fn wait_until(end: Instant) {
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn sleepers_are_woken_in_time_and_no_one_else_is() {
        let served = ServedSleepers::new();
        let wakes = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let began = Instant::now();
        let mut short = pin!(sleep(Duration::from_millis(2)));
        let mut long = Box::pin(sleep(LONG));
        assert_eq!(served.next_end(), None);
        assert!(long.as_mut().poll(&mut context).is_pending());
        assert!(short.as_mut().poll(&mut context).is_pending());
        let end = served.next_end().unwrap();
        assert!(end >= began + Duration::from_millis(2) && end < began + LONG);
        if Instant::now() < end {
            assert!(!served.wake() || Instant::now() >= end);
        }
        wait_until(end);
        served.wake();
        assert_eq!(wakes.wakes(), 1);
        assert!(short.as_mut().poll(&mut context).is_ready());
        assert!(served.next_end().unwrap() > end);
        drop(long);
        assert_eq!(served.next_end(), None, "a sleep that is dropped is forgotten");
    }

    #[test]
    fn a_call_that_sleeps_holds_no_waker_and_its_task_is_woken() {
        let served = ServedSleepers::new();
        let [call, task] = [(); 2].map(|()| Arc::new(Counted::default()));
        let (own, of_task) = (Waker::from(Arc::clone(&call)), Waker::from(Arc::clone(&task)));
        let mut sleeps = pin!(sleep(Duration::from_millis(1)));
        let polled = poll_with(&own, &of_task, || {
            sleeps.as_mut().poll(&mut Context::from_waker(&own))
        });
        assert!(polled.is_pending());
        assert_eq!(Arc::strong_count(&call), 2);
        wait_until(served.next_end().unwrap());
        assert!(served.wake());
        assert_eq!((call.wakes(), task.wakes()), (0, 1));
        // Outside such a poll, and with another waker than the call's, it holds that.
        let mut again = Box::pin(sleep(LONG));
        let polled = poll_with(&of_task, &of_task, || {
            again.as_mut().poll(&mut Context::from_waker(&own))
        });
        assert!(polled.is_pending());
        assert_eq!(Arc::strong_count(&call), 3);
        drop(again);
        assert_eq!(Arc::strong_count(&call), 2);
    }

    #[test]
    fn who_waits_is_told_of_a_nearer_end() {
        let served = ServedSleepers::new();
        let wakes = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let mut first = Box::pin(sleep(LONG));
        assert!(
            first
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        served.next_end();
        assert!(poll_news(&context).is_pending());
        let mut later = Box::pin(sleep(2 * LONG));
        assert!(later.as_mut().poll(&mut context).is_pending());
        assert_eq!(wakes.wakes(), 0);
        let mut sooner = Box::pin(sleep(LONG / 2));
        assert!(sooner.as_mut().poll(&mut context).is_pending());
        assert_eq!(wakes.wakes(), 1);
        assert!(poll_news(&context).is_ready());
        assert!(poll_news(&context).is_pending());
    }

    #[test]
    fn a_sleep_without_end_does_not_overflow() {
        let served = ServedSleepers::new();
        let mut endless = Box::pin(sleep(Duration::MAX));
        let mut context = Context::from_waker(Waker::noop());
        assert!(endless.as_mut().poll(&mut context).is_pending());
        assert!(served.next_end().is_some());
    }
}
