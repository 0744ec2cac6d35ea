//! A report's numbers: each shard's, and all of them merged.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::children::ChildServerFigures;
use crate::metrics::contention::ContentionFigures;
use crate::metrics::histogram::ShardHistograms;
use crate::metrics::labels::ToolLabels;
use crate::metrics::shard::ShardSnapshot;
use crate::metrics::workers::WorkerFigures;
use crate::units::ShardId;

/// One shard's part of a report.
#[derive(Debug, Clone)]
pub struct ShardReport {
    /// The shard.
    pub shard: ShardId,
    /// Its counters.
    pub numbers: ShardSnapshot,
    /// Its latencies; `None` when it did not answer.
    pub histograms: Option<ShardHistograms>,
}

/// A report, ready to be written.
#[derive(Debug)]
pub struct Report {
    pub(super) tools: Arc<ToolLabels>,
    pub(super) uptime: Duration,
    pub(super) shards: Vec<ShardReport>,
    pub(super) workers: Option<WorkerFigures>,
    pub(super) all: ShardSnapshot,
    pub(super) all_histograms: ShardHistograms,
    pub(super) contention: ContentionFigures,
    pub(super) children: Vec<ChildServerFigures>,
}

impl Report {
    /// Merges the shards' parts. All histograms must have been made for `tools`.
    pub(crate) fn new(
        tools: Arc<ToolLabels>,
        uptime: Duration,
        shards: Vec<ShardReport>,
        workers: Option<WorkerFigures>,
        contention: ContentionFigures,
    ) -> Self {
        let mut all = ShardSnapshot::default();
        let mut all_histograms = ShardHistograms::new(&tools);
        for shard in &shards {
            all.merge(&shard.numbers);
            if let Some(histograms) = &shard.histograms {
                all_histograms.merge(histograms);
            }
        }
        Self {
            tools,
            uptime,
            shards,
            workers,
            all,
            all_histograms,
            contention,
            children: Vec::new(),
        }
    }

    /// The same, with the figures of other programs that are served.
    pub(crate) fn with_children(mut self, children: Vec<ChildServerFigures>) -> Self {
        self.children = children;
        self
    }
}
