//! The report as tables for people.
//!
//! Merged figures first, then each shard's where there are several. Columns and rows of nothing but zeroes are left out
//! where a closed set has many members; numbers are never rounded but for latencies and bytes.

use std::fmt::Write;
use std::time::Duration;

use super::Report;
use super::advice::{Facts, advise};
use crate::metrics::counter::Counts;
use crate::metrics::histogram::{Latency, ShardHistograms};
use crate::metrics::labels::{Label, Outcome, RequestClass, Stage, ToolLabels, WaitEnd};
use crate::metrics::shard::ShardSnapshot;
use crate::metrics::workers::WorkerFigures;
use crate::units::{ByteSize, display_duration};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let (shards, requests) = (report.shards.len(), report.all.requests_total());
    let uptime = display_duration(Duration::from_secs(report.uptime.as_secs()));
    let plural = if shards == 1 { "" } else { "s" };
    line(
        &mut text,
        format_args!("weir report: up {uptime}, {shards} shard{plural}, {requests} requests"),
    );
    shard_table(report).write(&mut text, "Shards");
    queue_table(report).write(&mut text, "Queue for handlers");
    members_table(report, |numbers| &numbers.outcomes).write(&mut text, "Operations by outcome");
    members_table(report, |numbers| &numbers.refusals).write(&mut text, "Refusals by reason");
    members_table(report, |numbers| &numbers.http_refusals).write(&mut text, "Refusals by HTTP status");
    members_table(report, |numbers| &numbers.evictions).write(&mut text, "Evictions by reason");
    write_latencies(&mut text, "all shards", &report.all_histograms, &report.tools);
    if shards > 1 {
        for shard in &report.shards {
            let title = format!("shard {}", shard.shard);
            match &shard.histograms {
                Some(histograms) => write_latencies(&mut text, &title, histograms, &report.tools),
                None => line(
                    &mut text,
                    format_args!("\nLatency, {title}: the shard did not answer"),
                ),
            }
        }
    }
    if let Some(workers) = report.workers {
        write_workers(&mut text, workers);
    }
    let facts = Facts::of(report);
    line(
        &mut text,
        format_args!("\nSizing: {}", advise(&facts).line(&facts)),
    );
    text
}

/// The shards' parts with their titles; the merged part last, where there are several.
fn parts(report: &Report) -> impl Iterator<Item = (String, &ShardSnapshot)> {
    let shards = report.shards.iter();
    let all = (report.shards.len() != 1).then(|| ("all".to_owned(), &report.all));
    shards
        .map(|shard| (shard.shard.to_string(), &shard.numbers))
        .chain(all)
}

fn shard_table(report: &Report) -> Table {
    let mut table = Table::new(&[
        "shard",
        "requests",
        "control",
        "work",
        "ok",
        "in flight",
        "pool",
        "leased",
        "high water",
        "accepted",
        "open",
        "received",
        "sent",
        "starved",
        "panics",
        "stalls",
    ]);
    for (title, numbers) in parts(report) {
        table.row(vec![
            title,
            numbers.requests_total().to_string(),
            numbers.requests_of(RequestClass::Control).to_string(),
            numbers.requests_of(RequestClass::Work).to_string(),
            numbers.outcomes.of(Outcome::Ok).to_string(),
            numbers.in_flight.to_string(),
            numbers.pool_size.to_string(),
            share(numbers.utilization()),
            numbers.pool_high_water.to_string(),
            numbers.connections_accepted.to_string(),
            numbers.connections_open.to_string(),
            ByteSize(numbers.received_bytes).rounded(),
            ByteSize(numbers.sent_bytes).rounded(),
            numbers.ring_starved.to_string(),
            numbers.panics.to_string(),
            numbers.stalls.to_string(),
        ]);
    }
    table
}

/// What waited where, left out when nothing ever did.
fn queue_table(report: &Report) -> Table {
    let mut table = Table::new(&[
        "shard",
        "places",
        "waiting",
        "high water",
        "waited",
        "served",
        "stolen",
        "timed out",
        "left",
        "arrived",
        "lingers cut",
    ]);
    let all = &report.all;
    if all.queued + all.steals_in + all.linger_cuts == 0 {
        return table;
    }
    for (title, numbers) in parts(report) {
        let ends = WaitEnd::ALL.iter().map(|&end| numbers.wait_ends.of(end));
        let head = [
            numbers.queue_depth_max,
            numbers.queue_depth,
            numbers.queue_high_water,
            numbers.queued,
        ];
        let counts = head
            .into_iter()
            .chain(ends)
            .chain([numbers.steals_in, numbers.linger_cuts]);
        let cells = counts.map(|count| count.to_string());
        table.row([title].into_iter().chain(cells).collect());
    }
    table
}

