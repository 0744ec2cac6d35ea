//! Latencies of one shard for the report: one histogram per stage, one per tool, and one of the waits for a handler.
//!
//! They are plain memory of the shard's own thread; a report takes a clone. A histogram has two significant digits from
//! 64 ns to an hour, takes 30 KiB, and is allocated at start; longer durations count as an hour. It is not scraped:
//! Prometheus reads `duration`.
//!
//! A request records eight durations, so a record is one count and nothing else: no total, no longest. The buckets are
//! those of the crate `hdrhistogram`, and whoever asks for more than counts is answered by one of its histograms, made
//! from them.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::labels::{Stage, ToolLabels, ToolRow};
use super::saturating_nanos;

const NANOS_MAX: u64 = 3_600_000_000_000;
/// Durations that differ in these bits only are not told apart: 64 ns.
const UNIT_BITS: u32 = 6;
/// The number of leading bits that tell longer ones apart: an error of one in 128 at most.
const PRECISION_BITS: u32 = 8;
/// Buckets for each doubling of the duration. The shortest have twice as many.
const OCTAVE: usize = 1 << (PRECISION_BITS - 1);
const BUCKETS: usize = bucket_of(NANOS_MAX) + 1;

/// The bucket of a duration that is no longer than the longest.
#[inline]
const fn bucket_of(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    let octaves = (units | ((1 << PRECISION_BITS) - 1)).ilog2() + 1 - PRECISION_BITS;
    octaves as usize * OCTAVE + (units >> octaves) as usize
}

/// The longest duration of a bucket.
const fn end_of(bucket: usize) -> u64 {
    let octaves = (bucket / OCTAVE).saturating_sub(1);
    let units = (bucket - octaves * OCTAVE) as u64;
    ((units + 1) << (octaves as u32 + UNIT_BITS)) - 1
}

/// Latencies of one shard.
#[derive(Debug, Clone)]
pub struct ShardHistograms {
    stages: Box<[Latency]>,
    /// One for each row of a tool that is known, or was called.
    tools: Box<[Option<Latency>]>,
    waits: Latency,
}

impl ShardHistograms {
    /// Allocates a histogram for each stage and each row of `tools` that is taken.
    pub fn new(tools: &ToolLabels) -> Self {
        Self {
            stages: Stage::ALL.iter().map(|_| Latency::new()).collect(),
            tools: (0..tools.rows())
                .map(|row| tools.is_taken(row).then(Latency::new))
                .collect(),
            waits: Latency::new(),
        }
    }

    /// Records how long a stage took. Does not allocate.
    #[inline]
    pub fn record(&mut self, stage: Stage, elapsed: Duration) {
        // `new` made one for each stage.
        self.stages[stage.index()].record(elapsed);
    }

    /// Records how long a tool's call took, from its request's first byte to its answer. Allocates with the first call
    /// of a tool that was not known at the start.
    #[inline]
    pub fn record_tool(&mut self, tool: ToolRow, elapsed: Duration) {
        match self.tools.get_mut(tool.index()) {
            Some(latency) => latency.get_or_insert_with(Latency::new).record(elapsed),
            None => debug_assert!(false, "{tool:?} is of other labels than these histograms"),
        }
    }

    /// Records how long a request waited for a handler. Does not allocate.
    #[inline]
    pub fn record_wait(&mut self, waited: Duration) {
        self.waits.record(waited);
    }

    /// The waits for a handler. [`Stage::Queue`] has those for workers too.
    pub fn waits(&self) -> &Latency {
        &self.waits
    }

    /// Latency of a stage.
    pub fn stage(&self, stage: Stage) -> &Latency {
        &self.stages[stage.index()]
    }

    /// Latency of a tool, `None` if the row is of other labels, or of a later tool that was not called.
    pub fn tool(&self, tool: ToolRow) -> Option<&Latency> {
        self.tools.get(tool.index())?.as_ref()
    }

    /// Adds another shard's latencies, which must have been made for the same tools.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(
            self.tools.len(),
            other.tools.len(),
            "histograms of different tools"
        );
        for (own, other) in self.stages.iter_mut().zip(&other.stages) {
            own.merge(other);
        }
        for (own, other) in self.tools.iter_mut().zip(&other.tools) {
            if let Some(other) = other {
                own.get_or_insert_with(Latency::new).merge(other);
            }
        }
        self.waits.merge(&other.waits);
    }

    /// Bytes of all buckets, for the memory plan.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        let tools = self.tools.iter().flatten();
        let all = self.stages.iter().chain(tools).chain([&self.waits]);
        all.map(|latency| size_of_val(&*latency.0)).sum()
    }
}

/// One latency histogram: how many durations fell into each bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency(Box<[u64; BUCKETS]>);

impl Latency {
    /// The quantiles of a report, with their names.
    pub const QUANTILES: [(f64, &'static str); 5] = [
        (0.5, "p50"),
        (0.9, "p90"),
        (0.99, "p99"),
        (0.999, "p99.9"),
        (0.9999, "p99.99"),
    ];

    fn new() -> Self {
        // Zeroed by whoever gives the memory: pages of durations that never occur stay untouched.
        let counts = vec![0; BUCKETS].into_boxed_slice();
        Self(counts.try_into().expect("as many as were asked for"))
    }

    #[inline]
    fn record(&mut self, elapsed: Duration) {
        self.0[bucket_of(saturating_nanos(elapsed).min(NANOS_MAX))] += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&*other.0) {
            *own += other;
        }
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration that this share of all did not exceed, to two digits; zero when there were none.
    pub fn quantile(&self, quantile: f64) -> Duration {
        // The lowest value that is asked for is the first that was recorded.
        let quantile = quantile.max(f64::MIN_POSITIVE);
        Duration::from_nanos(self.histogram().value_at_quantile(quantile))
    }

    /// The same durations as the crate keeps them.
    fn histogram(&self) -> Histogram<u64> {
        let mut histogram = empty_histogram();
        for (nanos, count) in self.recorded() {
            // Each is within the bounds; one that were not would count as the longest.
            histogram.saturating_record_n(nanos, count);
        }
        histogram
    }

    /// Every duration that was recorded, in nanoseconds and to two digits, ascending, with how often.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let counts = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| (end_of(bucket), *count))
    }

