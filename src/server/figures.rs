//! The figures of a running server: the exposition, and the parts of a report.

use std::ops::Add;
use std::sync::Arc;
use std::sync::mpsc;

use super::children::ChildrenStatus;
use super::shards::ShardHandle;
use crate::metrics::{
    ProcessFigures, Scrape, ShardHistograms, ShardMetrics, ShardReport, TaskFigures, TombstoneFigures,
    ToolLabels,
};
use crate::shard::{Service, ShardEvent};
use crate::workers::Submitter;

pub(super) fn exposition(
    metrics: &[Arc<ShardMetrics>],
    connections_max: u32,
    (labels, services): (&ToolLabels, &[Arc<Service>]),
    workers: &Submitter,
    children: Option<&ChildrenStatus>,
) -> String {
    let children = children.map(ChildrenStatus::figures).unwrap_or_default();
    let tool_limits = services.first().map(|service| service.tool_limits());
    let stores = || services.iter().map(|service| &service.store);
    let ended = stores().map(|store| store.tombstones());
    let evicted = stores().map(|store| store.live().stats().evicted);
    let tasks = stores().map(|store| store.tasks().figures());
    Scrape {
        version: env!("CARGO_PKG_VERSION"),
        tools: labels,
        shards: metrics,
        connections_max,
        workers: Some(workers.figures()),
        ended: ended.fold(TombstoneFigures::default(), Add::add),
        evicted: evicted.fold(TombstoneFigures::default(), Add::add),
        tasks: tasks.fold(TaskFigures::default(), Add::add),
        tool_limits: &tool_limits.unwrap_or_default(),
        children: &children,
        process: ProcessFigures::read(),
    }
    .render()
}

/// A receiver for a shard's histograms. Nothing will come if the shard has ended, or has left too many requests for
/// reports unread.
pub(super) fn ask_for_histograms(shard: &ShardHandle) -> mpsc::Receiver<ShardHistograms> {
    let (to, from) = mpsc::sync_channel(1);
    if !shard.is_finished() {
        shard.inbox.post(ShardEvent::Report(to));
    }
    from
}

pub(super) fn shard_report(metrics: &ShardMetrics, histograms: Option<ShardHistograms>) -> ShardReport {
    ShardReport {
        shard: metrics.shard,
        numbers: metrics.snapshot(),
        histograms,
    }
}
