//! Watches the shards from outside: one that has work and makes no progress is woken, counted and reported.
//!
//! Two things stop a shard: a tool that computes on it instead of on a worker, and an executor that went to
//! sleep with runnable tasks. The first can only be told; the second ends with the wake-up.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::metrics::ShardMetrics;
use crate::shard::Alarm;

use super::shards::ShardHandle;

/// How long a shard with work may show no progress.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread.
pub(super) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A shard under watch.
struct Watched {
    metrics: Arc<ShardMetrics>,
    alarm: Alarm,
    passes: u64,
    is_stalled: bool,
}

impl Watchdog {
    pub(super) fn start(shards: &[ShardHandle]) -> Watchdog {
        let mut watched: Vec<Watched> = shards
            .iter()
            .map(|shard| Watched {
                metrics: Arc::clone(&shard.metrics),
                alarm: shard.alarm.clone(),
                passes: 0,
                is_stalled: false,
            })
            .collect();
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            while stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                watched.iter_mut().for_each(Watched::look);
            }
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
        }
    }

    pub(super) fn stop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A watchdog that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Watched {
    /// One look; a stall is reported when it begins, not every time it is seen.
    fn look(&mut self) {
        let passes = self.metrics.passes.value();
        let has_work = self.metrics.in_flight.value() > 0;
        let is_stalled = has_work && passes == self.passes;
        self.passes = passes;
        if is_stalled {
            self.alarm.ring();
        }
        if is_stalled && !self.is_stalled {
            self.metrics.stalls.increment();
            let shard = self.metrics.shard;
            tracing::warn!(%shard, "a shard has work and made no progress for {PATIENCE:?}; does a tool block it?");
        }
        self.is_stalled = is_stalled;
    }
}
