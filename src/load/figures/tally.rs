//! Latencies of good answers in histograms, everything else counted by outcome.
//!
//! Its memory is fixed however long it runs. Invariant: every request that ended is in exactly one of the two.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::load::peer::{Outcome, RetryAfter};

/// A good answer later than this is counted by itself, and an outstanding request this old is recorded.
pub(crate) const LATE: Duration = Duration::from_millis(50);
/// Longer ones count as this.
const LATENCY_NANOS_MAX: u64 = 600_000_000_000;
/// Significant digits of latencies.
const DIGITS: u8 = 3;

/// One request that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Which of the kinds of requests it is.
    pub(crate) kind: usize,
    pub(crate) outcome: Outcome,
    /// From when it was due.
    pub(crate) latency: Duration,
    /// How long after it was due it went out.
    pub(crate) lateness: Duration,
    pub(crate) retry_after: Option<RetryAfter>,
}

#[derive(Clone)]
pub(crate) struct Tally {
    latencies: Histogram<u64>,
    /// How late requests went out.
    lateness: Histogram<u64>,
    /// Good answers of each kind, if there are several.
    kinds: Vec<Histogram<u64>>,
    others: BTreeMap<Outcome, u64>,
    /// How often each was said.
    retry_after: BTreeMap<RetryAfter, u64>,
    late: u64,
    unanswered: u64,
}

impl Tally {
    pub(crate) fn new(kinds: usize) -> Self {
        Tally {
            latencies: histogram(),
            lateness: histogram(),
            kinds: (0..kinds).filter(|_| kinds > 1).map(|_| histogram()).collect(),
            others: BTreeMap::new(),
            retry_after: BTreeMap::new(),
            late: 0,
            unanswered: 0,
        }
    }

    pub(crate) fn record(&mut self, seen: &Seen) {
        self.lateness.saturating_record(seen.lateness.as_nanos() as u64);
        if seen.outcome == Outcome::Ok {
            let nanos = seen.latency.as_nanos() as u64;
            self.latencies.saturating_record(nanos);
            self.late += u64::from(seen.latency > LATE);
            if let Some(kind) = self.kinds.get_mut(seen.kind) {
                kind.saturating_record(nanos);
            }
        } else {
            *self.others.entry(seen.outcome).or_default() += 1;
        }
        if let Some(said) = seen.retry_after {
            *self.retry_after.entry(said).or_default() += 1;
        }
    }

    /// What belongs to no request.
    pub(crate) fn record_unasked(&mut self, outcome: Outcome) {
        *self.others.entry(outcome).or_default() += 1;
    }

    /// A request without an answer when the window ends: its age counts as a latency, if it is remarkable, so
    /// that a stall cannot hide.
    pub(crate) fn record_outstanding(&mut self, age: Duration) {
        if age > LATE {
            self.latencies.saturating_record(age.as_nanos() as u64);
            self.late += 1;
            self.unanswered += 1;
        }
    }

    /// Takes the observations of another thread.
    pub(crate) fn add(&mut self, other: &Tally) {
        // Both have the same bounds, so nothing can fail to fit.
        let _ = self.latencies.add(&other.latencies);
        let _ = self.lateness.add(&other.lateness);
        for (own, theirs) in self.kinds.iter_mut().zip(&other.kinds) {
            let _ = own.add(theirs);
        }
        for (outcome, count) in &other.others {
            *self.others.entry(*outcome).or_default() += count;
        }
        for (seconds, count) in &other.retry_after {
            *self.retry_after.entry(*seconds).or_default() += count;
        }
        self.late += other.late;
        self.unanswered += other.unanswered;
    }

    /// Good answers.
    pub(crate) fn answered(&self) -> u64 {
        self.latencies.len() - self.unanswered
    }

    /// Latencies in nanoseconds.
    pub(crate) fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    /// How late requests went out, in nanoseconds.
    pub(crate) fn lateness(&self) -> &Histogram<u64> {
        &self.lateness
    }

    /// Latencies of each kind, if there are several.
    pub(crate) fn kinds(&self) -> &[Histogram<u64>] {
        &self.kinds
    }

    /// How often each outcome but good answers was.
    pub(crate) fn others(&self) -> &BTreeMap<Outcome, u64> {
        &self.others
    }

    /// How often refusals said when to try again.
    pub(crate) fn retry_after(&self) -> &BTreeMap<RetryAfter, u64> {
        &self.retry_after
    }

