//! The last scrapes of one server, and what changed between the oldest and the newest of them.
//!
//! Rates are those of the last ten seconds or so: long enough to be calm, short enough to be now. When another process
//! answers under the same address, what was known of the one before is forgotten, because no difference to it means
//! anything. A single counter that falls, as of a tool that was removed and came back, has begun anew at zero.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::labels::Labels;
use super::quantile::Buckets;
use super::samples::Samples;

/// The time over which changes are told.
const SPAN: Duration = Duration::from_secs(10);

/// The most scrapes that are kept, whatever the interval.
const SCRAPES_MAX: usize = 64;

/// The most samples that are kept over all scrapes, but for the last two.
const SAMPLES_MAX: usize = 1_000_000;

/// By how many seconds the start time of the same process may differ between scrapes: it is the kernel's boot time, in
/// whole seconds that move when the clock is set, and a number of ticks, which stays.
const START_TIME_SLACK_SECONDS: f64 = 2.0;

/// A tick of a start time is 10 ms; this is less.
const TICK_SLACK_SECONDS: f64 = 0.005;

/// Counters that only another process has lower.
const STEADY: [&str; 4] = [
    "process_cpu_seconds_total",
    "weir_connections_accepted_total",
    "weir_received_bytes_total",
    "weir_requests_total",
];

/// The last scrapes, oldest first.
#[derive(Debug, Default)]
pub struct Window {
    scrapes: VecDeque<(Instant, Samples)>,
    restarts: u32,
}

impl Window {
    /// Adds a scrape, made at `at`.
    pub fn push(&mut self, at: Instant, samples: Samples) {
        if self
            .scrapes
            .back()
            .is_some_and(|(_, last)| is_restart(last, &samples))
        {
            self.scrapes.clear();
            self.restarts += 1;
        }
        self.scrapes.push_back((at, samples));
        // One that is as old as the span stays, so that rates are over all of it.
        let is_old = |scrape: &(Instant, Samples)| at.saturating_duration_since(scrape.0) >= SPAN;
        while self.scrapes.get(1).is_some_and(is_old) || self.scrapes.len() > SCRAPES_MAX {
            self.scrapes.pop_front();
        }
        let mut samples: usize = self.scrapes.iter().map(|(_, samples)| samples.count()).sum();
        while samples > SAMPLES_MAX && self.scrapes.len() > 2 {
            let oldest = self.scrapes.pop_front();
            samples -= oldest.map_or(0, |(_, samples)| samples.count());
        }
    }

    /// The newest scrape.
    pub fn newest(&self) -> Option<&Samples> {
        self.scrapes.back().map(|(_, samples)| samples)
    }

    /// How often the server was found to be another one than before.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The time between the oldest scrape and the newest; `None` while there is but one.
    pub fn span(&self) -> Option<Duration> {
        let (first, last) = (self.scrapes.front()?, self.scrapes.back()?);
        let span = last.0.saturating_duration_since(first.0);
        (!span.is_zero()).then_some(span)
    }

    /// By how much the counters of this name with these labels grew each second; `None` while that cannot be told, or
    /// if there are none.
    pub fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let span = self.span()?;
        let mut own = self
            .growths(name)
            .filter(|(series, _)| labels.iter().all(|(label, value)| series.value(label) == *value))
            .map(|(_, growth)| growth)
            .peekable();
        own.peek()?;
        Some(own.sum::<f64>() / span.as_secs_f64())
    }

    /// By how much each counter of this name grew in the window; nothing while that cannot be told.
    pub(super) fn growths<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, f64)> {
        let both = self.span().and(self.newest().zip(self.oldest()));
        both.into_iter().flat_map(move |(newest, oldest)| {
            newest.of(name).map(move |(labels, count)| {
                // One that was not there yet had counted nothing.
                let before = oldest.value(name, labels).filter(|before| *before <= count);
                (labels, count - before.unwrap_or(0.0))
            })
        })
    }

    /// What fell into the histograms of a family that `is_wanted` picks; nothing while there is but one scrape.
    pub fn buckets(&self, family: &str, is_wanted: impl Fn(&Labels) -> bool) -> Buckets {
        let mut buckets = Buckets::default();
        let name = format!("{family}_bucket");
        for (labels, count) in self.growths(&name).filter(|(labels, _)| is_wanted(labels)) {
            buckets.add_labelled(labels.value("le"), count);
        }
        buckets
    }

    fn oldest(&self) -> Option<&Samples> {
        self.scrapes.front().map(|(_, samples)| samples)
    }
}

