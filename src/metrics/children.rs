//! Figures of other programs that are served, which their supervisor keeps, for the exposition.

use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

use super::duration::DurationCounts;
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
    /// Calls that were made once more because their child died.
    pub repeated_total: u64,
    /// How long children had the calls that they answered.
    pub with_children: DurationCounts,
    /// The rest of the time of these calls, from the request to the answer: on the way, and waiting.
    pub elsewhere: DurationCounts,
    /// What children ask, and places that are lost.
    pub tally: ChildTally,
    /// Resident bytes of children, with all that they started.
    pub resident_bytes: u64,
    /// CPU time of the same, and of those that are gone.
    pub cpu_total: Duration,
    /// Whether its calls are refused because its children fail too often.
    pub is_quarantined: bool,
}

/// What children ask, and their places for calls that are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildTally {
    /// Questions whose clients have not answered yet.
    pub questions_held: u64,
    /// Questions that were put to clients, answered or not.
    pub questions_total: u64,
    /// Places that cancelled calls keep which their child does not answer.
    pub places_lost: u64,
    /// Places that were ever lost so.
    pub places_lost_total: u64,
    /// Answers to nobody, and second ones.
    pub stray_answers_total: u64,
    /// Lines that are no messages.
    pub rubbish_lines_total: u64,
}

impl ChildTally {
    /// What is left of it when the child is gone.
    #[must_use]
    pub fn totals(self) -> ChildTally {
        ChildTally {
            questions_held: 0,
            places_lost: 0,
            ..self
        }
    }
}

impl Add for ChildTally {
    type Output = ChildTally;

    fn add(self, other: ChildTally) -> ChildTally {
        ChildTally {
            questions_held: self.questions_held + other.questions_held,
            questions_total: self.questions_total + other.questions_total,
            places_lost: self.places_lost + other.places_lost,
            places_lost_total: self.places_lost_total + other.places_lost_total,
            stray_answers_total: self.stray_answers_total + other.stray_answers_total,
            rubbish_lines_total: self.rubbish_lines_total + other.rubbish_lines_total,
        }
    }
}

impl Sum for ChildTally {
    fn sum<I: Iterator<Item = ChildTally>>(tallies: I) -> ChildTally {
        tallies.fold(ChildTally::default(), Add::add)
    }
}

impl ChildServerFigures {
    /// Calls that children have answered.
    pub fn calls_total(&self) -> u64 {
        self.with_children.count()
    }

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
                ChildServerFigures::calls_total,
            ),
            count(
                Kind::Counter,
                "weir_child_calls_repeated_total",
                "Calls that were made once more because their child died.",
                |server| server.repeated_total,
            ),
            count(
                Kind::Gauge,
                "weir_child_resident_bytes",
                "Resident memory of children, with all that they started.",
                |server| server.resident_bytes,
            ),
            count(
                Kind::Gauge,
                "weir_child_questions_held",
                "Questions of children whose clients have not answered yet.",
                |server| server.tally.questions_held,
            ),
            count(
                Kind::Counter,
                "weir_child_questions_total",
                "Questions of children that were put to clients.",
                |server| server.tally.questions_total,
            ),
            count(
                Kind::Gauge,
                "weir_child_places_lost",
                "Places of children that cancelled calls keep which were never answered.",
                |server| server.tally.places_lost,
            ),
            count(
                Kind::Counter,
                "weir_child_places_lost_total",
                "Cancelled calls that their child did not answer in time.",
                |server| server.tally.places_lost_total,
            ),
            count(
                Kind::Counter,
                "weir_child_stray_answers_total",
                "Answers of children to nobody, and second ones.",
                |server| server.tally.stray_answers_total,
            ),
            count(
                Kind::Counter,
                "weir_child_rubbish_lines_total",
                "Lines of children that are no messages.",
                |server| server.tally.rubbish_lines_total,
            ),
        ];
        for (kind, name, help, of) in counts {
            family(kind, name, help, &|family, server| {
                family.sample(&[("server", &server.server)], of(server));
            });
        }
        type Times = fn(&ChildServerFigures) -> &DurationCounts;
        let histograms: [(&str, &str, Times); 2] = [
            (
                "weir_child_call_seconds",
                "Time that children had the calls they answered.",
                |server| &server.with_children,
            ),
            (
                "weir_child_overhead_seconds",
                "The rest of the time of these calls: on the way, and waiting for a child.",
                |server| &server.elsewhere,
            ),
        ];
        for (name, help, of) in histograms {
            family(Kind::Histogram, name, help, &|family, server| {
                family.histogram(&[("server", &server.server)], of(server));
            });
        }
        let used = "CPU time of children, with all that they started.";
        family(
            Kind::Counter,
            "weir_child_cpu_seconds_total",
            used,
            &|family, server| {
                family.sample(&[("server", &server.server)], server.cpu_total.as_secs_f64());
            },
        );
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
        let mut figures = ChildServerFigures {
            server: "time".to_owned(),
            ready_ms_total: 1_500,
            is_quarantined: true,
            repeated_total: 7,
            tally: ChildTally {
                questions_held: 1,
                questions_total: 2,
                places_lost: 3,
                places_lost_total: 4,
                stray_answers_total: 5,
                rubbish_lines_total: 6,
            },
            ..ChildServerFigures::default()
        };
        figures.with_children.record(Duration::from_millis(40));
        figures.elsewhere.record(Duration::from_micros(20));
        ChildServerFigures::expose(&mut exposition, &[figures]);
        let text = exposition.into_text();
        parse(&text);
        for line in [
            "weir_children{server=\"time\",state=\"serving\"} 0",
            "weir_child_start_seconds_total{server=\"time\"} 1.5",
            "weir_child_deaths_total{server=\"time\",reason=\"memory\"} 0",
            "weir_child_quarantined{server=\"time\"} 1",
            "weir_child_refusals_total{server=\"time\",reason=\"queue_full\"} 0",
            "weir_child_calls_total{server=\"time\"} 1",
            "weir_child_calls_repeated_total{server=\"time\"} 7",
            "weir_child_call_seconds_bucket{server=\"time\",le=\"0.025\"} 0",
            "weir_child_call_seconds_bucket{server=\"time\",le=\"0.05\"} 1",
            "weir_child_call_seconds_sum{server=\"time\"} 0.04",
            "weir_child_overhead_seconds_bucket{server=\"time\",le=\"0.000025\"} 1",
            "weir_child_overhead_seconds_count{server=\"time\"} 1",
            "weir_child_questions_held{server=\"time\"} 1",
            "weir_child_questions_total{server=\"time\"} 2",
            "weir_child_places_lost{server=\"time\"} 3",
            "weir_child_places_lost_total{server=\"time\"} 4",
            "weir_child_stray_answers_total{server=\"time\"} 5",
            "weir_child_rubbish_lines_total{server=\"time\"} 6",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(
            samples,
            ChildState::COUNT + ChildDeath::COUNT + ChildRefusal::COUNT + 16 + 2 * (21 + 2)
        );
    }
}
