//! Latencies by percentile: the curve that every page and plot of them shows.

use super::chart::{Chart, Series};
use super::html::{Html, Table};
use super::scale::Scale;

/// The shares at which a curve is drawn, beyond the tenths.
const OUTER: [f64; 12] = [
    0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99995, 0.99998, 0.99999,
];
/// Those that are in tables.
const WRITTEN: [(&str, f64); 6] = [
    ("P50", 0.5),
    ("P90", 0.9),
    ("P99", 0.99),
    ("P99.9", 0.999),
    ("P99.99", 0.9999),
    ("longest", 1.0),
];

/// What is said where there are no answers, and so neither a curve nor a table.
const UNANSWERED: &str = "No good answer came, so there are no latencies to show.";

/// Some latencies and their name.
pub(crate) struct Named<'a> {
    pub(crate) name: String,
    pub(crate) count: u64,
    /// The seconds that a share of them took at most.
    pub(crate) at: Box<dyn Fn(f64) -> f64 + 'a>,
}

impl Named<'_> {
    /// The curve, as far out as there are answers to say something.
    pub(crate) fn series(&self) -> Series {
        let tenths = (0..10).map(|tenth| f64::from(tenth) / 10.0);
        let rarest = 1.0 - 1.0 / self.count.max(1) as f64;
        let shares = tenths.chain(OUTER).filter(|share| *share <= rarest);
        Series {
            name: self.name.clone(),
            points: shares.map(|share| (share, (self.at)(share))).collect(),
        }
    }
}

/// The chart of all of them, and the table of the first and all others.
pub(crate) fn by_percentile(title: &str, all: &[Named<'_>]) -> Html {
    let all: Vec<&Named<'_>> = all.iter().filter(|named| named.count > 0).collect();
    if all.is_empty() {
        let mut html = Html::new();
        html.paragraph(UNANSWERED);
        return html;
    }
    let chart = Chart {
        title: title.to_owned(),
        description: "Each step to the right is ten times as rare: at 99 % one of 100 took longer, at 99.9 % one of 1,000."
            .to_owned(),
        x: ("share of answers that were as quick".to_owned(), Scale::Percentile, share),
        y: ("latency".to_owned(), Scale::Log, time),
        series: all.iter().map(|named| named.series()).collect(),
        marks: Vec::new(),
        apart: None,
    };
    let head: Vec<&str> = [""]
        .into_iter()
        .chain(WRITTEN.map(|(name, _)| name))
        .chain(["answers"])
        .collect();
    let mut table = Table::new(title, &head);
    for named in all {
        // Of fewer answers than one in so many, it would be the longest.
        let is_told = |share: f64| share == 1.0 || (1.0 - share) * named.count as f64 >= 0.999;
        let cells = WRITTEN.iter().map(|(_, share)| {
            if is_told(*share) {
                time((named.at)(*share))
            } else {
                "-".to_owned()
            }
        });
        let count = named.count.to_string();
        table.row(
            [named.name.clone()]
                .into_iter()
                .chain(cells)
                .chain([count])
                .collect(),
        );
    }
    let mut html = chart.html();
    html.piece(&table.html());
    html
}

/// A share as a percentage, with as many digits as it has.
pub(crate) fn share(share: f64) -> String {
    format!("{} %", (share * 1e7).round() / 1e5)
}

/// Seconds in the unit that suits them.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        0.0 => "0".to_owned(),
        seconds if seconds < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        seconds if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1e-2 => format!("{:.2} ms", seconds * 1e3),
        seconds if seconds < 1e-1 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

/// A time of which there may be none, because nothing was answered.
pub(crate) fn time_of(answers: u64, seconds: f64) -> String {
    match answers {
        0 => "none answered".to_owned(),
        _ => time(seconds),
    }
}

/// A rate with three digits that matter.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.2}"),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_matter() {
        let times = [0.0, 3e-8, 2e-5, 0.0012345, 0.02, 0.345, 12.0].map(time);
        assert_eq!(
            times,
            ["0", "30 ns", "20 µs", "1.23 ms", "20.0 ms", "345 ms", "12.00 s"]
        );
        assert_eq!([1.234, 56.78, 1234.5].map(rate), ["1.23", "56.8", "1234"]);
        assert_eq!([0.5, 0.99, 0.99999].map(share), ["50 %", "99 %", "99.999 %"]);
    }

    #[test]
    fn a_curve_ends_where_the_answers_do() {
        let named = Named {
            name: "x".to_owned(),
            count: 1000,
            at: Box::new(|share| share * 1e-3),
        };
        let series = named.series();
        assert_eq!(series.points.last().unwrap().0, 0.999);
        assert!(series.points.is_sorted_by(|one, other| one.1 <= other.1));
        let none = Named {
            name: "x".to_owned(),
            count: 0,
            at: Box::new(|_| 0.0),
        };
        let html = by_percentile("all", &[none]);
        assert!(!html.as_str().contains("<svg") && !html.as_str().contains("<table"));
        assert!(html.as_str().contains(UNANSWERED));
        let html = by_percentile("all", &[named]);
        assert!(html.as_str().contains("<td>990 µs</td>"), "{}", html.as_str());
    }
}
