//! The figures of a running server: the exposition, and the parts of a report.

use std::ops::Add;
use std::sync::Arc;
use std::sync::mpsc;

use super::children::ChildrenStatus;
use super::shards::ShardHandle;
use crate::metrics::{
    ProcessFigures, Scrape, ShardHistograms, ShardMetrics, ShardReport, TaskFigures, TombstoneFigures,
};
use crate::session::Store;
use crate::shard::{Common, Service, ShardEvent};
use crate::workers::Submitter;

/// What all services of a server have in common, whatever is edited. They have no part in keeping what an edit removed.
#[derive(Clone)]
pub(super) struct Lasting {
    pub(super) common: Arc<Common>,
    /// By the views' numbers.
    pub(super) stores: Vec<Arc<Store>>,
}

impl Lasting {
    /// That of the services of all views, the main one first.
    pub(super) fn of(main: &Service, others: &[Arc<Service>]) -> Lasting {
        let others = others.iter().map(|service| &service.store);
        Lasting {
            common: Arc::clone(&main.common),
            stores: std::iter::once(&main.store).chain(others).cloned().collect(),
        }
    }
}

pub(super) fn exposition(
    metrics: &[Arc<ShardMetrics>],
    connections_max: u32,
    lasting: &Lasting,
    workers: &Submitter,
    children: Option<&ChildrenStatus>,
) -> String {
    let children = children.map(ChildrenStatus::figures).unwrap_or_default();
    let stores = || lasting.stores.iter();
    let ended = stores().map(|store| store.tombstones());
    let evicted = stores().map(|store| store.live().stats().evicted);
    let tasks = stores().map(|store| store.tasks().figures());
    Scrape {
        version: env!("CARGO_PKG_VERSION"),
        tools: &lasting.common.labels,
        shards: metrics,
        connections_max,
        workers: Some(workers.figures()),
        ended: ended.fold(TombstoneFigures::default(), Add::add),
        evicted: evicted.fold(TombstoneFigures::default(), Add::add),
        tasks: tasks.fold(TaskFigures::default(), Add::add),
        tool_limits: &lasting.common.tool_limits.figures(),
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
