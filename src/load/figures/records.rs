//! The observations of an open loop: the figures of each phase and of short windows.
//!
//! A request belongs to the phase and window in which it was due; goodput alone counts when answers came. Everything is
//! kept in histograms, as many as there are phases and at most [`WINDOWS_MAX`] windows, so the memory of a run is
//! bounded, whatever its rate and its length. Percentiles are right to a thousandth in phases, and to a hundredth in
//! windows.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::load::peer::{Outcome, Refusal};
use crate::load::schedule::Phase;

/// Most windows of a run: they get longer where there would be more.
const WINDOWS_MAX: u32 = 2_000;
/// Longer durations count as this, but for the longest, which is kept as it is.
const NANOS_MAX: u64 = 600_000_000_000;
const MICROS_MAX: u64 = NANOS_MAX / 1_000;
/// Significant digits.
const PHASE_DIGITS: u8 = 3;
const WINDOW_DIGITS: u8 = 2;

/// A request and its outcome; offsets from the start.
#[derive(Clone, Copy, Debug)]
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

/// What was seen of all requests. Empty for a closed loop, which has no phases.
pub(crate) struct Records {
    phases: Vec<InPhase>,
    window: Duration,
    windows: Vec<InWindow>,
}

struct InPhase {
    /// Where it ends, from the start.
    end: Duration,
    offered: u64,
    outcomes: BTreeMap<Outcome, u64>,
    /// Good answers that came in it, wherever their requests were due.
    good_answers: u64,
    good: Spread,
    /// Of refusals for want of a handler, from when their requests went out.
    full: Spread,
    late: Spread,
}

#[derive(Default)]
struct InWindow {
    offered: u64,
    good: Spread,
}

/// Durations, in the units of its owner. Most windows are good for a few values only, so it grows with the largest.
#[derive(Default)]
struct Spread {
    counts: Option<Box<Histogram<u32>>>,
    longest: Duration,
}

impl Records {
    /// For these phases, with windows of this length, or of a longer one where there would be too many.
    pub(crate) fn new(phases: &[Phase], window: Duration) -> Records {
        let mut end = Duration::ZERO;
        let all = phases.iter().map(|phase| {
            end += phase.length;
            InPhase::until(end)
        });
        let phases: Vec<InPhase> = all.collect();
        Records {
            phases,
            window: window.max(end / WINDOWS_MAX).max(Duration::from_nanos(1)),
            windows: Vec::new(),
        }
    }

    pub(crate) fn record(&mut self, record: &Record) {
        let due = self.phase_at(record.due);
        if let Some(phase) = self.phases.get_mut(due) {
            phase.record(record);
        }
        let is_good = record.outcome == Outcome::Ok;
        let ended = self.phase_at(record.ended);
        if let Some(phase) = self.phases.get_mut(ended).filter(|_| is_good) {
            phase.good_answers += 1;
        }
        if due >= self.phases.len() {
            return;
        }
        let index = (record.due.as_nanos() / self.window.as_nanos()) as usize;
        while self.windows.len() <= index {
            self.windows.push(InWindow::default());
        }
        let window = &mut self.windows[index];
        window.offered += 1;
        if is_good {
            let latency = record.latency();
            let micros = (latency.as_micros() as u64).clamp(1, MICROS_MAX);
            window.good.record(micros, latency, WINDOW_DIGITS);
        }
    }

    /// Takes the observations of another thread of the same run.
    pub(crate) fn add(&mut self, other: Records) {
        for (own, theirs) in self.phases.iter_mut().zip(other.phases) {
            own.offered += theirs.offered;
            own.good_answers += theirs.good_answers;
            for (outcome, count) in theirs.outcomes {
                *own.outcomes.entry(outcome).or_default() += count;
            }
            own.good.add(theirs.good);
            own.full.add(theirs.full);
            own.late.add(theirs.late);
        }
        for (index, theirs) in other.windows.into_iter().enumerate() {
            match self.windows.get_mut(index) {
                Some(own) => {
                    own.offered += theirs.offered;
                    own.good.add(theirs.good);
                }
                None => self.windows.push(theirs),
            }
        }
    }

    /// `{"phases": […], "window_seconds": …, "windows": […]}`, latencies in microseconds. `phases` are those that came,
    /// the last of them perhaps cut short.
    pub(crate) fn report(&self, phases: &[Phase]) -> Value {
        let mut begin = Duration::ZERO;
        let reports = self.phases.iter().zip(phases).map(|(seen, phase)| {
            let report = seen.report(phase, begin);
            begin += phase.length;
            report
        });
        let reports: Vec<Value> = reports.collect();
        json!({
            "phases": reports,
            "window_seconds": self.window.as_secs_f64(),
            "windows": self.windows_report(),
        })
    }

