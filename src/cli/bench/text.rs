//! What `weir bench` says, before and after.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::arguments::Planned;
use crate::load::{Change, Counts, Hindrance, Measurement, Outcome, Pace, Plan, RetryAfter, Verdict};
use crate::page::cut;
use crate::units::display_duration;

/// So many letters of a server's first word about an error are enough.
const FIRST_MAX: usize = 160;

/// The percentiles that are shown.
const QUANTILES: [(&str, f64); 5] = [
    ("P50", 0.5),
    ("P90", 0.9),
    ("P99", 0.99),
    ("P99.9", 0.999),
    ("max", 1.0),
];

/// What will be measured.
pub(super) fn before(planned: &Planned) -> Vec<String> {
    let Planned { plan, place, .. } = planned;
    let calls = plan.work.calls();
    let weights: f64 = calls.iter().map(|call| call.weight).sum();
    let named: Vec<String> = calls
        .iter()
        .map(|call| {
            if calls.len() > 1 {
                format!("{} {:.0} %", call.tool, 100.0 * call.weight / weights)
            } else {
                call.tool.clone()
            }
        })
        .collect();
    let what = match &planned.server {
        Some(server) => format!(
            "{server} at {place}, MCP {}: {}{}{}",
            plan.speaker.dialect.revision.as_str(),
            if plan.is_life_cycle() {
                "sessions with one call of "
            } else {
                "calls of "
            },
            named.join(", "),
            if calls.iter().any(|call| call.output.is_some()) {
                "; results are checked against their output schema"
            } else {
                ""
            }
        ),
        None => format!("{place}: the given body"),
    };
    vec![what, how(plan)]
}

fn how(plan: &Plan) -> String {
    let counted = plan.measured();
    let length = display_duration(counted.end - counted.start);
    let warm_up = if plan.warm_up.is_zero() {
        String::new()
    } else {
        format!(" after {} of warm-up", display_duration(plan.warm_up))
    };
    match &plan.pace {
        Pace::Closed { think, .. } if think.is_zero() => {
            format!("closed loop: {} clients for {length}{warm_up}", plan.clients)
        }
        Pace::Closed { think, .. } => format!(
            "closed loop: {} clients that wait {} between calls, for {length}{warm_up}",
            plan.clients,
            display_duration(*think)
        ),
        Pace::Open(open) => {
            let rates: Vec<String> = open
                .phases
                .iter()
                .skip(usize::from(!plan.warm_up.is_zero()))
                .map(|phase| format!("{}/s for {} s", phase.rate, phase.length.as_secs_f64()))
                .collect();
            format!("open loop: {}{warm_up}", rates.join(", then "))
        }
    }
}

/// What was measured.
pub(super) fn after(planned: &Planned, measurement: &Measurement) -> Vec<String> {
    let plan = &planned.plan;
    let Measurement { tally, elapsed, .. } = measurement;
    let seconds = elapsed.as_secs_f64();
    let answered = tally.answered();
    let interrupted = measurement.interrupted.map(|after| {
        let after = after.as_secs_f64();
        format!("INTERRUPTED after {after:.1} s: these are the figures so far")
    });
    let mut lines: Vec<String> = interrupted.into_iter().collect();
    lines.extend([
        String::new(),
        format!(
            "{:.1} requests/s: {answered} good answers in {seconds:.2} s",
            answered as f64 / seconds.max(f64::MIN_POSITIVE)
        ),
        String::new(),
    ]);
    let names = plan.work.names();
    let several = tally.kinds();
    let mut rows = vec![("latency".to_owned(), tally.latencies())];
    rows.extend(
        several
            .iter()
            .zip(&names)
            .map(|(kind, name)| (format!("  {name}"), kind)),
    );
    lines.extend(table(&rows, !several.is_empty()));
    if let Some(open) = plan.open()
        && open.phases.len() > 1 + usize::from(!plan.warm_up.is_zero())
    {
        lines.extend(phases(&measurement.report(&plan.phases(measurement.interrupted))));
    }
    lines.extend(refusals(measurement));
    lines.extend(errors(measurement));
    lines.extend(generator(plan, measurement));
    lines
}

/// Latencies, one row each.
fn table(rows: &[(String, &Histogram<u64>)], has_counts: bool) -> Vec<String> {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut head = format!("{:width$}", "");
    for (name, _) in QUANTILES {
        head.push_str(&format!(" {name:>10}"));
    }
    if has_counts {
        head.push_str("      count");
    }
    let mut lines = vec![head];
    for (name, histogram) in rows {
        let mut line = format!("{name:width$}");
        for (_, quantile) in QUANTILES {
            let value = if histogram.is_empty() {
                "-".to_owned()
            } else {
                millis(Duration::from_nanos(histogram.value_at_quantile(quantile)))
            };
            line.push_str(&format!(" {value:>10}"));
        }
        if has_counts {
            line.push_str(&format!(" {:>10}", histogram.len()));
        }
        lines.push(line);
    }
    lines
}

