//! A run beside an earlier one, figure by figure, and which changes are more than noise.
//!
//! Noise is what the figures do within the runs: their values second by second. A change counts when it is more than
//! three standard errors of the difference of their means. What differs from run to run for other reasons (another
//! machine, a neighbour) cannot be seen in two runs; several by turns show it.

use serde_json::{Value, json};

/// Standard errors of a difference that noise reaches once in some hundred comparisons.
const ERRORS_MAX: f64 = 3.0;
/// Intervals of each run that say something of its noise.
const INTERVALS_MIN: usize = 4;

/// What a change is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More than the figures change within the runs.
    Change,
    Noise,
    /// There are too few intervals, or the figure has none.
    Unknown,
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) before: f64,
    pub(crate) after: f64,
    pub(crate) verdict: Verdict,
}

impl Change {
    /// The same as JSON; `is_change` is null where noise is not known.
    pub(crate) fn report(&self) -> Value {
        let is_change = match self.verdict {
            Verdict::Change => Some(true),
            Verdict::Noise => Some(false),
            Verdict::Unknown => None,
        };
        json!({"name": self.name, "before": self.before, "after": self.after, "is_change": is_change})
    }
}

/// Name in the report, name of the same in its intervals.
const FIGURES: [(&str, Option<&str>); 9] = [
    ("requests_per_second", Some("good")),
    ("p50_micros", Some("p50_micros")),
    ("p90_micros", None),
    ("p99_micros", Some("p99_micros")),
    ("p999_micros", None),
    ("max_micros", None),
    ("refused", None),
    ("errors", None),
    ("server_cpu_micros_per_request", None),
];

/// The figures that both reports have.
pub(crate) fn compare(before: &Value, after: &Value) -> Vec<Change> {
    let figures = FIGURES.iter().filter_map(|(name, interval)| {
        let (old, new) = (before[*name].as_f64()?, after[*name].as_f64()?);
        let verdict = interval.map_or(Verdict::Unknown, |interval| {
            judge(&intervals(before, interval), &intervals(after, interval))
        });
        Some(Change {
            name,
            before: old,
            after: new,
            verdict,
        })
    });
    figures.collect()
}

/// A figure's values, interval by interval, without the last, which is not whole.
fn intervals(report: &Value, name: &str) -> Vec<f64> {
    let timeline = report["timeline"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = timeline.split_last().map_or(&[][..], |(_, whole)| whole);
    whole
        .iter()
        .filter_map(|interval| interval[name].as_f64())
        .collect()
}

/// Welch's comparison of two means.
fn judge(before: &[f64], after: &[f64]) -> Verdict {
    if before.len() < INTERVALS_MIN || after.len() < INTERVALS_MIN {
        return Verdict::Unknown;
    }
    let ((old, old_error), (new, new_error)) = (mean(before), mean(after));
    let error = (old_error + new_error).sqrt();
    if (new - old).abs() > ERRORS_MAX * error {
        Verdict::Change
    } else {
        Verdict::Noise
    }
}

/// The mean, and its squared standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report whose rate is this on average, with noise of so much.
    fn report(rate: f64, noise: f64, intervals: usize, seed: u64) -> Value {
        let mut random = fastrand::Rng::with_seed(seed);
        let timeline: Vec<Value> = (0..=intervals)
            .map(|_| json!({"good": rate + noise * (random.f64() - 0.5), "p50_micros": 100.0, "p99_micros": 200.0}))
            .collect();
        json!({"requests_per_second": rate, "p50_micros": 100.0, "max_micros": 300.0, "timeline": timeline})
    }

    fn rate(before: &Value, after: &Value) -> Verdict {
        compare(before, after)[0].verdict
    }

    #[test]
    fn only_a_change_beyond_the_noise_counts() {
        let before = report(1_000.0, 100.0, 10, 1);
        let mut found = [0, 0];
        for seed in 2..202 {
            found[0] += usize::from(rate(&before, &report(1_000.0, 100.0, 10, seed)) == Verdict::Change);
            found[1] += usize::from(rate(&before, &report(1_100.0, 100.0, 10, seed)) == Verdict::Change);
        }
        assert!(found[0] <= 10, "noise is taken for a change: {found:?}");
        assert_eq!(found[1], 200, "ten percent are not seen");
    }

    #[test]
    fn what_cannot_be_known_is_not_claimed() {
        let (short, long) = (report(1_000.0, 1.0, 3, 1), report(2_000.0, 1.0, 9, 2));
        assert_eq!(rate(&short, &long), Verdict::Unknown);
        let changes = compare(&long, &long);
        let facts: Vec<_> = changes
            .iter()
            .map(|change| (change.name, change.verdict))
            .collect();
        let expected = [
            ("requests_per_second", Verdict::Noise),
            ("p50_micros", Verdict::Noise),
            ("max_micros", Verdict::Unknown),
        ];
        assert_eq!(facts, expected);
        assert!(compare(&json!({}), &long).is_empty());
    }
}
