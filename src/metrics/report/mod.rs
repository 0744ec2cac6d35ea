//! The report on stdout, at exit and on a signal: the figures and times of each shard, and of all together.
//!
//! It is made from copies, so that shards go on while it is written. The text is for people and may change; the JSON
//! keys are stable, see `json`. A shard that could not be asked for its histograms is reported with only its counters,
//! which anybody can read. Invariant: the merged part is the sum of the shards' parts.

mod advice;
mod brief;
mod json;
mod merged;
mod page;
mod table;
mod text;

use std::io::{self, Write};

use crate::config::ReportFormat;

pub use merged::{Report, ShardReport};

impl Report {
    /// Writes the report. A closed pipe is not an error.
    ///
    /// # Errors
    /// Fails when writing fails for another reason than a closed pipe.
    pub fn write(&self, format: ReportFormat, out: &mut impl Write) -> io::Result<()> {
        let text = match format {
            ReportFormat::Text => self.to_text(),
            ReportFormat::Json => self.to_json(),
            ReportFormat::None => return Ok(()),
        };
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// The report for people; at most 100 columns.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// The report as a page for a browser, which needs no network and no script.
    pub fn to_html(&self) -> String {
        page::render(self)
    }

    /// One JSON object on one line, with its line end.
    pub fn to_json(&self) -> String {
        json::render(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::metrics::contention::ContentionFigures;
    use crate::metrics::histogram::ShardHistograms;
    use crate::metrics::labels::ToolLabels;
    use crate::metrics::workers::WorkerFigures;
    use crate::metrics::{
        Era, Eviction, Operation, Outcome, OverloadReason, RequestClass, ShardMetrics, Stage,
    };
    use crate::units::ShardId;

    /// Two shards: the first has served nine requests in 1 ms each and refused two, the second one in 100 ms.
    pub(super) fn example() -> Report {
        let tools = Arc::new(ToolLabels::new(["echo", "sleep"], 8));
        let shard = |number: u16, calls: u64, millis: u64| {
            let metrics = ShardMetrics::new(ShardId(number), &tools);
            let mut histograms = ShardHistograms::new(&tools);
            metrics.on_pool(256);
            metrics.pool_high_water.set(calls);
            for _ in 0..calls {
                let elapsed = Duration::from_millis(millis);
                metrics.on_request(Era::Modern, RequestClass::Work);
                metrics.on_operation(Operation::Tool(tools.row(0)), Outcome::Ok, elapsed);
                histograms.record(Stage::Total, elapsed);
                histograms.record_tool(tools.row(0), elapsed);
            }
            (metrics, histograms)
        };
        let part = |(metrics, histograms): (Arc<ShardMetrics>, ShardHistograms)| ShardReport {
            shard: metrics.shard,
            numbers: metrics.snapshot(),
            histograms: Some(histograms),
        };
        let first = shard(0, 9, 1);
        first.0.refusals.of(OverloadReason::Handlers).add(2);
        first.0.evictions.increment(Eviction::Idle);
        let shards = vec![part(first), part(shard(1, 1, 100))];
        Report::new(
            tools,
            Duration::from_secs(3_723),
            shards,
            Some(WorkerFigures::default()),
            ContentionFigures::default(),
        )
    }

    struct Pipe(io::ErrorKind);

    impl Write for Pipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_not_an_error_and_a_full_disk_is() {
        let report = example();
        assert!(
            report
                .write(ReportFormat::Text, &mut Pipe(io::ErrorKind::BrokenPipe))
                .is_ok()
        );
        let full = report.write(ReportFormat::Json, &mut Pipe(io::ErrorKind::StorageFull));
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn the_format_decides_what_is_written() {
        let report = example();
        let written = |format| {
            let mut out = Vec::new();
            report.write(format, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(ReportFormat::None), "");
        assert_eq!(written(ReportFormat::Text), report.to_text());
        assert_eq!(written(ReportFormat::Json), report.to_json());
    }
}
