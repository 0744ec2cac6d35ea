//! What a search has found, and what follows from it for the flags of the server.

use serde::Serialize;

use super::curve::{Bracket, Curve, LEFT};
use super::limit::Limit;
use super::observation::{Inside, Observation};

/// The classic rule: as many handlers as are busy at the peak, by this.
pub(crate) const CLASSIC_SHARE: f64 = 0.75;
/// Counts that agree this well are the same.
const AGREES: f64 = 0.1;
/// A machine has CPU left for bursts when its shards compute for this share of their time.
const CPU_SHARE: f64 = 0.8;
/// One shard does it, if it has so little to compute.
const CPU_OF_ONE: f64 = 0.35;
/// What the CPU would allow is told up to so many times what was measured.
const LARGER_MAX: f64 = 4.0;
/// The least places for calls that wait: a burst is no overload.
const QUEUE_LEAST: f64 = 32.0;

/// Why a search ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "why", rename_all = "snake_case")]
pub(crate) enum Ended {
    /// All is known.
    Complete,
    /// Its time was over before.
    TimeIsUp,
    /// Somebody ended it.
    Interrupted,
    /// No answers came any more.
    Failed(String),
}

/// Everything that was found. Times are in seconds, rates in requests per second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Found {
    pub(crate) ended: Ended,
    /// Within which 99 of 100 answers are to come, and whether the user said so.
    pub(crate) objective: Option<f64>,
    pub(crate) is_objective_given: bool,
    /// One client alone.
    pub(crate) idle: Option<Observation>,
    /// More and more clients.
    pub(crate) fills: Vec<Observation>,
    /// Open loops, by their rate.
    pub(crate) steps: Vec<Observation>,
    pub(crate) saturation: Option<Saturation>,
    pub(crate) knee: Option<Knee>,
    pub(crate) within: Option<Within>,
    pub(crate) little: Option<Little>,
    pub(crate) classic: Option<Classic>,
    pub(crate) recommended: Option<Recommended>,
}

/// The highest rate that is carried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Saturation {
    pub(crate) rate: f64,
    pub(crate) limit: Limit,
    /// The limit in words.
    pub(crate) because: String,
}

/// Where P99 leaves its plateau.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Knee {
    /// P99 far below saturation.
    pub(crate) plateau: f64,
    /// The rates between which it lies, and the utilization there. Without the higher one P99 never left the plateau.
    pub(crate) rate_low: f64,
    pub(crate) rate_high: Option<f64>,
    pub(crate) utilization: Option<f64>,
    /// Whether P99 of the step above is above the plateau beyond what chance explains, and no step disagrees.
    pub(crate) is_sure: bool,
    /// Steps on the wrong side of it, of so many.
    pub(crate) misfits: usize,
    pub(crate) steps: usize,
}

impl Knee {
    /// The middle of the rates between which it lies, on a scale of ratios.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate_high.map(|high| (self.rate_low * high).sqrt())
    }
}

/// The highest rate at which P99 holds the objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Within {
    pub(crate) rate: f64,
    pub(crate) p99: f64,
    pub(crate) utilization: Option<f64>,
    /// Whether it held once more, for longer.
    pub(crate) is_confirmed: bool,
}

/// Little's law: calls in flight are their rate by their time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Little {
    /// Rate by time in service.
    pub(crate) computed: f64,
    /// Handlers that were leased.
    pub(crate) counted: f64,
    pub(crate) agrees: bool,
}

/// What the classic rule says of the highest rate within the objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Classic {
    /// Calls in flight at that rate.
    pub(crate) in_flight: f64,
    /// Handlers by the rule, and those that carried it.
    pub(crate) handlers_by_rule: f64,
    pub(crate) handlers: f64,
    pub(crate) rule: Rule,
}

/// How the rule fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    Fits,
    /// Fewer handlers hold the objective, too.
    Wastes,
    /// It would not hold the objective.
    FallsShort,
    /// Handlers are not what limits this server.
    SaysNothing,
}

/// Flags for a server that is to carry [`Within::rate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Recommended {
    pub(crate) shards: usize,
    /// Per shard.
    pub(crate) pool_size: usize,
    /// Per shard.
    pub(crate) queue_depth: usize,
    pub(crate) queue_timeout: f64,
    /// A larger pool, and the rate that the CPU then allows, if the pool was the limit.
    pub(crate) larger: Option<Larger>,
}

/// A pool beyond the one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Larger {
    pub(crate) pool_size: usize,
    pub(crate) rate: f64,
}

