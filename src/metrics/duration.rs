//! Durations as Prometheus histograms: buckets a shard fills and the scraper reads; one alone, or one per operation.
//!
//! Each pair of an operation and an outcome that has happened has a series, which is allocated the first time it
//! happens; in steady state recording touches two cells. Operations and outcomes are closed sets and registered tools,
//! so the number of series is bounded by `rows × Outcome::COUNT`. Percentiles come from `histogram`, not from here.

use std::sync::OnceLock;
use std::time::Duration;

use super::counter::Counter;
use super::labels::{Method, Outcome, ToolLabels, ToolRow};
use super::saturating_nanos;

/// Upper bounds in nanoseconds, inclusive, with their `le` labels in seconds. OpenTelemetry's advice for MCP starts
/// at 10 ms, which is a thousand times what an echo takes here.
const BOUNDS: [(u64, &str); 20] = [
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
    (60_000_000_000, "60"),
];
const BUCKETS: usize = BOUNDS.len() + 1;
/// The bounds alone, close together.
const NANOS: [u64; BOUNDS.len()] = {
    let mut nanos = [0; BOUNDS.len()];
    let mut at = 0;
    while at < nanos.len() {
        nanos[at] = BOUNDS[at].0;
        at += 1;
    }
    nanos
};

/// The bucket of a duration.
#[inline]
fn bucket_of(nanos: u64) -> usize {
    // From the shortest on: whoever takes longer can afford the search.
    NANOS.iter().take_while(|bound| **bound < nanos).count()
}

/// The operation that was done: a method, or a call of a registered tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Any method but a `tools/call` that named a registered tool.
    Method(Method),
    /// `tools/call` of a registered tool.
    Tool(ToolRow),
}

impl Operation {
    fn row(self) -> usize {
        match self {
            Self::Method(method) => method.index(),
            Self::Tool(row) => Method::COUNT + row.index(),
        }
    }
}

/// The series of one shard.
#[derive(Debug)]
pub struct OperationDurations {
    series: Box<[OnceLock<Box<DurationBuckets>>]>,
}

/// The buckets of one series.
#[derive(Debug, Default)]
pub struct DurationBuckets {
    counts: [Counter; BUCKETS],
    sum_nanos: Counter,
}

impl DurationBuckets {
    /// Records one duration. Does not allocate.
    #[inline]
    pub fn record(&self, elapsed: Duration) {
        let nanos = saturating_nanos(elapsed);
        if let Some(count) = self.counts.get(bucket_of(nanos)) {
            count.increment();
        }
        self.sum_nanos.add(nanos);
    }

    /// The durations recorded so far.
    pub fn values(&self) -> DurationCounts {
        let mut counts = DurationCounts::default();
        self.collect(&mut counts);
        counts
    }

    fn collect(&self, into: &mut DurationCounts) {
        for (sum, count) in into.counts.iter_mut().zip(&self.counts) {
            *sum += count.value();
        }
        into.sum_nanos += u128::from(self.sum_nanos.value());
    }
}

impl OperationDurations {
    pub(super) fn new(tools: &ToolLabels) -> Self {
        let rows = Method::COUNT + tools.rows();
        Self {
            series: (0..rows * Outcome::COUNT).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Records one operation. Allocates the first time an operation ends in an outcome, never again.
    #[inline]
    pub fn record(&self, operation: Operation, outcome: Outcome, elapsed: Duration) {
        let Some(series) = self.series.get(position(operation, outcome)) else {
            debug_assert!(false, "{operation:?} is of other labels than this table");
            return;
        };
        series.get_or_init(Box::default).record(elapsed);
    }

    /// How many operations ended so.
    #[cfg(test)]
    pub fn count(&self, operation: Operation, outcome: Outcome) -> u64 {
        let mut counts = DurationCounts::default();
        self.collect(operation, outcome, &mut counts);
        counts.count()
    }

    /// Adds what was recorded for one series to `into`.
    pub(super) fn collect(&self, operation: Operation, outcome: Outcome, into: &mut DurationCounts) {
        let series = self.series.get(position(operation, outcome));
        if let Some(buckets) = series.and_then(OnceLock::get) {
            buckets.collect(into);
        }
    }
}

fn position(operation: Operation, outcome: Outcome) -> usize {
    operation.row() * Outcome::COUNT + outcome.index()
}

/// One series as plain numbers, possibly of several shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DurationCounts {
    counts: [u64; BUCKETS],
    sum_nanos: u128,
}

impl DurationCounts {
    /// Records one duration, for whoever keeps them as plain numbers.
    #[inline]
    pub fn record(&mut self, elapsed: Duration) {
        let nanos = saturating_nanos(elapsed);
        if let Some(count) = self.counts.get_mut(bucket_of(nanos)) {
            *count += 1;
        }
        self.sum_nanos += u128::from(nanos);
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another series.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.sum_nanos += other.sum_nanos;
    }

