//! What time it is: the system's clocks, or under test a virtual one that belongs to the thread.
//!
//! A server in a test has threads of its own, and all of them [enter](VirtualClock::enter) its clock: what reads the
//! time here, and not from the system, sees virtual time on them. A shard reads its own clock, which is given to it.
//!
//! Invariant: the time of a thread never goes back.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place that knows which clock it is; the clock of a test is shared by its threads"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(feature = "testing")]
pub(crate) use virtual_clock::VirtualClock;

/// The time on this thread.
pub(crate) fn now() -> Instant {
    #[cfg(feature = "testing")]
    if let Some(now) = virtual_clock::here(VirtualClock::now) {
        return now;
    }
    Instant::now()
}

/// The wall's time on this thread, since 1970.
pub(crate) fn since_1970() -> Duration {
    #[cfg(feature = "testing")]
    if let Some(since) = virtual_clock::here(VirtualClock::since_1970) {
        return since;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Blocks this thread for so long, or until nobody wants it any more, which is looked at every `look`. It is for
/// threads that are no shards.
pub(crate) fn block_for(time: Duration, look: Duration, is_unwanted: impl Fn() -> bool) {
    let now = now();
    let end = now.checked_add(time).unwrap_or(now + FOREVER);
    #[cfg(feature = "testing")]
    if let Some(clock) = VirtualClock::here() {
        return clock.block_until(end, look, is_unwanted);
    }
    while !is_unwanted() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(look));
    }
}

/// What has no end takes so long: about thirty years.
pub(crate) const FOREVER: Duration = Duration::from_secs(1 << 30);

#[cfg(feature = "testing")]
mod virtual_clock {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
    use std::task::Waker;
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    thread_local! {
        static HERE: RefCell<Option<VirtualClock>> = const { RefCell::new(None) };
    }

    /// Asks this thread's clock, if it has one.
    pub(super) fn here<T>(ask: impl FnOnce(&VirtualClock) -> T) -> Option<T> {
        // At the thread's end there may be none any more.
        HERE.try_with(|here| here.borrow().as_ref().map(ask))
            .ok()
            .flatten()
    }

    /// A clock that stands still until it is moved. Clones are the same clock.
    #[derive(Debug, Clone)]
    pub(crate) struct VirtualClock(Arc<Shared>);

    #[derive(Debug)]
    struct Shared {
        began: Instant,
        began_1970: Duration,
        state: Mutex<State>,
        /// Signals the threads that sleep.
        moved: Condvar,
    }

    #[derive(Debug, Default)]
    struct State {
        elapsed: Duration,
        /// Futures that sleep by this clock, by their ends and numbers.
        sleepers: BTreeMap<(Instant, u64), Waker>,
        numbers: u64,
        /// Threads that sleep by it, and when they are to be woken.
        threads: Vec<Instant>,
    }

    impl VirtualClock {
        /// A clock that shows the time of this moment.
        #[allow(clippy::new_without_default, reason = "it reads the system's clocks")]
        pub(crate) fn new() -> VirtualClock {
            VirtualClock(Arc::new(Shared {
                began: Instant::now(),
                began_1970: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                state: Mutex::default(),
                moved: Condvar::new(),
            }))
        }

        /// From now on this is the clock of this thread.
        pub(crate) fn enter(&self) {
            HERE.set(Some(self.clone()));
        }

        /// Runs something on this thread by this clock.
        pub(crate) fn run<T>(&self, run: impl FnOnce() -> T) -> T {
            /// Ends it also if that panics.
            struct Before(Option<VirtualClock>);
            impl Drop for Before {
                fn drop(&mut self) {
                    HERE.set(self.0.take());
                }
            }
            let _before = Before(HERE.replace(Some(self.clone())));
            run()
        }

        /// The clock of this thread, if it is a virtual one.
        pub(crate) fn here() -> Option<VirtualClock> {
            here(VirtualClock::clone)
        }

        /// How far it was moved.
        pub(crate) fn elapsed(&self) -> Duration {
            self.lock().elapsed
        }

        /// The time.
        pub(crate) fn now(&self) -> Instant {
            self.0.began + self.elapsed()
        }

        /// The wall's time, since 1970.
        pub(crate) fn since_1970(&self) -> Duration {
            self.0.began_1970 + self.elapsed()
        }

        /// Moves the clock forward to `now`, and wakes whose sleep is over by then. A time that is past moves nothing.
        pub(crate) fn move_to(&self, now: Instant) {
            let mut state = self.lock();
            state.elapsed = state.elapsed.max(now.saturating_duration_since(self.0.began));
            let later = state.sleepers.split_off(&(now, u64::MAX));
            let woken = std::mem::replace(&mut state.sleepers, later);
            // Whose sleep is over runs from here on, whether or not its thread has noticed.
            state.threads.retain(|end| *end > now);
            drop(state);
            self.0.moved.notify_all();
            woken.into_values().for_each(Waker::wake);
        }

