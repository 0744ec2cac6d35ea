//! Durations in a few characters.

use std::fmt::Write;
use std::time::Duration;

/// Formats three digits and a unit; histograms have only two.
pub(super) fn brief(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (scale, unit) = units
        .into_iter()
        .find(|(scale, _)| nanos >= *scale)
        .unwrap_or((1.0, "ns"));
    let value = nanos / scale;
    let decimals = match value {
        _ if unit == "ns" => 0,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{value:.decimals$}{unit}");
    text
}
