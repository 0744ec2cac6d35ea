//! One line on the size of the pool, judged by what happened.
//!
//! [`advise`] is a pure function of [`Facts`], which any report has. It names the limit of the work: handlers, the CPU,
//! workers or memory. It says nothing about a pool that is larger than it need be, for nobody knows what is yet to
//! come, nor about waits for workers that were not refused. Whether the CPU was the limit is judged by the times in
//! which something was short, see `contention`. Invariant: a pool size that it advises exceeds the present.

use std::fmt;
use std::time::Duration;

use super::brief::brief;
use super::merged::Report;
use crate::config::with_headroom;
use crate::metrics::labels::{OverloadReason, RequestClass};
use crate::metrics::shard::ShardSnapshot;

/// Refusals count from one request in 1,000: three nines is the least that anybody promises of a service.
const ONE_REFUSED_OF: u64 = 1_000;
/// Waits count from one request in 100. Below it the 99th percentile of all requests does not wait at all.
const ONE_WAITED_OF: u64 = 100;
/// The least P99 of waits that counts: OpenTelemetry's buckets for MCP begin at 10 ms, so nobody tells shorter ones
/// apart.
const WAIT_P99_MIN: Duration = Duration::from_millis(10);
/// The CPU is the limit from this share of it. At 0.8 a queue in front of it (M/M/1) already makes everything take
/// five times as long.
const CPU_SHARE_MIN: f64 = 0.8;

/// The figures of one shard's handlers and waiting calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShardFacts {
    pub pool_size: u64,
    pub pool_high_water: u64,
    pub queue_high_water: u64,
}

impl ShardFacts {
    fn of(numbers: &ShardSnapshot) -> Self {
        Self {
            pool_size: numbers.pool_size,
            pool_high_water: numbers.pool_high_water,
            queue_high_water: numbers.queue_high_water,
        }
    }

    /// The number of handlers that were needed at once. A request waits only when every handler is taken.
    fn needed(self) -> u64 {
        match self.queue_high_water {
            0 => self.pool_high_water,
            waiting => self.pool_size + waiting,
        }
    }

    fn is_exhausted(self) -> bool {
        self.pool_size > 0 && self.needed() >= self.pool_size
    }
}

/// The figures that the advice is based on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub shards: Vec<ShardFacts>,
    /// Requests that need a handler.
    pub work: u64,
    /// Of them, those that waited for one.
    pub waited: u64,
    /// The P99 of the waits that ended with a handler or timed out.
    pub wait_p99: Duration,
    /// Calls refused because the queue had no place.
    pub refused_full: u64,
    /// Calls refused after waiting in vain.
    pub refused_late: u64,
    /// Calls refused because the workers' queue was full.
    pub refused_workers: u64,
    /// Calls refused because memory was short.
    pub refused_memory: u64,
    /// Calls refused because so many of their tool were in flight as may be.
    pub refused_tool: u64,
    /// Calls refused because no child of their program took them.
    pub refused_children: u64,
    /// The longest mean time of a program's calls outside of its children; most of it is waiting for one.
    pub children_wait: Duration,
    /// Whether shards served each other's waiting requests.
    pub is_balanced: bool,
    /// Share of the shards' cores that the process used, or would have used, while something was short; `None` if
    /// nothing was. Workers' time counts too: a blocking tool that computes needs cores just as a shard does, and by
    /// default they are the same ones.
    pub cpu_share: Option<f64>,
}

impl Facts {
    pub(super) fn of(report: &Report) -> Self {
        let all = &report.all;
        let shards: Vec<ShardFacts> = report
            .shards
            .iter()
            .map(|shard| ShardFacts::of(&shard.numbers))
            .collect();
        Self {
            cpu_share: report.contention.cpu_share(shards.len()),
            shards,
            work: all.requests_of(RequestClass::Work),
            waited: all.queued,
            wait_p99: report.all_histograms.waits().quantile(0.99),
            refused_full: all.refusals.of(OverloadReason::Handlers),
            refused_late: all.refusals.of(OverloadReason::QueueTimeout),
            refused_workers: all.refusals.of(OverloadReason::Workers),
            refused_memory: all.refusals.of(OverloadReason::Memory),
            refused_tool: all.refusals.of(OverloadReason::Tool),
            refused_children: all.refusals.of(OverloadReason::Children),
            children_wait: report
                .children
                .iter()
                .map(|server| server.elsewhere.mean())
                .max()
                .unwrap_or_default(),
            is_balanced: all.steals_in > 0,
        }
    }

