//! What the threads of a test wait for, and the meeting of those threads with the driver.
//!
//! Invariant: a goal is taken off the list by the thread that set it, however it ends.
#![allow(
    clippy::disallowed_types,
    reason = "the threads of a test meet the driver here; no shard runs under the lock"
)]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ring::simulated::SimulatedPeer;
use crate::shard;

/// How long a goal may take by the real clock. It is for tools that block a thread or wait for the world outside.
const REAL_PATIENCE: Duration = Duration::from_secs(60);

/// What a thread waits for.
pub(super) enum Goal {
    /// One of these has bytes or an end; at the latest at this time.
    News(Vec<Arc<SimulatedPeer>>, Instant),
    /// The shard has nothing to do.
    Idle,
    /// It is this late.
    Until(Instant),
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// As it should.
    Reached,
    /// The time was over, by the server's clock.
    TimeOver,
    /// Nothing is due, and nothing runs that could bring what is waited for.
    Stuck,
    /// The time was over, by the real clock.
    RealTimeOver,
    /// The driver has panicked.
    Broken,
}

#[derive(Default)]
pub(super) struct Goals {
    state: Mutex<State>,
    /// Signals the driver.
    signalled: Condvar,
    /// Signals who waits.
    reached: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    goals: Vec<Waiting>,
    numbers: u64,
    is_signalled: bool,
    is_ending: bool,
    /// The driver has ended.
    is_over: bool,
}

struct Waiting {
    number: u64,
    goal: Goal,
    waited: Option<Waited>,
}

impl Goals {
    /// Waits for this.
    pub(super) fn reach(&self, goal: Goal) -> Waited {
        let mut state = self.lock();
        state.numbers += 1;
        let number = state.numbers;
        state.goals.push(Waiting {
            number,
            goal,
            waited: None,
        });
        self.signal_in(&mut state);
        let is_going_on = |state: &mut State| state.waited(number).is_none() && !state.is_over;
        let (mut state, _) = self
            .reached
            .wait_timeout_while(state, REAL_PATIENCE, is_going_on)
            .unwrap_or_else(PoisonError::into_inner);
        let waited = state.waited(number);
        state.goals.retain(|waiting| waiting.number != number);
        waited.unwrap_or(if state.is_over {
            Waited::Broken
        } else {
            Waited::RealTimeOver
        })
    }

    /// There may be something for the driver to do.
    pub(super) fn signal(&self) {
        self.signal_in(&mut self.lock());
    }

    fn signal_in(&self, state: &mut State) {
        state.is_signalled = true;
        self.signalled.notify_one();
    }

    /// Ends the driver, and waits so long for it.
    pub(super) fn end(&self, patience: Duration) {
        let mut state = self.lock();
        state.is_ending = true;
        self.signal_in(&mut state);
        drop(
            self.reached
                .wait_timeout_while(state, patience, |state| !state.is_over),
        );
    }

    // The driver's side.

    /// What is to be waited for, unless something was signalled; `None` if it was.
    pub(super) fn idle(&self) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        let is_signalled = std::mem::take(&mut state.is_signalled);
        (!is_signalled).then_some(state)
    }

    /// Waits until something is signalled, for so long at most.
    pub(super) fn wait(&self, mut state: MutexGuard<'_, State>, at_most: Option<Duration>) {
        let is_quiet = |state: &mut State| !state.is_signalled;
        match at_most {
            Some(time) => {
                drop(self.signalled.wait_timeout_while(state, time, is_quiet));
            }
            None => {
                while is_quiet(&mut state) {
                    state = self.signalled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Tells who waits what was reached.
    pub(super) fn tell(&self) {
        self.reached.notify_all();
    }

    /// The driver has ended.
    pub(super) fn on_over(&self) {
        self.lock().is_over = true;
        self.tell();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.lock().is_ending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waited(&self, number: u64) -> Option<Waited> {
        let mut goals = self.goals.iter();
        goals.find(|waiting| waiting.number == number)?.waited
    }

    /// Marks the goals that are reached at this time, while the shard has nothing to do. Returns whether there are any.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let mut is_any = false;
        for waiting in self.goals.iter_mut().filter(|waiting| waiting.waited.is_none()) {
            waiting.waited = match &waiting.goal {
                Goal::Idle => Some(Waited::Reached),
                Goal::News(peers, _) if peers.iter().any(|peer| peer.has_news()) => Some(Waited::Reached),
                Goal::News(_, until) if *until <= now => Some(Waited::TimeOver),
                Goal::Until(end) if *end <= now => Some(Waited::Reached),
                Goal::News(..) | Goal::Until(_) => None,
            };
            is_any |= waiting.waited.is_some();
        }
        is_any
    }

    /// Whether anybody waits for time to pass.
    pub(super) fn is_awaited(&self) -> bool {
        self.goals.iter().any(|waiting| waiting.waited.is_none())
    }

    /// When a wait ends by the clock; those for news alone have another end.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let open = self.goals.iter().filter(|waiting| waiting.waited.is_none());
        let ends = open.filter_map(|waiting| match waiting.goal {
            Goal::Until(end) => Some(end),
            Goal::News(..) | Goal::Idle => None,
        });
        ends.min()
    }

    /// When the waits for news are over.
    pub(super) fn news_end(&self) -> Option<Instant> {
        let open = self.goals.iter().filter(|waiting| waiting.waited.is_none());
        let ends = open.filter_map(|waiting| match waiting.goal {
            Goal::News(_, end) => Some(end),
            Goal::Until(_) | Goal::Idle => None,
        });
        ends.min()
    }

    /// Nothing will come any more.
    pub(super) fn give_up(&mut self) {
        for waiting in self.goals.iter_mut().filter(|waiting| waiting.waited.is_none()) {
            waiting.waited = Some(Waited::Stuck);
        }
    }
}

impl shard::Waker for Goals {
    fn wake(&self) {
        self.signal();
    }
}
