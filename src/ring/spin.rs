//! The spin policy: when a shard stays in its ring, and when it lets the executor look at its own events.
//!
//! Parking in the executor costs about sixteen system calls and a pass over the executor four. A shard whose next
//! completion is near is better off blocked in the ring's own `enter`, which is one. But timers, cross-shard wake-ups
//! and files live in the executor's ring, so the executor gets a pass in between, and staying ends.
//!
//! | in the executor wait | the executor has a pass | the shard stays |
//! |---|---|---|
//! | nothing but the shard's own ticks | ten times a second | for good |
//! | perhaps others | every millisecond | for as long as was given or learned |
//!
//! What is learned is for how long there is nothing to do: the shard stays where the next completion is most likely
//! near, and parks at once where it is not. A wait that ends within a millisecond costs a timer that is set and cleared
//! in the CPU, which takes longer than anything else in it; one of several does not, as long as it is cut short.
//!
//! Callers with other runnable tasks, or tasks that await something in the executor, must not stay: nothing else runs
//! meanwhile.
#![allow(
    clippy::disallowed_methods,
    reason = "the policy decides when the clock is read"
)]

use std::time::{Duration, Instant};

/// Longest time between two passes over the executor while the shard stays in its ring.
const EXECUTOR_PASS: Duration = Duration::from_millis(1);
/// As long as this a shard stays that learns: two passes and their wake-ups cost about as much as parking once, so a
/// wrong guess costs no more than twice what a right one does.
const STAY: Duration = Duration::from_millis(2);
/// Where there is nothing to do for longer than this on average, staying does not pay (measured: at 2,000 requests a
/// second it costs as much as parking).
const GAP_STAY_MAX: Duration = Duration::from_micros(400);
/// A longer time teaches no more than this one, so that a pause is forgotten within a few requests.
const GAP_LEARNED_MAX: Duration = Duration::from_millis(8);
/// The newest time counts for one in so many.
const GAP_WEIGHT: u32 = 8;

/// What a shard does that has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Wait in the ring, for so long at most.
    Stay(Duration),
    /// Let the executor look at its own events, and ask again.
    Pass,
    /// Wait in the executor.
    Park,
}

/// Decides what an idle shard does, and learns from what comes of it.
#[derive(Debug)]
pub struct SpinPolicy {
    /// How long to stay; if this is `None`, it is learned.
    busy_poll: Option<Duration>,
    /// When the executor last looked at its own events.
    passed: Instant,
    /// Since when there has been nothing to do.
    idle_since: Option<Instant>,
    /// How long there is nothing to do, on average.
    gap: Duration,
}

impl SpinPolicy {
    /// A policy that stays for `busy_poll`, or for as long as it has learned. It begins as if the executor had just had
    /// its turn, and expects nothing soon.
    pub fn new(busy_poll: Option<Duration>) -> Self {
        SpinPolicy {
            busy_poll,
            passed: Instant::now(),
            idle_since: None,
            gap: GAP_LEARNED_MAX,
        }
    }

    /// There is nothing to do: what to do then. `pass` is how often the executor needs one, if nobody but the shard
    /// awaits anything there.
    pub fn on_idle(&mut self, pass: Option<Duration>) -> Idle {
        self.idle_at(pass, Instant::now())
    }

    /// There is something to do again, if there was not.
    pub fn on_busy(&mut self) {
        if self.idle_since.is_some() {
            self.busy_at(Instant::now());
        }
    }

    /// The executor has looked at its own events.
    pub fn on_passed(&mut self) {
        self.passed = Instant::now();
    }

    /// How long ago the executor last looked at its own events.
    pub fn pass_age(&self) -> Duration {
        self.passed.elapsed()
    }

    fn idle_at(&mut self, pass: Option<Duration>, now: Instant) -> Idle {
        let since = *self.idle_since.get_or_insert(now);
        let stay = match (self.busy_poll, pass) {
            (Some(given), _) => given,
            (None, Some(_)) => Duration::MAX,
            (None, None) if self.gap <= GAP_STAY_MAX => STAY,
            (None, None) => Duration::ZERO,
        };
        let stay_left = stay.saturating_sub(now.saturating_duration_since(since));
        let pass = pass.unwrap_or(EXECUTOR_PASS);
        let pass_left = pass.saturating_sub(now.saturating_duration_since(self.passed));
        if stay_left.is_zero() {
            Idle::Park
        } else if pass_left.is_zero() {
            Idle::Pass
        } else {
            Idle::Stay(stay_left.min(pass_left))
        }
    }

