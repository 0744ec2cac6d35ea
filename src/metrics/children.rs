//! Figures of other programs that are served, which their supervisor keeps, for the exposition.

use super::exposition::{Exposition, FamilyWriter, Kind};
use super::labels::{ChildDeath, ChildState, Label};

/// The children of one server at one moment. The server's name is the operator's, so the label is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildServerFigures {
    /// The server's name.
    pub server: String,
    /// Its children, by state.
    pub children: [u64; ChildState::COUNT],
    /// Children that were started.
    pub starts_total: u64,
    /// Children that came to be ready.
    pub ready_total: u64,
    /// The time from the starts of these until they were ready, in milliseconds.
    pub ready_ms_total: u64,
    /// Children that died, by reason.
    pub deaths_total: [u64; ChildDeath::COUNT],
    /// Whether its calls are refused because its children fail too often.
    pub is_quarantined: bool,
}

impl ChildServerFigures {
    /// Writes the families of all servers; none if there are none.
    pub(super) fn expose(exposition: &mut Exposition, servers: &[ChildServerFigures]) {
        let mut family = |kind, name, help, write: &dyn Fn(&mut FamilyWriter<'_>, &ChildServerFigures)| {
            exposition.family(kind, name, help, |family| {
                servers.iter().for_each(|server| write(family, server));
            });
        };
        family(
            Kind::Gauge,
            "weir_children",
            "Children, by state.",
            &|family, server| {
                by_label::<ChildState>(family, server, "state", &server.children);
            },
        );
        let starts = "Children that were started.";
        family(
            Kind::Counter,
            "weir_child_starts_total",
            starts,
            &|family, server| {
                family.sample(&[("server", &server.server)], server.starts_total);
            },
        );
        let ready = "Children that came to be ready.";
        family(
            Kind::Counter,
            "weir_child_ready_total",
            ready,
            &|family, server| {
                family.sample(&[("server", &server.server)], server.ready_total);
            },
        );
        let time = "Time from the starts of children until they were ready.";
        family(
            Kind::Counter,
            "weir_child_start_seconds_total",
            time,
            &|family, server| {
                let seconds = server.ready_ms_total as f64 / 1000.0;
                family.sample(&[("server", &server.server)], seconds);
            },
        );
        let deaths = "Children that died though nobody had ended them, by reason.";
        family(
            Kind::Counter,
            "weir_child_deaths_total",
            deaths,
            &|family, server| {
                by_label::<ChildDeath>(family, server, "reason", &server.deaths_total);
            },
        );
        let quarantined = "Whether calls are refused because children fail too often.";
        family(
            Kind::Gauge,
            "weir_child_quarantined",
            quarantined,
            &|family, server| {
                family.sample(&[("server", &server.server)], u8::from(server.is_quarantined));
            },
        );
    }
}

fn by_label<L: Label>(
    family: &mut FamilyWriter<'_>,
    server: &ChildServerFigures,
    label: &'static str,
    counts: &[u64],
) {
    for (member, count) in L::all().iter().zip(counts) {
        family.sample(&[("server", &server.server), (label, member.as_str())], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition_parser::parse;

    #[test]
    fn every_state_and_reason_is_there_from_the_start_and_nothing_without_servers() {
        let mut exposition = Exposition::default();
        ChildServerFigures::expose(&mut exposition, &[]);
        assert_eq!(exposition.into_text(), "");
        let mut exposition = Exposition::default();
        let figures = ChildServerFigures {
            server: "time".to_owned(),
            ready_ms_total: 1_500,
            is_quarantined: true,
            ..ChildServerFigures::default()
        };
        ChildServerFigures::expose(&mut exposition, &[figures]);
        let text = exposition.into_text();
        parse(&text);
        for line in [
            "weir_children{server=\"time\",state=\"serving\"} 0",
            "weir_child_start_seconds_total{server=\"time\"} 1.5",
            "weir_child_deaths_total{server=\"time\",reason=\"memory\"} 0",
            "weir_child_quarantined{server=\"time\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(samples, ChildState::COUNT + ChildDeath::COUNT + 4);
    }
}
