//! How many ring buffers the kernel is given at a time: few, which stay in the cache, but not so few that receives go
//! without again and again.
//!
//! A receive that finds no buffer costs one more receive, and its connection comes first at the next flush. That is
//! cheap: servers whose receives starved 2 and 20 times in a hundred took as much CPU time per call as one that had a
//! buffer for each (measured at 1,000 clients, see `tuning.md`). So a burst changes nothing. The number is doubled if a
//! good part of all receives starves twice in a second. What one second did not need is taken away again.

/// One in so many receives may starve.
const STARVED_SHARE: u32 = 4;

/// How often each buffer is filled, on average, from one judgement to the next.
const ROUNDS_PER_JUDGEMENT: usize = 16;

/// The number of buffers that the kernel is given, and what it is judged by.
#[derive(Debug)]
pub(super) struct Supply {
    most: usize,
    least: usize,
    all: usize,
    /// Buffers filled, and receives starved, since the last judgement.
    filled: u32,
    starved: u32,
    /// Whether too many had starved at a judgement, since the number was changed or a second began.
    was_short: bool,
    /// The most that were filled between two publications since the last release.
    filled_at_once: usize,
}

impl Supply {
    /// At least `least` buffers of `all`, and at first no more.
    pub(super) fn new(least: usize, all: usize) -> Supply {
        Supply {
            most: least.min(all),
            least: least.min(all),
            all,
            filled: 0,
            starved: 0,
            was_short: false,
            filled_at_once: 0,
        }
    }

    /// How many the kernel is given.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Notes that a buffer was filled, which leaves the kernel with so many.
    #[inline]
    pub(super) fn on_filled(&mut self, left: usize) {
        self.filled += 1;
        self.filled_at_once = self.filled_at_once.max(self.most.saturating_sub(left));
    }

    /// Notes that a receive found none.
    pub(super) fn on_starved(&mut self) {
        self.starved += 1;
    }

    /// Judges the number, once enough was received.
    #[inline]
    pub(super) fn judge(&mut self) {
        if self.filled as usize >= ROUNDS_PER_JUDGEMENT * self.most {
            self.judge_now();
        }
    }

    fn judge_now(&mut self) {
        let is_short = self.starved > self.filled / STARVED_SHARE;
        if is_short && self.was_short {
            self.most = (2 * self.most).min(self.all);
        }
        self.was_short ^= is_short;
        (self.filled, self.starved) = (0, 0);
    }

    /// A second is over: gives the kernel fewer from now on, if it needed fewer.
    pub(super) fn release(&mut self) {
        let needed = 2 * std::mem::take(&mut self.filled_at_once);
        self.most = self.most.min(needed.next_power_of_two()).max(self.least);
        self.was_short = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many receives become ready between two flushes, again and again: what is left of a burst is received behind
    /// the next flush, as a shard does it. Returns how many starved.
    fn rounds(supply: &mut Supply, ready: usize, count: usize) -> usize {
        let mut starved = 0;
        for _ in 0..count {
            let mut left = ready;
            while left > 0 {
                let served = left.min(supply.most());
                (0..served).for_each(|filled| supply.on_filled(supply.most() - filled - 1));
                left -= served;
                // Those behind find none once, and then wait for their turn.
                if left + served == ready {
                    (0..left).for_each(|_| supply.on_starved());
                    starved += left;
                }
                supply.judge();
            }
        }
        starved
    }

    #[test]
    fn a_burst_changes_nothing() {
        let mut supply = Supply::new(64, 1024);
        assert_eq!(rounds(&mut supply, 900, 1), 900 - 64);
        assert_eq!(supply.most(), 64);
        rounds(&mut supply, 20, 1_000);
        assert_eq!(supply.most(), 64, "it is forgotten");
    }

    #[test]
    fn few_that_starve_change_nothing_however_long_it_goes_on() {
        let mut supply = Supply::new(64, 1024);
        let starved = rounds(&mut supply, 80, 10_000);
        assert_eq!((supply.most(), starved), (64, 160_000));
    }

    #[test]
    fn bursts_that_come_again_and_again_get_as_many_as_they_need() {
        for ready in [150, 200, 500, 1000, 5000] {
            let mut supply = Supply::new(64, 1024);
            rounds(&mut supply, ready, 200);
            let starved = rounds(&mut supply, ready, 100);
            let share = starved as f64 / (100 * ready) as f64;
            let is_all = supply.most() == 1024;
            assert!(is_all || share <= 0.26, "{share} of {ready} at once starve");
            assert!(supply.most() < 2 * ready, "{} for {ready}", supply.most());
        }
    }

    #[test]
    fn what_is_not_needed_for_a_second_is_taken_away() {
        let mut supply = Supply::new(64, 1024);
        rounds(&mut supply, 1000, 200);
        assert!(supply.most() >= 512);
        supply.release();
        assert!(supply.most() >= 512, "it was needed until now");
        rounds(&mut supply, 20, 10);
        supply.release();
        assert_eq!(supply.most(), 64);
        supply.release();
        assert_eq!(supply.most(), 64);
    }

    #[test]
    fn there_are_no_more_than_there_are() {
        let mut supply = Supply::new(64, 10);
        assert_eq!(supply.most(), 10);
        rounds(&mut supply, 100, 1_000);
        assert_eq!(supply.most(), 10);
        supply.release();
        assert_eq!(supply.most(), 10);
    }
}