    /// The longest, to two digits; zero when there were none.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram().max())
    }
}

/// A histogram whose buckets are ours.
fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1 << UNIT_BITS, NANOS_MAX, 2).expect("bounds that are in order")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(actual: Duration, expected: Duration) -> bool {
        let (actual, expected) = (actual.as_secs_f64(), expected.as_secs_f64());
        (actual - expected).abs() <= expected * 0.01
    }

    #[test]
    fn quantiles_are_right_to_two_digits() {
        let mut histograms = ShardHistograms::new(&ToolLabels::new([], 0));
        for millis in 1..=10_000 {
            histograms.record(Stage::Execute, Duration::from_millis(millis));
        }
        let execute = histograms.stage(Stage::Execute);
        assert_eq!(execute.count(), 10_000);
        assert!(near(execute.quantile(0.5), Duration::from_secs(5)));
        assert!(near(execute.quantile(0.9999), Duration::from_secs(10)));
        assert!(near(execute.max(), Duration::from_secs(10)));
        assert_eq!(histograms.stage(Stage::Read).count(), 0);
    }

    #[test]
    fn any_duration_can_be_recorded() {
        let mut histograms = ShardHistograms::new(&ToolLabels::new([], 0));
        for elapsed in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            histograms.record(Stage::Total, elapsed);
        }
        let total = histograms.stage(Stage::Total);
        assert_eq!(total.count(), 3);
        assert!(near(total.max(), Duration::from_secs(3600)));
    }

    #[test]
    fn merging_equals_recording_in_one() {
        let tools = ToolLabels::new(["a"], 1);
        let mut all = ShardHistograms::new(&tools);
        let mut shards = [ShardHistograms::new(&tools), ShardHistograms::new(&tools)];
        let mut random = fastrand::Rng::with_seed(7);
        for turn in 0..5_000 {
            let elapsed = Duration::from_nanos(random.u64(1..10_000_000_000));
            let tool = tools.row(random.usize(..2));
            for histograms in [&mut all, &mut shards[turn % 2]] {
                histograms.record(Stage::Total, elapsed);
                histograms.record_tool(tool, elapsed);
                histograms.record_wait(elapsed);
            }
        }
        let [mut merged, second] = shards;
        merged.merge(&second);
        assert_eq!(merged.stage(Stage::Total), all.stage(Stage::Total));
        assert_eq!(merged.waits(), all.waits());
        for (row, _) in tools.iter() {
            assert_eq!(merged.tool(row), all.tool(row));
        }
    }

    fn assert_same(latency: &Latency, twin: &Histogram<u64>) {
        assert_eq!(latency.count(), twin.len());
        assert_eq!(latency.max(), Duration::from_nanos(twin.max()));
        for percent in (0..=100).chain([150]) {
            let quantile = f64::from(percent) / 100.0;
            let expected = twin.value_at_quantile(quantile.max(f64::MIN_POSITIVE));
            assert_eq!(
                latency.quantile(quantile),
                Duration::from_nanos(expected),
                "{percent} %"
            );
        }
        for (quantile, name) in Latency::QUANTILES {
            let expected = Duration::from_nanos(twin.value_at_quantile(quantile));
            assert_eq!(latency.quantile(quantile), expected, "{name}");
        }
        let values = twin.iter_recorded();
        let expected = values.map(|value| (value.value_iterated_to(), value.count_at_value()));
        assert!(latency.recorded().eq(expected));
    }

    #[test]
    fn it_counts_as_its_twin_does() {
        let (mut latency, mut twin) = (Latency::new(), empty_histogram());
        assert_same(&latency, &twin);
        // Every bucket's first and last duration, and those about them.
        for bucket in 0..BUCKETS - 1 {
            let end = end_of(bucket);
            assert_eq!((bucket_of(end), bucket_of(end + 1)), (bucket, bucket + 1));
            for nanos in [end - 1, end, end + 1] {
                latency.record(Duration::from_nanos(nanos));
                twin.record(nanos).unwrap();
            }
        }
        assert_same(&latency, &twin);
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let nanos = (random.u64(..) >> random.u32(0..64)).min(NANOS_MAX);
            latency.record(Duration::from_nanos(nanos));
            twin.record(nanos).unwrap();
        }
        assert_same(&latency, &twin);
    }

    #[test]
    fn later_tools_have_a_histogram_once_they_are_called() {
        let tools = ToolLabels::with_room(["a"], 1, 1);
        let mut idle = ShardHistograms::new(&tools);
        let mut busy = idle.clone();
        let row = tools.row_of("later");
        assert!(busy.tool(row).is_none());
        busy.record_tool(row, Duration::from_secs(1));
        assert_eq!(busy.tool(row).unwrap().count(), 1);
        idle.merge(&busy);
        busy.merge(&ShardHistograms::new(&tools));
        assert_eq!(
            (idle.tool(row).unwrap().count(), busy.tool(row).unwrap().count()),
            (1, 1)
        );
    }

    #[test]
    fn memory_is_as_documented() {
        let none = ShardHistograms::new(&ToolLabels::new([], 0));
        let each = none.bytes() / (Stage::COUNT + 2);
        assert!((29 * 1024..=30 * 1024).contains(&each), "{each} bytes each");
    }
}
