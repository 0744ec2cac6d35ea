//! P99 against the rate: where it leaves its plateau, and up to where it holds an objective.
//!
//! Each step of an open loop is on one side of a line or on the other: its P99 is more than a quarter above the
//! plateau, or it is not; it holds the objective, or it does not. Steps are noisy, so the line lies where the fewest of
//! them are on the wrong side of it, and those that are, are counted.

use super::observation::Observation;

/// P99 has left its plateau when it is so many times as long.
pub(crate) const LEFT: f64 = 1.25;
/// The plateau is what P99 is up to this share of the saturation rate.
const PLATEAU_SHARE: f64 = 0.55;
/// A rate that holds the objective keeps so far from the saturation rate, where waits grow as long as one looks.
const CLOSEST: f64 = 0.95;

/// The rates between which something changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bracket {
    /// The highest rate at which it has not changed; zero if it has at the lowest.
    pub(crate) low: f64,
    /// The lowest at which it has; absent if it never did.
    pub(crate) high: Option<f64>,
    /// Steps on either side, and those of them on the wrong one.
    pub(crate) steps: usize,
    pub(crate) misfits: usize,
}

impl Bracket {
    /// How many times the low rate the high one is; infinite while there is none.
    pub(crate) fn ratio(&self) -> f64 {
        match self.high {
            Some(high) if self.low > 0.0 => high / self.low,
            _ => f64::INFINITY,
        }
    }

    /// The rate that halves it, on a scale of ratios.
    pub(crate) fn middle(&self) -> Option<f64> {
        self.high
            .filter(|_| self.low > 0.0)
            .map(|high| (self.low * high).sqrt())
    }
}

/// The steps of open loops, by their rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve {
    steps: Vec<Observation>,
}

impl Curve {
    pub(crate) fn add(&mut self, seen: Observation) {
        let at = self.steps.partition_point(|own| own.offered() <= seen.offered());
        self.steps.insert(at, seen);
    }

    pub(crate) fn steps(&self) -> &[Observation] {
        &self.steps
    }

    /// P99 while nothing waits: the median of the steps that are far below saturation.
    pub(crate) fn plateau(&self, saturation: f64) -> Option<f64> {
        let far = self
            .steps
            .iter()
            .filter(|step| step.offered() <= PLATEAU_SHARE * saturation && step.latency.count > 0);
        let mut p99s: Vec<f64> = far.map(|step| step.latency.p99).collect();
        p99s.sort_by(f64::total_cmp);
        let middle = p99s.get(p99s.len() / 2)?;
        let other = p99s.get((p99s.len() - 1) / 2)?;
        Some((middle + other) / 2.0)
    }

    /// Where P99 leaves its plateau.
    pub(crate) fn knee(&self, plateau: f64) -> Bracket {
        self.bracket(|step| step.is_carried() && step.latency.p99 <= LEFT * plateau)
    }

    /// Up to where P99 holds an objective.
    pub(crate) fn holding(&self, objective: f64, saturation: f64) -> Bracket {
        self.bracket(|step| {
            step.is_carried() && step.latency.p99 <= objective && step.offered() <= CLOSEST * saturation
        })
    }

    /// The step of this rate, or the one that is nearest to it.
    pub(crate) fn nearest(&self, rate: f64) -> Option<&Observation> {
        let apart = |step: &Observation| (step.offered() / rate).ln().abs();
        self.steps
            .iter()
            .min_by(|one, other| apart(one).total_cmp(&apart(other)))
    }

    /// Puts the line where the fewest steps are on the wrong side, and of several such places at the lowest.
    fn bracket(&self, is_below: impl Fn(&Observation) -> bool) -> Bracket {
        let below: Vec<bool> = self.steps.iter().map(is_below).collect();
        let misfits = |line: usize| {
            let wrong_below = below[..line].iter().filter(|below| !**below).count();
            wrong_below + below[line..].iter().filter(|below| **below).count()
        };
        let line = (0..=below.len()).min_by_key(|line| misfits(*line)).unwrap_or(0);
        let rate = |step: &Observation| step.offered();
        Bracket {
            low: self.steps[..line].last().map_or(0.0, rate),
            high: self.steps.get(line).map(rate),
            steps: self.steps.len(),
            misfits: misfits(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::observation::{Latency, Load};

    fn step(rate: f64, p99: f64, refused: u64) -> Observation {
        Observation {
            load: Load::Rate(rate),
            seconds: 1.0,
            spent: 1.0,
            served: rate,
            latency: Latency {
                count: 1000,
                p99,
                ..Latency::default()
            },
            refused,
            failed: 0,
            failure: None,
            late: 0.0,
            hindrance: None,
            is_cut: false,
            server: None,
        }
    }

    fn curve(steps: &[(f64, f64)]) -> Curve {
        let mut curve = Curve::default();
        steps
            .iter()
            .for_each(|(rate, p99)| curve.add(step(*rate, *p99, 0)));
        curve
    }

    #[test]
    fn the_plateau_is_left_where_p99_grows_for_good() {
        let curve = curve(&[(90.0, 5.0), (30.0, 1.0), (50.0, 1.1), (70.0, 1.2), (80.0, 1.5)]);
        let plateau = curve.plateau(100.0).unwrap();
        assert!((plateau - 1.05).abs() < 1e-9, "{plateau}");
        let knee = curve.knee(plateau);
        assert_eq!((knee.low, knee.high, knee.misfits), (70.0, Some(80.0), 0));
        assert!((knee.middle().unwrap() - 5600_f64.sqrt()).abs() < 1e-9);
        assert_eq!(curve.nearest(71.0).unwrap().offered(), 70.0);
    }

    #[test]
    fn one_step_that_stumbled_does_not_move_the_line() {
        let curve = curve(&[
            (30.0, 1.0),
            (40.0, 9.0),
            (50.0, 1.0),
            (60.0, 1.0),
            (80.0, 2.0),
            (90.0, 3.0),
        ]);
        let knee = curve.knee(1.0);
        assert_eq!((knee.low, knee.high, knee.misfits), (60.0, Some(80.0), 1));
    }

    #[test]
    fn refusals_and_nearness_to_saturation_hold_no_objective() {
        let mut curve = curve(&[(30.0, 1.0), (60.0, 1.0)]);
        curve.add(step(70.0, 1.0, 3));
        let holding = curve.holding(2.0, 100.0);
        assert_eq!((holding.low, holding.high), (60.0, Some(70.0)));
        assert_eq!(curve.holding(2.0, 61.0).low, 30.0);
        assert_eq!(curve.holding(0.5, 100.0).low, 0.0);
        assert_eq!(curve.holding(0.5, 100.0).middle(), None);
        assert_eq!(Curve::default().holding(1.0, 1.0).high, None);
        assert_eq!(Curve::default().plateau(1.0), None);
    }
}