/// One column for each member of a set that has been counted by any shard.
fn members_table<'a, E: Label, const N: usize>(
    report: &'a Report,
    of: impl Fn(&'a ShardSnapshot) -> &'a Counts<E, N>,
) -> Table {
    let counted: Vec<E> = of(&report.all)
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(member, _)| member)
        .collect();
    let titles = counted.iter().map(|member| member.as_str());
    let mut table = Table::new(&["shard"].into_iter().chain(titles).collect::<Vec<_>>());
    if !counted.is_empty() {
        for (title, numbers) in parts(report) {
            let cells = counted.iter().map(|&member| of(numbers).of(member).to_string());
            table.row([title].into_iter().chain(cells).collect());
        }
    }
    table
}

fn write_latencies(text: &mut String, whose: &str, histograms: &ShardHistograms, tools: &ToolLabels) {
    let stages = Stage::ALL
        .iter()
        .map(|&stage| (stage.as_str(), histograms.stage(stage)))
        .chain([("wait for a handler", histograms.waits())]);
    latency_table("stage", stages).write(text, &format!("Latency by stage, {whose}"));
    let tools = tools
        .iter()
        .filter_map(|(row, name)| Some((name, histograms.tool(row)?)));
    latency_table("tool", tools).write(text, &format!("Latency by tool, {whose}"));
}

fn latency_table<'a>(kind: &str, rows: impl Iterator<Item = (&'a str, &'a Latency)>) -> Table {
    let quantiles = Latency::QUANTILES.map(|(_, name)| name);
    let titles = [kind, "count"].into_iter().chain(quantiles).chain(["max"]);
    let mut table = Table::new(&titles.collect::<Vec<_>>());
    for (name, latency) in rows.filter(|(_, latency)| latency.count() > 0) {
        let quantiles = Latency::QUANTILES.map(|(quantile, _)| brief(latency.quantile(quantile)));
        let head = [name.to_owned(), latency.count().to_string()];
        table.row(
            head.into_iter()
                .chain(quantiles)
                .chain([brief(latency.max())])
                .collect(),
        );
    }
    table
}

fn write_workers(text: &mut String, workers: WorkerFigures) {
    let WorkerFigures {
        threads,
        busy,
        queued,
        queue_depth_max,
        abandoned,
        completed_total,
        cancelled_total,
        refused_total,
        panicked_total,
    } = workers;
    line(
        text,
        format_args!(
            "\nWorkers: {threads} threads, {busy} busy, {queued} of {queue_depth_max} queued, {abandoned} abandoned; \
             {completed_total} completed, {cancelled_total} cancelled, {refused_total} refused, \
             {panicked_total} panicked"
        ),
    );
}