/// What a search knows.
pub(super) struct Parts<'a> {
    pub(super) ended: Ended,
    pub(super) objective_given: Option<f64>,
    pub(super) objective: Option<f64>,
    pub(super) idle: Option<&'a Observation>,
    pub(super) fills: &'a [Observation],
    pub(super) saturation: Option<f64>,
    pub(super) limit: Option<Limit>,
    pub(super) curve: &'a Curve,
    pub(super) plateau: Option<f64>,
    pub(super) knee: Option<Bracket>,
    pub(super) holding: Option<Bracket>,
    pub(super) confirmed: Option<f64>,
}

impl Found {
    pub(super) fn of(parts: Parts<'_>) -> Found {
        let within = parts.within();
        let at = within.and_then(|within| parts.curve.nearest(within.rate));
        let inside = at.and_then(|step| step.server.as_ref());
        let busiest = inside.or_else(|| parts.fills.last().and_then(|fill| fill.server.as_ref()));
        let is_pool = parts.limit == Some(Limit::Pool);
        let is_whole = parts.ended == Ended::Complete;
        Found {
            objective: parts.objective,
            is_objective_given: parts.objective_given.is_some(),
            idle: parts.idle.cloned(),
            fills: parts.fills.to_vec(),
            steps: parts.curve.steps().to_vec(),
            saturation: parts
                .saturation
                .zip(parts.limit.clone())
                .map(|(rate, limit)| Saturation {
                    rate,
                    because: because(&limit, parts.fills),
                    limit,
                }),
            knee: parts.knee(),
            within,
            little: busiest.and_then(little),
            // What half a search says of the objective is no ground for flags.
            classic: inside
                .filter(|_| is_whole)
                .and_then(|inside| classic(inside, is_pool)),
            recommended: within
                .zip(inside)
                .filter(|_| is_whole)
                .and_then(|(within, inside)| parts.recommended(within, inside, is_pool)),
            ended: parts.ended,
        }
    }
}

impl Parts<'_> {
    fn within(&self) -> Option<Within> {
        let rate = self
            .confirmed
            .or_else(|| self.holding.map(|holding| holding.low))
            .filter(|rate| *rate > 0.0)?;
        let step = self.curve.nearest(rate)?;
        Some(Within {
            rate,
            p99: step.latency.p99,
            utilization: step.utilization(),
            is_confirmed: self.confirmed.is_some(),
        })
    }

    fn knee(&self) -> Option<Knee> {
        let (bracket, plateau) = (self.knee?, self.plateau?);
        let above = bracket.high.and_then(|high| self.curve.nearest(high));
        let below = self.curve.nearest(bracket.low);
        let both = below
            .and_then(Observation::utilization)
            .zip(above.and_then(Observation::utilization));
        let is_above_chance =
            above.is_some_and(|step| !step.is_carried() || step.latency.p99_low > LEFT * plateau);
        Some(Knee {
            plateau,
            rate_low: bracket.low,
            rate_high: bracket.high,
            utilization: both.map(|(low, high)| (low * high).sqrt()),
            is_sure: bracket.misfits == 0 && is_above_chance,
            misfits: bracket.misfits,
            steps: bracket.steps,
        })
    }

    /// The most calls that waited at one time while the objective held.
    fn queued_max(&self, rate: f64) -> f64 {
        let held = self.curve.steps().iter().filter(|step| step.offered() <= rate);
        let queued = held.filter_map(|step| step.server.as_ref().map(|inside| inside.queued_max));
        queued.fold(0.0, f64::max)
    }

    fn recommended(&self, within: Within, inside: &Inside, is_pool: bool) -> Option<Recommended> {
        let service = inside.service?;
        let in_flight = within.rate * service;
        let measured = inside.shards.len().max(1) as f64;
        let own_cpus = inside.cpus.map(|cpus| (cpus - inside.workers_busy).max(0.0));
        let shards = match own_cpus {
            Some(cpus) if cpus <= CPU_OF_ONE => 1.0,
            _ => measured,
        };
        // A pool that is the limit is right for the rate that it carried. Of another one the rule says how much is
        // needed, and for few handlers chance wants more.
        let handlers = if is_pool {
            inside.handlers
        } else {
            (in_flight / CLASSIC_SHARE)
                .max(in_flight + 3.0 * in_flight.sqrt())
                .min(inside.handlers)
        };
        let pool_size = (handlers / shards).ceil().max(1.0);
        let queue_depth = (2.0 * self.queued_max(within.rate) / shards)
            .ceil()
            .max(QUEUE_LEAST);
        let larger = own_cpus.filter(|cpus| is_pool && *cpus > 0.0).and_then(|cpus| {
            let rate = within.rate * (CPU_SHARE * measured / cpus).min(LARGER_MAX);
            let pool_size = (inside.handlers / measured * rate / within.rate).ceil();
            (rate > 1.3 * within.rate).then_some(Larger {
                pool_size: pool_size as usize,
                rate,
            })
        });
        Some(Recommended {
            shards: shards as usize,
            pool_size: pool_size as usize,
            queue_depth: queue_depth as usize,
            // Twice the time in which a full queue is worked off.
            queue_timeout: rounded_up(2.0 * queue_depth * service / pool_size).max(0.1),
            larger,
        })
    }
}