        /// When the next sleep by it is over.
        pub(crate) fn next_end(&self) -> Option<Instant> {
            let state = self.lock();
            let sleepers = state.sleepers.first_key_value().map(|((end, _), _)| *end);
            sleepers.into_iter().chain(state.threads.iter().copied()).min()
        }

        /// Threads that sleep by it.
        pub(crate) fn sleeping_threads(&self) -> usize {
            self.lock().threads.len()
        }

        /// A number for a sleep.
        pub(crate) fn number(&self) -> u64 {
            let mut state = self.lock();
            state.numbers += 1;
            state.numbers
        }

        /// Wakes `waker` once, at `end` or at once if that is past; in place of the one that was to be woken for that
        /// sleep before.
        pub(crate) fn wake_at(&self, end: Instant, number: u64, waker: Waker) {
            let mut state = self.lock();
            let is_over = end <= self.0.began + state.elapsed;
            let unneeded = if is_over {
                Some(waker)
            } else {
                state.sleepers.insert((end, number), waker)
            };
            // Wakers run foreign code, which may look at the clock.
            drop(state);
            if is_over {
                unneeded.into_iter().for_each(Waker::wake);
            }
        }

        /// Nobody waits for the end of a sleep any more.
        pub(crate) fn forget(&self, end: Instant, number: u64) {
            let forgotten = self.lock().sleepers.remove(&(end, number));
            drop(forgotten);
        }

        /// Blocks this thread until `end`, or until nobody wants it any more, which is looked at every `look` of real
        /// time.
        pub(crate) fn block_until(&self, end: Instant, look: Duration, is_unwanted: impl Fn() -> bool) {
            let mut state = self.lock();
            if end <= self.0.began + state.elapsed {
                return;
            }
            state.threads.push(end);
            while self.0.began + state.elapsed < end {
                if is_unwanted() {
                    // Those of the same end are alike.
                    let at = state.threads.iter().position(|other| *other == end);
                    at.map(|at| state.threads.swap_remove(at));
                    return;
                }
                let waited = self.0.moved.wait_timeout(state, look);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }

        fn lock(&self) -> MutexGuard<'_, State> {
            // Nothing that can panic runs halfway through a change.
            self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Wake, Waker};
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_thread_that_has_entered_a_clock_reads_that_and_no_other_does() {
        let clock = VirtualClock::new();
        let began = clock.now();
        let of_thread = clock.clone();
        let (time, wall) = thread::spawn(move || {
            of_thread.enter();
            let wall = since_1970();
            of_thread.move_to(now() + HOUR);
            (now(), since_1970() - wall)
        })
        .join()
        .unwrap();
        assert_eq!((time, wall), (began + HOUR, HOUR));
        assert_eq!(clock.elapsed(), HOUR);
        assert!(now() < began + HOUR);
        clock.move_to(began);
        assert_eq!(clock.elapsed(), HOUR, "it does not go back");
    }

    #[test]
    fn who_sleeps_is_woken_once_at_the_end_and_not_before() {
        let clock = VirtualClock::new();
        let (wakes, began) = (Arc::new(Counted::default()), clock.now());
        let sleep = |seconds: u64| {
            let number = clock.number();
            let end = began + Duration::from_secs(seconds);
            clock.wake_at(end, number, Waker::from(Arc::clone(&wakes)));
            (end, number)
        };
        let (long, forgotten) = (sleep(9), sleep(5));
        sleep(5);
        assert_eq!(clock.next_end(), Some(forgotten.0));
        clock.forget(forgotten.0, forgotten.1);
        clock.move_to(began + Duration::from_millis(4999));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        clock.move_to(began + Duration::from_secs(6));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(clock.next_end(), Some(long.0));
        clock.move_to(began + HOUR);
        sleep(7);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 3, "what is over wakes at once");
        assert_eq!(clock.next_end(), None);
    }

    #[test]
    fn a_thread_may_sleep_by_the_clock() {
        let clock = VirtualClock::new();
        let end = clock.now() + HOUR;
        let of_thread = clock.clone();
        let sleeps = thread::spawn(move || of_thread.block_until(end, HOUR, || false));
        while clock.sleeping_threads() == 0 {
            thread::yield_now();
        }
        assert_eq!(clock.next_end(), Some(end));
        clock.move_to(end);
        assert_eq!(clock.sleeping_threads(), 0);
        sleeps.join().unwrap();
        clock.block_until(end + HOUR, Duration::ZERO, || true);
        assert_eq!(clock.sleeping_threads(), 0);
    }

    #[test]
    fn a_thread_sleeps_by_the_real_clock_otherwise() {
        let (time, began) = (Duration::from_millis(3), Instant::now());
        block_for(time, HOUR, || false);
        assert!(began.elapsed() >= time);
        block_for(Duration::MAX, HOUR, || true);
    }
}
