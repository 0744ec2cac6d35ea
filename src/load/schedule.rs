//! When requests are due in an open loop: phases, each with a rate and a length.
//!
//! It knows no clock: it yields offsets from the start, in order, whether or not anybody keeps up. Arrivals are a
//! Poisson process from a seed, or evenly spaced.

use std::str::FromStr;
use std::time::Duration;

/// A stretch of constant rate, written `RATE:SECONDS`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Phase {
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) length: Duration,
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no phase; write requests per second and seconds, as in 800:10");
        let (rate, seconds) = text.split_once(':').ok_or_else(wrong)?;
        let rate: f64 = rate.parse().map_err(|_| wrong())?;
        let seconds: f64 = seconds.parse().map_err(|_| wrong())?;
        let length = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(wrong());
        }
        Ok(Phase { rate, length })
    }
}

/// How arrivals are spread within a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arrivals {
    /// As many independent clients do: exponential gaps.
    Poisson,
    /// Equal gaps.
    Constant,
}

/// Offsets from the start at which requests are due.
#[derive(Clone)]
pub(crate) struct Schedule {
    phases: std::vec::IntoIter<Phase>,
    arrivals: Arrivals,
    random: fastrand::Rng,
    /// The phase under way and where it begins.
    phase: Option<(Phase, Duration)>,
    /// Requests of the phase, and where in it the last was due, in seconds.
    count: u64,
    offset: f64,
}

impl Schedule {
    pub(crate) fn new(phases: Vec<Phase>, arrivals: Arrivals, seed: u64) -> Self {
        let mut phases = phases.into_iter();
        let phase = phases.next().map(|phase| (phase, Duration::ZERO));
        Schedule {
            phases,
            arrivals,
            random: fastrand::Rng::with_seed(seed),
            phase,
            count: 0,
            offset: 0.0,
        }
    }

    /// Where in its phase the next request is due. Constant gaps are counted and not added up, so that they stay exact.
    fn next_offset(&mut self, rate: f64) -> f64 {
        self.count += 1;
        match self.arrivals {
            Arrivals::Constant => self.count as f64 / rate,
            // 1 - [0, 1) is never 0.
            Arrivals::Poisson => self.offset - (1.0 - self.random.f64()).ln() / rate,
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let (phase, begin) = self.phase?;
            self.offset = self.next_offset(phase.rate);
            match Duration::try_from_secs_f64(self.offset) {
                Ok(offset) if offset < phase.length => return Some(begin + offset),
                _ => {}
            }
            // A gap that reaches past the end is drawn anew at the next phase's rate; the exponential
            // distribution has no memory, so the process stays Poisson.
            (self.count, self.offset) = (0, 0.0);
            self.phase = self.phases.next().map(|next| (next, begin + phase.length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(texts: &[&str]) -> Vec<Phase> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn phases_are_read() {
        let phase: Phase = "1600:0.5".parse().unwrap();
        assert_eq!(phase.rate, 1600.0);
        assert_eq!(phase.length, Duration::from_millis(500));
        for text in [
            "", "1", "1:", ":1", "0:1", "-1:1", "1:-1", "nan:1", "inf:1", "1:1:1",
        ] {
            assert!(text.parse::<Phase>().is_err(), "{text}");
        }
    }

    #[test]
    fn even_arrivals_are_evenly_spaced_in_each_phase() {
        let due: Vec<u128> = Schedule::new(phases(&["10:1", "100:0.1", "10:0.35"]), Arrivals::Constant, 0)
            .map(|at| at.as_millis())
            .collect();
        let expected: Vec<u128> = (1..10)
            .map(|n| n * 100)
            .chain((1..10).map(|n| 1000 + n * 10))
            .chain([1200, 1300, 1400])
            .collect();
        assert_eq!(due, expected);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_phase() {
        let due: Vec<Duration> =
            Schedule::new(phases(&["1000:20", "4000:20"]), Arrivals::Poisson, 7).collect();
        assert!(due.is_sorted());
        let change = Duration::from_secs(20);
        assert!(due.iter().all(|at| *at < change * 2));
        let slow = due.iter().filter(|at| **at < change).count();
        // Five standard deviations of a fixed seed: this cannot change from run to run.
        assert!(slow.abs_diff(20_000) < 707, "{slow}");
        assert!((due.len() - slow).abs_diff(80_000) < 1_414, "{}", due.len());
        let gaps: Vec<f64> = due[..slow]
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // An exponential distribution's standard deviation is its mean.
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.05,
            "{}",
            variance.sqrt() / mean
        );
    }

    /// The same in whole numbers, step by step: nanoseconds in which a thousandth of a request is due.
    fn slow_reference(phases: &[Phase]) -> Vec<f64> {
        let (mut due, mut begin) = (Vec::new(), 0);
        for phase in phases {
            let per_kilosecond = (phase.rate * 1e3) as u128;
            let mut number: u128 = 1;
            while number * 1_000_000_000_000 < phase.length.as_nanos() * per_kilosecond {
                due.push((begin + number * 1_000_000_000_000 / per_kilosecond) as f64 / 1e9);
                number += 1;
            }
            begin += phase.length.as_nanos();
        }
        due
    }

    #[test]
    fn constant_arrivals_are_those_of_a_slow_reference() {
        for texts in [
            &["1000:2"][..],
            &["7:3", "13:1", "0.5:10"],
            &["100000:0.01", "3:1"],
            &["0.1:1"],
        ] {
            let phases = phases(texts);
            let expected = slow_reference(&phases);
            let due: Vec<f64> = Schedule::new(phases, Arrivals::Constant, 0)
                .map(|at| at.as_secs_f64())
                .collect();
            assert_eq!(due.len(), expected.len(), "{texts:?}");
            // They are rounded to nanoseconds in one way and the other.
            assert!(
                due.iter()
                    .zip(&expected)
                    .all(|(own, twin)| (own - twin).abs() < 3e-9),
                "{texts:?}"
            );
        }
    }

    #[test]
    fn a_seed_decides_everything() {
        let due =
            |seed| -> Vec<Duration> { Schedule::new(phases(&["100:1"]), Arrivals::Poisson, seed).collect() };
        assert_eq!(due(1), due(1));
        assert_ne!(due(1), due(2));
    }

    #[test]
    fn nothing_is_due_without_phases() {
        assert_eq!(Schedule::new(Vec::new(), Arrivals::Constant, 0).next(), None);
    }
}
