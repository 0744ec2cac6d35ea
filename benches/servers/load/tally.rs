//! The observations of a closed loop: latencies of good answers in a histogram, everything else counted by outcome.
//!
//! Its memory is fixed however long it runs. Invariant: every request that ended is in exactly one of the two.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::response::Outcome;

/// A good answer later than this is counted by itself, and an outstanding request this old is recorded.
pub(crate) const LATE: Duration = Duration::from_millis(50);
/// Longer ones count as this.
const LATENCY_NANOS_MAX: u64 = 600_000_000_000;

pub(crate) struct Tally {
    latencies: Histogram<u64>,
    others: BTreeMap<Outcome, u64>,
    late: u64,
    unanswered: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Tally {
            latencies: Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3).expect("possible bounds"),
            others: BTreeMap::new(),
            late: 0,
            unanswered: 0,
        }
    }

    pub(crate) fn record(&mut self, outcome: Outcome, latency: Duration) {
        if outcome == Outcome::Ok {
            self.latencies.saturating_record(latency.as_nanos() as u64);
            self.late += u64::from(latency > LATE);
        } else {
            *self.others.entry(outcome).or_default() += 1;
        }
    }

    /// A request without an answer when the window ends: its age counts as a latency, if it is remarkable, so
    /// that a stall cannot hide.
    pub(crate) fn record_outstanding(&mut self, age: Duration) {
        if age > LATE {
            self.record(Outcome::Ok, age);
            self.unanswered += 1;
        }
    }

    /// The figures, latencies in microseconds; `requests` are good answers.
    pub(crate) fn report(&self, elapsed: Duration) -> serde_json::Map<String, serde_json::Value> {
        let requests = self.answered();
        let quantile = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        let others: BTreeMap<String, u64> = self
            .others
            .iter()
            .map(|(outcome, count)| (outcome.to_string(), *count))
            .collect();
        let report = serde_json::json!({
            "seconds": elapsed.as_secs_f64(),
            "requests": requests,
            "requests_per_second": requests as f64 / elapsed.as_secs_f64(),
            "mean_micros": self.latencies.mean() / 1e3,
            "p50_micros": quantile(0.5),
            "p99_micros": quantile(0.99),
            "p999_micros": quantile(0.999),
            "max_micros": self.latencies.max() as f64 / 1e3,
            "late": self.late,
            "unanswered": self.unanswered,
            "errors": self.others.values().sum::<u64>(),
            "others": others,
        });
        match report {
            serde_json::Value::Object(fields) => fields,
            _ => unreachable!("made above as an object"),
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.latencies.len() - self.unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::Refusal;

    #[test]
    fn good_answers_and_all_others_are_counted_apart() {
        let mut tally = Tally::new();
        for millis in 1..=100 {
            tally.record(Outcome::Ok, Duration::from_millis(millis));
        }
        tally.record(Outcome::Reset, Duration::ZERO);
        tally.record(Outcome::Refused(Refusal::Handlers), Duration::ZERO);
        tally.record(Outcome::Refused(Refusal::Handlers), Duration::ZERO);
        let report = tally.report(Duration::from_secs(2));
        assert_eq!(report["requests"], 100);
        assert_eq!(report["requests_per_second"], 50.0);
        assert_eq!(report["late"], 50);
        assert_eq!(report["errors"], 3);
        assert_eq!(
            report["others"],
            serde_json::json!({"refused_handlers": 2, "reset": 1})
        );
        let p99 = report["p99_micros"].as_f64().unwrap();
        assert!((98_900.0..99_200.0).contains(&p99), "{p99}");
    }

    #[test]
    fn an_outstanding_request_shows_in_the_latencies_but_is_no_answer() {
        let mut tally = Tally::new();
        tally.record_outstanding(LATE);
        assert_eq!(tally.report(LATE)["max_micros"], 0.0);
        tally.record_outstanding(LATE * 2);
        let report = tally.report(LATE);
        assert_eq!(report["requests"], 0);
        assert_eq!(report["unanswered"], 1);
        assert!(report["max_micros"].as_f64().unwrap() >= 100_000.0);
    }
}