    fn busy_at(&mut self, now: Instant) {
        if let Some(since) = self.idle_since.take() {
            let gap = now.saturating_duration_since(since).min(GAP_LEARNED_MAX);
            self.gap = (self.gap * (GAP_WEIGHT - 1) + gap) / GAP_WEIGHT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy, driven by requests that come so long after each other.
    struct Driven {
        policy: SpinPolicy,
        pass: Option<Duration>,
        now: Instant,
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Spell {
        stays: u32,
        passes: u32,
        parks: u32,
    }

    impl Driven {
        fn new(busy_poll: Option<Duration>) -> Driven {
            let policy = SpinPolicy::new(busy_poll);
            Driven {
                now: policy.passed,
                pass: None,
                policy,
            }
        }

        /// Nothing to do until `gap` is over.
        fn idle(&mut self, gap: Duration) -> Spell {
            let end = self.now + gap;
            let mut spell = Spell::default();
            while self.now < end {
                match self.policy.idle_at(self.pass, self.now) {
                    Idle::Stay(wait) => {
                        let pass = self.pass.unwrap_or(EXECUTOR_PASS);
                        assert!(!wait.is_zero() && self.now + wait <= self.policy.passed + pass);
                        spell.stays += 1;
                        self.now = end.min(self.now + wait);
                    }
                    Idle::Pass => {
                        spell.passes += 1;
                        self.policy.passed = self.now;
                    }
                    Idle::Park => {
                        spell.parks += 1;
                        self.now = end;
                        self.policy.passed = end;
                    }
                }
            }
            self.policy.busy_at(end);
            spell
        }
    }

    const IDLE: Duration = Duration::from_secs(1);

    #[test]
    fn a_shard_that_is_busy_stays_and_one_that_is_not_parks_at_once() {
        let mut driven = Driven::new(None);
        assert_eq!(driven.idle(IDLE).parks, 1);
        let near = Duration::from_micros(200);
        let parks: Vec<u32> = (0..40).map(|_| driven.idle(near).parks).collect();
        assert_eq!(parks[..8], [1; 8], "it has yet to learn");
        assert_eq!(parks[30..], [0; 10]);
        assert_eq!(driven.idle(IDLE).parks, 1);
        // A pause is forgotten within a few requests.
        let parks: Vec<u32> = (0..40).map(|_| driven.idle(near).parks).collect();
        assert_eq!(parks[20..], [0; 20]);
        // Seldom requests are: no time is spent in vain.
        for _ in 0..40 {
            driven.idle(IDLE);
        }
        let only_parked = Spell {
            parks: 1,
            ..Spell::default()
        };
        assert_eq!(driven.idle(IDLE), only_parked);
    }

    #[test]
    fn the_executor_has_its_pass_every_millisecond() {
        let mut driven = Driven::new(None);
        let spells: Vec<Spell> = (0..4000)
            .map(|_| driven.idle(Duration::from_micros(100)))
            .collect();
        let passes: u32 = spells[1000..].iter().map(|spell| spell.passes).sum();
        assert!((270..=300).contains(&passes), "{passes} in 300 ms");
        assert!(spells[1000..].iter().all(|spell| spell.parks == 0));
    }

    #[test]
    fn a_wrong_guess_ends_after_a_few_passes() {
        let mut driven = Driven::new(None);
        for _ in 0..100 {
            driven.idle(Duration::from_micros(100));
        }
        let spell = driven.idle(IDLE);
        assert_eq!(spell.parks, 1);
        assert!(spell.passes <= 2 && spell.stays <= 3, "{spell:?}");
    }

    #[test]
    fn a_shard_that_is_alone_never_parks_and_the_executor_has_its_passes() {
        let mut driven = Driven::new(None);
        driven.pass = Some(Duration::from_millis(50));
        let spell = driven.idle(IDLE);
        assert_eq!((spell.parks, spell.passes), (0, 19));
        assert_eq!(spell.stays, 20);
        // Unless it was told for how long to stay.
        let mut driven = Driven::new(Some(Duration::from_micros(100)));
        driven.pass = Some(Duration::from_millis(50));
        assert_eq!(driven.idle(IDLE).parks, 1);
    }

    #[test]
    fn a_time_that_was_given_is_kept_to() {
        let mut driven = Driven::new(Some(Duration::from_micros(100)));
        for _ in 0..100 {
            let spell = driven.idle(Duration::from_micros(99));
            assert_eq!(spell.parks, 0);
        }
        assert_eq!(driven.idle(Duration::from_micros(101)).parks, 1);
        let mut driven = Driven::new(Some(Duration::ZERO));
        let only_parked = Spell {
            parks: 1,
            ..Spell::default()
        };
        assert_eq!(driven.idle(Duration::from_micros(10)), only_parked);
    }
}