    /// The phase of an offset, or the number of phases for one behind them all.
    fn phase_at(&self, offset: Duration) -> usize {
        self.phases.partition_point(|phase| phase.end <= offset)
    }

    /// Each window with a request in it.
    fn windows_report(&self) -> Vec<Value> {
        let windows = self.windows.iter().enumerate();
        let windows = windows.filter(|(_, window)| window.offered > 0);
        let report = |(index, window): (usize, &InWindow)| {
            json!({
                "begin_seconds": index as f64 * self.window.as_secs_f64(),
                "offered": window.offered,
                "good": window.good.count(),
                "good_micros": window.good.report(1.0),
            })
        };
        windows.map(report).collect()
    }
}

impl InPhase {
    fn until(end: Duration) -> InPhase {
        InPhase {
            end,
            offered: 0,
            outcomes: BTreeMap::new(),
            good_answers: 0,
            good: Spread::default(),
            full: Spread::default(),
            late: Spread::default(),
        }
    }

    /// Takes a request that was due in it.
    fn record(&mut self, record: &Record) {
        self.offered += 1;
        *self.outcomes.entry(record.outcome).or_default() += 1;
        let nanos = |duration: Duration| (duration.as_nanos() as u64).clamp(1, NANOS_MAX);
        let late = record.sent.saturating_sub(record.due);
        self.late.record(nanos(late), late, PHASE_DIGITS);
        if record.outcome == Outcome::Ok {
            let latency = record.latency();
            self.good.record(nanos(latency), latency, PHASE_DIGITS);
        }
        if record.outcome == Outcome::Refused(Refusal::Handlers) {
            let from_send = record.ended.saturating_sub(record.sent);
            self.full.record(nanos(from_send), from_send, PHASE_DIGITS);
        }
    }

    fn report(&self, phase: &Phase, begin: Duration) -> Value {
        let outcomes = self.outcomes.iter();
        let outcomes: BTreeMap<String, u64> = outcomes
            .map(|(outcome, count)| (outcome.to_string(), *count))
            .collect();
        json!({
            "rate": phase.rate,
            "begin_seconds": begin.as_secs_f64(),
            "seconds": phase.length.as_secs_f64(),
            "offered": self.offered,
            "outcomes": outcomes,
            "goodput_per_second": self.good_answers as f64 / phase.length.as_secs_f64(),
            "good_micros": self.good.report(1e3),
            "full_from_send_micros": self.full.report(1e3),
            "sent_late_micros": self.late.report(1e3),
        })
    }
}

impl Spread {
    /// Records a duration in its unit, and as what it is.
    fn record(&mut self, value: u64, duration: Duration, digits: u8) {
        self.longest = self.longest.max(duration);
        let counts = self.counts.get_or_insert_with(|| {
            let mut counts = Histogram::new(digits).expect("possible digits");
            counts.auto(true);
            Box::new(counts)
        });
        // It grows with what it is given, which is bounded.
        let _ = counts.record(value);
    }

    fn add(&mut self, other: Spread) {
        self.longest = self.longest.max(other.longest);
        match (&mut self.counts, other.counts) {
            (Some(own), Some(theirs)) => {
                // It grows as it must.
                let _ = own.add(&*theirs);
            }
            (own @ None, theirs) => *own = theirs,
            (Some(_), None) => {}
        }
    }

