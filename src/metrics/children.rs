//! Figures of other programs that are served, which their supervisor keeps, for the exposition.

use std::time::Duration;

use super::exposition::{Exposition, FamilyWriter, Kind};
use super::labels::{ChildDeath, ChildRefusal, ChildState, Label};

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
    /// Calls that children have.
    pub in_flight: u64,
    /// Calls that wait for a child.
    pub waiting: u64,
    /// Calls that were refused before a child had them, by reason.
    pub refused_total: [u64; ChildRefusal::COUNT],
    /// Calls that children have answered.
    pub calls_total: u64,
    /// The time that children had these.
    pub with_children_total: Duration,
    /// The rest of their time, from the request to the answer: on the way, and waiting.
    pub elsewhere_total: Duration,
    /// Resident bytes of children, with all that they started.
    pub resident_bytes: u64,
    /// CPU time of the same, and of those that are gone.
    pub cpu_total: Duration,
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
        let count = |kind, name, help, of: fn(&ChildServerFigures) -> u64| (kind, name, help, of);
        let counts = [
            count(
                Kind::Gauge,
                "weir_child_calls_in_flight",
                "Calls that children have.",
                |server| server.in_flight,
            ),
            count(
                Kind::Gauge,
                "weir_child_calls_waiting",
                "Calls that wait for a child.",
                |server| server.waiting,
            ),
            count(
                Kind::Counter,
                "weir_child_calls_total",
                "Calls that children have answered.",
                |server| server.calls_total,
            ),
            count(
                Kind::Gauge,
                "weir_child_resident_bytes",
                "Resident memory of children, with all that they started.",
                |server| server.resident_bytes,
            ),
        ];
        for (kind, name, help, of) in counts {
            family(kind, name, help, &|family, server| {
                family.sample(&[("server", &server.server)], of(server));
            });
        }
        type Time = fn(&ChildServerFigures) -> Duration;
        let times: [(&str, &str, Time); 3] = [
            (
                "weir_child_call_seconds_total",
                "Time that children had the calls they answered.",
                |server| server.with_children_total,
            ),
            (
                "weir_child_overhead_seconds_total",
                "The rest of the time of these calls: on the way, and waiting for a child.",
                |server| server.elsewhere_total,
            ),
            (
                "weir_child_cpu_seconds_total",
                "CPU time of children, with all that they started.",
                |server| server.cpu_total,
            ),
        ];
        for (name, help, of) in times {
            family(Kind::Counter, name, help, &|family, server| {
                family.sample(&[("server", &server.server)], of(server).as_secs_f64());
            });
        }
        let refused = "Calls that were refused before a child had them, by reason.";
        family(
            Kind::Counter,
            "weir_child_refusals_total",
            refused,
            &|family, server| {
                by_label::<ChildRefusal>(family, server, "reason", &server.refused_total);
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
            "weir_child_refusals_total{server=\"time\",reason=\"queue_full\"} 0",
            "weir_child_overhead_seconds_total{server=\"time\"} 0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(
            samples,
            ChildState::COUNT + ChildDeath::COUNT + ChildRefusal::COUNT + 11
        );
    }
}
