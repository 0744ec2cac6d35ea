//! How fast a shard has served lately, and what a refused client is told to wait.
//!
//! An exponentially weighted rate of leases ended per second, fed by the shard and advanced by its tick. Reads
//! no clock.

use std::time::{Duration, Instant};

/// Half of what is remembered is younger than this.
const HALF_LIFE: Duration = Duration::from_secs(2);
/// A rate over less time than this would be noise.
const STEP_MIN: Duration = Duration::from_millis(50);
/// The longest a client is told to wait: by then things may have changed altogether.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Leases ended per second, lately.
#[derive(Debug, Clone, Copy)]
pub struct DrainRate {
    per_second: f64,
    ended: u32,
    since: Instant,
}

impl DrainRate {
    /// The shortest a client is told to wait: what `Retry-After` can say.
    pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

    /// Nothing has ended yet.
    pub fn new(now: Instant) -> DrainRate {
        DrainRate {
            per_second: 0.0,
            ended: 0,
            since: now,
        }
    }

    /// A lease has ended.
    pub fn on_ended(&mut self) {
        self.ended = self.ended.saturating_add(1);
    }

    /// Time has passed.
    pub fn advance(&mut self, now: Instant) {
        let step = now.saturating_duration_since(self.since);
        if step < STEP_MIN {
            return;
        }
        let seconds = step.as_secs_f64();
        let kept = (-seconds / HALF_LIFE.as_secs_f64()).exp2();
        self.per_second = self.per_second * kept + f64::from(self.ended) / seconds * (1.0 - kept);
        self.ended = 0;
        self.since = now;
    }

    /// When one that comes behind `depth` others may expect its turn: whole milliseconds, from one second to
    /// thirty. If nothing ends, nothing is known, and the answer is the longest.
    pub fn retry_after(&self, depth: usize) -> Duration {
        let seconds = (depth as f64 + 1.0) / self.per_second;
        // Also for a rate of nothing, where the quotient is infinite.
        if seconds >= RETRY_AFTER_MAX.as_secs_f64() {
            return RETRY_AFTER_MAX;
        }
        Duration::from_millis((seconds * 1000.0).ceil() as u64).max(Self::RETRY_AFTER_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(per_step: u32, steps: u32) -> DrainRate {
        let start = Instant::now();
        let mut rate = DrainRate::new(start);
        for step in 1..=steps {
            (0..per_step).for_each(|_| rate.on_ended());
            rate.advance(start + Duration::from_millis(100) * step);
        }
        rate
    }

    #[test]
    fn it_follows_what_is_served() {
        let rate = steady(4, 200);
        assert!((rate.per_second - 40.0).abs() < 0.5, "{rate:?}");
        assert_eq!(rate.retry_after(0), DrainRate::RETRY_AFTER_MIN);
        let behind_many = rate.retry_after(399);
        assert!(
            (Duration::from_millis(9900)..Duration::from_millis(10_200)).contains(&behind_many),
            "{behind_many:?}"
        );
    }

    #[test]
    fn nothing_served_means_nothing_known() {
        assert_eq!(steady(0, 10).retry_after(5), RETRY_AFTER_MAX);
        assert_eq!(
            DrainRate::new(Instant::now()).retry_after(usize::MAX),
            RETRY_AFTER_MAX
        );
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut rate = steady(100, 100);
        let busy = rate.per_second;
        rate.advance(rate.since + Duration::from_secs(20));
        assert!(rate.per_second < busy / 500.0, "{rate:?}");
    }

    #[test]
    fn ticks_in_quick_succession_are_put_together() {
        let start = Instant::now();
        let mut rate = DrainRate::new(start);
        rate.on_ended();
        rate.advance(start + Duration::from_millis(1));
        assert_eq!(rate.per_second, 0.0);
        rate.advance(start + Duration::from_millis(60));
        assert!(rate.per_second > 0.0);
    }
}
