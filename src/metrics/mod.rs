//! Numbers about the running server: counters, histograms, the exposition for Prometheus and the report.
//!
//! Each shard owns one [`ShardMetrics`] (atomic cells that it alone writes and anyone reads) and one
//! [`ShardHistograms`] (plain memory, cloned for a report). Nothing is shared between shards and nothing is summed
//! before it is read. Labels come from closed enums and registered names, never from a peer. The caller passes times:
//! this module has no clock.

use std::time::Duration;

mod cell;
mod children;
mod contention;
mod counter;
mod duration;
mod exposition;
#[cfg(test)]
pub(crate) mod exposition_parser;
mod figures;
mod histogram;
mod labels;
mod log_records;
mod process;
mod prometheus;
mod report;
mod shard;
mod tasks;
mod tombstones;
mod tool_limits;
mod workers;

pub use cell::{LongestNanos, Nanos, RequestCounts};
pub use children::{ChildServerFigures, ChildTally};
pub use contention::{Contention, ContentionFigures, ContentionMeter};
pub use counter::{Counter, Counts, Family, Gauge};
pub use duration::{DurationBuckets, DurationCounts, Operation, OperationDurations};
pub use histogram::{Latency, ShardHistograms};
pub use labels::{
    ChildDeath, ChildRefusal, ChildState, Era, Eviction, HandlerState, HttpRefusal, Label, Method, Outcome,
    OverloadReason, RequestClass, Stage, ToolLabels, ToolRow, WaitEnd,
};
pub use log_records::on_log_record_dropped;
pub use process::{ProcessFigures, ProcessUse, ProcessorTime};
pub use prometheus::Scrape;
pub use report::{Report, ShardReport};
pub use shard::{ShardMetrics, ShardSnapshot};
pub use tasks::TaskFigures;
pub use tombstones::TombstoneFigures;
pub use tool_limits::ToolLimitFigures;
pub use workers::WorkerFigures;

/// Whole nanoseconds, at most what 64 bits hold: 584 years. Cheaper than the 128 bits of [`Duration::as_nanos`] where
/// every request passes several times.
#[inline]
fn saturating_nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos().into())
}
