//! Figures of tools that may run only so many calls at once, which their limits keep, for the exposition.

use std::ops::AddAssign;

use super::exposition::{Exposition, Kind};
use super::labels::ToolLabels;

/// The limit of one tool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ToolLimitFigures {
    /// Calls in flight.
    pub in_flight: u64,
    /// Calls that may be in flight.
    pub in_flight_max: u64,
    /// Calls that wait for others of the tool.
    pub waiting: u64,
    /// Calls that were refused because of the limit.
    pub refused_total: u64,
}

impl AddAssign for ToolLimitFigures {
    fn add_assign(&mut self, other: Self) {
        self.in_flight += other.in_flight;
        self.in_flight_max += other.in_flight_max;
        self.waiting += other.waiting;
        self.refused_total += other.refused_total;
    }
}

type Read = fn(&ToolLimitFigures) -> u64;

/// Each family: its kind, name, help, and what it shows.
const FAMILIES: [(Kind, &str, &str, Read); 4] = [
    (
        Kind::Gauge,
        "weir_tool_in_flight",
        "Calls in flight of a tool with a limit.",
        |figures| figures.in_flight,
    ),
    (
        Kind::Gauge,
        "weir_tool_in_flight_max",
        "Calls of a tool that may be in flight.",
        |figures| figures.in_flight_max,
    ),
    (
        Kind::Gauge,
        "weir_tool_waiting",
        "Calls that wait for other calls of their tool.",
        |figures| figures.waiting,
    ),
    (
        Kind::Counter,
        "weir_tool_refusals_total",
        "Calls refused because of the limit of their tool.",
        |figures| figures.refused_total,
    ),
];

/// Writes the families of all limited tools; none if there are none. Tools without a label of their own are shown
/// together.
pub(super) fn expose(
    exposition: &mut Exposition,
    labels: &ToolLabels,
    limits: &[(String, ToolLimitFigures)],
) {
    let mut rows: Vec<Option<ToolLimitFigures>> = vec![None; labels.rows()];
    for (name, figures) in limits {
        if let Some(row) = rows.get_mut(labels.row_of(name).index()) {
            *row.get_or_insert_default() += *figures;
        }
    }
    for (kind, name, help, read) in FAMILIES {
        exposition.family(kind, name, help, |family| {
            for (row, tool) in labels.iter() {
                if let Some(Some(figures)) = rows.get(row.index()) {
                    family.sample(&[("tool", tool)], read(figures));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition_parser::parse;

    #[test]
    fn each_limited_tool_has_its_figures_and_those_without_a_label_are_added() {
        let labels = ToolLabels::new(["search", "echo", "b", "c"], 2);
        let figures = |number: u64| ToolLimitFigures {
            in_flight: number,
            in_flight_max: 2 * number,
            waiting: 3 * number,
            refused_total: 4 * number,
        };
        let limits = [("search", 1), ("b", 10), ("c", 100)];
        let limits = limits.map(|(name, number)| (name.to_owned(), figures(number)));
        let mut exposition = Exposition::default();
        expose(&mut exposition, &labels, &limits);
        let samples = parse(&exposition.into_text());
        for (name, number) in [
            ("weir_tool_in_flight", 1.0),
            ("weir_tool_in_flight_max", 2.0),
            ("weir_tool_waiting", 3.0),
            ("weir_tool_refusals_total", 4.0),
        ] {
            assert_eq!(samples.of(name).count(), 2, "echo has no limit");
            assert_eq!(samples.value(name, &[("tool", "search")]), Some(number));
            assert_eq!(samples.value(name, &[("tool", "_OTHER")]), Some(110.0 * number));
        }
    }

    #[test]
    fn without_limits_there_is_nothing_to_show() {
        let mut exposition = Exposition::default();
        expose(&mut exposition, &ToolLabels::new(["a"], 8), &[]);
        assert_eq!(exposition.into_text(), "");
    }
}
