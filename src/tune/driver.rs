//! Carries steps out: load on a real server, and looks at its metrics meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::observation::{Inside, Latency, Load, Observation, Step, quantile_ranks};
use crate::load::{
    Arrivals, Hindrance, Live, Measurement, OpenLoop, Outcome, Pace, Phase, Plan, Speaker, Work, run,
};
use crate::scrape::{AdminAddress, Figures, Samples, Window, fetch};

/// For how long the metrics may take to come.
const PATIENCE: Duration = Duration::from_secs(2);
/// A step is over at the latest this long after its last request was due.
const AFTER: Duration = Duration::from_secs(3);
/// For how long the server may take to come to rest, and how often it is looked at.
const REST_MAX: Duration = Duration::from_secs(3);
const REST_LOOK: Duration = Duration::from_millis(50);
/// A step ends early after so many refusals, or when the queue was this full so many looks in a row.
const REFUSED_MAX: u64 = 20;
const QUEUE_FULL: f64 = 0.95;
const QUEUE_LOOKS: u32 = 3;
/// Connections of an open loop at its beginning, at the least: few would not reach every shard.
const CONNECTIONS_MIN: f64 = 32.0;

/// OpenTelemetry's histogram of operations, and the method whose calls are made.
const OPERATIONS: &str = "mcp_server_operation_duration_seconds";
const CALLS: [(&str, &str); 1] = [("mcp_method_name", "tools/call")];

/// Where the load goes, and who makes it.
pub(crate) struct Place {
    pub(crate) speaker: Speaker,
    pub(crate) work: Work,
    /// Where the server's metrics are.
    pub(crate) admin: Option<AdminAddress>,
    pub(crate) clients_max: usize,
    pub(crate) timeout: Duration,
    pub(crate) threads: usize,
    pub(crate) cpus: Vec<usize>,
    pub(crate) seed: u64,
    /// Set when all of it is to end.
    pub(crate) interrupt: Arc<AtomicBool>,
}

/// Carries out one step after the other.
pub(crate) struct Driver {
    place: Place,
    /// Steps so far.
    steps: u64,
    /// The mean latency of the last of them.
    latency: f64,
}

impl Driver {
    pub(crate) fn new(place: Place) -> Driver {
        Driver {
            place,
            steps: 0,
            latency: 0.0,
        }
    }

    /// The metrics as they are now; `None` if nobody said where they are.
    ///
    /// # Errors
    /// Fails, with the reason, when they cannot be read, or are not those of a Weir server.
    pub(crate) fn metrics(&self) -> Result<Option<Figures>, String> {
        let Some(admin) = &self.place.admin else {
            return Ok(None);
        };
        let mut window = Window::default();
        window.push(Instant::now(), scraped(admin)?);
        let figures = Figures::of(&window).filter(are_possible);
        figures
            .map(Some)
            .ok_or_else(|| format!("{admin} has metrics, but not those of a Weir server"))
    }

    /// Puts a load on the server, and waits until it is at rest again.
    ///
    /// # Errors
    /// Fails when no connection can be made.
    pub(crate) fn observe(
        &mut self,
        step: Step,
        mut watch: impl FnMut(Duration, &Live),
    ) -> Result<Observation, String> {
        let began = Instant::now();
        self.steps += 1;
        let plan = self.plan(step);
        let mut looks = Looks::new(&self.place, &plan, step);
        let measurement = run(&plan, |at, live| {
            watch(at, live);
            looks.look(at, live);
        })
        .map_err(|error| error.to_string())?;
        let (server, is_cut) = (looks.inside(), looks.is_cut);
        self.rest();
        let seen = observation(step, &measurement, server, is_cut, began.elapsed());
        if seen.latency.count > 0 {
            self.latency = seen.latency.mean;
        }
        Ok(seen)
    }

    fn plan(&self, step: Step) -> Plan {
        let (warm_up, length) = (
            Duration::from_secs_f64(step.warm_up),
            Duration::from_secs_f64(step.seconds),
        );
        let (clients, pace) = match step.load {
            Load::Clients(clients) => (
                clients,
                Pace::Closed {
                    length,
                    think: Duration::ZERO,
                },
            ),
            Load::Rate(rate) => {
                let in_flight = (2.0 * rate * self.latency).max(CONNECTIONS_MIN).ceil() as usize;
                let phase = |length| Phase { rate, length };
                let pace = Pace::Open(OpenLoop {
                    phases: vec![phase(warm_up), phase(length)],
                    arrivals: Arrivals::Poisson,
                    clients_max: self.place.clients_max.max(1),
                    patience: AFTER,
                    window: length,
                });
                (in_flight.min(self.place.clients_max), pace)
            }
        };
        Plan {
            speaker: self.place.speaker.clone(),
            work: self.place.work.clone(),
            pace,
            warm_up,
            clients,
            source_ports: Vec::new(),
            requests_per_connection: None,
            timeout: self.place.timeout,
            // Each step has other arrivals, which are the same in every search of this seed.
            seed: self.place.seed.wrapping_add(self.steps.wrapping_mul(0x9E37_79B9)),
            threads: self.place.threads.clamp(1, clients.max(1)),
            cpus: self.place.cpus.clone(),
            idle: 0,
            streams: 0,
            server: None,
            interrupt: Arc::default(),
        }
    }

