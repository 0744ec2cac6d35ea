//! A load on a server, and what was seen of it. Times are in seconds, rates per second.

use serde::Serialize;

/// What is put on a server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Load {
    /// So many clients, each with one request outstanding, always.
    Clients(usize),
    /// Requests that are due at this rate, in a Poisson process.
    Rate(f64),
}

/// A load for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) load: Load,
    pub(crate) warm_up: f64,
    /// What counts, after the warm-up.
    pub(crate) seconds: f64,
}

/// What a step showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Observation {
    pub(crate) load: Load,
    /// What counted.
    pub(crate) seconds: f64,
    /// The whole step, until the server was at rest again.
    pub(crate) spent: f64,
    /// Good answers per second.
    pub(crate) served: f64,
    pub(crate) latency: Latency,
    /// Answers that said "not now", and requests that failed otherwise.
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// What the first failure was.
    pub(crate) failure: Option<String>,
    /// How late requests went out, but for one in a hundred.
    pub(crate) late: f64,
    /// What kept the load from being what it should have been.
    pub(crate) hindrance: Option<String>,
    /// Whether it was ended before its time, because the server began to refuse.
    pub(crate) is_cut: bool,
    /// What the server's metrics said, if they can be read.
    pub(crate) server: Option<Inside>,
}

/// Latencies of good answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Within which P99 lies, with 95 % confidence, if the latencies are independent of each other.
    pub(crate) p99_low: f64,
    pub(crate) p99_high: f64,
}

/// The server from inside, while the load was on it. Numbers without another word are means over the step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Inside {
    /// When its process began, in seconds since 1970.
    pub(crate) started: Option<f64>,
    /// Each shard's share of handlers that were leased.
    pub(crate) shards: Vec<f64>,
    /// Handlers of all shards.
    pub(crate) handlers: f64,
    /// Handlers that were leased, and of those the ones that only lingered.
    pub(crate) leased: f64,
    pub(crate) lingering: f64,
    /// Calls that waited, the most that were seen to at one time, and places for them.
    pub(crate) queued: f64,
    pub(crate) queued_max: f64,
    pub(crate) queue_places: f64,
    /// The time of a call with its handler; without waiting for it.
    pub(crate) service: Option<f64>,
    /// Calls per second that the server saw end.
    pub(crate) calls: Option<f64>,
    /// The time that 99 of 100 calls that had to wait did so at most, and the share of calls that had to.
    pub(crate) wait_p99: Option<f64>,
    pub(crate) waited: Option<f64>,
    /// CPUs in use, 1 being a whole one.
    pub(crate) cpus: Option<f64>,
    pub(crate) resident_bytes: Option<f64>,
    /// Threads for blocking tools, those that were busy, and calls that waited for one.
    pub(crate) workers: f64,
    pub(crate) workers_busy: f64,
    pub(crate) workers_queued: f64,
    /// A tool of which calls waited because so many may be in flight, and a program whose children were waited for.
    pub(crate) tool_at_limit: Option<String>,
    pub(crate) children_waited_for: Option<String>,
    /// Refusals by reason.
    pub(crate) refusals: Vec<(String, f64)>,
}

impl Observation {
    /// Whether the server answered all that was asked, well: "not now" is no answer, and one failure in a thousand is
    /// none of the load's.
    pub(crate) fn is_carried(&self) -> bool {
        let asked = self.latency.count + self.refused + self.failed;
        !self.is_cut && self.refused == 0 && self.latency.count > 0 && self.failed * 1000 <= asked
    }

    /// The rate that was asked for.
    pub(crate) fn offered(&self) -> f64 {
        match self.load {
            Load::Clients(_) => self.served,
            Load::Rate(rate) => rate,
        }
    }

    /// The share of all handlers that was leased.
    pub(crate) fn utilization(&self) -> Option<f64> {
        self.server.as_ref().and_then(Inside::utilization)
    }
}

impl Inside {
    /// By Little's law, which counts every call, where looks at the pool are few; lingering connections are none of it.
    pub(crate) fn utilization(&self) -> Option<f64> {
        let computed = self
            .calls
            .zip(self.service)
            .map(|(calls, service)| calls * service);
        let leased = computed.map_or(self.leased, |computed| computed + self.lingering);
        (self.handlers > 0.0).then(|| (leased / self.handlers).min(1.0))
    }
}

/// The ranks of the values, from 1, between which a quantile of all `count` lies with 95 % confidence: how many of them
/// are below it is binomial.
pub(crate) fn quantile_ranks(count: u64, quantile: f64) -> (u64, u64) {
    let count_f = count as f64;
    let (mean, deviation) = (count_f * quantile, (count_f * quantile * (1.0 - quantile)).sqrt());
    let rank = |rank: f64| (rank.round() as u64).clamp(1, count.max(1));
    (rank(mean - 1.96 * deviation), rank(mean + 1.96 * deviation + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_ranks_as_often_as_said() {
        let mut random = fastrand::Rng::with_seed(5);
        let (mut inside, rounds, count) = (0, 2_000, 1_000);
        let (low, high) = quantile_ranks(count, 0.99);
        for _ in 0..rounds {
            // Of uniform values the quantile is the share itself.
            let mut values: Vec<f64> = (0..count).map(|_| random.f64()).collect();
            values.sort_by(f64::total_cmp);
            let (low, high) = (values[low as usize - 1], values[high as usize - 1]);
            inside += u32::from((low..=high).contains(&0.99));
        }
        let share = f64::from(inside) / f64::from(rounds);
        assert!((0.93..0.985).contains(&share), "{share}");
        assert_eq!(quantile_ranks(1, 0.99), (1, 1));
        assert_eq!(quantile_ranks(0, 0.99), (1, 1));
    }
}
