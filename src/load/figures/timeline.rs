//! What was seen in each interval of a run: what a line of progress, a log of histograms and a curve over time show.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::peer::Outcome;

/// Most intervals of a run: beyond as many seconds they get longer.
const INTERVALS_MAX: u32 = 600;
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Longer latencies count as this.
const LATENCY_MICROS_MAX: u64 = 600_000_000;
const DIGITS: u8 = 2;

#[derive(Clone)]
pub(crate) struct Interval {
    /// Latencies of good answers in microseconds.
    pub(crate) latencies: Histogram<u32>,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
}

/// Intervals of equal length from the start of what is measured; answers count where they came.
#[derive(Clone)]
pub(crate) struct Timeline {
    pub(crate) length: Duration,
    pub(crate) intervals: Vec<Interval>,
}

impl Timeline {
    /// For a run of this length.
    pub(crate) fn new(run: Duration) -> Timeline {
        Timeline {
            length: (run / INTERVALS_MAX).max(INTERVAL_MIN),
            intervals: Vec::new(),
        }
    }

    /// Records what ended at this offset.
    pub(crate) fn record(&mut self, at: Duration, outcome: Outcome, latency: Duration) {
        let index = (at.as_nanos() / self.length.as_nanos()) as usize;
        while self.intervals.len() <= index {
            self.intervals.push(Interval::new());
        }
        let interval = &mut self.intervals[index];
        match outcome {
            Outcome::Ok => interval.latencies.saturating_record(latency.as_micros() as u64),
            Outcome::Refused(_) => interval.refused += 1,
            _ => interval.failed += 1,
        }
    }

    /// Takes the observations of another thread.
    pub(crate) fn add(&mut self, other: &Timeline) {
        for (index, interval) in other.intervals.iter().enumerate() {
            match self.intervals.get_mut(index) {
                Some(own) => {
                    // The bounds are the same.
                    let _ = own.latencies.add(&interval.latencies);
                    own.refused += interval.refused;
                    own.failed += interval.failed;
                }
                None => self.intervals.push(interval.clone()),
            }
        }
    }
}

impl Interval {
    fn new() -> Interval {
        Interval {
            latencies: Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, DIGITS).expect("possible bounds"),
            refused: 0,
            failed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::peer::Refusal;

    #[test]
    fn answers_count_where_they_came() {
        let mut own = Timeline::new(Duration::from_secs(5));
        let mut other = own.clone();
        let latency = Duration::from_millis(3);
        own.record(Duration::from_millis(999), Outcome::Ok, latency);
        own.record(
            Duration::from_millis(2_000),
            Outcome::Refused(Refusal::Other),
            latency,
        );
        other.record(Duration::from_millis(1_000), Outcome::Reset, latency);
        other.record(Duration::from_millis(3_500), Outcome::Ok, latency);
        own.add(&other);
        let counts: Vec<_> = own
            .intervals
            .iter()
            .map(|interval| (interval.latencies.len(), interval.refused, interval.failed))
            .collect();
        assert_eq!(counts, [(1, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]);
        assert_eq!(
            Timeline::new(Duration::from_secs(6_000)).length,
            Duration::from_secs(10)
        );
    }
}
