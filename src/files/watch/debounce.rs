//! The times at which subscribers are notified of ongoing changes: once they pause, and now and then while they do not.
//!
//! This module has no clock: its caller passes the time. Invariant: between two notifications of one path lies at least
//! [`GAP`], and a change is notified at most [`STORM`] or [`GAP`] after it began, whichever is later.

use std::time::{Duration, Instant};

/// A change is over when nothing has followed for this long: writers that write a file in pieces, or replace it in
/// several steps, take less time between two of them.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// A change that does not end is notified this often.
pub(super) const STORM: Duration = Duration::from_millis(500);
/// The least time between two notifications of the same path, whatever the rhythm of its changes.
pub(super) const GAP: Duration = Duration::from_millis(200);

/// The changes of one path that have not been notified yet.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// The times of the first and the last one.
    pending: Option<(Instant, Instant)>,
    notified: Option<Instant>,
}

impl Debounce {
    /// Takes note of a change.
    pub(super) fn on_change(&mut self, now: Instant) {
        let first = self.pending.map_or(now, |(first, _)| first);
        self.pending = Some((first, now));
    }

    /// When a notification is due; `None` if there is no change.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.pending?;
        let settled = (last + QUIET).min(first + STORM);
        Some(self.notified.map_or(settled, |at| settled.max(at + GAP)))
    }

    /// Whether a notification is due; if so, it counts as sent.
    pub(super) fn try_notify(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            (self.pending, self.notified) = (None, Some(now));
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

    /// When changes at `changes` are notified, in milliseconds from the start.
    fn notified(changes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let (mut debounce, mut notified) = (Debounce::default(), Vec::new());
        for at in 0..=changes.last().unwrap() + 1_000 {
            if changes.contains(&at) {
                debounce.on_change(start + ms(at));
            }
            if debounce.try_notify(start + ms(at)) {
                notified.push(at);
            }
        }
        assert_eq!(debounce.due(), None);
        notified
    }

    #[test]
    fn a_change_is_notified_once_it_pauses() {
        assert_eq!(notified(&[0]), [50]);
        assert_eq!(notified(&[0, 10, 20, 59]), [109]);
        assert_eq!(notified(&[0, 1_000]), [50, 1_050]);
    }

    #[test]
    fn changes_soon_after_a_notification_wait_for_the_gap() {
        assert_eq!(notified(&[0, 60]), [50, 250]);
        assert_eq!(notified(&[0, 240]), [50, 290]);
    }

    #[test]
    fn a_storm_is_notified_now_and_then_and_at_its_end() {
        let storm: Vec<u64> = (0..=1_200).collect();
        assert_eq!(notified(&storm), [500, 1_001, 1_250]);
        // A rhythm slower than the pause that ends a change.
        let drip: Vec<u64> = (0..=1_000).step_by(60).collect();
        let notified = notified(&drip);
        assert!(
            notified.windows(2).all(|pair| pair[1] - pair[0] >= 200),
            "{notified:?}"
        );
        assert!(
            notified.len() >= 4 && *notified.last().unwrap() >= 1_000,
            "{notified:?}"
        );
    }
}