    /// Waits until no call waits or runs.
    fn rest(&self) {
        let began = Instant::now();
        while began.elapsed() < REST_MAX && !self.place.interrupt.load(Ordering::Relaxed) {
            match self.metrics() {
                Ok(Some(figures)) => {
                    let waiting = figures.over_shards(|shard| shard.queue.depth);
                    if waiting + figures.pool.busy == 0.0 {
                        return;
                    }
                }
                Ok(None) | Err(_) => return thread::sleep(2 * REST_LOOK),
            }
            thread::sleep(REST_LOOK);
        }
    }
}

fn scraped(admin: &AdminAddress) -> Result<Samples, String> {
    let text = fetch(admin, PATIENCE).map_err(|error| error.to_string())?;
    Samples::parse(&text).map_err(|error| error.to_string())
}

/// Whether a server can have such a pool.
fn are_possible(figures: &Figures) -> bool {
    let places = figures.over_shards(|shard| shard.queue.depth_max);
    let possible = |number: f64| (0.0..1e9).contains(&number);
    figures.pool.size >= 1.0
        && [figures.pool.size, figures.pool.busy, places]
            .into_iter()
            .all(possible)
}

/// The looks at a server's metrics during a step.
struct Looks<'a> {
    place: &'a Place,
    plan: &'a Plan,
    warm_up: Duration,
    is_open: bool,
    first: Option<(Instant, Samples)>,
    last: Option<(Instant, Samples)>,
    /// What was seen at each.
    gauges: Vec<Figures>,
    /// The metrics could not be read, which is not tried again in this step: it may take long.
    is_blind: bool,
    refused: u64,
    full_looks: u32,
    is_cut: bool,
}