/// Whether the later scrape is of another process than the earlier one.
fn is_restart(earlier: &Samples, later: &Samples) -> bool {
    let started = |samples: &Samples| samples.sum("process_start_time_seconds", &[]);
    if let (Some(before), Some(now)) = (started(earlier), started(later)) {
        let apart = (now - before).abs();
        if apart > START_TIME_SLACK_SECONDS || (apart - apart.round()).abs() > TICK_SLACK_SECONDS {
            return true;
        }
    }
    STEADY.into_iter().any(|name| {
        let mut counters = earlier.of(name);
        counters.any(|(labels, before)| later.value(name, labels).is_some_and(|now| now < before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(text: &str) -> Samples {
        Samples::parse(text).unwrap()
    }

    #[test]
    fn rates_are_those_of_a_naive_twin() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(3);
        for interval_ms in [100, 1_000, 3_000, 15_000] {
            let mut window = Window::default();
            let mut history: Vec<(u64, u64)> = Vec::new();
            let mut count = 0;
            for turn in 0..40 {
                let at_ms = turn * interval_ms;
                count += random.u64(..1_000);
                history.push((at_ms, count));
                let text = format!(
                    "a_total{{shard=\"0\"}} {count}\na_total{{shard=\"1\"}} {}\n",
                    count * 2
                );
                window.push(start + Duration::from_millis(at_ms), samples(&text));
                // The twin: the youngest that is at least ten seconds old, of the last 64, or else the oldest.
                let kept = &history[history.len().saturating_sub(SCRAPES_MAX)..];
                let old = kept
                    .iter()
                    .rfind(|(then, _)| at_ms - then >= 10_000)
                    .unwrap_or(&kept[0]);
                let expected = (turn > 0).then(|| (count - old.1) as f64 / (at_ms - old.0) as f64 * 1_000.0);
                for (labels, factor) in [(&[("shard", "0")][..], 1.0), (&[], 3.0)] {
                    let told = window.rate("a_total", labels);
                    assert_eq!(told.is_some(), expected.is_some());
                    let off = told.unwrap_or(0.0) - expected.unwrap_or(0.0) * factor;
                    assert!(
                        off.abs() < 1e-6,
                        "{interval_ms} ms, {turn}: {told:?}, not {expected:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn another_process_begins_anew() {
        let start = Instant::now();
        let mut window = Window::default();
        let mut turn = 0;
        let mut push = |text: &str| {
            window.push(start + Duration::from_secs(turn), samples(text));
            turn += 1;
            (window.rate("a_total", &[]), window.restarts())
        };
        assert_eq!(push("a_total 5\nprocess_start_time_seconds 100.25\n"), (None, 0));
        // The clock was set, by a whole second.
        assert_eq!(
            push("a_total 9\nprocess_start_time_seconds 101.25\n"),
            (Some(4.0), 0)
        );
        // Soon after, but in another tick.
        assert_eq!(push("a_total 9\nprocess_start_time_seconds 101.75\n"), (None, 1));
        assert_eq!(
            push("a_total 9\nprocess_start_time_seconds 101.75\n"),
            (Some(0.0), 1)
        );
        assert_eq!(push("a_total 9\nprocess_start_time_seconds 201.75\n"), (None, 2));
        // A counter that cannot fall has fallen; the start time is hidden.
        assert_eq!(
            push("a_total 9\nweir_requests_total{shard=\"0\"} 5\n"),
            (Some(0.0), 2)
        );
        assert_eq!(push("a_total 9\nweir_requests_total{shard=\"0\"} 4\n"), (None, 3));
        // One that is gone says nothing.
        assert_eq!(push("a_total 9\n"), (Some(0.0), 3));
    }

    #[test]
    fn a_counter_that_falls_alone_has_begun_at_zero() {
        let start = Instant::now();
        let mut window = Window::default();
        window.push(start, samples("a_total{x=\"1\"} 100\na_total{x=\"2\"} 100\n"));
        let later = samples("a_total{x=\"1\"} 6\na_total{x=\"2\"} 110\n");
        window.push(start + Duration::from_secs(2), later);
        assert_eq!(window.rate("a_total", &[("x", "1")]), Some(3.0));
        assert_eq!((window.rate("a_total", &[]), window.restarts()), (Some(8.0), 0));
    }

    #[test]
    fn a_gap_is_averaged_over() {
        let start = Instant::now();
        let mut window = Window::default();
        window.push(start, samples("a_total 0\n"));
        window.push(start + Duration::from_secs(100), samples("a_total 50\n"));
        assert_eq!(window.rate("a_total", &[]), Some(0.5));
    }

    #[test]
    fn scrapes_of_any_size_are_kept_within_bounds() {
        let large: String = (0..150_000)
            .map(|number| format!("a{number}_total 1\n"))
            .collect();
        let large = samples(&large);
        let start = Instant::now();
        let mut window = Window::default();
        for turn in 0..8 {
            window.push(start + Duration::from_secs(turn), large.clone());
            assert!(
                window.scrapes.len() * 150_000 <= SAMPLES_MAX,
                "{}",
                window.scrapes.len()
            );
        }
        assert_eq!(window.span(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn what_begins_in_the_window_had_counted_nothing() {
        let start = Instant::now();
        let mut window = Window::default();
        window.push(start, samples("b_total 0\n"));
        window.push(start + Duration::from_secs(2), samples(
            "a_total{x=\"1\"} 8\nb_total 0\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"x\"} 3\nh_bucket{le=\"+Inf\"} 4\n",
        ));
        assert_eq!(window.rate("a_total", &[]), Some(4.0));
        assert_eq!(window.rate("c_total", &[]), None);
        assert_eq!(window.buckets("h", |_| true).count(), 4.0);
        assert_eq!(
            window.buckets("h", |labels| labels.value("le") == "1").count(),
            0.0
        );
    }

    #[test]
    fn histograms_tell_what_fell_into_them_in_the_window() {
        let start = Instant::now();
        let text = |fast: u64, slow: u64| {
            let all = fast + slow;
            samples(&format!(
                "h_bucket{{le=\"0.1\"}} {fast}\nh_bucket{{le=\"1\"}} {all}\nh_bucket{{le=\"+Inf\"}} {all}\n"
            ))
        };
        let mut window = Window::default();
        window.push(start, text(1_000_000, 0));
        assert_eq!(window.buckets("h", |_| true).quantile(0.5), None);
        window.push(start + Duration::from_secs(1), text(1_000_000, 10));
        let told = window.buckets("h", |_| true).quantile(0.5).unwrap().seconds();
        assert!(told > 0.1, "{told}");
    }
}
