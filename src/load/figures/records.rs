//! The observations of an open loop: one record per request, and the figures of each phase and of short windows.
//!
//! A request belongs to the phase and window in which it was due; goodput alone counts when answers came.
//! Percentiles are exact, by nearest rank over all values: open loops run at rates that fit in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::peer::{Outcome, Refusal};
use crate::load::schedule::Phase;

/// A request and its outcome; offsets from the start.
pub(crate) struct Record {
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

impl Record {
    /// The time from when it was due, as the client sees it.
    fn latency(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }
}

/// `{"phases": […], "windows": […]}`, latencies in microseconds.
pub(crate) fn report(records: &[Record], phases: &[Phase], window: Duration) -> Value {
    let mut begin = Duration::ZERO;
    let mut reports = Vec::new();
    for phase in phases {
        let end = begin + phase.length;
        reports.push(phase_report(records, phase, begin, end));
        begin = end;
    }
    json!({"phases": reports, "windows": windows(records, window)})
}

fn phase_report(records: &[Record], phase: &Phase, begin: Duration, end: Duration) -> Value {
    let own: Vec<&Record> = records
        .iter()
        .filter(|record| (begin..end).contains(&record.due))
        .collect();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for record in &own {
        *outcomes.entry(record.outcome.to_string()).or_default() += 1;
    }
    let good_answers = records
        .iter()
        .filter(|record| record.outcome == Outcome::Ok && (begin..end).contains(&record.ended))
        .count();
    let is_full = |record: &&&Record| record.outcome == Outcome::Refused(Refusal::Handlers);
    json!({
        "rate": phase.rate,
        "begin_seconds": begin.as_secs_f64(),
        "seconds": phase.length.as_secs_f64(),
        "offered": own.len(),
        "outcomes": outcomes,
        "goodput_per_second": good_answers as f64 / phase.length.as_secs_f64(),
        "good_micros": spread(own.iter().filter(is_good).map(|record| record.latency())),
        "full_from_send_micros":
            spread(own.iter().filter(is_full).map(|record| record.ended.saturating_sub(record.sent))),
        "sent_late_micros": spread(own.iter().map(|record| record.sent.saturating_sub(record.due))),
    })
}

/// Each window with a request in it.
fn windows(records: &[Record], length: Duration) -> Vec<Value> {
    let mut windows: BTreeMap<u128, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let index = record.due.as_nanos() / length.as_nanos();
        windows.entry(index).or_default().push(record);
    }
    let report = |(index, own): (u128, Vec<&Record>)| {
        let good = own.iter().filter(is_good);
        json!({
            "begin_seconds": index as f64 * length.as_secs_f64(),
            "offered": own.len(),
            "good": good.clone().count(),
            "good_micros": spread(good.map(|record| record.latency())),
        })
    };
    windows.into_iter().map(report).collect()
}

fn is_good(record: &&&Record) -> bool {
    record.outcome == Outcome::Ok
}

/// An absent figure is null.
fn spread(durations: impl Iterator<Item = Duration>) -> Value {
    let mut nanos: Vec<u128> = durations.map(|duration| duration.as_nanos()).collect();
    nanos.sort_unstable();
    let micros = |permille| nearest_rank(&nanos, permille).map(|nanos| nanos as f64 / 1e3);
    match (micros(500), micros(990), micros(1000)) {
        (Some(p50), Some(p99), Some(max)) => json!({"p50": p50, "p99": p99, "max": max}),
        _ => Value::Null,
    }
}

/// The smallest value that at least `permille` of all values do not exceed.
fn nearest_rank(sorted: &[u128], permille: usize) -> Option<u128> {
    let rank = (sorted.len() * permille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn record(due: u64, sent: u64, ended: u64, outcome: Outcome) -> Record {
        Record {
            due: millis(due),
            sent: millis(sent),
            ended: millis(ended),
            outcome,
        }
    }

    #[test]
    fn ranks_are_values_that_occurred() {
        let values: Vec<u128> = (1..=200).collect();
        let cases = [(500, 100), (990, 198), (999, 200), (1000, 200), (1, 1), (0, 1)];
        for (permille, expected) in cases {
            assert_eq!(nearest_rank(&values, permille), Some(expected), "{permille}");
        }
        assert_eq!(nearest_rank(&[7], 990), Some(7));
        assert_eq!(nearest_rank(&[], 990), None);
    }

    #[test]
    fn a_request_counts_where_it_was_due_and_its_answer_where_it_came() {
        let phases = ["10:1".parse().unwrap(), "20:1".parse().unwrap()];
        let full = Outcome::Refused(Refusal::Handlers);
        let records = [
            record(100, 100, 150, Outcome::Ok),
            record(900, 1_000, 1_500, Outcome::Ok),
            record(950, 960, 962, full),
            record(1_050, 1_050, 2_100, Outcome::Ok),
            record(1_060, 1_060, 2_500, Outcome::Unanswered),
        ];
        let report = report(&records, &phases, millis(500));
        let (first, second) = (&report["phases"][0], &report["phases"][1]);
        assert_eq!(first["offered"], 3);
        assert_eq!(first["outcomes"], json!({"ok": 2, "refused_handlers": 1}));
        assert_eq!(first["goodput_per_second"], 1.0);
        assert_eq!(
            first["good_micros"],
            json!({"p50": 50_000.0, "p99": 600_000.0, "max": 600_000.0})
        );
        assert_eq!(first["full_from_send_micros"]["p99"], 2_000.0);
        assert_eq!(first["sent_late_micros"]["max"], 100_000.0);
        assert_eq!(second["begin_seconds"], 1.0);
        assert_eq!(second["outcomes"], json!({"ok": 1, "unanswered": 1}));
        assert_eq!(second["goodput_per_second"], 1.0);
        assert_eq!(second["full_from_send_micros"], Value::Null);
        let windows: Vec<_> = report["windows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|window| (&window["begin_seconds"], &window["offered"], &window["good"]))
            .collect();
        assert_eq!(
            windows,
            [
                (&json!(0.0), &json!(1), &json!(1)),
                (&json!(0.5), &json!(2), &json!(1)),
                (&json!(1.0), &json!(2), &json!(1)),
            ]
        );
    }
}
