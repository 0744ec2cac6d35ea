//! Instants as numbers of ticks.
//!
//! A tick is the shard's timer granularity (10 ms): deadlines are rounded up and the present is rounded down, so that
//! nothing fires early. Reads no clock.

use std::ops::Add;
use std::time::{Duration, Instant};

/// A number of ticks since the shard started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

impl Add<u64> for Tick {
    type Output = Self;

    fn add(self, ticks: u64) -> Self {
        Self(self.0.saturating_add(ticks))
    }
}

/// Turns instants into ticks and back.
#[derive(Debug, Clone, Copy)]
pub struct TickClock {
    start: Instant,
    tick_nanos: u64,
}

impl TickClock {
    /// The granularity of all of a shard's deadlines.
    pub const TICK: Duration = Duration::from_millis(10);

    /// Ticks of this length, counted from `start`.
    ///
    /// # Panics
    /// Panics when `tick` is zero.
    pub fn new(start: Instant, tick: Duration) -> Self {
        let tick_nanos = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX);
        assert!(tick_nanos > 0, "a tick must have a length");
        Self { start, tick_nanos }
    }

    /// The tick that contains `now`: what [`super::Wheel`] calls the present.
    #[inline]
    pub fn present(&self, now: Instant) -> Tick {
        Tick(self.nanos(now) / self.tick_nanos)
    }

    /// The first tick that begins at or after `deadline`.
    #[inline]
    pub fn deadline(&self, deadline: Instant) -> Tick {
        Tick(self.nanos(deadline).div_ceil(self.tick_nanos))
    }

    /// How many ticks cover `timeout`. A caller that keeps this number beside the timeout gets a deadline without a
    /// division, as `present(now) + 1 + ticks`; it is at most one tick later than [`TickClock::deadline`] has it.
    #[cfg(test)]
    pub fn ticks(&self, timeout: Duration) -> u64 {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        nanos.div_ceil(self.tick_nanos)
    }

    /// The beginning of `tick`; `None` when no instant is so far away.
    #[cfg(any(test, feature = "testing"))]
    pub fn instant(&self, tick: Tick) -> Option<Instant> {
        let nanos = tick.0.checked_mul(self.tick_nanos)?;
        self.start.checked_add(Duration::from_nanos(nanos))
    }

    fn nanos(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up_and_the_present_rounds_down() {
        let start = Instant::now();
        let clock = TickClock::new(start, TickClock::TICK);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(clock.present(at(0)), Tick(0));
        assert_eq!(clock.present(at(19)), Tick(1));
        assert_eq!(clock.deadline(at(11)), Tick(2));
        assert_eq!(clock.deadline(at(20)), Tick(2));
        assert_eq!(clock.ticks(Duration::from_millis(11)), 2);
        assert_eq!(clock.instant(Tick(3)), Some(at(30)));
    }

    #[test]
    fn both_ways_to_a_deadline_are_never_early_and_a_tick_apart_at_most() {
        let start = Instant::now();
        let clock = TickClock::new(start, TickClock::TICK);
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..1_000 {
            let now = start + Duration::from_nanos(random.u64(..10_000_000_000));
            let timeout = Duration::from_nanos(random.u64(..10_000_000_000));
            let exact = clock.deadline(now + timeout);
            let cheap = clock.present(now) + 1 + clock.ticks(timeout);
            assert!(clock.instant(exact).unwrap() >= now + timeout);
            assert!(exact <= cheap && cheap <= exact + 1, "{exact:?} {cheap:?}");
        }
    }

    #[test]
    fn instants_before_the_start_and_beyond_the_end_are_bounded() {
        let start = Instant::now();
        let clock = TickClock::new(start + Duration::from_secs(1), TickClock::TICK);
        assert_eq!(clock.present(start), Tick(0));
        assert_eq!(clock.instant(Tick(u64::MAX)), None);
        assert_eq!(Tick(u64::MAX) + 1, Tick(u64::MAX));
    }
}
