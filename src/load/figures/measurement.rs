//! All that was seen in a run, of the server and of the generator itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::records::Records;
use super::tally::{Tally, micros};
use super::timeline::Timeline;
use crate::load::peer::Outcome;
use crate::load::schedule::Phase;

/// A thread that is this busy, or waits for a CPU, for so much of the time has no time left.
const BUSY_MAX: f64 = 0.95;
/// Requests that go out later than this after they were due are the generator's doing.
const LATENESS_MAX: Duration = Duration::from_millis(1);

/// How the connections fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests that were due when all connections were taken.
    pub(crate) held: u64,
    /// Connections made anew because one had ended, and nobody had said that it would.
    pub(crate) reconnects: u64,
    /// Connections that ended while nothing was asked.
    pub(crate) idle_closes: u64,
    /// Connections that had their number of requests.
    pub(crate) planned_closes: u64,
    /// Connections that the server said it closes with an answer, or on which it left the stream of one open.
    pub(crate) server_closes: u64,
    /// Requests that were due when nobody took connections.
    pub(crate) unreached: u64,
}

/// What the generator used itself: shares of the time of its busiest thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Own {
    /// On a CPU.
    pub(crate) busy: f64,
    /// Ready to run, without a CPU.
    pub(crate) waited: f64,
    /// With something to do, whether or not the machine let it.
    pub(crate) occupied: f64,
    /// CPU time of all threads.
    pub(crate) cpu: Duration,
}

/// Why the figures may be the generator's and not the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// It was busy itself.
    Saturated(String),
    /// It was not, but the machine did not let it run in time.
    Starved(String),
}

/// Connections beside the load, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) idle: usize,
    pub(crate) streams: usize,
    /// Those that ended before the run did.
    pub(crate) ended: usize,
}

pub(crate) struct Measurement {
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
    pub(crate) timeline: Timeline,
    /// Of an open loop, its phases and windows.
    pub(crate) records: Records,
    pub(crate) counts: Counts,
    /// Of each outcome that an answer explains, the text of the first.
    pub(crate) firsts: BTreeMap<Outcome, String>,
    pub(crate) clients: usize,
    pub(crate) beside: Beside,
    pub(crate) own: Own,
    /// The server's CPU time, if its process is known.
    pub(crate) server_cpu: Option<Duration>,
    /// When somebody ended it early, from the start.
    pub(crate) interrupted: Option<Duration>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.held += other.held;
        self.reconnects += other.reconnects;
        self.idle_closes += other.idle_closes;
        self.planned_closes += other.planned_closes;
        self.server_closes += other.server_closes;
        self.unreached += other.unreached;
    }
}

impl Own {
    /// Takes another thread's.
    pub(crate) fn add(&mut self, other: Own) {
        let cpu = self.cpu + other.cpu;
        if other.share() > self.share() {
            *self = other;
        }
        self.cpu = cpu;
    }

    /// The share of its time that it could not have used for more.
    fn share(&self) -> f64 {
        self.occupied.max(self.busy + self.waited)
    }

    /// What kept the generator from its work; `lateness` is of an open loop, 99 % of whose requests went out within it.
    pub(crate) fn hindrance(&self, lateness: Option<Duration>) -> Option<Hindrance> {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        if self.busy >= BUSY_MAX {
            let text = format!(
                "a thread of it was on a CPU for {} of the time",
                percent(self.busy)
            );
            return Some(Hindrance::Saturated(text));
        }
        if self.share() >= BUSY_MAX {
            return Some(Hindrance::Starved(format!(
                "a thread had something to do {} of the time, and was on a CPU for {}; it waited for one for {}",
                percent(self.share()),
                percent(self.busy),
                percent(self.waited)
            )));
        }
        let late = lateness.filter(|lateness| *lateness > LATENESS_MAX)?;
        Some(Hindrance::Starved(format!(
            "1 % of requests went out more than {:.1} ms late, though a thread was on a CPU for only {} of the time",
            late.as_secs_f64() * 1e3,
            percent(self.busy)
        )))
    }
}

impl Measurement {
    /// How late requests went out, but for 1 % of them.
    pub(crate) fn lateness(&self) -> Duration {
        Duration::from_nanos(self.tally.lateness().value_at_quantile(0.99))
    }

    /// What kept the generator from its work; only an open loop has times at which requests are due. When no connection
    /// was free it was the server that kept requests back.
    pub(crate) fn hindrance(&self, is_open: bool) -> Option<Hindrance> {
        let is_late = is_open && self.counts.held + self.counts.unreached == 0;
        self.own.hindrance(is_late.then(|| self.lateness()))
    }