    fn is_worth_mentioning(&self, refused: u64) -> bool {
        refused > 0 && refused.saturating_mul(ONE_REFUSED_OF) >= self.work
    }

    /// Whether so many calls waited for a handler that somebody notices.
    fn is_queueing(&self) -> bool {
        self.waited > 0 && self.waited.saturating_mul(ONE_WAITED_OF) >= self.work
    }

    /// Whether calls were refused, or waited, for a child. Where many waited for a handler, too, nobody knows what the
    /// time outside of children was for.
    fn is_short_of_children(&self) -> bool {
        self.is_worth_mentioning(self.refused_children)
            || (self.children_wait >= WAIT_P99_MIN && !self.is_queueing())
    }

    /// Whether requests suffered because there were too few handlers.
    fn is_short_of_handlers(&self) -> bool {
        let is_waiting_long = self.is_queueing() && self.wait_p99 >= WAIT_P99_MIN;
        let is_exhausted = self.shards.iter().any(|shard| shard.is_exhausted());
        is_exhausted && (is_waiting_long || self.is_worth_mentioning(self.refused_full + self.refused_late))
    }

    /// The number of handlers per shard with which nobody would have waited, with a quarter of them free.
    ///
    /// Where shards took each other's waiters, the need is that of all together, and each has its part of it.
    /// Otherwise, or if that is no more than there is, the busiest shard's need is the measure.
    fn handlers_needed(&self) -> u64 {
        let size = self.shards.iter().map(|shard| shard.pool_size).max().unwrap_or(0);
        let total: u64 = self.shards.iter().map(|shard| shard.needed()).sum();
        let mean = with_headroom(total).div_ceil(self.shards.len().max(1) as u64);
        if self.is_balanced && mean > size {
            return mean;
        }
        let busiest = self.shards.iter().map(|shard| shard.needed()).max();
        with_headroom(busiest.unwrap_or(0))
    }
}

/// The change to make, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// There was no work to judge by.
    NoWork,
    /// Nothing was short.
    SizedWell,
    /// Handlers were the limit.
    RaisePoolSize {
        /// The number of handlers on each shard.
        handlers: u64,
        /// Whether more may be needed, because requests that found the queue full were not counted.
        is_at_least: bool,
    },
    /// The CPU was the limit; more handlers would only divide it further.
    MoreCores,
    /// Worker threads were the limit; more handlers would only wait for them.
    MoreWorkers,
    /// The processes of a program were the limit; more handlers would only wait for them.
    MoreChildren,
    /// The limit of a tool was; it may be meant.
    ToolLimit,
    /// Memory was the limit.
    MoreMemory,
}

/// Judges the figures.
pub(super) fn advise(facts: &Facts) -> Advice {
    let is_short_of_workers = facts.is_worth_mentioning(facts.refused_workers);
    let is_short_of_handlers = facts.is_short_of_handlers();
    let is_cpu_the_limit = facts.cpu_share.is_some_and(|share| share >= CPU_SHARE_MIN);
    if (is_short_of_handlers || is_short_of_workers) && is_cpu_the_limit {
        Advice::MoreCores
    } else if is_short_of_workers {
        Advice::MoreWorkers
    } else if facts.is_short_of_children() {
        Advice::MoreChildren
    } else if is_short_of_handlers {
        Advice::RaisePoolSize {
            handlers: facts.handlers_needed(),
            is_at_least: facts.refused_full > 0,
        }
    } else if facts.is_worth_mentioning(facts.refused_memory) {
        Advice::MoreMemory
    } else if facts.is_worth_mentioning(facts.refused_tool) {
        Advice::ToolLimit
    } else if facts.work == 0 {
        Advice::NoWork
    } else {
        Advice::SizedWell
    }
}

