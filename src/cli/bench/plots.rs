//! What a run looked like, for those who have a terminal and no browser.

use super::page::{named, over_time};
use crate::load::Measurement;
use crate::page::{Scale, plot, rate, share, time};

const LINES: usize = 10;
const COLUMNS_MAX: usize = 100;

/// Latency by percentile, and rate and P99 over time.
pub(super) fn plots(measurement: &Measurement, columns: usize) -> Vec<String> {
    let size = (columns.min(COLUMNS_MAX), LINES);
    let latencies = named("", measurement.tally.latencies());
    if latencies.count == 0 {
        return Vec::new();
    }
    let mut lines = vec![String::new(), "latency by percentile".to_owned()];
    lines.extend(plot(
        &[latencies.series()],
        &[],
        (Scale::Percentile, share),
        (Scale::Log, time),
        size,
    ));
    let (rates, p99) = over_time(measurement);
    if p99.points.len() > 2 {
        lines.extend([String::new(), "P99 over time".to_owned()]);
        lines.extend(plot(
            &[p99],
            &[],
            (Scale::Linear, seconds),
            (Scale::Linear, time),
            size,
        ));
        lines.extend([String::new(), "good answers per second over time".to_owned()]);
        lines.extend(plot(
            &[rates],
            &[],
            (Scale::Linear, seconds),
            (Scale::Linear, rate),
            size,
        ));
    }
    lines
}

fn seconds(seconds: f64) -> String {
    format!("{seconds} s")
}
