//! The text of the report, and that it fits its columns.

use std::collections::HashMap;
use std::sync::Arc;

use super::latencies::{AXIS, sparkline};
use super::*;
use crate::metrics::contention::ContentionFigures;
use crate::metrics::histogram::{Latency, ShardHistograms};
use crate::metrics::labels::{Era, Eviction, HttpRefusal, Outcome, OverloadReason, RequestClass, ToolLabels};
use crate::metrics::report::ShardReport;
use crate::metrics::report::brief::brief;
use crate::metrics::report::tests::example;
use crate::metrics::shard::ShardMetrics;
use crate::units::ShardId;

/// The table under a heading: its rows as maps from title to cell. Sparklines are left out.
fn table(text: &str, heading: &str) -> Vec<HashMap<String, String>> {
    let mut lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let titles_line = lines
        .next()
        .unwrap_or_else(|| panic!("no `{heading}` in:\n{text}"));
    // A cell ends where its title does, except for the first, which begins there.
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
    let said = "Without latencies, because they did not answer: shard 1\n";
    assert!(text.contains(said), "{text}");
    assert_eq!(table(&text, "Shards")[1]["calls"], "1");
}

#[test]
fn no_name_reaches_the_terminal_as_it_likes() {
    let tools = Arc::new(ToolLabels::with_room([], 0, 1));
    let metrics = ShardMetrics::new(ShardId(0), &tools);
    let mut histograms = ShardHistograms::new(&tools);
    metrics.on_request(Era::Modern, RequestClass::Work);
    histograms.record_tool(tools.row_of("clear\u{1b}[2J\n"), Duration::from_secs(1));
    let shard = ShardReport {
        shard: ShardId(0),
        numbers: metrics.snapshot(),
        histograms: Some(histograms),
    };
    let uptime = Duration::from_secs(5);
    let text = Report::new(tools, uptime, vec![shard], None, ContentionFigures::default()).to_text();
    assert!(text.contains("clear\u{fffd}[2J\u{fffd}"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
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
