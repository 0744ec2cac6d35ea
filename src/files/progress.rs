//! The progress of a long call, and how often its client is told.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::error::FileError;
use crate::registry::{self, BlockingContext};

/// The progress of a walk so far; it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looked {
    /// Files that were looked at.
    pub files: u64,
    /// How much of the next one, from 0 to 1.
    pub part: f64,
    /// Paths or lines that were found. Those of a file that turns out to be binary are taken back.
    pub found: usize,
}

/// A walk calls it often, whether or not a client listens: after each file, and within long ones.
pub type Progress<'a> = &'a dyn Fn(Looked);

/// The time between two reports of one call: what a person can follow.
pub(super) const GAP: Duration = Duration::from_millis(100);

/// Lets through as many reports as a client should get.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    told: Cell<Option<Instant>>,
}

impl RateLimit {
    /// Whether it is time for a report; if so, the report counts as made.
    pub(super) fn try_report(&self, now: Instant) -> bool {
        let is_time = self.told.get().is_none_or(|told| now >= told + GAP);
        if is_time {
            self.told.set(Some(now));
        }
        is_time
    }
}

/// Runs `work` and tells the client how many files it has looked at: now and then, and once more at its end.
#[allow(clippy::disallowed_methods, reason = "runs on a worker")]
pub(super) fn report_progress<T>(
    context: &BlockingContext,
    work: impl FnOnce(Progress<'_>) -> Result<T, FileError>,
) -> Result<T, FileError> {
    if !context.wants_progress() {
        return work(&|_| ());
    }
    let (rate_limit, last) = (RateLimit::default(), Cell::new(Looked::default()));
    let result = work(&|looked| {
        last.set(looked);
        if rate_limit.try_report(Instant::now()) {
            context.progress(said(looked));
        }
    })?;
    let last = last.get();
    // A report that repeats the last one is dropped.
    context.progress(said(last).total(last.files as f64));
    Ok(result)
}

fn said(looked: Looked) -> registry::Progress {
    let Looked { files, found, .. } = looked;
    registry::Progress::new(files as f64 + looked.part).message(format!("{files} files, {found} found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_at_most() {
        let (rate_limit, start) = (RateLimit::default(), Instant::now());
        let told = (0..1_000).filter(|&at| rate_limit.try_report(start + Duration::from_millis(at)));
        assert_eq!(
            told.collect::<Vec<_>>(),
            (0..1_000).step_by(100).collect::<Vec<_>>()
        );
    }
}
