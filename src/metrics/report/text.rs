//! The report for people: what happened, in at most [`COLUMNS`] columns, and nothing of what did not.
//!
//! Merged figures, then one line for each shard where there are several. A column or a line that would say zero
//! everywhere is left out. A percentile is shown where samples lie beyond it, so none is a guess; beside it a sparkline
//! shows the whole distribution. Numbers are never rounded but for latencies and bytes.

use std::time::Duration;

use super::advice::{Facts, advise};
use super::brief::brief;
use super::merged::Report;
use super::table::{COLUMNS, Table, line, wrap};
use crate::metrics::counter::Counts;
use crate::metrics::histogram::Latency;
use crate::metrics::labels::{Label, RequestClass, Stage, WaitEnd};
use crate::metrics::shard::ShardSnapshot;
use crate::metrics::workers::WorkerFigures;
use crate::units::ByteSize;

/// Distributions are shown over these decades of nanoseconds: from 1 µs to 10 s.
const DECADES: std::ops::Range<u32> = 3..10;
const CELLS_PER_DECADE: u32 = 3;
/// Over a sparkline: where 1 µs, 1 ms and 1 s are.
const AXIS: &str = "1µs      1ms      1s  ";
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let (shards, requests) = (report.shards.len(), report.all.requests_total());
    line(
        &mut text,
        format_args!(
            "weir report: up {}, {}, {}",
            uptime(report.uptime),
            plural(shards as u64, "shard"),
            plural(requests, "request"),
        ),
    );
    shard_table(report).write(&mut text, "Shards");
    queue_table(report).write(&mut text, "Queue for handlers");
    write_counts(&mut text, report);
    let histograms = &report.all_histograms;
    let stages = Stage::ALL
        .iter()
        .map(|&stage| (stage.as_str().to_owned(), histograms.stage(stage)))
        .chain([("handler wait".to_owned(), histograms.waits())]);
    latency_table("stage", stages).write(&mut text, "Latency by stage");
    let tools = report.tools.iter();
    let tools = tools.filter_map(|(row, name)| Some((name.to_owned(), histograms.tool(row)?)));
    latency_table("tool", tools).write(&mut text, "Latency by tool");
    if shards > 1 {
        write_shard_latencies(&mut text, report);
    }
    if let Some(workers) = report.workers {
        write_workers(&mut text, workers);
    }
    let facts = Facts::of(report);
    wrap(&mut text, "Sizing: ", &advise(&facts).line(&facts), COLUMNS);
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

