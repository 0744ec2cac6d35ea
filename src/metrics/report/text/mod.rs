//! The report for people: everything that happened, in at most [`COLUMNS`] columns.
//!
//! Merged figures come first, then one line for each shard where there are several. A column or a line that would be
//! zero everywhere is left out. A percentile is shown where samples lie beyond it, so none is a guess; beside it a
//! sparkline shows the whole distribution. Numbers are never rounded, except for latencies and bytes.

mod latencies;
mod numbers;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::time::Duration;

use latencies::{latency_table, write_shard_latencies};
use numbers::{queue_table, shard_table};

use super::advice::{Facts, advise};
use super::merged::Report;
use super::table::{COLUMNS, line, wrap};
use crate::config::WHICH_ADVICE;
use crate::metrics::children::ChildServerFigures;
use crate::metrics::counter::Counts;
use crate::metrics::duration::DurationCounts;
use crate::metrics::labels::{Label, Stage};
use crate::metrics::workers::WorkerFigures;

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
    let tools = tools.filter_map(|(row, name)| Some((printable(name), histograms.tool(row)?)));
    latency_table("tool", tools).write(&mut text, "Latency by tool");
    if shards > 1 {
        write_shard_latencies(&mut text, report);
    }
    if let Some(workers) = report.workers {
        write_workers(&mut text, workers);
    }
    for server in &report.children {
        write_children(&mut text, server);
    }
    let facts = Facts::of(report);
    let advice = advise(&facts);
    let mut said = advice.line(&facts);
    if advice.is_about_the_pool() {
        said = format!("{said}. {WHICH_ADVICE}");
    }
    wrap(&mut text, "Sizing: ", &said, COLUMNS);
    text
}

/// A tool's name for a terminal. Other programs name their tools as they like.
fn printable(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}

/// How requests ended, and why they were refused or closed, with a line for each set that has counted something.
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

/// The workers' figures, if they did anything.
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

/// The children of one server.
fn write_children(text: &mut String, server: &ChildServerFigures) {
    let each = |times: &DurationCounts| times.mean().as_secs_f64() * 1000.0;
    let (deaths, refused) = (
        server.deaths_total.iter().sum(),
        server.refused_total.iter().sum::<u64>(),
    );
    let mut said = format!(
        "{} of {}, of which {}; {}, {:.2} ms each and {:.2} ms besides; {refused} refused; {:.1} s of CPU",
        plural(server.starts_total, "start"),
        printable(&server.server),
        match deaths {
            0 => "none died".to_owned(),
            deaths => format!("{deaths} died"),
        },
        plural(server.calls_total(), "call"),
        each(&server.with_children),
        each(&server.elsewhere),
        server.cpu_total.as_secs_f64()
    );
    let tally = server.tally;
    for (count, what) in [
        (server.repeated_total, "repeated call"),
        (tally.questions_total, "question"),
        (tally.places_lost_total, "lost place"),
        (tally.stray_answers_total, "stray answer"),
        (tally.rubbish_lines_total, "rubbish line"),
    ] {
        if count > 0 {
            let _ = write!(said, "; {}", plural(count, what));
        }
    }
    wrap(text, "Children: ", &said, COLUMNS);
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
