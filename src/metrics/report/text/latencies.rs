//! The tables of latencies: percentiles, and beside them the whole distribution as a sparkline.

use crate::metrics::histogram::Latency;
use crate::metrics::labels::Stage;
use crate::metrics::report::brief::brief;
use crate::metrics::report::merged::Report;
use crate::metrics::report::table::{COLUMNS, Table, wrap};

/// Distributions are shown over these decades of nanoseconds: from 1 µs to 10 s.
const DECADES: std::ops::Range<u32> = 3..10;
const CELLS_PER_DECADE: u32 = 3;
/// The axis over a sparkline: the places of 1 µs, 1 ms and 1 s.
pub(super) const AXIS: &str = "1µs      1ms      1s  ";
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn write_shard_latencies(text: &mut String, report: &Report) {
    let totals = report.shards.iter().filter_map(|shard| {
        let histograms = shard.histograms.as_ref()?;
        Some((shard.shard.to_string(), histograms.stage(Stage::Total)))
    });
    latency_table("shard", totals).write(text, "Latency by shard, first byte to answer");
    let silent: Vec<String> = report
        .shards
        .iter()
        .filter(|shard| shard.histograms.is_none())
        .map(|shard| shard.shard.to_string())
        .collect();
    if !silent.is_empty() {
        let heading = "Without latencies, because they did not answer: ";
        wrap(
            text,
            heading,
            &format!("shard {}", silent.join(", shard ")),
            COLUMNS,
        );
    }
}

pub(super) fn latency_table<'a>(
    kind: &'static str,
    rows: impl Iterator<Item = (String, &'a Latency)>,
) -> Table {
    let rows: Vec<(String, &Latency)> = rows.filter(|(_, latency)| latency.count() > 0).collect();
    let most = rows.iter().map(|(_, latency)| latency.count()).max().unwrap_or(0);
    let shown: Vec<(f64, &str)> = Latency::QUANTILES
        .into_iter()
        .filter(|(quantile, _)| has_samples_beyond(*quantile, most))
        .collect();
    let quantiles = shown.iter().map(|(_, name)| *name);
    let titles = [kind, "count"].into_iter().chain(quantiles).chain(["max", AXIS]);
    let mut table = Table::new(titles).with_optional_last();
    for (name, latency) in rows {
        let count = latency.count();
        let quantiles = shown.iter().map(|(quantile, _)| {
            if has_samples_beyond(*quantile, count) {
                brief(latency.quantile(*quantile))
            } else {
                String::new()
            }
        });
        let head = [name, count.to_string()];
        let tail = [brief(latency.max()), sparkline(latency)];
        table.row(head.into_iter().chain(quantiles).chain(tail));
    }
    table
}

/// Whether a percentile of so many samples is more than another name for the longest.
fn has_samples_beyond(quantile: f64, count: u64) -> bool {
    // A little less counts as one, too: 1 - 0.99 is not quite 0.01.
    (1.0 - quantile) * count as f64 >= 1.0 - 1e-6
}

/// The distribution of latencies, both axes on logarithmic scales, so that a few slow ones are seen beside a million.
pub(super) fn sparkline(latency: &Latency) -> String {
    let cells = (DECADES.len() as u32 * CELLS_PER_DECADE) as usize;
    let mut counts = vec![0_u64; cells];
    for (nanos, count) in latency.recorded() {
        let decades = (nanos.max(1) as f64).log10() - f64::from(DECADES.start);
        let cell = (decades * f64::from(CELLS_PER_DECADE)).floor().max(0.0) as usize;
        if let Some(cell) = counts.get_mut(cell.min(cells - 1)) {
            *cell += count;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let scale = |count: u64| (count as f64 + 1.0).ln() / (most as f64 + 1.0).ln();
    let bar = |&count: &u64| match count {
        0 => ' ',
        _ => BARS[((scale(count) * BARS.len() as f64).ceil() as usize).clamp(1, BARS.len()) - 1],
    };
    let mut bars: String = counts.iter().map(bar).collect();
    // It is as wide as its title, so that it is read against it.
    bars.extend(std::iter::repeat_n(' ', AXIS.chars().count() - cells));
    bars
}