/// Each step of an open loop.
fn phases(report: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let micros = |value: &serde_json::Value| {
        value.as_f64().map_or("-".to_owned(), |micros| {
            millis(Duration::from_secs_f64(micros / 1e6))
        })
    };
    let mut lines = vec![
        String::new(),
        "    rate/s     good/s        P50        P99        max".to_owned(),
    ];
    for phase in report["phases"].as_array().into_iter().flatten() {
        let good = &phase["good_micros"];
        lines.push(format!(
            "{:>10.1} {:>10.1} {:>10} {:>10} {:>10}",
            phase["rate"].as_f64().unwrap_or(0.0),
            phase["goodput_per_second"].as_f64().unwrap_or(0.0),
            micros(&good["p50"]),
            micros(&good["p99"]),
            micros(&good["max"]),
        ));
    }
    lines
}

fn refusals(measurement: &Measurement) -> Vec<String> {
    let is_refusal = |(outcome, _): &(&Outcome, &u64)| matches!(outcome, Outcome::Refused(_));
    let refused: Vec<_> = measurement.tally.others().iter().filter(is_refusal).collect();
    if refused.is_empty() {
        return Vec::new();
    }
    let count: u64 = refused.iter().map(|(_, count)| **count).sum();
    let all = count + measurement.tally.answered();
    let mut lines = vec![
        String::new(),
        format!(
            "refused: {count}, {:.2} % of {all}",
            100.0 * count as f64 / all as f64
        ),
    ];
    lines.extend(
        refused
            .iter()
            .map(|(outcome, count)| format!("{count:>10}  {}", outcome.meaning())),
    );
    if let Some(said) = said_when(measurement) {
        lines.push(format!("            Retry-After: {said}"));
    }
    lines
}

fn errors(measurement: &Measurement) -> Vec<String> {
    let is_error = |(outcome, _): &(&Outcome, &u64)| !matches!(outcome, Outcome::Refused(_));
    let errors: Vec<_> = measurement.tally.others().iter().filter(is_error).collect();
    let count: u64 = errors.iter().map(|(_, count)| **count).sum();
    let mut lines = vec![String::new(), format!("errors: {count}")];
    for (outcome, count) in errors {
        lines.push(format!("{count:>10}  {}", outcome.meaning()));
        if let Some(text) = measurement.firsts.get(outcome) {
            lines.push(format!("            the first: {text}"));
        }
    }
    let unanswered = measurement.tally.unanswered();
    if unanswered > 0 {
        lines.push(format!(
            "{unanswered:>10}  still without an answer at the end, counted as latencies"
        ));
    }
    lines
}

/// How the generator fared.
pub(super) fn generator(plan: &Plan, measurement: &Measurement) -> Vec<String> {
    let own = &measurement.own;
    let requests = measurement.tally.lateness().len().max(1) as f64;
    let mut line = format!(
        "the generator: {:.0} % of a CPU, {:.1} µs per request",
        100.0 * own.busy,
        own.cpu.as_secs_f64() * 1e6 / requests
    );
    if plan.open().is_some() {
        line.push_str(&format!(
            "; 99 % went out within {} of when they were due",
            millis(measurement.lateness())
        ));
    }
    let mut lines = vec![String::new(), line];
    if let Some(cpu) = measurement.server_cpu {
        let micros = cpu.as_secs_f64() * 1e6 / requests;
        lines.push(format!("the server: {micros:.1} µs of CPU time per request"));
    }
    let beside = &measurement.beside;
    if beside.idle + beside.streams > 0 {
        lines.push(format!(
            "beside the load: {} idle connections and {} streams, of which {} ended",
            beside.idle, beside.streams, beside.ended
        ));
    }
    lines.extend(connections(&measurement.counts));
    if measurement.counts.held > 0 {
        lines.push(format!(
            "{} requests were due when all {} connections waited for answers; --clients-max allows more",
            measurement.counts.held, measurement.clients
        ));
    }
    lines.extend(measurement.hindrance(plan.open().is_some()).map(hindrance));
    lines
}

