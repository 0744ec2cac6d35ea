//! Quantiles of what a histogram counted in some time.
//!
//! A quantile is as exact as the buckets are wide: it is interpolated inside of one, as Prometheus does it
//! (`histogram_quantile`), and past the last bound nothing is known but the bound.

/// What fell into the buckets of a histogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    /// Upper bounds in seconds, rising and without +Inf, and how much fell at or below each.
    cumulative: Vec<(f64, f64)>,
    count: f64,
}

/// A quantile in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantile {
    /// As exactly as the buckets tell.
    Within(f64),
    /// Longer than the histogram's last bound.
    Beyond(f64),
}

impl Quantile {
    /// The seconds: the last bound, where nothing more is known.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Within(seconds) | Self::Beyond(seconds) => seconds,
        }
    }
}

impl Buckets {
    /// Adds the same histogram of other labels: how much fell at or below `bound`, where the bucket of everything is
    /// +Inf.
    pub(super) fn add(&mut self, bound: f64, count: f64) {
        if bound == f64::INFINITY {
            self.count += count;
            return;
        }
        match self.cumulative.binary_search_by(|(own, _)| own.total_cmp(&bound)) {
            Ok(at) => self.cumulative[at].1 += count,
            Err(at) => self.cumulative.insert(at, (bound, count)),
        }
    }

    /// The same for a bound as it is written. What is no number counts nowhere.
    pub(super) fn add_labelled(&mut self, bound: &str, count: f64) {
        match bound {
            "+Inf" => self.add(f64::INFINITY, count),
            _ => match bound.parse::<f64>() {
                Ok(bound) if bound.is_finite() => self.add(bound, count),
                _ => {}
            },
        }
    }

    /// How much was counted.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// The value below which a share of what was counted lies; `None` if nothing was.
    pub fn quantile(&self, share: f64) -> Option<Quantile> {
        // A count that is no number is none either.
        let count = self.count();
        if !(count > 0.0 && count.is_finite()) {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * self.count;
        let (mut below, mut lower) = (0.0, 0.0);
        for &(bound, count) in &self.cumulative {
            // Scrapes are not atomic, so a bucket may be behind the one below it.
            let count = count.max(below);
            if count >= rank && count > 0.0 {
                let inside = count - below;
                let part = if inside > 0.0 {
                    (rank - below) / inside
                } else {
                    1.0
                };
                // Floating point may step over the bound.
                return Some(Quantile::Within((lower + (bound - lower) * part).min(bound)));
            }
            (below, lower) = (count, bound);
        }
        Some(Quantile::Beyond(lower))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [f64; 5] = [0.001, 0.01, 0.1, 1.0, 10.0];

    fn counted(values: &[f64]) -> Buckets {
        let mut buckets = Buckets::default();
        for bound in BOUNDS {
            buckets.add(
                bound,
                values.iter().filter(|value| **value <= bound).count() as f64,
            );
        }
        buckets.add(f64::INFINITY, values.len() as f64);
        buckets
    }

    #[test]
    fn quantiles_lie_in_the_bucket_of_the_true_one() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..500 {
            let mut values: Vec<f64> = (0..random.usize(1..200))
                .map(|_| 10_f64.powf(random.f64() * 6.0 - 4.5))
                .collect();
            let buckets = counted(&values);
            values.sort_by(f64::total_cmp);
            for share in [0.0, 0.01, 0.5, 0.9, 0.99, 1.0] {
                // The naive twin: the value at that rank of all of them.
                let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
                let truth = values[rank - 1];
                let upper = BOUNDS.into_iter().find(|bound| truth <= *bound);
                match (buckets.quantile(share).unwrap(), upper) {
                    (Quantile::Beyond(bound), None) => assert_eq!(bound, 10.0),
                    (Quantile::Within(told), Some(upper)) => {
                        let lower = BOUNDS.into_iter().rfind(|bound| *bound < upper).unwrap_or(0.0);
                        assert!(
                            (lower..=upper).contains(&told),
                            "{share}: {told} for {truth} of {values:?}"
                        );
                    }
                    (told, _) => panic!("{share}: {told:?} for {truth} of {values:?}"),
                }
            }
        }
    }

    #[test]
    fn inside_of_a_bucket_is_interpolated() {
        let buckets = counted(&[0.05, 0.05, 0.05, 0.05]);
        let half = buckets.quantile(0.5).unwrap().seconds();
        assert!((half - 0.055).abs() < 1e-9, "{half}");
        assert_eq!(buckets.quantile(1.0), Some(Quantile::Within(0.1)));
        assert_eq!(counted(&[]).quantile(0.5), None);
        assert_eq!(counted(&[20.0]).quantile(0.5), Some(Quantile::Beyond(10.0)));
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn histograms_of_several_labels_are_added() {
        let mut both = counted(&[0.005; 99]);
        let other = counted(&[5.0]);
        for (bound, count) in other
            .cumulative
            .iter()
            .copied()
            .chain([(f64::INFINITY, other.count)])
        {
            both.add(bound, count);
        }
        assert_eq!(both.count(), 100.0);
        assert!(both.quantile(0.98).unwrap().seconds() <= 0.01);
        assert!(both.quantile(0.999).unwrap().seconds() > 1.0);
    }

    #[test]
    fn counts_that_are_no_numbers_have_no_quantile() {
        for count in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -4.0] {
            let mut buckets = Buckets::default();
            buckets.add(0.1, count);
            buckets.add(f64::INFINITY, count);
            assert_eq!(buckets.quantile(0.99), None, "{count}");
        }
    }

    #[test]
    fn a_scrape_that_is_not_atomic_gives_no_nonsense() {
        let mut buckets = Buckets::default();
        for (bound, count) in [(0.1, 5.0), (1.0, 4.0), (f64::INFINITY, 6.0)] {
            buckets.add(bound, count);
        }
        let told = buckets.quantile(0.8).unwrap();
        assert!((0.0..=0.1).contains(&told.seconds()), "{told:?}");
    }
}