/// The limit in words. Of a server whose metrics nobody read there is nothing to say.
fn because(limit: &Limit, fills: &[Observation]) -> String {
    let is_blind = fills.iter().all(|fill| fill.server.is_none());
    match limit {
        Limit::Unknown if is_blind => "not known, because the server's metrics were not read (--admin): it may be its \
                                       handlers, its CPU, or that no more clients were allowed (--clients-max)"
            .to_owned(),
        limit => limit.to_string(),
    }
}

fn little(inside: &Inside) -> Option<Little> {
    let computed = inside.calls? * inside.service?;
    let counted = inside.leased;
    Some(Little {
        computed,
        counted,
        // Looks at the pool are few, so small counts agree roughly at best.
        agrees: (computed - counted).abs() <= (AGREES * counted.max(computed)).max(1.0),
    })
}

fn classic(inside: &Inside, is_pool: bool) -> Option<Classic> {
    let in_flight = inside.leased;
    let handlers_by_rule = in_flight / CLASSIC_SHARE;
    let ratio = handlers_by_rule / inside.handlers;
    let rule = match ratio {
        _ if !is_pool => Rule::SaysNothing,
        ratio if ratio > 1.0 + AGREES => Rule::Wastes,
        ratio if ratio < 1.0 - AGREES => Rule::FallsShort,
        _ => Rule::Fits,
    };
    (inside.handlers > 0.0).then_some(Classic {
        in_flight,
        handlers_by_rule,
        handlers: inside.handlers,
        rule,
    })
}

/// Up to the next number that people write.
fn rounded_up(seconds: f64) -> f64 {
    let mut unit = 1e-3;
    while unit < 1e6 {
        for factor in [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0] {
            if seconds <= factor * unit * 1.000_001 {
                return factor * unit;
            }
        }
        unit *= 10.0;
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_what_people_write() {
        for (seconds, rounded) in [
            (0.0, 1e-3),
            (0.0011, 1.5e-3),
            (0.05, 0.05),
            (0.7, 0.8),
            (9.0, 10.0),
        ] {
            assert!((rounded_up(seconds) - rounded).abs() < 1e-9, "{seconds}");
        }
    }

    #[test]
    fn the_rule_is_judged_by_the_pool_that_held() {
        let inside = |leased| Inside {
            handlers: 100.0,
            leased,
            ..Inside::default()
        };
        let rule = |leased, is_pool| classic(&inside(leased), is_pool).unwrap().rule;
        assert_eq!(rule(76.0, true), Rule::Fits);
        assert_eq!(rule(92.0, true), Rule::Wastes);
        assert_eq!(rule(50.0, true), Rule::FallsShort);
        assert_eq!(rule(50.0, false), Rule::SaysNothing);
    }

    #[test]
    fn a_limit_is_not_told_from_metrics_that_nobody_read() {
        let fill = |server| Observation {
            load: super::super::observation::Load::Clients(1),
            seconds: 1.0,
            spent: 1.0,
            served: 1.0,
            latency: super::super::observation::Latency::default(),
            refused: 0,
            failed: 0,
            failure: None,
            late: 0.0,
            hindrance: None,
            is_cut: false,
            server,
        };
        let told = |server| because(&Limit::Unknown, &[fill(server)]);
        assert!(told(None).contains("metrics were not read"));
        assert!(told(Some(Inside::default())).contains("nothing that the metrics show"));
    }

    #[test]
    fn counts_that_agree_are_littles_law() {
        let inside = |leased| Inside {
            leased,
            calls: Some(100.0),
            service: Some(0.5),
            ..Inside::default()
        };
        assert!(little(&inside(52.0)).unwrap().agrees);
        assert!(!little(&inside(70.0)).unwrap().agrees);
        assert_eq!(little(&Inside::default()), None);
    }
}
