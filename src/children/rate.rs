//! How much of what children say is logged: so many lines a second, a burst, and a count of what was left out.

use std::time::{Duration, Instant};

/// A bucket of permissions that fills with time.
#[derive(Debug, Clone)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
    /// Permissions in hand, in thousandths.
    millis: u64,
    filled_at: Instant,
    left_out: u64,
}

impl RateLimit {
    /// A full bucket: `burst` at once, then `per_second`.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> RateLimit {
        RateLimit {
            per_second,
            burst,
            millis: u64::from(burst) * 1000,
            filled_at: now,
            left_out: 0,
        }
    }

    /// Takes a permission. With it comes the number of times there was none since the last one; without it, this time
    /// is counted.
    pub fn take(&mut self, now: Instant) -> Option<u64> {
        self.fill(now);
        if self.millis < 1000 {
            self.left_out += 1;
            return None;
        }
        self.millis -= 1000;
        Some(std::mem::take(&mut self.left_out))
    }

    /// The times there was no permission since the last one was given.
    #[cfg(test)]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        if elapsed == 0 {
            return;
        }
        // What is left of the last millisecond counts next time.
        self.filled_at += Duration::from_millis(elapsed);
        let full = u64::from(self.burst) * 1000;
        let fresh = elapsed.saturating_mul(u64::from(self.per_second));
        self.millis = self.millis.saturating_add(fresh).min(full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_so_many_a_second() {
        let mut now = Instant::now();
        let mut limit = RateLimit::new(100, 1000, now);
        let taken = |limit: &mut RateLimit, now| (0..5000).filter(|_| limit.take(now).is_some()).count();
        assert_eq!(taken(&mut limit, now), 1000);
        assert_eq!(limit.left_out(), 4000);
        // In steps shorter than what one permission takes.
        let mut over_a_second = 0;
        for _ in 0..2000 {
            now += Duration::from_micros(500);
            over_a_second += usize::from(limit.take(now).is_some());
        }
        assert!((99..=101).contains(&over_a_second), "{over_a_second}");
        now += Duration::from_secs(3600);
        assert_eq!(taken(&mut limit, now), 1000);
    }

    #[test]
    fn what_was_left_out_is_told_once() {
        let mut now = Instant::now();
        let mut limit = RateLimit::new(1, 1, now);
        assert_eq!(limit.take(now), Some(0));
        assert_eq!(limit.take(now), None);
        assert_eq!(limit.take(now), None);
        now += Duration::from_secs(1);
        assert_eq!(limit.take(now), Some(2));
        now += Duration::from_secs(1);
        assert_eq!(limit.take(now), Some(0));
    }
}
