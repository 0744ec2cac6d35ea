//! What a shard counts, measures and logs of requests: its counters, which are summed on scrape, its histograms, which
//! it keeps to itself until a report is asked for, and the access log.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mcp::Reply;
use crate::metrics::{Eviction, Operation, ShardHistograms, ShardMetrics, Stage, ToolLabels, ToolRow};

use super::access::Access;

/// Counters, histograms and access log of one shard. It dereferences to the counters.
pub(super) struct Telemetry {
    counters: Arc<ShardMetrics>,
    histograms: ShardHistograms,
    pub(super) access: Access,
}

impl Telemetry {
    pub(super) fn new(counters: Arc<ShardMetrics>, labels: &ToolLabels, access: Access) -> Telemetry {
        Telemetry {
            counters,
            histograms: ShardHistograms::new(labels),
            access,
        }
    }

    /// Latencies so far.
    pub(super) fn histograms(&self) -> &ShardHistograms {
        &self.histograms
    }

    /// A stage of a request has lasted from `since` to `until`.
    #[inline]
    pub(super) fn record(&mut self, stage: Stage, since: Instant, until: Instant) {
        // A request that came whole was read in no time, which need not be computed.
        let elapsed = if since == until {
            Duration::ZERO
        } else {
            until.saturating_duration_since(since)
        };
        self.record_elapsed(stage, elapsed);
    }

    /// A stage of a request has taken so long.
    #[inline]
    pub(super) fn record_elapsed(&mut self, stage: Stage, elapsed: Duration) {
        self.histograms.record(stage, elapsed);
    }

    /// A call of this tool has run for so long.
    #[inline]
    pub(super) fn record_tool(&mut self, tool: ToolRow, elapsed: Duration) {
        self.histograms.record_tool(tool, elapsed);
    }

    /// A request has waited for a handler.
    pub(super) fn record_wait(&mut self, waited: Duration) {
        self.histograms.record(Stage::Queue, waited);
        self.histograms.record_wait(waited);
    }

    /// An operation was answered by `reply`, after so long.
    #[inline]
    pub(super) fn on_reply(&self, operation: Operation, reply: &Reply, elapsed: Duration) {
        self.on_operation(operation, reply.labels.outcome, elapsed);
    }

    /// A connection is given up.
    pub(super) fn count_eviction(&self, eviction: Eviction) {
        self.evictions.increment(eviction);
    }
}

impl Deref for Telemetry {
    type Target = ShardMetrics;

    fn deref(&self) -> &ShardMetrics {
        &self.counters
    }
}