/// How connections ended, and how it was planned that they would.
fn connections(counts: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    if counts.reconnects > 0 {
        lines.push(format!(
            "connections made again: {}, of which {} had ended between requests",
            counts.reconnects, counts.idle_closes
        ));
    }
    if counts.planned_closes > 0 {
        let closes = counts.planned_closes;
        lines.push(format!(
            "connections closed after --requests-per-connection: {closes}"
        ));
    }
    if counts.server_closes > 0 {
        let closes = counts.server_closes;
        lines.push(format!(
            "connections that the server closed, or left a stream open on, with an answer: {closes}"
        ));
    }
    if counts.unreached > 0 {
        let count = counts.unreached;
        lines.push(format!(
            "{count} requests were due when no connection could be made"
        ));
    }
    lines
}

fn hindrance(hindrance: Hindrance) -> String {
    match hindrance {
        Hindrance::Saturated(why) => format!(
            "THE GENERATOR WAS SATURATED: {why}. The figures may be its own; give it more --threads, CPUs of its own \
             (--cpus), or a smaller --rate"
        ),
        Hindrance::Starved(why) => format!(
            "the generator was held up, and latencies have that in them: {why}. Others use its CPUs, or the kernel or \
             a virtual machine's host kept it waiting"
        ),
    }
}

/// What became of requests that had no good answer: a row for each outcome.
pub(super) fn outcomes(measurement: &Measurement) -> Vec<Vec<String>> {
    let others = measurement.tally.others().iter().map(|(outcome, count)| {
        let first = measurement.firsts.get(outcome).map(|text| cut(text, FIRST_MAX));
        vec![
            outcome.meaning().to_string(),
            count.to_string(),
            first.unwrap_or_default(),
        ]
    });
    others.collect()
}

/// When to come again, as refusals said, and how many did.
pub(super) fn said_when(measurement: &Measurement) -> Option<String> {
    let all = measurement.tally.retry_after().iter();
    let said: Vec<String> = all
        .map(|(said, count)| format!("{} ({count})", retry_after(said)))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn retry_after(said: &RetryAfter) -> String {
    match said {
        RetryAfter::Seconds(seconds) => format!("{seconds} s"),
        RetryAfter::Date | RetryAfter::Nonsense => said.to_string(),
    }
}

/// The figures beside those of an earlier run.
pub(super) fn compared(changes: &[Change]) -> Vec<String> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        String::new(),
        format!(
            "{:<30} {:>12} {:>12} {:>10}",
            "compared", "before", "now", "change"
        ),
    ];
    for change in changes {
        let [name, before, after, percent, verdict] = compared_cells(change);
        let verdict = if verdict.is_empty() {
            verdict
        } else {
            format!("  {verdict}")
        };
        lines.push(format!(
            "{name:<30} {before:>12} {after:>12} {percent:>10}{verdict}"
        ));
    }
    lines
}

/// Name, before, after, change in percent, and what that is worth.
pub(super) fn compared_cells(change: &Change) -> [String; 5] {
    let percent = if change.before == 0.0 {
        "-".to_owned()
    } else {
        format!("{:+.1} %", 100.0 * (change.after / change.before - 1.0))
    };
    let verdict = match change.verdict {
        Verdict::Change => "beyond noise",
        Verdict::Noise => "noise",
        Verdict::Unknown => "",
    };
    [
        change.name.replace('_', " "),
        format!("{:.1}", change.before),
        format!("{:.1}", change.after),
        percent,
        verdict.to_owned(),
    ]
}

/// Three digits of it.
pub(super) fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        0.0..10.0 => format!("{millis:.2} ms"),
        10.0..100.0 => format!("{millis:.1} ms"),
        100.0..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (micros, text) in [
            (0, "0.00 ms"),
            (9_994, "9.99 ms"),
            (12_345, "12.3 ms"),
            (123_456, "123 ms"),
            (12_345_678, "12.3 s"),
        ] {
            assert_eq!(millis(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn a_comparison_says_what_changed() {
        let change = |before, after, verdict| Change {
            name: "p50_micros",
            before,
            after,
            verdict,
        };
        let lines = compared(&[
            change(100.0, 90.0, Verdict::Change),
            change(0.0, 5.0, Verdict::Unknown),
        ]);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            words(&lines[2]),
            words("p50 micros 100.0 90.0 -10.0 % beyond noise")
        );
        assert_eq!(words(&lines[3]), words("p50 micros 0.0 5.0 -"));
    }

    #[test]
    fn a_table_has_a_row_for_each() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 3).unwrap();
        histogram.record(2_000_000).unwrap();
        let empty = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 3).unwrap();
        let rows = [("latency".to_owned(), &histogram), ("  none".to_owned(), &empty)];
        let lines = table(&rows, true);
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1].starts_with("latency    2.00 ms") && lines[1].ends_with(" 1"),
            "{}",
            lines[1]
        );
        assert!(
            lines[2].contains(" - ") && lines[2].ends_with(" 0"),
            "{}",
            lines[2]
        );
    }
}