/// A share in whole per cent.
fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// Three digits and a unit; histograms know no more than two.
pub(super) fn brief(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (scale, unit) = units
        .into_iter()
        .find(|(scale, _)| nanos >= *scale)
        .unwrap_or((1.0, "ns"));
    let value = nanos / scale;
    let decimals = match value {
        _ if unit == "ns" => 0,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}

/// Rows of cells under titles: the first column to the left, all others to the right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(titles: &[&str]) -> Self {
        let titles = titles.iter().map(|&title| title.to_owned()).collect();
        Self { rows: vec![titles] }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes the table under a heading; one without rows is `none`.
    fn write(&self, text: &mut String, heading: &str) {
        if self.rows.len() == 1 {
            line(text, format_args!("\n{heading}: none"));
            return;
        }
        line(text, format_args!("\n{heading}"));
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate();
            let padded: Vec<String> = cells
                .map(|(column, (cell, &width))| match column {
                    0 => format!("  {cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            line(text, format_args!("{}", padded.join("  ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::example;
    use super::*;
    use crate::metrics::contention::ContentionFigures;

    /// The table under a heading: its rows as maps from title to cell.
    fn table(text: &str, heading: &str) -> Vec<HashMap<String, String>> {
        let mut lines = text.lines().skip_while(|line| *line != heading).skip(1);
        let split = |line: &str| -> Vec<String> {
            let cells = line
                .trim()
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty());
            cells.map(str::to_owned).collect()
        };
        let titles = split(
            lines
                .next()
                .unwrap_or_else(|| panic!("no `{heading}` in:\n{text}")),
        );
        let rows = lines.take_while(|line| !line.is_empty()).map(split);
        rows.map(|row| {
            assert_eq!(row.len(), titles.len(), "{row:?}");
            titles.iter().cloned().zip(row).collect()
        })
        .collect()
    }

    #[test]
    fn it_says_what_each_shard_did() {
        let text = example().to_text();
        assert!(
            text.starts_with("weir report: up 3723s, 2 shards, 10 requests\n"),
            "{text}"
        );
        let shards = table(&text, "Shards");
        let column = |title: &str| -> Vec<&str> { shards.iter().map(|row| &*row[title]).collect() };
        assert_eq!(column("shard"), ["0", "1", "all"]);
        assert_eq!(column("work"), ["9", "1", "10"]);
        assert_eq!(column("pool"), ["256", "256", "512"]);
        assert_eq!(column("high water"), ["9", "1", "10"]);
    }

    #[test]
    fn waits_have_a_table_once_there_were_some() {
        let mut example = example();
        let text = example.to_text();
        assert!(text.contains("\nQueue for handlers: none\n"), "{text}");
        example.shards[0].numbers.queue_depth_max = 512;
        example.shards[0].numbers.queued = 3;
        example.shards[1].numbers.steals_in = 2;
        let text = Report::new(
            example.tools,
            example.uptime,
            example.shards,
            None,
            ContentionFigures::default(),
        )
        .to_text();
        let queue = table(&text, "Queue for handlers");
        assert_eq!((&*queue[0]["places"], &*queue[0]["waited"]), ("512", "3"));
        assert_eq!((&*queue[1]["arrived"], &*queue[2]["arrived"]), ("2", "2"));
    }

    #[test]
    fn the_last_line_is_advice() {
        let last = example().to_text().lines().last().unwrap().to_owned();
        assert!(last.starts_with("Sizing: sized well (at most 9 of"), "{last}");
    }

    #[test]
    fn only_what_was_counted_has_a_column() {
        let text = example().to_text();
        let refusals = table(&text, "Refusals by reason");
        assert_eq!(refusals[0].len(), 2);
        assert_eq!(refusals[0]["handlers"], "2");
        assert_eq!(refusals[1]["handlers"], "0");
        assert_eq!(table(&text, "Evictions by reason")[2]["idle"], "1");
        assert!(text.contains("\nRefusals by HTTP status: none\n"), "{text}");
    }

    #[test]
    fn latencies_stand_merged_and_apart() {
        let text = example().to_text();
        let all = &table(&text, "Latency by stage, all shards")[0];
        assert_eq!((&*all["stage"], &*all["count"]), ("total", "10"));
        assert!(
            all["p50"].starts_with("1.0") && all["p50"].ends_with("ms"),
            "{all:?}"
        );
        assert!(
            all["p99"].starts_with("10") && all["p99"].ends_with("ms"),
            "{all:?}"
        );
        let first = &table(&text, "Latency by tool, shard 0")[0];
        assert_eq!((&*first["tool"], &*first["count"]), ("echo", "9"));
        assert_eq!(table(&text, "Latency by tool, shard 1")[0]["count"], "1");
    }

    #[test]
    fn one_shard_is_not_repeated_as_all() {
        let mut example = example();
        example.shards.truncate(1);
        let contention = ContentionFigures::default();
        let text = Report::new(example.tools, example.uptime, example.shards, None, contention).to_text();
        assert_eq!(table(&text, "Shards").len(), 1);
        assert!(!text.contains("Latency by stage, shard 0"));
        assert!(!text.contains("Workers"));
    }

    #[test]
    fn a_shard_that_did_not_answer_is_named() {
        let mut example = example();
        example.shards[1].histograms = None;
        let text = example.to_text();
        assert!(
            text.contains("Latency, shard 1: the shard did not answer"),
            "{text}"
        );
        assert_eq!(table(&text, "Shards")[1]["work"], "1");
    }

    #[test]
    fn every_line_of_a_table_is_as_wide_as_its_title() {
        let text = example().to_text();
        let lines: Vec<&str> = text
            .lines()
            .skip_while(|line| *line != "Shards")
            .skip(1)
            .take(4)
            .collect();
        let widths: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }

    #[test]
    fn latencies_are_written_with_three_digits() {
        let brief = |nanos| brief(Duration::from_nanos(nanos));
        let written = [0, 999, 1_000, 12_345, 123_456, 9_870_000, 60_000_000_000].map(brief);
        assert_eq!(
            written,
            ["0ns", "999ns", "1.00µs", "12.3µs", "123µs", "9.87ms", "60.0s"]
        );
    }
}