impl Advice {
    /// The stable name, for programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoWork => "no_work",
            Self::SizedWell => "sized_well",
            Self::RaisePoolSize { .. } => "raise_pool_size",
            Self::MoreCores => "more_cores",
            Self::MoreWorkers => "more_workers",
            Self::MoreChildren => "more_children",
            Self::ToolLimit => "tool_limit",
            Self::MoreMemory => "more_memory",
        }
    }

    /// The advised pool size, if there is one.
    pub(super) const fn pool_size(self) -> Option<u64> {
        match self {
            Self::RaisePoolSize { handlers, .. } => Some(handlers),
            _ => None,
        }
    }

    /// Whether it is about the size of the pool, of which others speak, too.
    pub(super) const fn is_about_the_pool(self) -> bool {
        matches!(self, Self::SizedWell | Self::RaisePoolSize { .. })
    }

    /// The advice and its evidence, on one line.
    pub(super) fn line(self, facts: &Facts) -> String {
        match self {
            Self::NoWork => self.to_string(),
            _ => format!("{self} ({facts})"),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWork => f.write_str("no work was done: nothing to advise"),
            Self::SizedWell => f.write_str("sized well"),
            Self::RaisePoolSize {
                handlers,
                is_at_least,
            } => {
                let or_more = if *is_at_least { " or more" } else { "" };
                write!(f, "raise --pool-size to {handlers}{or_more}")
            }
            Self::MoreCores => f.write_str("more cores, not more handlers"),
            Self::MoreWorkers => f.write_str("raise --workers or --worker-queue, not --pool-size"),
            Self::MoreChildren => f.write_str(
                "more processes of the programs that are served (max or max_in_flight in --pool), not more handlers",
            ),
            Self::ToolLimit => f.write_str("a tool's limit refused calls (--tool); nothing else was short"),
            Self::MoreMemory => f.write_str("raise --memory-max"),
        }
    }
}