/// A column: its title, its cell, and what it counts, which decides whether it is shown.
type Column = (&'static str, fn(&ShardSnapshot) -> u64, fn(u64) -> String);

/// The columns that count something, for each shard.
fn numbers_table(report: &Report, columns: &[Column]) -> Table {
    let counts = |column: &&Column| parts(report).any(|(_, numbers)| column.1(numbers) > 0);
    let shown: Vec<&Column> = columns.iter().filter(counts).collect();
    let titles = ["shard"].into_iter().chain(shown.iter().map(|column| column.0));
    let mut table = Table::new(titles);
    if !shown.is_empty() {
        for (title, numbers) in parts(report) {
            let cells = shown.iter().map(|column| column.2(column.1(numbers)));
            table.row([title].into_iter().chain(cells));
        }
    }
    table
}

fn number(count: u64) -> String {
    count.to_string()
}

fn bytes(count: u64) -> String {
    ByteSize(count).rounded()
}

fn shard_table(report: &Report) -> Table {
    let all = &report.all;
    if all.requests_total() + all.connections_accepted + all.http_refusals.total() + all.accept_failures == 0
    {
        return Table::new(["shard"]);
    }
    numbers_table(
        report,
        &[
            ("requests", ShardSnapshot::requests_total, number),
            ("calls", |numbers| numbers.requests_of(RequestClass::Work), number),
            ("in flight", |numbers| numbers.in_flight, number),
            ("handlers", |numbers| numbers.pool_size, number),
            ("most busy", |numbers| numbers.pool_high_water, number),
            ("busy now", ShardSnapshot::handlers_leased, number),
            ("connections", |numbers| numbers.connections_accepted, number),
            ("open", |numbers| numbers.connections_open, number),
            ("received", |numbers| numbers.received_bytes, bytes),
            ("sent", |numbers| numbers.sent_bytes, bytes),
            ("accept failures", |numbers| numbers.accept_failures, number),
            ("no ring buffer", |numbers| numbers.ring_starved, number),
            ("panics", |numbers| numbers.panics, number),
            ("stalls", |numbers| numbers.stalls, number),
        ],
    )
}

/// How many calls waited, and where.
fn queue_table(report: &Report) -> Table {
    let all = &report.all;
    if all.queued + all.steals_in + all.linger_cuts == 0 {
        return Table::new(["shard"]);
    }
    numbers_table(
        report,
        &[
            ("places", |numbers| numbers.queue_depth_max, number),
            ("waiting", |numbers| numbers.queue_depth, number),
            ("most waiting", |numbers| numbers.queue_high_water, number),
            ("waited", |numbers| numbers.queued, number),
            ("served", |numbers| numbers.wait_ends.of(WaitEnd::Served), number),
            ("stolen", |numbers| numbers.wait_ends.of(WaitEnd::Stolen), number),
            (
                "timed out",
                |numbers| numbers.wait_ends.of(WaitEnd::TimedOut),
                number,
            ),
            ("left", |numbers| numbers.wait_ends.of(WaitEnd::Left), number),
            ("arrived", |numbers| numbers.steals_in, number),
            ("lingers cut", |numbers| numbers.linger_cuts, number),
        ],
    )
}

/// How requests ended, and why they were refused or given up, a line for each set that has counted something.
fn write_counts(text: &mut String, report: &Report) {
    let all = &report.all;
    let failures: u64 = all.outcomes.total();
    if failures > 0 {
        let named = all.outcomes.iter().map(|(outcome, count)| {
            let (name, code) = (outcome.name(), outcome.as_str());
            if code.starts_with('-') {
                (format!("{name} ({code})"), count)
            } else {
                (name.to_owned(), count)
            }
        });
        write_members(text, "Outcomes: ", named);
    }
    write_members(text, "Refused: ", in_words(&all.refusals));
    let statuses = all.http_refusals.iter();
    write_members(
        text,
        "Refused by HTTP: ",
        statuses.map(|(status, count)| (status.name().to_owned(), count)),
    );
    write_members(text, "Connections given up: ", in_words(&all.evictions));
}

/// The members of a set by their labels, which are words.
fn in_words<E: Label, const N: usize>(counts: &Counts<E, N>) -> impl Iterator<Item = (String, u64)> {
    counts
        .iter()
        .map(|(member, count)| (member.as_str().replace('_', " "), count))
}

fn write_members(text: &mut String, heading: &str, members: impl Iterator<Item = (String, u64)>) {
    let mut counted: Vec<(String, u64)> = members.filter(|(_, count)| *count > 0).collect();
    if counted.is_empty() {
        return;
    }
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<String> = counted
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    wrap(text, heading, &words.join(", "), COLUMNS);
}

fn write_shard_latencies(text: &mut String, report: &Report) {
    let totals = report.shards.iter().filter_map(|shard| {
        let histograms = shard.histograms.as_ref()?;
        Some((shard.shard.to_string(), histograms.stage(Stage::Total)))
    });
    latency_table("shard", totals).write(text, "Latency by shard, first byte to answer");
    let silent: Vec<String> = report
        .shards
        .iter()
        .filter(|shard| shard.histograms.is_none())
        .map(|shard| shard.shard.to_string())
        .collect();
    if !silent.is_empty() {
        let heading = "Without latencies, for they did not answer: ";
        wrap(
            text,
            heading,
            &format!("shard {}", silent.join(", shard ")),
            COLUMNS,
        );
    }
}

fn latency_table<'a>(kind: &'static str, rows: impl Iterator<Item = (String, &'a Latency)>) -> Table {
    let rows: Vec<(String, &Latency)> = rows.filter(|(_, latency)| latency.count() > 0).collect();
    let most = rows.iter().map(|(_, latency)| latency.count()).max().unwrap_or(0);
    let shown: Vec<(f64, &str)> = Latency::QUANTILES
        .into_iter()
        .filter(|(quantile, _)| has_samples_beyond(*quantile, most))
        .collect();
    let quantiles = shown.iter().map(|(_, name)| *name);
    let titles = [kind, "count"].into_iter().chain(quantiles).chain(["max", AXIS]);
    let mut table = Table::new(titles).with_optional_last();
    for (name, latency) in rows {
        let count = latency.count();
        let quantiles = shown.iter().map(|(quantile, _)| {
            if has_samples_beyond(*quantile, count) {
                brief(latency.quantile(*quantile))
            } else {
                String::new()
            }
        });
        let head = [name, count.to_string()];
        let tail = [brief(latency.max()), sparkline(latency)];
        table.row(head.into_iter().chain(quantiles).chain(tail));
    }
    table
}

/// Whether a percentile of so many samples is more than another name for the longest.
fn has_samples_beyond(quantile: f64, count: u64) -> bool {
    // A little less is one, too: 1 - 0.99 is not quite 0.01.
    (1.0 - quantile) * count as f64 >= 1.0 - 1e-6
}

/// How often latencies were how long, both on logarithmic scales: so a few slow ones are seen beside a million.
fn sparkline(latency: &Latency) -> String {
    let cells = (DECADES.len() as u32 * CELLS_PER_DECADE) as usize;
    let mut counts = vec![0_u64; cells];
    for (nanos, count) in latency.recorded() {
        let decades = (nanos.max(1) as f64).log10() - f64::from(DECADES.start);
        let cell = (decades * f64::from(CELLS_PER_DECADE)).floor().max(0.0) as usize;
        if let Some(cell) = counts.get_mut(cell.min(cells - 1)) {
            *cell += count;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let scale = |count: u64| (count as f64 + 1.0).ln() / (most as f64 + 1.0).ln();
    let bar = |&count: &u64| match count {
        0 => ' ',
        _ => BARS[((scale(count) * BARS.len() as f64).ceil() as usize).clamp(1, BARS.len()) - 1],
    };
    let mut bars: String = counts.iter().map(bar).collect();
    // As wide as its title, so that it is read against it.
    bars.extend(std::iter::repeat_n(' ', AXIS.chars().count() - cells));
    bars
}

/// What the workers did, if they did anything.
fn write_workers(text: &mut String, workers: WorkerFigures) {
    let counted = [
        ("busy", workers.busy),
        ("queued", workers.queued),
        ("abandoned", workers.abandoned),
        ("completed", workers.completed_total),
        ("cancelled", workers.cancelled_total),
        ("refused", workers.refused_total),
        ("panicked", workers.panicked_total),
    ];
    let said: Vec<String> = counted
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if said.is_empty() {
        return;
    }
    let threads = plural(workers.threads_configured, "thread");
    wrap(
        text,
        "Workers: ",
        &format!("{threads}; calls {}", said.join(", ")),
        COLUMNS,
    );
}

fn plural(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Whole seconds, and larger units where there are any.
fn uptime(uptime: Duration) -> String {
    let seconds = uptime.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")];
    let first = parts
        .iter()
        .position(|(count, _)| *count > 0)
        .unwrap_or(parts.len() - 1);
    let words: Vec<String> = parts[first..]
        .iter()
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::super::ShardReport;
    use super::super::tests::example;
    use super::*;
    use crate::metrics::contention::ContentionFigures;
    use crate::metrics::histogram::ShardHistograms;
    use crate::metrics::labels::{Era, Eviction, HttpRefusal, Outcome, OverloadReason, ToolLabels};
    use crate::metrics::shard::ShardMetrics;
    use crate::units::ShardId;

    /// The table under a heading: its rows as maps from title to cell. Sparklines are left out.
    fn table(text: &str, heading: &str) -> Vec<HashMap<String, String>> {
        let mut lines = text.lines().skip_while(|line| *line != heading).skip(1);
        let titles_line = lines
            .next()
            .unwrap_or_else(|| panic!("no `{heading}` in:\n{text}"));
        // A cell ends where its title does, but for the first, which begins there.
        let titles: Vec<(String, usize)> = {
            let plain = titles_line.split("1µs").next().unwrap();
            let mut titles = Vec::new();
            let mut at = 0;
            for part in plain.split("  ") {
                at += part.chars().count();
                if !part.trim().is_empty() {
                    titles.push((part.trim().to_owned(), at));
                }
                at += 2;
            }
            titles
        };
        let rows = lines.take_while(|line| !line.is_empty());
        rows.map(|row| {
            let mut begin = 0;
            let ends: Vec<usize> = titles.iter().map(|(_, end)| *end).collect();
            titles
                .iter()
                .enumerate()
                .map(|(column, (title, end))| {
                    // The first column is as wide as its widest cell.
                    let end = match column {
                        0 => ends
                            .get(1)
                            .map_or(row.chars().count(), |next| next - titles[1].0.chars().count()),
                        _ => *end,
                    };
                    let cell: String = row.chars().skip(begin).take(end - begin).collect();
                    begin = end;
                    (title.clone(), cell.trim().to_owned())
                })
                .collect()
        })
        .collect()
    }

    fn again(report: Report) -> Report {
        let Report {
            tools,
            uptime,
            shards,
            workers,
            ..
        } = report;
        Report::new(tools, uptime, shards, workers, ContentionFigures::default())
    }

    /// A report of one shard that did `calls` calls and nothing else.
    fn calls(calls: u64) -> Report {
        let tools = Arc::new(ToolLabels::new(["echo"], 8));
        let metrics = ShardMetrics::new(ShardId(0), &tools);
        let mut histograms = ShardHistograms::new(&tools);
        metrics.on_pool(256);
        for call in 0..calls {
            metrics.on_request(Era::Modern, RequestClass::Work);
            histograms.record(Stage::Total, Duration::from_micros(100 + call));
        }
        let shard = ShardReport {
            shard: ShardId(0),
            numbers: metrics.snapshot(),
            histograms: Some(histograms),
        };
        Report::new(
            tools,
            Duration::from_secs(5),
            vec![shard],
            Some(WorkerFigures::default()),
            ContentionFigures::default(),
        )
    }

    #[test]
    fn a_server_that_did_nothing_says_so_in_two_lines() {
        assert_eq!(
            calls(0).to_text(),
            "weir report: up 5s, 1 shard, 0 requests\n\nSizing: no work was done: nothing to advise\n"
        );
    }

    #[test]
    fn it_says_what_each_shard_did() {
        let text = example().to_text();
        assert!(
            text.starts_with("weir report: up 1h 2m 3s, 2 shards, 10 requests\n"),
            "{text}"
        );
        let shards = table(&text, "Shards");
        let column = |title: &str| -> Vec<&str> { shards.iter().map(|row| &*row[title]).collect() };
        assert_eq!(column("shard"), ["0", "1", "all"]);
        assert_eq!(column("calls"), ["9", "1", "10"]);
        assert_eq!(column("handlers"), ["256", "256", "512"]);
        assert_eq!(column("most busy"), ["9", "1", "10"]);
        for absent in ["panics", "stalls", "open", "none", "received"] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
    }

    #[test]
    fn waits_have_a_table_once_there_were_some() {
        let mut example = example();
        let text = example.to_text();
        assert!(!text.contains("Queue"), "{text}");
        example.shards[0].numbers.queue_depth_max = 512;
        example.shards[0].numbers.queued = 3;
        example.shards[1].numbers.steals_in = 2;
        let text = again(example).to_text();
        let queue = table(&text, "Queue for handlers");
        assert_eq!((&*queue[0]["places"], &*queue[0]["waited"]), ("512", "3"));
        assert_eq!((&*queue[1]["arrived"], &*queue[2]["arrived"]), ("2", "2"));
        assert!(!queue[0].contains_key("timed out"));
    }

    #[test]
    fn the_last_line_is_advice() {
        let text = example().to_text();
        let last = text.split("\n\n").last().unwrap();
        assert!(last.starts_with("Sizing: sized well (at most 9 of"), "{last}");
    }

    #[test]
    fn what_was_counted_is_named_in_words() {
        let mut example = example();
        let tools = ToolLabels::new([], 0);
        let metrics = ShardMetrics::new(ShardId(1), &tools);
        for _ in 0..3 {
            metrics.on_operation(
                crate::metrics::Operation::Method(crate::metrics::Method::Ping),
                Outcome::Overload,
                Duration::ZERO,
            );
        }
        metrics.refusals.of(OverloadReason::QueueTimeout).add(3);
        metrics.http_refusals.increment(HttpRefusal::NotAcceptable);
        metrics.evictions.increment(Eviction::HeadTimeout);
        example.shards[1].numbers = metrics.snapshot();
        let text = again(example).to_text();
        for line in [
            "Outcomes: ok 9, overload (-31503) 3",
            "Refused: queue timeout 3, handlers 2",
            "Refused by HTTP: 406 Not Acceptable 1",
            "Connections given up: head timeout 1, idle 1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} in {text}");
        }
    }

    #[test]
    fn a_percentile_is_shown_where_samples_lie_beyond_it() {
        let shown = |count: u64| {
            let text = calls(count).to_text();
            let row = table(&text, "Latency by stage").remove(0);
            let names = Latency::QUANTILES.map(|(_, name)| name);
            let shown = names
                .into_iter()
                .filter(|name| row.get(*name).is_some_and(|cell| !cell.is_empty()));
            assert_eq!(row["count"], count.to_string());
            assert!(!row["max"].is_empty());
            shown.count()
        };
        for (count, expected) in [
            (1, 0),
            (2, 1),
            (9, 1),
            (10, 2),
            (99, 2),
            (100, 3),
            (999, 3),
            (1_000, 4),
            (9_999, 4),
            (10_000, 5),
        ] {
            assert_eq!(shown(count), expected, "{count} samples");
        }
    }

    #[test]
    fn latencies_stand_merged_by_tool_and_by_shard() {
        let text = example().to_text();
        let all = &table(&text, "Latency by stage")[0];
        assert_eq!((&*all["stage"], &*all["count"]), ("total", "10"));
        assert!(
            all["p50"].starts_with("1.0") && all["p50"].ends_with("ms"),
            "{all:?}"
        );
        assert!(!all.contains_key("p99"), "{all:?}");
        assert!(
            all["max"].starts_with("10") && all["max"].ends_with("ms"),
            "{all:?}"
        );
        let echo = &table(&text, "Latency by tool")[0];
        assert_eq!((&*echo["tool"], &*echo["count"]), ("echo", "10"));
        let shards = table(&text, "Latency by shard, first byte to answer");
        assert_eq!((&*shards[0]["count"], &*shards[1]["count"]), ("9", "1"));
    }

    #[test]
    fn a_sparkline_shows_where_latencies_lie() {
        let mut histograms = ShardHistograms::new(&ToolLabels::new([], 0));
        let mut record = |nanos: u64, count: usize| {
            for _ in 0..count {
                histograms.record(Stage::Total, Duration::from_nanos(nanos));
            }
        };
        record(1, 1);
        record(1_500_000, 10_000);
        record(1_500_000_000, 5);
        record(3_000_000_000_000, 1);
        let line: Vec<char> = sparkline(histograms.stage(Stage::Total)).chars().collect();
        assert_eq!(line.len(), AXIS.chars().count());
        let axis: Vec<char> = AXIS.chars().collect();
        let bars: Vec<(usize, char)> = line
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, bar)| *bar != ' ')
            .collect();
        // Under 1 µs, from 1 ms, from 1 s, and past 10 s.
        assert_eq!(bars.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 9, 18, 20]);
        assert_eq!(axis[9..12], ['1', 'm', 's']);
        assert_eq!(axis[18..20], ['1', 's']);
        assert_eq!(bars[1].1, '█');
        assert!(bars[2].1 < '█' && bars[3].1 <= bars[2].1, "{bars:?}");
    }

    #[test]
    fn workers_are_mentioned_when_they_worked_as_many_as_were_asked_for() {
        let mut report = calls(1);
        assert!(!report.to_text().contains("Workers"));
        report.workers = Some(WorkerFigures {
            threads: 4,
            threads_configured: 2,
            completed_total: 7,
            ..WorkerFigures::default()
        });
        assert!(
            report
                .to_text()
                .contains("\nWorkers: 2 threads; calls 7 completed\n")
        );
    }

    #[test]
    fn one_shard_is_not_repeated_as_all() {
        let mut example = example();
        example.shards.truncate(1);
        let text = again(example).to_text();
        assert_eq!(table(&text, "Shards").len(), 1);
        assert!(!text.contains("Latency by shard"));
    }

    #[test]
    fn a_shard_that_did_not_answer_is_named() {
        let mut example = example();
        example.shards[1].histograms = None;
        let text = example.to_text();
        let said = "Without latencies, for they did not answer: shard 1\n";
        assert!(text.contains(said), "{text}");
        assert_eq!(table(&text, "Shards")[1]["calls"], "1");
    }

    #[test]
    fn whatever_happened_it_fits() {
        let mut random = fastrand::Rng::with_seed(5);
        for turn in 0..60 {
            let names: Vec<String> = (0..random.usize(0..12))
                .map(|n| format!("{n}{}", "n".repeat(random.usize(0..120))))
                .collect();
            let tools = Arc::new(ToolLabels::new(names.iter().map(|name| &**name), 16));
            let shard = |number: u16, random: &mut fastrand::Rng| {
                let metrics = ShardMetrics::new(ShardId(number), &tools);
                let mut histograms = ShardHistograms::new(&tools);
                metrics.on_pool(random.u32(..));
                let large = |random: &mut fastrand::Rng| random.u64(..) >> random.u32(4..64);
                for &reason in OverloadReason::ALL {
                    metrics.refusals.of(reason).add(large(random));
                }
                for &reason in Eviction::ALL {
                    metrics.evictions.of(reason).add(large(random));
                }
                for &status in HttpRefusal::ALL {
                    metrics.http_refusals.of(status).add(large(random));
                }
                for &outcome in Outcome::ALL {
                    let operation = crate::metrics::Operation::Tool(tools.row(0));
                    metrics.on_operation(operation, outcome, Duration::ZERO);
                }
                for counter in [
                    &metrics.received_bytes,
                    &metrics.sent_bytes,
                    &metrics.queued,
                    &metrics.steals_in,
                ] {
                    counter.add(large(random));
                }
                metrics.connections_accepted.add(large(random));
                metrics.panics.add(large(random));
                metrics.stalls.add(large(random));
                metrics.ring_starved.add(large(random));
                metrics.accept_failures.add(large(random));
                metrics.pool_high_water.set(large(random));
                metrics.queue_high_water.set(large(random));
                metrics.in_flight.set(large(random));
                metrics.on_request(Era::Legacy, RequestClass::Work);
                for _ in 0..random.usize(0..20_000) {
                    let elapsed = Duration::from_nanos(random.u64(..) >> random.u32(10..64));
                    histograms.record(Stage::Total, elapsed);
                    histograms.record_tool(tools.row(random.usize(0..16)), elapsed);
                }
                ShardReport {
                    shard: ShardId(number),
                    numbers: metrics.snapshot(),
                    histograms: Some(histograms),
                }
            };
            let shards = (0..random.u16(1..4))
                .map(|number| shard(number, &mut random))
                .collect();
            let workers = Some(WorkerFigures {
                busy: u64::MAX,
                completed_total: u64::MAX,
                refused_total: u64::MAX,
                panicked_total: u64::MAX,
                ..WorkerFigures::default()
            });
            let uptime = Duration::from_secs(random.u64(..));
            let text = Report::new(
                Arc::clone(&tools),
                uptime,
                shards,
                workers,
                ContentionFigures::default(),
            )
            .to_text();
            for line in text.lines() {
                let width = line.chars().count();
                assert!(width <= COLUMNS, "turn {turn}: {width} columns: {line}");
                assert!(!line.ends_with(' '), "turn {turn}: {line:?}");
            }
        }
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

    #[test]
    fn uptimes_have_the_units_they_need() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3_723, "1h 2m 3s"),
            (90_000, "1d 1h 0m 0s"),
        ] {
            assert_eq!(uptime(Duration::from_secs(seconds)), text);
        }
    }
}