impl<'a> Looks<'a> {
    fn new(place: &'a Place, plan: &'a Plan, step: Step) -> Looks<'a> {
        Looks {
            place,
            plan,
            warm_up: plan.measured().start,
            is_open: matches!(step.load, Load::Rate(_)),
            first: None,
            last: None,
            gauges: Vec::new(),
            is_blind: false,
            refused: 0,
            full_looks: 0,
            is_cut: false,
        }
    }

    /// Looks, and ends the step if the server refuses or is about to.
    fn look(&mut self, at: Duration, live: &Live) {
        if self.place.interrupt.load(Ordering::Relaxed) {
            self.plan.interrupt.store(true, Ordering::Relaxed);
        }
        self.refused += live.refused;
        let is_counted = at >= self.warm_up && at <= self.plan.measured().end;
        let admin = self.place.admin.as_ref().filter(|_| !self.is_blind);
        let scraped = admin.map(scraped);
        self.is_blind |= matches!(scraped, Some(Err(_)));
        if let Some(Ok(samples)) = scraped {
            let now = Instant::now();
            let mut window = Window::default();
            window.push(now, samples.clone());
            if let Some(figures) = Figures::of(&window).filter(are_possible) {
                self.judge_queue(&figures);
                if is_counted {
                    self.gauges.push(figures);
                }
            }
            if is_counted {
                self.first.get_or_insert_with(|| (now, samples.clone()));
                self.last = Some((now, samples));
            }
        }
        if self.refused >= REFUSED_MAX || self.full_looks >= QUEUE_LOOKS {
            self.is_cut = true;
            self.plan.interrupt.store(true, Ordering::Relaxed);
        }
    }

    fn judge_queue(&mut self, figures: &Figures) {
        let full = figures.shards.iter().any(|shard| {
            shard.queue.depth_max > 0.0 && shard.queue.depth >= QUEUE_FULL * shard.queue.depth_max
        });
        self.full_looks = if full && self.is_open {
            self.full_looks + 1
        } else {
            0
        };
    }

    /// What all looks showed.
    fn inside(&mut self) -> Option<Inside> {
        let newest = self.gauges.last()?;
        let mut window = Window::default();
        if let (Some((at, samples)), Some((then, before))) = (self.last.take(), self.first.take()) {
            window.push(then, before);
            window.push(at, samples);
        }
        let looks = self.gauges.len() as f64;
        let mean = |number: &dyn Fn(&Figures) -> f64| self.gauges.iter().map(number).sum::<f64>() / looks;
        let leased = |figures: &Figures| figures.pool.busy + figures.pool.lingering;
        let shards = (0..newest.shards.len()).map(|index| {
            mean(&|figures| {
                figures
                    .shards
                    .get(index)
                    .map_or(0.0, |shard| shard.pool.utilization())
            })
        });
        let workers = |number: fn(&crate::scrape::WorkerCounts) -> f64| {
            mean(&|figures| figures.workers.as_ref().map_or(0.0, number))
        };
        let calls = window.rate(&format!("{OPERATIONS}_count"), &CALLS);
        let in_service = window.rate(&format!("{OPERATIONS}_sum"), &CALLS);
        let both = Figures::of(&window);
        let queued = window.rate("weir_queued_total", &[]);
        let waited = queued.zip(calls).filter(|(_, calls)| *calls > 0.0);
        let waits = both.as_ref().and_then(|both| both.waits.quantile(0.99));
        Some(Inside {
            started: newest.process.start_time_seconds,
            shards: shards.collect(),
            handlers: newest.pool.size,
            leased: mean(&leased),
            lingering: mean(&|figures| figures.pool.lingering),
            queued: mean(&|figures| figures.over_shards(|shard| shard.queue.depth)),
            queued_max: self
                .gauges
                .iter()
                .map(|figures| figures.over_shards(|shard| shard.queue.depth))
                .fold(0.0, f64::max),
            queue_places: newest.over_shards(|shard| shard.queue.depth_max),
            service: calls
                .zip(in_service)
                .and_then(|(calls, seconds)| (calls > 0.0).then(|| seconds / calls)),
            calls,
            wait_p99: waits.map(crate::scrape::Quantile::seconds),
            waited: waited.map(|(queued, calls)| (queued / calls).min(1.0)),
            cpus: window.rate("process_cpu_seconds_total", &[]),
            resident_bytes: newest.process.resident_bytes,
            workers: newest.workers.as_ref().map_or(0.0, |workers| workers.calls_max),
            workers_busy: workers(|workers| workers.busy),
            workers_queued: workers(|workers| workers.queued),
            tool_at_limit: self.most(&|figures| {
                let limited = figures.tools.iter().find(|tool| {
                    let limit = tool.limit.as_ref();
                    limit.is_some_and(|limit| limit.waiting > 0.0 && limit.in_flight >= limit.in_flight_max)
                });
                limited.map(|tool| tool.name.clone())
            }),
            children_waited_for: self.most(&|figures| {
                let waited = figures.children.iter().find(|child| child.waiting > 0.0);
                waited.map(|child| child.server.clone())
            }),
            refusals: both.map_or_else(Vec::new, |both| {
                let refused = both
                    .troubles
                    .into_iter()
                    .filter(|trouble| trouble.what == "refused");
                refused
                    .filter_map(|trouble| Some((trouble.reason, trouble.rate.filter(|rate| *rate > 0.0)?)))
                    .collect()
            }),
        })
    }

    /// The name that more than half of the looks showed.
    fn most(&self, name: &dyn Fn(&Figures) -> Option<String>) -> Option<String> {
        let names: Vec<String> = self.gauges.iter().filter_map(name).collect();
        (names.len() * 2 > self.gauges.len())
            .then(|| names.into_iter().next())
            .flatten()
    }
}

fn observation(
    step: Step,
    measurement: &Measurement,
    server: Option<Inside>,
    is_cut: bool,
    spent: Duration,
) -> Observation {
    let is_open = matches!(step.load, Load::Rate(_));
    let seconds = measurement.elapsed.as_secs_f64().min(step.seconds);
    let histogram = measurement.tally.latencies();
    let count = measurement.tally.answered();
    let at = |quantile: f64| histogram.value_at_quantile(quantile.clamp(0.0, 1.0)) as f64 / 1e9;
    let all = histogram.len().max(1);
    let (low, high) = quantile_ranks(all, 0.99);
    let latency = Latency {
        count,
        mean: histogram.mean() / 1e9,
        p50: at(0.5),
        p99: at(0.99),
        p99_low: at(low as f64 / all as f64),
        p99_high: at(high as f64 / all as f64),
    };
    let others = measurement.tally.others();
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
    let sum = |is_refusal: bool| -> u64 {
        let own = others
            .iter()
            .filter(|(outcome, _)| refused(outcome) == is_refusal);
        own.map(|(_, count)| count).sum()
    };
    let failure = others.keys().find(|outcome| !refused(outcome)).map(|outcome| {
        match measurement.firsts.get(outcome) {
            Some(text) => format!("{outcome}: {text}"),
            None => outcome.to_string(),
        }
    });
    Observation {
        load: step.load,
        seconds,
        spent: spent.as_secs_f64(),
        served: count as f64 / seconds.max(f64::MIN_POSITIVE),
        latency,
        refused: sum(true),
        failed: sum(false),
        failure,
        late: measurement.lateness().as_secs_f64(),
        hindrance: measurement.hindrance(is_open).map(|hindrance| match hindrance {
            Hindrance::Saturated(why) | Hindrance::Starved(why) => why,
        }),
        is_cut,
        server,
    }
}
