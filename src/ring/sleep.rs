//! Waiting for the shard itself: for the end of a sleep, for one's next turn, or for something that the shard will say.
//! None of these takes anything of the executor's.
//!
//! A call that sleeps waits for nothing but the shard itself, which can go on waiting in its ring. Whoever drives the
//! shard looks when the next sleep is over, waits no longer than that, and wakes who slept. A call that only wants
//! another turn is woken there, too: if it woke itself, the executor would never be done with its tasks, and would look
//! at its own events only after a tenth of a second.
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
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
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
    /// Who wants another turn.
    in_turn: Vec<Waker>,
    /// Whether tasks were woken that whoever drives the shard does not know of.
    has_woken: bool,
    /// The call that is being polled.
    polled: Option<Polled>,
    /// Sleeps that were begun in that poll, with that waker.
    begun: Vec<SleepKey>,
    /// Whether the first end has come nearer since this was asked, or somebody wants another turn.
    has_news: bool,
    /// Who is to be told of that.
    waiter: Option<Waker>,
}

struct Polled {
    /// The waker it is polled with, by what that points to.
    own: *const (),
    /// Its task's.
    task: Waker,
}

impl Sleepers {
    const fn new() -> Sleepers {
        Sleepers {
            are_served: false,
            by_end: BTreeMap::new(),
            next_number: 0,
            in_turn: Vec::new(),
            has_woken: false,
            polled: None,
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
        let replaced = if self.task_of(waker).is_some() {
            self.begun.push(key);
            self.by_end.insert(key, Waker::noop().clone())
        } else {
            self.by_end.insert(key, waker.clone())
        };
        if is_first {
            self.announce();
        }
        replaced
    }

    /// The task of the call that is being polled with this waker.
    fn task_of(&self, waker: &Waker) -> Option<&Waker> {
        let polled = self.polled.as_ref()?;
        (polled.own == waker.data()).then_some(&polled.task)
    }

    /// Tells who waits.
    fn announce(&mut self) {
        self.has_news = true;
        if let Some(waiter) = &self.waiter {
            waiter.wake_by_ref();
        }
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

    /// Wakes all whose sleep is over or who want another turn. Whether there were any, or anybody was woken before for
    /// something that the shard said: their tasks are runnable now.
    pub fn wake(&self) -> bool {
        let (in_turn, mut has_woken) = SLEEPERS.with_borrow_mut(|sleepers| {
            (
                mem::take(&mut sleepers.in_turn),
                mem::take(&mut sleepers.has_woken),
            )
        });
        for waker in in_turn {
            waker.wake();
            has_woken = true;
        }
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
        let in_turn = SLEEPERS.with_borrow_mut(|sleepers| {
            sleepers.are_served = false;
            mem::take(&mut sleepers.in_turn)
        });
        in_turn.into_iter().for_each(Waker::wake);
    }
}

/// Polls a call with a waker of its own; sleeps wake `task` instead, and hold nothing.
pub fn poll_with<T>(own: &Waker, task: &Waker, poll: impl FnOnce() -> T) -> T {
    /// Ends it also if the poll panics.
    struct End<'a>(&'a Waker);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            let polled = SLEEPERS.with_borrow_mut(|sleepers| {
                while let Some(key) = sleepers.begun.pop() {
                    if let Some(waker) = sleepers.by_end.get_mut(&key) {
                        waker.clone_from(self.0);
                    }
                }
                sleepers.polled.take()
            });
            // Wakers are dropped outside the borrow.
            drop(polled);
        }
    }
    let polled = Polled {
        own: own.data(),
        task: task.clone(),
    };
    SLEEPERS.with_borrow_mut(|sleepers| sleepers.polled = Some(polled));
    let _end = End(task);
    poll()
}

/// What wakes a task for something that the shard says, and has it run soon.
struct Told(Waker);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        wake_now(&self.0);
    }
}

/// The waker to keep for what is said on the shard's own thread: of the call that is being polled with `waker` one that
/// does not count as held by anybody, and else that one.
pub fn waker_of_shard(waker: &Waker) -> Waker {
    let task = SLEEPERS.with_borrow(|sleepers| sleepers.task_of(waker).cloned());
    match task {
        Some(task) => Waker::from(Arc::new(Told(task))),
        None => waker.clone(),
    }
}

/// Wakes a task of this thread's shard, which has it run before it waits.
pub fn wake_now(task: &Waker) {
    task.wake_by_ref();
    on_woken();
}

/// A task of this thread's shard was woken, and is to run before the shard waits.
pub fn on_woken() {
    // At the thread's end nobody waits any more.
    let _ = SLEEPERS.try_with(|sleepers| sleepers.borrow_mut().has_woken = true);
}

/// Wakes a task when the shard of this thread has tasks run next; without one, now.
pub fn wake_in_turn(task: &Waker) {
    let is_served = SLEEPERS.with_borrow_mut(|sleepers| {
        if sleepers.are_served {
            sleepers.in_turn.push(task.clone());
            sleepers.announce();
        }
        sleepers.are_served
    });
    if !is_served {
        task.wake_by_ref();
    }
}

/// Ready once the next sleep ends sooner than when that was last asked, or somebody wants another turn.
pub(super) fn poll_news(context: &Context<'_>) -> Poll<()> {
    SLEEPERS.with_borrow_mut(|sleepers| {
        if mem::take(&mut sleepers.has_news) {
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
    use std::sync::atomic::{AtomicU32, Ordering};

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
    fn what_the_shard_will_say_holds_no_waker_either() {
        let served = ServedSleepers::new();
        let [call, task] = [(); 2].map(|()| Arc::new(Counted::default()));
        let (own, of_task) = (Waker::from(Arc::clone(&call)), Waker::from(Arc::clone(&task)));
        let told = poll_with(&own, &of_task, || waker_of_shard(&own));
        assert_eq!(Arc::strong_count(&call), 2);
        told.wake();
        assert_eq!((call.wakes(), task.wakes()), (0, 1));
        assert!(served.wake(), "its task is to run first");
        assert!(!served.wake());
        // Outside such a poll, and with another waker than the call's, it is that.
        let others = poll_with(&own, &of_task, || waker_of_shard(&of_task));
        assert!(others.will_wake(&of_task) && waker_of_shard(&own).will_wake(&own));
    }

    #[test]
    fn who_wants_a_turn_is_woken_with_the_next_and_who_waits_is_told() {
        let [task, waiter] = [(); 2].map(|()| Arc::new(Counted::default()));
        let of_task = Waker::from(Arc::clone(&task));
        wake_in_turn(&of_task);
        assert_eq!(task.wakes(), 1, "nobody gives turns here");
        let served = ServedSleepers::new();
        let waker = Waker::from(Arc::clone(&waiter));
        assert!(poll_news(&Context::from_waker(&waker)).is_pending());
        wake_in_turn(&of_task);
        assert_eq!((task.wakes(), waiter.wakes()), (1, 1));
        assert!(poll_news(&Context::from_waker(&waker)).is_ready());
        assert!(served.wake());
        assert_eq!(task.wakes(), 2);
        assert!(!served.wake());
        wake_in_turn(&of_task);
        drop(served);
        assert_eq!(task.wakes(), 3, "nobody is forgotten");
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
