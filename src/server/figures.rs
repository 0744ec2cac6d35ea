//! What a running server shows of itself: the exposition, and the parts of a report.

use std::sync::Arc;
use std::sync::mpsc;

use super::shards::ShardHandle;
use crate::metrics::{
    ProcessFigures, Scrape, ShardHistograms, ShardMetrics, ShardReport, TaskFigures, TombstoneFigures,
    WorkerFigures,
};
use crate::session::Store;
use crate::session::tasks::TaskStore;
use crate::shard::{Service, ShardEvent};
use crate::workers::Submitter;

pub(super) fn exposition(
    metrics: &[Arc<ShardMetrics>],
    connections_max: u32,
    service: &Service,
    workers: &Submitter,
) -> String {
    Scrape {
        version: env!("CARGO_PKG_VERSION"),
        tools: &service.labels,
        shards: metrics,
        connections_max,
        workers: Some(worker_figures(workers)),
        tombstones: tombstone_figures(&service.store),
        tasks: task_figures(service.store.tasks()),
        process: ProcessFigures::read(),
    }
    .render()
}

fn tombstone_figures(store: &Store) -> TombstoneFigures {
    let live = store.live().stats();
    TombstoneFigures {
        ended: store.tombstones() as u64,
        ended_forgotten_total: store.tombstones_forgotten(),
        evicted: live.evicted as u64,
        evicted_forgotten_total: live.evicted_forgotten,
    }
}

fn task_figures(tasks: &TaskStore) -> TaskFigures {
    let stats = tasks.stats();
    let by_status = stats.by_status;
    TaskFigures {
        working: by_status.working as u64,
        input_required: by_status.input_required as u64,
        completed: by_status.completed as u64,
        failed: by_status.failed as u64,
        cancelled: by_status.cancelled as u64,
        bytes: stats.bytes as u64,
        created_total: stats.created,
        expired_total: stats.expired,
        evicted_total: stats.evicted,
        refused_total: stats.refused,
    }
}

pub(super) fn worker_figures(workers: &Submitter) -> WorkerFigures {
    let stats = workers.stats();
    WorkerFigures {
        threads: stats.threads as u64,
        threads_configured: stats.threads_configured as u64,
        busy: stats.busy as u64,
        queued: stats.queued as u64,
        queue_depth_max: stats.queue_depth_max as u64,
        abandoned: stats.abandoned_running as u64,
        completed_total: stats.completed,
        cancelled_total: stats.cancelled,
        refused_total: stats.refused,
        panicked_total: stats.panicked,
    }
}

/// Where a shard's histograms will come from; nowhere if it has ended, or has left too
/// many requests for reports unread.
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
