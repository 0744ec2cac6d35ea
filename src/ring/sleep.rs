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
//!
//! Away from shards a sleep is a timer of tokio's or, under test, of the test's clock.

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

#[cfg(feature = "testing")]
use crate::clock::VirtualClock;
use crate::clock::{self, FOREVER};

/// When a sleep is over, and its number.
type SleepKey = (Instant, u64);

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

/// Waits for so long, counted from now: on the shard of this thread, or on tokio's runtime.
///
/// # Panics
/// When it is polled on a thread that has neither.
pub fn sleep(duration: Duration) -> Sleep {
    let now = clock::now();
    Sleep {
        end: now.checked_add(duration).unwrap_or_else(|| now + FOREVER),
        timer: Timer::Unset,
    }
}

/// The future of [`sleep`].
#[derive(Debug)]
#[must_use = "a sleep that is not awaited does not wait"]
pub struct Sleep {
    end: Instant,
    timer: Timer,
}

/// Who wakes a sleep.
#[derive(Debug)]
enum Timer {
    Unset,
    /// The shard: the number among its sleepers.
    Shard(u64),
    #[cfg(feature = "testing")]
    Virtual(VirtualClock, u64),
    #[cfg(feature = "tokio")]
    Tokio(Pin<Box<tokio::time::Sleep>>),
}

impl Timer {
    /// The timer of this thread.
    fn here(end: Instant) -> Timer {
        let on_shard = SLEEPERS.with_borrow_mut(|sleepers| {
            sleepers.next_number += u64::from(sleepers.are_served);
            sleepers.are_served.then_some(sleepers.next_number)
        });
        if let Some(number) = on_shard {
            return Timer::Shard(number);
        }
        #[cfg(feature = "testing")]
        if let Some(clock) = VirtualClock::here() {
            let number = clock.number();
            return Timer::Virtual(clock, number);
        }
        #[cfg(feature = "tokio")]
        if tokio::runtime::Handle::try_current().is_ok() {
            return Timer::Tokio(Box::pin(tokio::time::sleep_until(end.into())));
        }
        panic!("{NO_TIMER} (until {end:?})")
    }
}

/// Why a sleep panics.
const NO_TIMER: &str = "this thread has neither a shard nor a tokio runtime to sleep on";

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let end = self.end;
        if clock::now() >= end {
            return Poll::Ready(());
        }
        if let Timer::Unset = self.timer {
            self.timer = Timer::here(end);
        }
        match &mut self.timer {
            Timer::Unset => {}
            Timer::Shard(number) => {
                let key = (end, *number);
                let replaced = SLEEPERS.with_borrow_mut(|sleepers| sleepers.insert(key, context));
                drop(replaced);
            }
            #[cfg(feature = "testing")]
            Timer::Virtual(clock, number) => {
                let waker = task_of(context.waker());
                clock.wake_at(end, *number, waker);
            }
            #[cfg(feature = "tokio")]
            Timer::Tokio(timer) => return timer.as_mut().poll(context),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        match &self.timer {
            Timer::Shard(number) => {
                // At the thread's end there may be no sleepers any more. The waker is dropped outside the borrow.
                let key = (self.end, *number);
                let removed = SLEEPERS.try_with(|sleepers| sleepers.borrow_mut().by_end.remove(&key));
                drop(removed);
            }
            #[cfg(feature = "testing")]
            Timer::Virtual(clock, number) => clock.forget(self.end, *number),
            _ => {}
        }
    }
}

/// The waker of the task that polls a call with this waker; of any other waker, that one.
#[cfg(feature = "testing")]
fn task_of(waker: &Waker) -> Waker {
    SLEEPERS.with_borrow(|sleepers| sleepers.task_of(waker).unwrap_or(waker).clone())
}

/// A future was not ready in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {0:?}")]
pub struct Elapsed(Duration);

/// What a future gives, if it is ready within `limit`; otherwise it is dropped.
///
/// # Errors
/// [`Elapsed`] if it is not.
///
/// # Panics
/// As [`sleep`] does.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut sleeps = sleep(limit);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => Pin::new(&mut sleeps).poll(context).map(|()| Err(Elapsed(limit))),
    })
    .await
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
                (first.key().0 <= clock::now()).then(|| first.remove())
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
    fn a_limit_gives_what_is_ready_in_time_and_drops_the_rest() {
        let served = ServedSleepers::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut ready = pin!(timeout(LONG, std::future::ready(7)));
        assert_eq!(ready.as_mut().poll(&mut context), Poll::Ready(Ok(7)));
        let limit = Duration::from_millis(1);
        let mut late = pin!(timeout(limit, std::future::pending::<()>()));
        assert!(late.as_mut().poll(&mut context).is_pending());
        wait_until(served.next_end().unwrap());
        assert_eq!(late.as_mut().poll(&mut context), Poll::Ready(Err(Elapsed(limit))));
        assert_eq!(served.next_end(), None, "it sleeps no longer");
    }

    #[test]
    fn a_thread_without_a_timer_says_so() {
        let slept = std::panic::catch_unwind(|| {
            let mut sleeps = pin!(sleep(LONG));
            sleeps
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        });
        let said = *slept.unwrap_err().downcast::<String>().unwrap();
        assert!(said.starts_with(NO_TIMER), "{said}");
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn on_a_runtime_a_sleep_is_one_of_tokios() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        let slept = runtime.block_on(async {
            let began = Instant::now();
            tokio::spawn(sleep(Duration::from_millis(5))).await.unwrap();
            began.elapsed()
        });
        assert!(slept >= Duration::from_millis(5));
        let late = runtime.block_on(timeout(Duration::from_millis(1), std::future::pending::<()>()));
        assert!(late.is_err());
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