    fn count(&self) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.len())
    }

    /// An absent figure is null. `per_micro` are its units in a microsecond.
    fn report(&self, per_micro: f64) -> Value {
        let max = self.longest.as_nanos() as f64 / 1e3;
        let Some(counts) = &self.counts else {
            return Value::Null;
        };
        // The highest value that equals another may be above the longest.
        let quantile = |quantile| (counts.value_at_quantile(quantile) as f64 / per_micro).min(max);
        json!({"p50": quantile(0.5), "p99": quantile(0.99), "max": max})
    }
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

    /// The bytes of all histograms.
    fn bytes(records: &Records) -> usize {
        let phases = records
            .phases
            .iter()
            .flat_map(|phase| [&phase.good, &phase.full, &phase.late]);
        let windows = records.windows.iter().map(|window| &window.good);
        let spreads = phases.chain(windows);
        spreads
            .map(|spread| {
                size_of::<Spread>()
                    + spread
                        .counts
                        .as_ref()
                        .map_or(0, |counts| 4 * counts.distinct_values())
            })
            .sum()
    }

    #[track_caller]
    fn assert_close(value: &Value, expected: f64) {
        let value = value.as_f64().unwrap();
        assert!((value / expected - 1.0).abs() < 0.011, "{value} for {expected}");
    }

    #[test]
    fn a_request_counts_where_it_was_due_and_its_answer_where_it_came() {
        let phases = ["10:1".parse().unwrap(), "20:1".parse().unwrap()];
        let full = Outcome::Refused(Refusal::Handlers);
        let mut records = Records::new(&phases, millis(500));
        let mut other = Records::new(&phases, millis(500));
        other.record(&record(950, 960, 962, full));
        records.record(&record(900, 1_000, 1_500, Outcome::Ok));
        other.record(&record(100, 100, 150, Outcome::Ok));
        records.record(&record(1_050, 1_050, 2_100, Outcome::Ok));
        other.record(&record(1_060, 1_060, 2_500, Outcome::Unanswered));
        records.add(other);
        let report = records.report(&phases);
        let (first, second) = (&report["phases"][0], &report["phases"][1]);
        assert_eq!(first["offered"], 3);
        assert_eq!(first["outcomes"], json!({"ok": 2, "refused_handlers": 1}));
        assert_eq!(first["goodput_per_second"], 1.0);
        assert_close(&first["good_micros"]["p50"], 50_000.0);
        assert_eq!(first["good_micros"]["p99"], 600_000.0);
        assert_eq!(first["good_micros"]["max"], 600_000.0);
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

    /// All values sorted, by nearest rank.
    fn naive(durations: &mut [Duration], quantile: f64) -> f64 {
        durations.sort_unstable();
        let rank = (durations.len() as f64 * quantile).ceil() as usize;
        durations[rank.max(1) - 1].as_nanos() as f64 / 1e3
    }

    #[test]
    fn percentiles_are_those_of_a_naive_twin() {
        let phases = ["1000:4".parse().unwrap()];
        let mut random = fastrand::Rng::with_seed(3);
        let mut records = Records::new(&phases, Duration::from_secs(2));
        let (mut all, mut of_second) = (Vec::new(), Vec::new());
        for number in 0..4_000 {
            let due = millis(number);
            // From microseconds to a minute.
            let latency = Duration::from_nanos((10.0_f64.powf(3.0 + 7.8 * random.f64())) as u64);
            records.record(&Record {
                due,
                sent: due,
                ended: due + latency,
                outcome: Outcome::Ok,
            });
            all.push(latency);
            if number >= 2_000 {
                of_second.push(latency);
            }
        }
        let report = records.report(&phases);
        for (figures, values) in [
            (&report["phases"][0]["good_micros"], &mut all),
            (&report["windows"][1]["good_micros"], &mut of_second),
        ] {
            assert_close(&figures["p50"], naive(values, 0.5));
            assert_close(&figures["p99"], naive(values, 0.99));
            assert_eq!(figures["max"], naive(values, 1.0));
        }
    }

    #[test]
    fn memory_does_not_grow_with_rate_and_length() {
        // Ten hours in which windows of 100 ms would be 360,000.
        let phases: [Phase; 1] = ["1000:36000".parse().unwrap()];
        let mut records = Records::new(&phases, millis(100));
        let mut random = fastrand::Rng::with_seed(5);
        let mut fill = |records: &mut Records, number: u64| {
            let due = Duration::from_secs(36_000).mul_f64(number as f64 / 1e5);
            let latency = Duration::from_micros(50 + random.u64(..200_000));
            records.record(&Record {
                due,
                sent: due,
                ended: due + latency,
                outcome: Outcome::Ok,
            });
        };
        (0..100_000).for_each(|number| fill(&mut records, number));
        assert_eq!(records.windows.len(), WINDOWS_MAX as usize);
        assert_eq!(records.window, Duration::from_secs(18));
        let once = bytes(&records);
        assert!(once < 20 << 20, "{once}");
        // The same time again with five times as many requests.
        (0..5).for_each(|_| (0..100_000).for_each(|number| fill(&mut records, number)));
        assert_eq!(records.phases[0].offered, 600_000);
        let now = bytes(&records);
        // A window has seen 50 values, or 300, the largest of which may need a larger histogram.
        assert!(now < once + once / 10, "{once} {now}");
        // What is due or answered behind the end takes none.
        records.record(&record(36_000_000 + 5, 0, 72_000_000, Outcome::Ok));
        assert_eq!(records.windows.len(), WINDOWS_MAX as usize);
        assert_eq!(bytes(&records), now);
    }
}