    /// How long they took on average; nothing if there were none.
    pub fn mean(&self) -> Duration {
        let nanos = self.sum_nanos.checked_div(self.count().into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long they took together, in whole nanoseconds.
    pub fn sum_nanos(&self) -> u64 {
        u64::try_from(self.sum_nanos).unwrap_or(u64::MAX)
    }

    /// How long they took together, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanos as f64 / 1e9
    }

    /// Each `le` label with the number of durations up to and including it, `+Inf` last.
    pub fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let bounds = BOUNDS.iter().map(|&(_, label)| label).chain(["+Inf"]);
        bounds.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(nanos: &[u64]) -> DurationCounts {
        let durations = OperationDurations::new(&ToolLabels::new([], 0));
        for &nanos in nanos {
            let elapsed = Duration::from_nanos(nanos);
            durations.record(Operation::Method(Method::Ping), Outcome::Ok, elapsed);
        }
        let mut counts = DurationCounts::default();
        durations.collect(Operation::Method(Method::Ping), Outcome::Ok, &mut counts);
        counts
    }

    #[test]
    fn labels_are_the_bounds_in_seconds_and_ascend() {
        for (bound, label) in BOUNDS {
            let seconds: f64 = label.parse().unwrap();
            assert_eq!((seconds * 1e9).round() as u64, bound, "{label}");
        }
        assert!(BOUNDS.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_it_ends() {
        for (bound, label) in BOUNDS {
            let counts = recorded(&[bound, bound + 1]);
            let at_bound = counts.cumulative().find(|(le, _)| *le == label).unwrap();
            assert_eq!(at_bound.1, 1, "{label}");
        }
    }

    #[test]
    fn the_last_bucket_holds_everything_and_the_sum_is_exact() {
        let nanos = [0, 1, 24_999, 3_000_000, 59_000_000_000, 4_000_000_000_000];
        let counts = recorded(&nanos);
        assert_eq!(counts.cumulative().last(), Some(("+Inf", 6)));
        assert_eq!(counts.count(), 6);
        assert_eq!(counts.sum_nanos, u128::from(nanos.iter().sum::<u64>()));
        let cumulative: Vec<u64> = counts.cumulative().map(|(_, count)| count).collect();
        assert!(cumulative.is_sorted());
        let mut plain = DurationCounts::default();
        nanos
            .iter()
            .for_each(|nanos| plain.record(Duration::from_nanos(*nanos)));
        assert_eq!(plain, counts);
        assert_eq!(plain.mean(), Duration::from_nanos(nanos.iter().sum::<u64>() / 6));
        assert_eq!(DurationCounts::default().mean(), Duration::ZERO);
    }

    #[test]
    fn series_of_different_tools_and_outcomes_stay_apart() {
        let tools = ToolLabels::new(["a", "b"], 8);
        let durations = OperationDurations::new(&tools);
        let (a, b) = (Operation::Tool(tools.row(0)), Operation::Tool(tools.row(1)));
        durations.record(a, Outcome::Ok, Duration::from_millis(1));
        durations.record(b, Outcome::ToolError, Duration::from_millis(2));
        durations.record(b, Outcome::ToolError, Duration::from_millis(3));
        let count = |operation, outcome| {
            let mut counts = DurationCounts::default();
            durations.collect(operation, outcome, &mut counts);
            counts.count()
        };
        assert_eq!(count(a, Outcome::Ok), 1);
        assert_eq!(count(b, Outcome::ToolError), 2);
        assert_eq!(count(a, Outcome::ToolError), 0);
        assert_eq!(count(b, Outcome::Ok), 0);
        assert_eq!(count(Operation::Method(Method::ToolsCall), Outcome::Ok), 0);
    }
}