    /// The figures, of an open loop with those of its phases and windows.
    pub(crate) fn report(&self, phases: &[Phase]) -> Map<String, Value> {
        let mut report = self.tally.report(self.elapsed);
        let is_open = !phases.is_empty();
        let cpu_micros = |requests: u64| {
            self.server_cpu
                .map(|cpu| cpu.as_secs_f64() * 1e6 / requests.max(1) as f64)
        };
        if is_open {
            let Value::Object(mut of_phases) = self.records.report(phases) else {
                unreachable!("made as an object")
            };
            let last = phases.len() - 1;
            let offered = of_phases["phases"][last]["offered"].as_u64().unwrap_or(0);
            of_phases["phases"][last]["server_cpu_micros_per_request"] = cpu_micros(offered).into();
            report.append(&mut of_phases);
        } else {
            let answered = self.tally.answered();
            report.insert(
                "server_cpu_micros_per_request".to_owned(),
                cpu_micros(answered).into(),
            );
        }
        let lateness = self.tally.lateness();
        let (saturated, starved) = match self.hindrance(is_open) {
            Some(Hindrance::Saturated(why)) => (Some(why), None),
            Some(Hindrance::Starved(why)) => (None, Some(why)),
            None => (None, None),
        };
        let generator = json!({
            "busy": self.own.busy,
            "waited_for_cpu": self.own.waited,
            "occupied": self.own.occupied,
            "cpu_micros_per_request":
                self.own.cpu.as_secs_f64() * 1e6 / self.tally.lateness().len().max(1) as f64,
            "sent_late_p99_micros": micros(lateness, 0.99),
            "sent_late_max_micros": lateness.max() as f64 / 1e3,
            "saturated": saturated,
            "starved": starved,
        });
        let firsts = self.firsts.iter();
        let firsts: Map<String, Value> = firsts
            .map(|(outcome, text)| (outcome.to_string(), text.as_str().into()))
            .collect();
        for (name, value) in [
            (
                "interrupted_after_seconds",
                json!(self.interrupted.map(|after| after.as_secs_f64())),
            ),
            ("first_texts", Value::Object(firsts)),
            ("connections", json!(self.clients)),
            ("reconnects", json!(self.counts.reconnects)),
            ("held", json!(self.counts.held)),
            ("idle_closes", json!(self.counts.idle_closes)),
            ("planned_closes", json!(self.counts.planned_closes)),
            ("server_closes", json!(self.counts.server_closes)),
            ("unreached", json!(self.counts.unreached)),
            ("idle", json!(self.beside.idle)),
            ("streams", json!(self.beside.streams)),
            ("beside_ended", json!(self.beside.ended)),
            ("generator", generator),
            ("timeline", self.timeline_report()),
        ] {
            report.insert(name.to_owned(), value);
        }
        report
    }

    /// How much of an interval of the timeline was measured: the last one is cut by the end. What comes behind the end
    /// is answers to what was asked before.
    pub(crate) fn interval_seconds(&self, index: usize) -> f64 {
        let length = self.timeline.length;
        let begin = length.saturating_mul(index as u32);
        match self.elapsed.checked_sub(begin) {
            Some(left) if !left.is_zero() => left.min(length).as_secs_f64(),
            _ => length.as_secs_f64(),
        }
    }

    fn timeline_report(&self) -> Value {
        let length = self.timeline.length.as_secs_f64();
        let intervals = self.timeline.intervals.iter().enumerate();
        let intervals = intervals.map(|(index, interval)| {
            json!({
                "begin_seconds": index as f64 * length,
                "seconds": self.interval_seconds(index),
                "good": interval.latencies.len(),
                "refused": interval.refused,
                "failed": interval.failed,
                "p50_micros": interval.latencies.value_at_quantile(0.5),
                "p99_micros": interval.latencies.value_at_quantile(0.99),
                "max_micros": interval.latencies.max(),
            })
        });
        intervals.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_is_busy_itself_is_saturated_and_otherwise_starved() {
        let own = |busy, waited| Own {
            busy,
            waited,
            occupied: busy,
            cpu: Duration::ZERO,
        };
        let (early, late) = (Duration::from_micros(900), Duration::from_millis(2));
        assert_eq!(own(0.6, 0.2).hindrance(Some(early)), None);
        assert_eq!(own(0.6, 0.2).hindrance(None), None);
        let saturated = |own: Own| match own.hindrance(None) {
            Some(Hindrance::Saturated(why)) => why,
            other => panic!("{other:?}"),
        };
        let starved = |own: Own, lateness| match own.hindrance(lateness) {
            Some(Hindrance::Starved(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(saturated(own(0.97, 0.0)).contains("97 % of the time"));
        let waited = starved(own(0.6, 0.38), None);
        assert!(
            waited.ends_with("98 % of the time, and was on a CPU for 60 %; it waited for one for 38 %"),
            "{waited}"
        );
        let stolen = Own {
            occupied: 0.99,
            ..own(0.4, 0.0)
        };
        assert!(starved(stolen, None).contains("99 % of the time"));
        let late = starved(own(0.02, 0.2), Some(late));
        assert!(late.contains("2.0 ms") && late.contains("only 2 %"), "{late}");
        let mut all = own(0.2, 0.1);
        all.add(own(0.5, 0.0));
        assert_eq!(all, own(0.5, 0.0));
    }
}
