//! From figures to places on an axis, and the figures that are written along it.

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// Equal ratios are equally far.
    Log,
    /// Shares of all answers, 0 to 1, as HdrHistogram plots them: 90 %, 99 %, 99.9 % are equally far from each other.
    Percentile,
}

/// A scale over the figures that it has to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

/// A percentile is this far out at the most: further there is nothing to see.
const NINES_MAX: f64 = 5.0;
/// An axis without figures, or with one only, needs some length.
const LENGTH_MIN: f64 = 1e-9;

impl Axis {
    /// An axis that has all these figures on it. What is no number is left out.
    pub(super) fn over(scale: Scale, figures: impl Iterator<Item = f64>) -> Axis {
        let figures = figures.filter(|figure| figure.is_finite());
        let usable = figures.filter(|figure| scale != Scale::Log || *figure > 0.0);
        let placed = usable.map(|figure| place(scale, figure));
        let (low, high) = placed.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), placed| {
            (low.min(placed), high.max(placed))
        });
        let (low, high) = match scale {
            _ if low > high => (0.0, 1.0),
            Scale::Linear => (low.min(0.0), high.max(0.0) * 1.02),
            Scale::Log => (low - 0.05, high + 0.05),
            Scale::Percentile => (0.0, high.max(2.0)),
        };
        let high = high.max(low + LENGTH_MIN.max(low.abs() * 1e-9));
        Axis { scale, low, high }
    }

    /// The share of the axis at which a figure is, 0 at its beginning; `None` for what has no place on it.
    pub(super) fn share(&self, figure: f64) -> Option<f64> {
        if !figure.is_finite() || (self.scale == Scale::Log && figure <= 0.0) {
            return None;
        }
        let share = (place(self.scale, figure) - self.low) / (self.high - self.low);
        (-1e-6..=1.0 + 1e-6)
            .contains(&share)
            .then(|| share.clamp(0.0, 1.0))
    }

    /// Figures to write along it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let all: Vec<f64> = match self.scale {
            Scale::Linear => linear(self.high),
            Scale::Log => log(self.low, self.high),
            Scale::Percentile => vec![0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999],
        };
        all.into_iter()
            .filter(|tick| self.share(*tick).is_some())
            .collect()
    }
}

fn place(scale: Scale, figure: f64) -> f64 {
    match scale {
        Scale::Linear => figure,
        Scale::Log => figure.log10(),
        Scale::Percentile => (-(1.0 - figure).log10()).clamp(0.0, NINES_MAX),
    }
}

/// About five round figures from zero.
fn linear(high: f64) -> Vec<f64> {
    let raw = high / 5.0;
    let unit = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * unit)
        .find(|step| *step >= raw)
        .unwrap_or(raw);
    if !(step > 0.0 && step.is_finite()) {
        return vec![0.0];
    }
    (0..=6).map(|index| f64::from(index) * step).collect()
}

/// Decades, with more figures between them the fewer they are.
fn log(low: f64, high: f64) -> Vec<f64> {
    if high - low < 0.3 {
        let (least, most) = (10_f64.powf(low), 10_f64.powf(high));
        let steps = linear(most - least);
        let step = steps.get(1).copied().unwrap_or(most);
        let first = (least / step).ceil();
        return (0..8).map(|index| (first + f64::from(index)) * step).collect();
    }
    let factors: &[f64] = match high - low {
        long if long > 3.5 => &[1.0],
        long if long > 1.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
    };
    let decades = low.floor() as i32..=high.ceil() as i32;
    decades
        .flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_place_in_order() {
        let mut random = fastrand::Rng::with_seed(2);
        for scale in [Scale::Linear, Scale::Log, Scale::Percentile] {
            for _ in 0..200 {
                let figure = |random: &mut fastrand::Rng| match scale {
                    Scale::Percentile => random.f64(),
                    _ => 10_f64.powf(random.f64() * 12.0 - 6.0),
                };
                let mut figures: Vec<f64> = (0..random.usize(1..20)).map(|_| figure(&mut random)).collect();
                figures.sort_by(f64::total_cmp);
                let axis = Axis::over(scale, figures.iter().copied());
                let shares: Vec<f64> = figures
                    .iter()
                    .map(|figure| axis.share(*figure).unwrap())
                    .collect();
                assert!(shares.is_sorted(), "{scale:?} {figures:?}");
                let ticks = axis.ticks();
                assert!(ticks.len() <= 20, "{scale:?} {figures:?} {ticks:?}");
                assert!(ticks.iter().all(|tick| axis.share(*tick).is_some()));
            }
        }
    }

    #[test]
    fn nothing_is_no_reason_to_fail() {
        for scale in [Scale::Linear, Scale::Log, Scale::Percentile] {
            for figures in [&[][..], &[0.0], &[f64::NAN, f64::INFINITY], &[5.0], &[-1.0]] {
                let axis = Axis::over(scale, figures.iter().copied());
                assert!(axis.ticks().iter().all(|tick| tick.is_finite()));
                assert_eq!(axis.share(f64::NAN), None);
            }
        }
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::over(Scale::Linear, [730.0].into_iter());
        assert_eq!(axis.ticks(), [0.0, 200.0, 400.0, 600.0]);
        for (low, high, least) in [(5.6, 6.9, 2), (20.0, 21.0, 2), (1.0, 9.0, 4), (0.01, 100.0, 4)] {
            let ticks = Axis::over(Scale::Log, [low, high].into_iter()).ticks();
            assert!((least..=9).contains(&ticks.len()), "{low} {high} {ticks:?}");
        }
        let axis = Axis::over(Scale::Percentile, [0.9999].into_iter());
        assert_eq!(axis.ticks(), [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]);
    }
}
