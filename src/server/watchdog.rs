//! Watches the shards from outside: one that has work and makes no progress is woken, counted and reported.
//!
//! Two things stop a shard: a tool that computes on it instead of on a worker, and an executor that went to sleep with
//! runnable tasks. The first can only be reported; waking the shard ends the second.
//!
//! It also measures for the report whether the CPUs were the limit while work waited.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::metrics::{Contention, ContentionFigures, ContentionMeter, ProcessorTime, ShardMetrics};
use crate::shard::ExecutorWaker;

use super::shards::Shards;

/// How often a shard is checked: one that has work, and shows no progress between two checks, is woken. After three it
/// is reported; not after two, since an idle shard that has just been given work may take as long to its next tick.
const PATIENCE: Duration = Duration::from_millis(100);
const QUIET_LOOKS_REPORTED: u32 = 2;
/// The number of these checks for one look at the CPUs: one a second, since their time comes in steps of 10 ms.
const LOOKS_PER_CONTENTION_LOOK: u32 = 10;

/// The thread.
pub(super) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    contention: Arc<Contention>,
}

/// A shard under watch.
struct Watched {
    metrics: Arc<ShardMetrics>,
    executor_waker: ExecutorWaker,
    passes: u64,
    /// Checks in a row with work and without progress.
    quiet_looks: u32,
}

impl Watchdog {
    pub(super) fn start(shards: &Shards) -> Watchdog {
        let mut watched: Vec<Watched> = shards
            .iter()
            .map(|shard| Watched {
                metrics: Arc::clone(&shard.metrics),
                executor_waker: shard.executor_waker.clone(),
                passes: 0,
                quiet_looks: 0,
            })
            .collect();
        let (stop, stopped) = mpsc::channel();
        let contention = Arc::new(Contention::default());
        let mut meter = ContentionMeter::new(Arc::clone(&contention));
        let started = Instant::now();
        let mut look_at_contention = move |watched: &[Watched]| {
            if let Some(processor) = ProcessorTime::read() {
                let shards = watched.iter().map(|shard| &*shard.metrics);
                meter.look(started.elapsed(), processor, shards);
            }
        };
        // The first look is taken here and not on the thread, which may start late: whatever happens from now on is
        // seen.
        look_at_contention(&watched);
        let watch = move || {
            let mut looks = 0;
            while stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                watched.iter_mut().for_each(Watched::look);
                looks = (looks + 1) % LOOKS_PER_CONTENTION_LOOK;
                if looks == 0 {
                    look_at_contention(&watched);
                }
            }
            look_at_contention(&watched);
        };
        let thread = thread::Builder::new()
            .name("weir-watchdog".to_owned())
            .spawn(watch);
        if let Err(error) = &thread {
            tracing::warn!(%error, "no thread for the watchdog; stalls will not be reported");
        }
        Watchdog {
            stop: Some(stop),
            thread: thread.ok(),
            contention,
        }
    }

    /// How much of the CPUs was used while work waited, as of the last look; [`Watchdog::stop`] takes one more.
    pub(super) fn contention(&self) -> ContentionFigures {
        self.contention.figures()
    }

    pub(super) fn stop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A watchdog that panicked has nothing to report.
            let _ = thread.join();
        }
    }
}

impl Watched {
    /// Checks once; a stall is reported when it begins, not every time it is seen.
    fn look(&mut self) {
        let passes = self.metrics.passes.value();
        let has_work = self.metrics.in_flight.value() > 0;
        let is_quiet = has_work && passes == self.passes;
        self.passes = passes;
        if !is_quiet {
            self.quiet_looks = 0;
            return;
        }
        self.executor_waker.wake();
        self.quiet_looks = self.quiet_looks.saturating_add(1);
        if self.quiet_looks == QUIET_LOOKS_REPORTED {
            self.metrics.stalls.increment();
            let (shard, time) = (self.metrics.shard, PATIENCE * QUIET_LOOKS_REPORTED);
            tracing::warn!(%shard, "a shard has work and made no progress for {time:?}; does a tool block it?");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ToolLabels;
    use crate::units::ShardId;

    fn watched() -> Watched {
        Watched {
            metrics: ShardMetrics::new(ShardId(0), &ToolLabels::new([], 0)),
            executor_waker: ExecutorWaker::default(),
            passes: 0,
            quiet_looks: 0,
        }
    }

    #[test]
    fn a_stall_is_reported_once_and_again_after_progress() {
        let mut watched = watched();
        let metrics = Arc::clone(&watched.metrics);
        metrics.in_flight.up();
        let stalls_after = |watched: &mut Watched, looks: usize| {
            (0..looks).for_each(|_| watched.look());
            watched.metrics.stalls.value()
        };
        assert_eq!(stalls_after(&mut watched, 1), 0);
        assert_eq!(stalls_after(&mut watched, 5), 1);
        metrics.passes.increment();
        assert_eq!(stalls_after(&mut watched, 2), 1);
        assert_eq!(stalls_after(&mut watched, 1), 2);
    }

    #[test]
    fn a_shard_without_work_or_with_progress_is_never_stalled() {
        let mut watched = watched();
        let metrics = Arc::clone(&watched.metrics);
        (0..9).for_each(|_| watched.look());
        metrics.in_flight.up();
        for _ in 0..9 {
            metrics.passes.increment();
            watched.look();
        }
        assert_eq!(metrics.stalls.value(), 0);
    }
}