    /// Requests still open at the end.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// The figures, latencies in microseconds; `requests` are good answers.
    pub(crate) fn report(&self, elapsed: Duration) -> Map<String, Value> {
        let requests = self.answered();
        let quantile = |quantile| micros(&self.latencies, quantile);
        let others: BTreeMap<String, u64> = self
            .others
            .iter()
            .map(|(outcome, count)| (outcome.to_string(), *count))
            .collect();
        let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
        let retry_after: BTreeMap<String, u64> = self
            .retry_after
            .iter()
            .map(|(seconds, count)| (seconds.to_string(), *count))
            .collect();
        let report = json!({
            "seconds": elapsed.as_secs_f64(),
            "requests": requests,
            "requests_per_second": requests as f64 / elapsed.as_secs_f64(),
            "mean_micros": self.latencies.mean() / 1e3,
            "p50_micros": quantile(0.5),
            "p90_micros": quantile(0.9),
            "p99_micros": quantile(0.99),
            "p999_micros": quantile(0.999),
            "max_micros": self.latencies.max() as f64 / 1e3,
            "late": self.late,
            "unanswered": self.unanswered,
            "errors": self.others.values().sum::<u64>(),
            "refused": self.others.iter().filter(|(outcome, _)| refused(outcome)).map(|(_, count)| count).sum::<u64>(),
            "others": others,
            "retry_after_seconds": retry_after,
        });
        match report {
            Value::Object(fields) => fields,
            _ => unreachable!("made above as an object"),
        }
    }
}

/// A quantile of nanoseconds in microseconds.
pub(crate) fn micros(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, DIGITS).expect("possible bounds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::peer::Refusal;

    fn seen(outcome: Outcome, millis: u64) -> Seen {
        Seen {
            kind: 0,
            outcome,
            latency: Duration::from_millis(millis),
            lateness: Duration::ZERO,
            retry_after: None,
        }
    }

    #[test]
    fn good_answers_and_all_others_are_counted_apart() {
        let mut tally = Tally::new(1);
        (1..=100).for_each(|millis| tally.record(&seen(Outcome::Ok, millis)));
        tally.record(&seen(Outcome::Reset, 0));
        let refused = Seen {
            retry_after: Some(RetryAfter::Seconds(2)),
            ..seen(Outcome::Refused(Refusal::Handlers), 0)
        };
        let mut other = Tally::new(1);
        other.record(&refused);
        other.record(&refused);
        tally.add(&other);
        let report = tally.report(Duration::from_secs(2));
        assert_eq!(report["requests"], 100);
        assert_eq!(report["requests_per_second"], 50.0);
        assert_eq!(report["late"], 50);
        assert_eq!(report["errors"], 3);
        assert_eq!(report["refused"], 2);
        assert_eq!(report["others"], json!({"refused_handlers": 2, "reset": 1}));
        assert_eq!(report["retry_after_seconds"], json!({"2": 2}));
        let p99 = report["p99_micros"].as_f64().unwrap();
        assert!((98_900.0..99_200.0).contains(&p99), "{p99}");
    }

    #[test]
    fn an_outstanding_request_shows_in_the_latencies_but_is_no_answer() {
        let mut tally = Tally::new(1);
        tally.record_outstanding(LATE);
        assert_eq!(tally.report(LATE)["max_micros"], 0.0);
        tally.record_outstanding(LATE * 2);
        let report = tally.report(LATE);
        assert_eq!(report["requests"], 0);
        assert_eq!(report["unanswered"], 1);
        assert!(report["max_micros"].as_f64().unwrap() >= 100_000.0);
    }

    /// Percentiles of all values, by nearest rank.
    fn naive(values: &[u64], quantile: f64) -> u64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        sorted[rank.max(1) - 1]
    }

    #[test]
    fn percentiles_are_those_of_a_naive_twin_within_a_thousandth() {
        let mut random = fastrand::Rng::with_seed(4);
        for count in [1, 2, 10, 999, 20_000] {
            // Heavy-tailed, from a microsecond to minutes.
            let values: Vec<u64> = (0..count)
                .map(|_| (1e3 * (1.0 - random.f64()).powf(-1.5)) as u64)
                .collect();
            let mut parts = [Tally::new(1), Tally::new(1)];
            for (index, nanos) in values.iter().enumerate() {
                let latency = Duration::from_nanos(*nanos);
                parts[index % 2].record(&Seen {
                    latency,
                    ..seen(Outcome::Ok, 0)
                });
            }
            let [mut tally, other] = parts;
            tally.add(&other);
            for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
                let (own, twin) = (
                    micros(&tally.latencies, quantile),
                    naive(&values, quantile) as f64 / 1e3,
                );
                assert!(
                    (own / twin - 1.0).abs() < 0.0011,
                    "{count} {quantile}: {own} {twin}"
                );
            }
        }
    }

    #[test]
    fn kinds_are_apart_when_there_are_several() {
        let mut tally = Tally::new(2);
        for (kind, millis) in [(0, 1), (0, 1), (1, 9)] {
            tally.record(&Seen {
                kind,
                ..seen(Outcome::Ok, millis)
            });
        }
        let counts: Vec<u64> = tally.kinds().iter().map(Histogram::len).collect();
        assert_eq!(counts, [2, 1]);
        assert!(Tally::new(1).kinds().is_empty());
    }
}
