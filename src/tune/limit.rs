//! What keeps a server from carrying more.

use std::fmt;

use serde::Serialize;

use super::observation::{Inside, Load, Observation};

/// So much of a thing counts as all of it, because the figures are means that include the beginning and the end.
const ALL: f64 = 0.95;
/// A shard that computes for so much of its time has none left: the rest are its looks at the ring.
const CPU_ALL: f64 = 0.9;

/// Why a rate is the highest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Limit {
    /// Every handler is leased.
    Pool,
    /// The shards compute all the time: more handlers would only make everybody slower.
    Cpu { cpus: f64, shards: usize },
    /// All threads for blocking tools are busy, and calls wait for them.
    Workers { threads: f64, cpus: Option<f64> },
    /// A tool may have so many calls in flight.
    Tool { name: String },
    /// The processes of a program are all busy.
    Children { server: String },
    /// The memory budget is spent.
    Memory,
    /// Something else was refused for want of it.
    Refusals { reason: String },
    /// Connections hold handlers though they ask nothing (`--linger`).
    Linger,
    /// More was not to be sent.
    RateMax { rate: f64 },
    /// The load generator had no time for more.
    Generator { why: String },
    /// More clients got no more answers, or there might be none, though nothing that is known of the server is used up.
    Unknown,
}

impl Limit {
    /// What was short under a load that the server carried no more of.
    pub(crate) fn of(seen: &Observation) -> Limit {
        let inside = seen.server.as_ref();
        inside
            .and_then(|inside| Self::inside(inside, seen.load))
            .or_else(|| seen.hindrance.clone().map(|why| Limit::Generator { why }))
            .unwrap_or(Limit::Unknown)
    }

    fn inside(inside: &Inside, load: Load) -> Option<Limit> {
        let refused = |reason: &str| inside.refusals.iter().any(|(own, _)| own == reason);
        if refused("memory") {
            return Some(Limit::Memory);
        }
        if let Some(name) = &inside.tool_at_limit {
            return Some(Limit::Tool { name: name.clone() });
        }
        if let Some(server) = &inside.children_waited_for {
            return Some(Limit::Children {
                server: server.clone(),
            });
        }
        if inside.workers > 0.0 && inside.workers_busy >= ALL * inside.workers && inside.workers_queued >= 0.5
        {
            return Some(Limit::Workers {
                threads: inside.workers,
                cpus: inside.cpus,
            });
        }
        let shards = inside.shards.len();
        // Workers compute, too, but not on a shard's account.
        let own = inside.cpus.map(|cpus| cpus - inside.workers_busy);
        if let Some(cpus) = own
            && cpus >= CPU_ALL * shards as f64
        {
            return Some(Limit::Cpu { cpus, shards });
        }
        if let (Load::Clients(clients), true) = (load, inside.lingering > 0.5 * inside.leased)
            && inside.leased >= ALL * inside.handlers.min(clients as f64)
        {
            return Some(Limit::Linger);
        }
        if inside.leased >= ALL * inside.handlers {
            return Some(Limit::Pool);
        }
        let other = inside
            .refusals
            .iter()
            .find(|(reason, _)| !matches!(reason.as_str(), "handlers" | "queue_timeout" | "draining"));
        other.map(|(reason, _)| Limit::Refusals {
            reason: reason.clone(),
        })
    }
}

