//! How often the children of a server fail, and how long to wait for the next one.
//!
//! ```text
//! Normal ─ fails ─► waits 0.5 s, 1 s, … 30 s ─► starts ─ lives for a minute ─► Normal
//!   └─ five times within a minute ─► Quarantined ─ after a minute one is tried ─► Trial ─ lives on ─► Normal
//!                                        ▲───────────────── fails ──────────────────┘
//! ```
//!
//! Only a child that lived for a while resets the wait: one that starts well and dies of its first call does not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The wait after the first failure.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a child has to live for its end to be a first failure.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// So many failures within [`FAILURES_WITHIN`] are too many.
const FAILURES_MAX: usize = 5;
const FAILURES_WITHIN: Duration = Duration::from_secs(60);
/// The time between two tries in quarantine.
const TRIED_EVERY: Duration = Duration::from_secs(60);

/// A child that leaves by itself is followed by another at once, if it has lived this long.
const LEFT_AFTER: Duration = Duration::from_secs(10);

/// The record of a server's failures.
#[derive(Debug, Default)]
pub struct Failures {
    /// The times of the last ones.
    recent: VecDeque<Instant>,
    wait: Option<Duration>,
    /// No child is started before this.
    not_before: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Normal,
    Quarantined,
    /// A child is there again, which has not lived for long.
    Trial,
}

impl Failures {
    /// A child has failed that was ready for this long; not at all, if it never was.
    pub fn on_failure(&mut self, lived: Duration, now: Instant) {
        if lived >= HEALTHY_AFTER {
            *self = Failures::default();
        }
        while self
            .recent
            .front()
            .is_some_and(|&at| now.saturating_duration_since(at) >= FAILURES_WITHIN)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if self.state != State::Normal || self.recent.len() >= FAILURES_MAX {
            self.state = State::Quarantined;
            self.not_before = Some(now + TRIED_EVERY);
            return;
        }
        self.wait_longer(now);
    }

    /// A child that was ready for this long has left by itself, with nothing to do. That is no failure; but one that
    /// does so at once is waited for longer every time.
    pub fn on_left(&mut self, lived: Duration, now: Instant) {
        if lived < LEFT_AFTER && self.state == State::Normal {
            self.wait_longer(now);
        }
    }

    fn wait_longer(&mut self, now: Instant) {
        let wait = self.wait.map_or(WAIT_MIN, |wait| (wait * 2).min(WAIT_MAX));
        self.wait = Some(wait);
        self.not_before = Some(now + wait);
    }

    /// A child is ready. It ends a quarantine, for now.
    pub fn on_ready(&mut self) {
        if self.state == State::Quarantined {
            self.state = State::Trial;
        }
    }

    /// A child has been ready for this long.
    pub fn on_alive(&mut self, lived: Duration) {
        if lived >= HEALTHY_AFTER && self.wait.is_some() {
            *self = Failures::default();
        }
    }

    /// Whether a child may be started now.
    pub fn may_start(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// When the next child may be started; `None` if it may at any time.
    pub fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Whether calls are to be refused at once.
    pub fn is_quarantined(&self) -> bool {
        self.state == State::Quarantined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound() {
        let mut now = Instant::now();
        let mut failures = Failures::default();
        assert!(failures.may_start(now));
        for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            failures.on_failure(Duration::ZERO, now);
            let wait = failures.not_before().unwrap() - now;
            assert_eq!(wait, Duration::from_secs_f64(expected));
            assert!(!failures.may_start(now) && failures.may_start(now + wait));
            // Rarely enough not to be too often.
            now += Duration::from_secs(20);
            assert!(!failures.is_quarantined());
        }
    }

    #[test]
    fn only_a_life_of_a_minute_resets_the_wait() {
        let now = Instant::now();
        let mut failures = Failures::default();
        failures.on_failure(Duration::ZERO, now);
        failures.on_ready();
        failures.on_alive(Duration::from_secs(59));
        failures.on_failure(Duration::from_secs(59), now);
        assert_eq!(failures.not_before(), Some(now + Duration::from_secs(1)));
        failures.on_failure(Duration::from_secs(60), now);
        assert_eq!(failures.not_before(), Some(now + WAIT_MIN));
        failures.on_alive(Duration::from_secs(60));
        assert_eq!(failures.not_before(), None);
    }

    #[test]
    fn five_failures_in_a_minute_are_too_many() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut failures = Failures::default();
        for second in [0, 15, 30, 45] {
            failures.on_failure(Duration::ZERO, later(second));
        }
        assert!(!failures.is_quarantined());
        failures.on_failure(Duration::ZERO, later(60));
        assert!(!failures.is_quarantined(), "the first was a minute ago");
        failures.on_failure(Duration::ZERO, later(61));
        assert!(failures.is_quarantined());
        assert!(!failures.may_start(later(120)) && failures.may_start(later(121)));
        failures.on_failure(Duration::ZERO, later(122));
        assert_eq!(failures.not_before(), Some(later(182)), "the try failed");
        failures.on_ready();
        assert!(!failures.is_quarantined());
        failures.on_failure(Duration::from_secs(10), later(200));
        assert!(failures.is_quarantined(), "at once again");
        failures.on_ready();
        failures.on_alive(Duration::from_secs(60));
        failures.on_failure(Duration::from_secs(70), later(400));
        assert!(!failures.is_quarantined());
    }
}
