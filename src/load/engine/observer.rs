//! What one thread sees, as far as it counts.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::load::figures::{Record, Records, Seen, Tally, Timeline};
use crate::load::peer::{Outcome, RetryAfter};
use crate::load::plan::Plan;

/// A request that ended.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) kind: usize,
    pub(super) outcome: Outcome,
    pub(super) retry_after: Option<RetryAfter>,
    pub(super) due: Instant,
    pub(super) sent: Instant,
    pub(super) ended: Instant,
}

/// What happened since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Live {
    /// How long ago that was.
    pub(crate) length: Duration,
    pub(crate) good: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// The highest P99 of a thread so far in this interval of its.
    pub(crate) p99: Duration,
}

/// What a thread hands over at its end.
pub(super) struct Sights {
    pub(super) tally: Tally,
    pub(super) timeline: Timeline,
    pub(super) records: Records,
}

pub(super) struct Observer {
    sights: Sights,
    started: Instant,
    measured: Range<Duration>,
    is_open: bool,
    live: Live,
}

impl Live {
    pub(super) fn add(&mut self, other: &Live) {
        self.good += other.good;
        self.refused += other.refused;
        self.failed += other.failed;
        self.p99 = self.p99.max(other.p99);
    }
}

impl Observer {
    pub(super) fn new(plan: &Plan, kinds: usize, started: Instant) -> Observer {
        let measured = plan.measured();
        let (phases, window) = plan
            .open()
            .map_or((&[][..], Duration::ZERO), |open| (&open.phases[..], open.window));
        Observer {
            sights: Sights {
                tally: Tally::new(kinds),
                timeline: Timeline::new(measured.end - measured.start),
                records: Records::new(phases, window),
            },
            started,
            measured,
            is_open: plan.open().is_some(),
            live: Live::default(),
        }
    }

    pub(super) fn record(&mut self, ended: &Ended) {
        let from_start = |at: Instant| at.saturating_duration_since(self.started);
        let (due, sent, end) = (
            from_start(ended.due),
            from_start(ended.sent),
            from_start(ended.ended),
        );
        let latency = ended.ended.saturating_duration_since(ended.due);
        match ended.outcome {
            Outcome::Ok => self.live.good += 1,
            Outcome::Refused(_) => self.live.refused += 1,
            _ => self.live.failed += 1,
        }
        if self.is_open {
            self.sights.records.record(&Record {
                due,
                sent,
                ended: end,
                outcome: ended.outcome,
            });
        }
        // A request of an open loop counts where it was due, whenever its answer comes. In a closed one the next is due
        // with the answer.
        let counts = if self.is_open { due } else { end };
        if counts < self.measured.start {
            return;
        }
        self.sights.tally.record(&Seen {
            kind: ended.kind,
            outcome: ended.outcome,
            latency,
            lateness: ended.sent.saturating_duration_since(ended.due),
            retry_after: ended.retry_after,
        });
        self.sights
            .timeline
            .record(end - self.measured.start, ended.outcome, latency);
    }

    /// What went wrong without a request that it would belong to: a connection or a session that could not be opened,
    /// an answer that nobody asked for.
    pub(super) fn record_unasked(&mut self, outcome: Outcome, now: Instant) {
        let at = now.saturating_duration_since(self.started);
        self.live.failed += 1;
        if at >= self.measured.start {
            self.sights.tally.record_unasked(outcome);
        }
    }

    /// A request that has no answer when a closed loop ends.
    pub(super) fn record_outstanding(&mut self, due: Instant, now: Instant) {
        let from = due.max(self.started + self.measured.start);
        self.sights
            .tally
            .record_outstanding(now.saturating_duration_since(from));
    }

    /// What happened since this was last called.
    pub(super) fn take_live(&mut self) -> Live {
        let last = self.sights.timeline.intervals.last();
        let p99 = last.map_or(0, |interval| interval.latencies.value_at_quantile(0.99));
        let live = Live {
            p99: Duration::from_micros(p99),
            ..self.live
        };
        self.live = Live::default();
        live
    }

    pub(super) fn finish(self) -> Sights {
        self.sights
    }
}