/// A sentence for the operator.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Pool => f.write_str("the pool: every handler was busy"),
            Limit::Cpu { cpus, shards } => write!(
                f,
                "the CPU: {shards} shard{} used {cpus:.2} CPUs, so more handlers would only make everybody slower",
                if *shards == 1 { "" } else { "s" }
            ),
            Limit::Workers { threads, cpus } => {
                write!(
                    f,
                    "the workers: all {threads:.0} threads for blocking tools were busy"
                )?;
                cpus.map_or(Ok(()), |cpus| write!(f, ", on {cpus:.2} CPUs"))?;
                f.write_str("; --workers has more, if there are CPUs for them")
            }
            Limit::Tool { name } => write!(
                f,
                "the limit on calls of {name:?} in flight (`concurrency`, --tool): calls waited for it"
            ),
            Limit::Children { server } => write!(
                f,
                "the processes of {server:?}: calls waited for one (`max`, `max_in_flight` in --pool)"
            ),
            Limit::Memory => f.write_str("the memory budget (--memory-max): calls were refused for want of it"),
            Limit::Refusals { reason } => write!(f, "refusals with reason {reason:?}"),
            Limit::Linger => f.write_str(
                "connections that hold a handler though they ask nothing (--linger): the number of clients counts, not \
                 the rate; `weir size --linger forever` sizes such a pool",
            ),
            Limit::RateMax { rate } => write!(f, "what may be sent: --rate-max {rate:.0}"),
            Limit::Generator { why } => write!(
                f,
                "the load generator ({why}): the server can do more; give --cpus of its own, or run it on another machine"
            ),
            Limit::Unknown => f.write_str(
                "not known: nothing that the metrics show was used up. Something behind the server may be slow, or more \
                 clients would get more answers (--clients-max)",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::observation::Latency;

    fn inside() -> Inside {
        Inside {
            shards: vec![0.5, 0.5],
            handlers: 8.0,
            leased: 4.0,
            cpus: Some(0.4),
            workers: 4.0,
            ..Inside::default()
        }
    }

    fn seen(server: Option<Inside>) -> Observation {
        Observation {
            load: Load::Clients(10),
            seconds: 1.0,
            spent: 1.0,
            served: 10.0,
            latency: Latency::default(),
            refused: 0,
            failed: 0,
            failure: None,
            late: 0.0,
            hindrance: None,
            is_cut: false,
            server,
        }
    }

    #[test]
    fn each_shortage_is_called_by_its_name() {
        let of = |change: fn(&mut Inside)| {
            let mut inside = inside();
            change(&mut inside);
            Limit::of(&seen(Some(inside)))
        };
        assert_eq!(of(|_| {}), Limit::Unknown);
        assert_eq!(of(|inside| inside.leased = 7.9), Limit::Pool);
        let cpu = Limit::Cpu { cpus: 1.9, shards: 2 };
        assert_eq!(of(|inside| inside.cpus = Some(1.9)), cpu);
        // A pool that is full because its shards are: more handlers would not help.
        assert_eq!(of(|inside| (inside.cpus, inside.leased) = (Some(1.9), 8.0)), cpu);
        let workers = of(|inside| {
            (inside.workers_busy, inside.workers_queued, inside.leased) = (4.0, 3.0, 8.0);
            inside.cpus = Some(2.0);
        });
        assert_eq!(
            workers,
            Limit::Workers {
                threads: 4.0,
                cpus: Some(2.0)
            }
        );
        // Workers' time is not the shards'.
        assert_eq!(
            of(|inside| (inside.workers_busy, inside.cpus) = (2.0, Some(2.0))),
            Limit::Unknown
        );
        let tool = of(|inside| (inside.tool_at_limit, inside.leased) = (Some("x".to_owned()), 8.0));
        assert_eq!(tool, Limit::Tool { name: "x".to_owned() });
        let children = of(|inside| inside.children_waited_for = Some("c".to_owned()));
        assert_eq!(
            children,
            Limit::Children {
                server: "c".to_owned()
            }
        );
        assert_eq!(
            of(|inside| inside.refusals = vec![("memory".to_owned(), 1.0)]),
            Limit::Memory
        );
        assert_eq!(
            of(|inside| inside.refusals = vec![("connections".to_owned(), 1.0)]),
            Limit::Refusals {
                reason: "connections".to_owned()
            }
        );
        assert_eq!(
            of(|inside| (inside.leased, inside.lingering) = (8.0, 7.0)),
            Limit::Linger
        );
        let mut starved = seen(None);
        assert_eq!(Limit::of(&starved), Limit::Unknown);
        starved.hindrance = Some("busy".to_owned());
        assert_eq!(
            Limit::of(&starved),
            Limit::Generator {
                why: "busy".to_owned()
            }
        );
    }

    #[test]
    fn each_is_told_in_a_sentence() {
        let cpu = Limit::Cpu {
            cpus: 0.97,
            shards: 1,
        };
        assert_eq!(
            cpu.to_string(),
            "the CPU: 1 shard used 0.97 CPUs, so more handlers would only make everybody slower"
        );
        let hostile = Limit::Tool {
            name: "a\u{1b}[2J".to_owned(),
        };
        assert!(!hostile.to_string().contains('\u{1b}'), "{hostile}");
    }
}