/// The evidence.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fullest = self.shards.iter().max_by_key(|shard| shard.pool_high_water);
        if let Some(shard) = fullest {
            let (leased, size) = (shard.pool_high_water, shard.pool_size);
            write!(f, "at most {leased} of a shard's {size} handlers leased; ")?;
        }
        let percent = self.waited as f64 * 100.0 / self.work.max(1) as f64;
        write!(f, "{percent:.1} % of {} calls waited", self.work)?;
        if !self.wait_p99.is_zero() {
            write!(f, ", P99 {}", brief(self.wait_p99))?;
        }
        let refused = self.refused_full + self.refused_late + self.refused_workers + self.refused_memory;
        write!(
            f,
            "; {} refused",
            refused + self.refused_tool + self.refused_children
        )?;
        if self.children_wait >= WAIT_P99_MIN {
            write!(
                f,
                "; {} outside of their program's processes",
                brief(self.children_wait)
            )?;
        }
        match self.cpu_share {
            Some(share) => write!(
                f,
                "; {:.0} % of the CPUs used or waited for meanwhile",
                share * 100.0
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: ShardFacts = ShardFacts {
        pool_size: 32,
        pool_high_water: 12,
        queue_high_water: 0,
    };
    const FULL: ShardFacts = ShardFacts {
        pool_high_water: 32,
        ..CALM
    };
    const WAITING: ShardFacts = ShardFacts {
        queue_high_water: 16,
        ..FULL
    };

    fn facts(shards: &[ShardFacts]) -> Facts {
        Facts {
            shards: shards.to_vec(),
            work: 10_000,
            waited: 0,
            wait_p99: Duration::ZERO,
            refused_full: 0,
            refused_late: 0,
            refused_workers: 0,
            refused_memory: 0,
            refused_tool: 0,
            refused_children: 0,
            children_wait: Duration::ZERO,
            is_balanced: false,
            cpu_share: Some(0.1),
        }
    }

    /// Many waited long, at an exhausted pool.
    fn waiting() -> Facts {
        Facts {
            waited: 5_000,
            wait_p99: Duration::from_millis(40),
            ..facts(&[WAITING])
        }
    }

    fn raise(handlers: u64) -> Advice {
        Advice::RaisePoolSize {
            handlers,
            is_at_least: false,
        }
    }

    #[test]
    fn who_did_nothing_gets_no_advice() {
        let nothing = Facts {
            work: 0,
            cpu_share: None,
            ..facts(&[CALM])
        };
        assert_eq!(advise(&nothing), Advice::NoWork);
        assert_eq!(
            advise(&Facts {
                shards: vec![],
                ..nothing
            }),
            Advice::NoWork
        );
    }

    #[test]
    fn a_pool_with_room_is_sized_well_even_if_the_cpu_is_busy() {
        assert_eq!(advise(&facts(&[CALM])), Advice::SizedWell);
        let computing = Facts {
            cpu_share: Some(1.0),
            ..facts(&[CALM])
        };
        assert_eq!(advise(&computing), Advice::SizedWell);
    }

    #[test]
    fn a_pool_that_was_just_enough_is_sized_well() {
        assert_eq!(advise(&facts(&[FULL])), Advice::SizedWell);
    }

    #[test]
    fn waits_at_an_exhausted_pool_ask_for_what_was_needed() {
        // 32 at work and 16 waiting are 48 of 64.
        assert_eq!(advise(&waiting()), raise(64));
    }

    #[test]
    fn waits_count_from_one_in_a_hundred_and_ten_milliseconds() {
        let of = |waited, micros| {
            advise(&Facts {
                waited,
                wait_p99: Duration::from_micros(micros),
                ..waiting()
            })
        };
        assert_eq!(of(100, 10_000), raise(64));
        assert_eq!(of(99, 10_000), Advice::SizedWell);
        assert_eq!(of(100, 9_999), Advice::SizedWell);
        assert_eq!(of(10_000, 9_999), Advice::SizedWell);
    }

    #[test]
    fn refusals_count_from_one_in_a_thousand_and_together() {
        let of = |refused_full, refused_late| {
            advise(&Facts {
                refused_full,
                refused_late,
                ..facts(&[WAITING])
            })
        };
        assert_eq!(of(0, 9), Advice::SizedWell);
        assert_eq!(of(0, 10), raise(64));
        assert_eq!(of(4, 5), Advice::SizedWell);
        let at_least = Advice::RaisePoolSize {
            handlers: 64,
            is_at_least: true,
        };
        assert_eq!(of(5, 5), at_least);
        // Without a queue nobody knows how many were refused at once: a quarter more, to begin with.
        let queueless = Facts {
            refused_full: 10,
            ..facts(&[FULL])
        };
        let at_least = Advice::RaisePoolSize {
            handlers: 43,
            is_at_least: true,
        };
        assert_eq!(advise(&queueless), at_least);
    }

    #[test]
    fn a_pool_that_never_was_exhausted_is_not_what_is_short() {
        let almost = ShardFacts {
            pool_high_water: 31,
            ..CALM
        };
        let refusing = |shard| {
            advise(&Facts {
                refused_late: 500,
                ..facts(&[shard])
            })
        };
        assert_eq!(refusing(almost), Advice::SizedWell);
        assert_eq!(refusing(FULL), raise(43));
    }

    #[test]
    fn an_exhausted_pool_on_a_busy_cpu_asks_for_cores() {
        let of = |cpu_share| {
            advise(&Facts {
                cpu_share,
                ..waiting()
            })
        };
        assert_eq!(of(Some(0.8)), Advice::MoreCores);
        assert_eq!(of(Some(1.0)), Advice::MoreCores);
        assert_eq!(of(Some(0.799)), raise(64));
        assert_eq!(of(None), raise(64));
    }

    #[test]
    fn shards_that_help_each_other_share_the_need() {
        let uneven = |is_balanced| {
            advise(&Facts {
                shards: vec![WAITING, FULL],
                is_balanced,
                ..waiting()
            })
        };
        assert_eq!(uneven(false), raise(64));
        // 48 and 32 are 80 of 107, 54 each.
        assert_eq!(uneven(true), raise(54));
        let idle_neighbour = Facts {
            shards: vec![
                WAITING,
                ShardFacts {
                    pool_high_water: 0,
                    ..CALM
                },
            ],
            is_balanced: true,
            ..waiting()
        };
        // Half of 48 would be fewer than there are.
        assert_eq!(advise(&idle_neighbour), raise(64));
    }

    #[test]
    fn full_workers_are_not_helped_by_handlers() {
        let of = |refused_workers, cpu_share| {
            advise(&Facts {
                refused_workers,
                cpu_share,
                ..waiting()
            })
        };
        assert_eq!(of(9, None), raise(64));
        assert_eq!(of(10, None), Advice::MoreWorkers);
        assert_eq!(of(10, Some(0.9)), Advice::MoreCores);
        let calm = Facts {
            refused_workers: 10,
            ..facts(&[CALM])
        };
        assert_eq!(advise(&calm), Advice::MoreWorkers);
    }

    #[test]
    fn children_are_named_before_the_handlers_that_wait_for_them() {
        let refusing = |refused_children, base: Facts| {
            advise(&Facts {
                refused_children,
                ..base
            })
        };
        assert_eq!(refusing(9, facts(&[CALM])), Advice::SizedWell);
        assert_eq!(refusing(10, facts(&[CALM])), Advice::MoreChildren);
        assert_eq!(refusing(10, waiting()), Advice::MoreChildren);
        let slow = |millis, base: Facts| {
            advise(&Facts {
                children_wait: Duration::from_millis(millis),
                ..base
            })
        };
        assert_eq!(slow(9, facts(&[CALM])), Advice::SizedWell);
        assert_eq!(slow(10, facts(&[CALM])), Advice::MoreChildren);
        // They may have waited for a handler.
        assert_eq!(slow(10, waiting()), raise(64));
        let limited = Facts {
            refused_tool: 10,
            ..facts(&[CALM])
        };
        assert_eq!(advise(&limited), Advice::ToolLimit);
        let line = Advice::ToolLimit.line(&limited);
        assert!(
            line.contains("a tool's limit") && line.contains("; 10 refused"),
            "{line}"
        );
    }

    #[test]
    fn memory_is_named_when_nothing_else_was_short() {
        let of = |refused_memory, work| {
            advise(&Facts {
                refused_memory,
                work,
                ..facts(&[CALM])
            })
        };
        assert_eq!(of(9, 10_000), Advice::SizedWell);
        assert_eq!(of(10, 10_000), Advice::MoreMemory);
        assert_eq!(of(1, 0), Advice::MoreMemory);
        let both = Facts {
            refused_memory: 10,
            ..waiting()
        };
        assert_eq!(advise(&both), raise(64));
    }

    #[test]
    fn whatever_happened_a_raised_pool_is_larger_than_it_was() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut raised = 0;
        for _ in 0..10_000 {
            let pool_size = random.u64(1..100);
            let shard = |random: &mut fastrand::Rng| ShardFacts {
                pool_size,
                pool_high_water: random.u64(0..=pool_size),
                queue_high_water: random.u64(0..4) * random.u64(0..50),
            };
            let shards = (0..random.usize(1..5)).map(|_| shard(&mut random)).collect();
            let facts = Facts {
                shards,
                is_balanced: random.bool(),
                ..waiting()
            };
            if let Some(handlers) = advise(&facts).pool_size() {
                assert!(handlers > pool_size, "{handlers} of {facts:?}");
                raised += 1;
            }
        }
        assert!(raised > 1_000, "{raised}");
    }

    #[test]
    fn it_is_one_line_with_its_reasons() {
        let facts = Facts {
            refused_full: 10,
            wait_p99: Duration::from_nanos(40_123_456),
            ..waiting()
        };
        assert_eq!(
            advise(&facts).line(&facts),
            "raise --pool-size to 64 or more (at most 32 of a shard's 32 handlers leased; 50.0 % of 10000 calls \
             waited, P99 40.1ms; 10 refused; 10 % of the CPUs used or waited for meanwhile)"
        );
        assert_eq!(Advice::NoWork.line(&facts), "no work was done: nothing to advise");
    }
}
