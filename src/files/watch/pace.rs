//! When a change that goes on is told: once it pauses, and now and then while it does not.
//!
//! Knows no clock: times come in. Invariant: between two tellings of one subject lies [`GAP`] at least, and whatever
//! changed is told at most [`STORM`] or [`GAP`] after its first change, whichever is later.

use std::time::{Duration, Instant};

/// A change is over when nothing has followed for so long: writers that write a file in pieces, or replace it in
/// several steps, take less between two of them.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// A change that does not end is told this often.
pub(super) const STORM: Duration = Duration::from_millis(500);
/// The same subject is told so often at most, whatever the rhythm of its changes.
pub(super) const GAP: Duration = Duration::from_millis(200);

/// The changes of one subject that nobody was told of yet.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The first and the last one.
    untold: Option<(Instant, Instant)>,
    told: Option<Instant>,
}

impl Pace {
    /// Takes note of a change.
    pub(super) fn on_change(&mut self, now: Instant) {
        let first = self.untold.map_or(now, |(first, _)| first);
        self.untold = Some((first, now));
    }

    /// When it is time to tell; `None` if there is nothing to.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.untold?;
        let settled = (last + QUIET).min(first + STORM);
        Some(self.told.map_or(settled, |told| settled.max(told + GAP)))
    }

    /// Whether it is time; if so, it is taken as told.
    pub(super) fn try_tell(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            (self.untold, self.told) = (None, Some(now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When changes at `changes` are told, in milliseconds from the start.
    fn told(changes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let (mut pace, mut told) = (Pace::default(), Vec::new());
        for at in 0..=changes.last().unwrap() + 1_000 {
            if changes.contains(&at) {
                pace.on_change(start + ms(at));
            }
            if pace.try_tell(start + ms(at)) {
                told.push(at);
            }
        }
        assert_eq!(pace.due(), None);
        told
    }

    #[test]
    fn a_change_is_told_once_it_pauses() {
        assert_eq!(told(&[0]), [50]);
        assert_eq!(told(&[0, 10, 20, 59]), [109]);
        assert_eq!(told(&[0, 1_000]), [50, 1_050]);
    }

    #[test]
    fn changes_soon_after_a_telling_wait_for_the_gap() {
        assert_eq!(told(&[0, 60]), [50, 250]);
        assert_eq!(told(&[0, 240]), [50, 290]);
    }

    #[test]
    fn a_storm_is_told_now_and_then_and_at_its_end() {
        let storm: Vec<u64> = (0..=1_200).collect();
        assert_eq!(told(&storm), [500, 1_001, 1_250]);
        // A rhythm slower than the pause that ends a change.
        let drip: Vec<u64> = (0..=1_000).step_by(60).collect();
        let told = told(&drip);
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= 200), "{told:?}");
        assert!(told.len() >= 4 && *told.last().unwrap() >= 1_000, "{told:?}");
    }
}
