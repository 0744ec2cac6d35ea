//! How much of the CPUs the process used, or would have, while work had to wait or was refused.
//!
//! A server's CPU time over its whole life says nothing: hours of quiet hide the minutes in which it was short of
//! something. So the watchdog takes a look about once a second, and only spans in which some shard was short count.
//! Time for which threads waited for a CPU counts like time on one: on a machine shared with others a server may be
//! starved of CPU and yet use little. Spans are not split. This module has no clock.

use std::sync::Arc;
use std::time::Duration;

use super::counter::Counter;
use super::process::ProcessorTime;
use super::saturating_nanos;
use super::shard::ShardMetrics;

/// The sums so far; written by one [`ContentionMeter`], read by any.
#[derive(Debug, Default)]
pub struct Contention {
    elapsed_nanos: Counter,
    used_nanos: Counter,
    waited_nanos: Counter,
}

impl Contention {
    /// The sums now.
    pub fn figures(&self) -> ContentionFigures {
        ContentionFigures {
            elapsed: Duration::from_nanos(self.elapsed_nanos.value()),
            processor: ProcessorTime {
                used: Duration::from_nanos(self.used_nanos.value()),
                waited: Duration::from_nanos(self.waited_nanos.value()),
            },
        }
    }
}

/// [`Contention`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentionFigures {
    /// Time in which work waited for a handler, or was refused for want of handlers or workers.
    pub elapsed: Duration,
    /// Processor time that the whole process used and waited for meanwhile.
    pub processor: ProcessorTime,
}

impl ContentionFigures {
    /// Share of `cores` the process used meanwhile or would have used, at most 1; `None` when no work ever waited or
    /// nobody looked.
    pub fn cpu_share(&self, cores: usize) -> Option<f64> {
        let capacity = self.elapsed.as_secs_f64() * cores as f64;
        let wanted = (self.processor.used + self.processor.waited).as_secs_f64();
        (capacity > 0.0).then(|| (wanted / capacity).min(1.0))
    }
}

/// Takes the looks.
#[derive(Debug)]
pub struct ContentionMeter {
    sums: Arc<Contention>,
    last: Option<Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    processor: ProcessorTime,
    shortages: u64,
}

impl ContentionMeter {
    /// A meter that adds to `sums`, which no other may write.
    pub fn new(sums: Arc<Contention>) -> Self {
        Self { sums, last: None }
    }

    /// Looks at the shards. `at` is the time since any fixed moment, `processor` the processor time of the process so
    /// far.
    pub fn look<'a>(
        &mut self,
        at: Duration,
        processor: ProcessorTime,
        shards: impl IntoIterator<Item = &'a ShardMetrics>,
    ) {
        let (mut shortages, mut waiting) = (0, 0);
        for shard in shards {
            shortages += shard.shortages();
            waiting += shard.waiting();
        }
        let now = Look {
            at,
            processor,
            shortages,
        };
        if let Some(last) = self.last.replace(now)
            && (shortages > last.shortages || waiting > 0)
        {
            // The waits of a thread that has ended are gone, so their sum may fall.
            let since = |now: Duration, last| saturating_nanos(now.saturating_sub(last));
            self.sums.elapsed_nanos.add(since(at, last.at));
            self.sums
                .used_nanos
                .add(since(processor.used, last.processor.used));
            self.sums
                .waited_nanos
                .add(since(processor.waited, last.processor.waited));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::labels::{OverloadReason, ToolLabels, WaitEnd};
    use crate::units::ShardId;

    struct Rig {
        shards: [Arc<ShardMetrics>; 2],
        sums: Arc<Contention>,
        meter: ContentionMeter,
    }

    impl Rig {
        fn new() -> Self {
            let tools = ToolLabels::new([], 0);
            let sums = Arc::new(Contention::default());
            Self {
                shards: [0, 1].map(|number| ShardMetrics::new(ShardId(number), &tools)),
                meter: ContentionMeter::new(Arc::clone(&sums)),
                sums,
            }
        }

        /// A look at these milliseconds of time and processor time; the sums after it, in milliseconds.
        fn look(&mut self, at: u64, cpu: u64) -> (u128, u128) {
            let [at, used] = [at, cpu].map(Duration::from_millis);
            let waited = used / 4;
            let processor = ProcessorTime { used, waited };
            self.meter
                .look(at, processor, self.shards.iter().map(|shard| &**shard));
            let figures = self.sums.figures();
            assert_eq!(figures.processor.waited, figures.processor.used / 4);
            (figures.elapsed.as_millis(), figures.processor.used.as_millis())
        }
    }

    #[test]
    fn only_spans_in_which_a_shard_was_short_count() {
        let mut rig = Rig::new();
        rig.shards[0].on_queued();
        rig.shards[0].on_wait_ended(WaitEnd::Served, Duration::ZERO);
        assert_eq!(rig.look(1_000, 700), (0, 0), "what was before the first look");
        assert_eq!(rig.look(2_000, 1_700), (0, 0), "a quiet span");
        rig.shards[1].on_queued();
        assert_eq!(rig.look(3_000, 1_900), (1_000, 200));
        assert_eq!(rig.look(4_500, 2_000), (2_500, 300), "it still waits");
        rig.shards[1].on_wait_ended(WaitEnd::Served, Duration::ZERO);
        assert_eq!(rig.look(5_500, 2_100), (2_500, 300));
        for reason in [
            OverloadReason::Handlers,
            OverloadReason::QueueTimeout,
            OverloadReason::Workers,
        ] {
            let (before, _) = rig.look(5_500, 2_100);
            rig.shards[0].refusals.increment(reason);
            assert_eq!(rig.look(5_501, 2_100).0, before + 1, "{reason}");
            rig.meter.last = None;
        }
        rig.look(6_000, 2_100);
        let before = rig.sums.figures();
        rig.shards[0].refusals.increment(OverloadReason::Draining);
        rig.look(7_000, 2_100);
        assert_eq!(rig.sums.figures(), before, "a drain is no shortage");
    }

    #[test]
    fn the_share_is_of_all_cores_and_at_most_whole() {
        let figures = ContentionFigures {
            elapsed: Duration::from_secs(10),
            processor: ProcessorTime {
                used: Duration::from_secs(12),
                waited: Duration::from_secs(3),
            },
        };
        assert_eq!(figures.cpu_share(2), Some(0.75));
        assert_eq!(figures.cpu_share(1), Some(1.0));
        assert_eq!(figures.cpu_share(0), None);
        assert_eq!(ContentionFigures::default().cpu_share(2), None);
    }
}
