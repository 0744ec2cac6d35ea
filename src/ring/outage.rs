//! Failing accepts, reported to the operator in a few log lines: when they begin, that they go on, when they are over.
//!
//! Out of descriptors or memory an acceptor tries again many times a second, so a line for each failure would be
//! a flood. An outage is over once nothing has failed for a while: descriptors that come and go one by one
//! are one outage. This module knows nothing of why accepting fails or when it is tried again.
//!
//! Invariant: lines about one listener are [`LINE_INTERVAL`] apart, but for a beginning right after an end.

use std::io;
use std::time::{Duration, Instant};

/// The time between two lines, and the time without a failure until the end.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The failures of one listener's accepts.
#[derive(Debug, Default)]
pub struct AcceptOutage {
    current: Option<Current>,
}

#[derive(Debug, Clone, Copy)]
struct Current {
    began: Instant,
    failed_at: Instant,
    told_at: Instant,
    failures: u64,
}

/// The line that the log should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Begins,
    GoesOn { failures: u64, lasts: Duration },
    Over { failures: u64, lasted: Duration },
}

impl AcceptOutage {
    /// Notes a failed accept of `listener`, and logs it if it is time for a line.
    pub fn on_failure(&mut self, listener: &'static str, error: &io::Error, now: Instant) {
        match self.fail(now) {
            Some(Line::Begins) => {
                tracing::warn!(%error, listener, "accepting fails; connections wait, it is tried again");
            }
            Some(Line::GoesOn { failures, lasts }) => {
                tracing::warn!(%error, listener, failures, ?lasts, "accepting still fails");
            }
            Some(Line::Over { .. }) | None => {}
        }
    }

    /// Logs the end of an outage of `listener` when it has come.
    pub fn tell_end(&mut self, listener: &'static str, now: Instant) {
        if let Some(Line::Over { failures, lasted }) = self.end(now) {
            tracing::info!(listener, failures, ?lasted, "accepting works again");
        }
    }

    /// The time when an outage that goes on now is over, if nothing more fails.
    pub fn ends_at(&self) -> Option<Instant> {
        self.current.map(|current| current.failed_at + LINE_INTERVAL)
    }

    fn fail(&mut self, now: Instant) -> Option<Line> {
        let Some(current) = &mut self.current else {
            self.current = Some(Current {
                began: now,
                failed_at: now,
                told_at: now,
                failures: 1,
            });
            return Some(Line::Begins);
        };
        current.failures += 1;
        current.failed_at = now;
        let is_due = now.saturating_duration_since(current.told_at) >= LINE_INTERVAL;
        is_due.then(|| {
            current.told_at = now;
            Line::GoesOn {
                failures: current.failures,
                lasts: now.saturating_duration_since(current.began),
            }
        })
    }

    fn end(&mut self, now: Instant) -> Option<Line> {
        let ended = self
            .current
            .take_if(|current| now >= current.failed_at + LINE_INTERVAL)?;
        Some(Line::Over {
            failures: ended.failures,
            lasted: ended.failed_at.saturating_duration_since(ended.began),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_without_descriptors_is_a_few_lines() {
        let start = Instant::now();
        let mut outage = AcceptOutage::default();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(outage.ends_at(), None);
        assert_eq!(outage.fail(start), Some(Line::Begins));
        let mut lines = Vec::new();
        for ms in (50..=60_000).step_by(50) {
            lines.extend(outage.fail(at(ms)));
            assert_eq!(outage.end(at(ms)), None);
        }
        assert_eq!(lines.len(), 12);
        let lasts = Duration::from_secs(60);
        assert_eq!(
            lines[11],
            Line::GoesOn {
                failures: 1201,
                lasts
            }
        );
        assert_eq!(outage.ends_at(), Some(at(65_000)));
        assert_eq!(outage.end(at(64_999)), None);
        let over = Line::Over {
            failures: 1201,
            lasted: lasts,
        };
        assert_eq!(outage.end(at(65_000)), Some(over));
        assert_eq!(outage.end(at(70_000)), None);
        assert_eq!(outage.fail(at(70_000)), Some(Line::Begins));
    }

    #[test]
    fn failures_with_successes_between_are_one_outage() {
        let start = Instant::now();
        let mut outage = AcceptOutage::default();
        let lines = (0..20).filter_map(|second| {
            let now = start + Duration::from_secs(second);
            outage.fail(now).or(outage.end(now))
        });
        assert_eq!(lines.count(), 4);
    }
}
