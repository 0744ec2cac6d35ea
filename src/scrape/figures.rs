//! The numbers of one Weir server, in the words of its operator.
//!
//! Gauges are those of the newest scrape, rates those of the [window](Window), each second. A rate is absent while it
//! cannot be told, which is not the same as zero. `tuning.md` says what each number is good for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::labels::Labels;
use super::quantile::{Buckets, Quantile};
use super::samples::Samples;
use super::window::Window;

/// OpenTelemetry's histogram of operations.
const OPERATIONS: &str = "mcp_server_operation_duration_seconds";

/// Methods that take a handler.
const WORK: [&str; 5] = [
    "tools/call",
    "resources/read",
    "prompts/get",
    "completion/complete",
    "resources/list",
];

/// The numbers of one server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// The program's version.
    pub version: String,
    /// How often the server was found to be another process than before.
    pub restarts: u32,
    /// The time over which rates are told.
    pub span: Option<Duration>,
    /// Memory, processor time, descriptors.
    pub process: ProcessorFigures,
    /// All handlers together.
    pub pool: PoolFigures,
    /// The shards, by number.
    pub shards: Vec<ShardFigures>,
    /// Operations that have ended: tools by name, other methods by method; by name.
    pub tools: Vec<ToolFigures>,
    /// Other programs that are served, by name.
    pub children: Vec<ChildFigures>,
    /// Threads for blocking tools.
    pub workers: Option<WorkerCounts>,
    /// Tasks.
    pub tasks: TaskCounts,
    /// Connections that may be open.
    pub connections_max: Option<f64>,
    /// How long work took, from first byte to answer.
    pub work: Buckets,
    /// How long calls waited for a handler.
    pub waits: Buckets,
    /// What was refused and given up, as the metric and its reason; only what ever was.
    pub troubles: Vec<Counted>,
}

/// Of the process. Each is absent where the server cannot read it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessorFigures {
    /// Seconds since 1970.
    pub start_time_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<f64>,
    /// CPUs in use, 1 being one whole one.
    pub cpus: Option<f64>,
    /// Open descriptors.
    pub descriptors: Option<f64>,
    /// Descriptors that may be open.
    pub descriptors_max: Option<f64>,
}

/// Handlers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolFigures {
    /// Handlers there are.
    pub size: f64,
    /// Those that run a call.
    pub busy: f64,
    /// Those that a connection keeps a moment longer.
    pub lingering: f64,
    /// Most that were leased at one time.
    pub high_water: f64,
}

impl PoolFigures {
    /// The share that is leased; zero without handlers.
    pub fn utilization(&self) -> f64 {
        if self.size > 0.0 {
            (self.busy + self.lingering) / self.size
        } else {
            0.0
        }
    }
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShardFigures {
    /// Its number.
    pub shard: u32,
    /// Its handlers.
    pub pool: PoolFigures,
    /// Its wait queue.
    pub queue: QueueFigures,
    /// Calls taken from other shards, each second.
    pub steals_in: Option<f64>,
    /// Calls that other shards took, each second.
    pub steals_out: Option<f64>,
    /// Requests that take a handler, each second.
    pub work: Option<f64>,
    /// All others, each second.
    pub control: Option<f64>,
    /// Requests whose answer is not on its way yet.
    pub in_flight: f64,
    /// Open event streams.
    pub streams: f64,
    /// Lingers that were cut, each second.
    pub linger_cuts: Option<f64>,
    /// Times that it made no progress with work in hand, ever.
    pub stalls: f64,
    /// Its connections.
    pub connections: ConnectionFigures,
    /// Its ring buffers.
    pub ring: RingFigures,
}

/// The wait queue of a shard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueueFigures {
    /// Calls that wait.
    pub depth: f64,
    /// Calls that may.
    pub depth_max: f64,
    /// Most that waited at one time.
    pub high_water: f64,
    /// Age of the oldest.
    pub oldest_wait_seconds: f64,
    /// Calls that had to wait, each second.
    pub waits: Option<f64>,
    /// Waits that ended with a handler, each second.
    pub served: Option<f64>,
    /// Waits in vain, each second: refused after the queue timeout.
    pub timed_out: Option<f64>,
    /// Clients that left while they waited, each second.
    pub left: Option<f64>,
}

/// The connections of a shard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectionFigures {
    /// Open ones.
    pub open: f64,
    /// Accepted each second.
    pub accepted: Option<f64>,
    /// Closed each second.
    pub closed: Option<f64>,
    /// Accepts that failed, ever.
    pub accept_failures: f64,
}

/// The ring buffers of a shard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RingFigures {
    /// Buffers there are.
    pub buffers: f64,
    /// Those without bytes.
    pub free: f64,
    /// Receives that found none, each second.
    pub starved: Option<f64>,
}

/// One tool, or one method that is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolFigures {
    /// The tool's name, or the method's.
    pub name: String,
    /// Operations that ended, each second.
    pub rate: Option<f64>,
    /// Those of them that ended in an error, each second.
    pub errors: Option<f64>,
    /// Half of them took no longer.
    pub p50: Option<Quantile>,
    /// 99 of 100 took no longer.
    pub p99: Option<Quantile>,
    /// How many calls it may have at once, if that is limited.
    pub limit: Option<ToolLimit>,
}

/// The limit of a tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolLimit {
    /// Calls in flight.
    pub in_flight: f64,
    /// Calls that may be.
    pub in_flight_max: f64,
    /// Calls that wait for others of the tool.
    pub waiting: f64,
    /// Calls refused because of it, each second.
    pub refused: Option<f64>,
}

/// The children of one server behind this one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChildFigures {
    /// Its name in the configuration.
    pub server: String,
    /// Processes that start, serve, and stop.
    pub states: [f64; 3],
    /// Calls that they have.
    pub in_flight: f64,
    /// Calls that wait for one.
    pub waiting: f64,
    /// Calls answered, each second.
    pub calls: Option<f64>,
    /// 99 of 100 took a child no longer.
    pub p99: Option<Quantile>,
    /// Processes that died though nobody had ended them, ever.
    pub deaths: f64,
    /// Processes that were started, ever.
    pub starts: f64,
    /// The mean time of a start until the child was ready.
    pub start_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: f64,
    /// Calls refused, each second.
    pub refused: Option<f64>,
    /// Whether its calls are refused because its children fail too often.
    pub is_quarantined: bool,
}

/// Threads for blocking tools.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkerCounts {
    /// Calls that may run at once.
    pub calls_max: f64,
    /// Calls that run and are waited for.
    pub busy: f64,
    /// Calls that wait for one.
    pub queued: f64,
    /// Calls that may.
    pub queue_depth_max: f64,
    /// Calls that run on though nobody waits for them.
    pub abandoned: f64,
}

/// Tasks that are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskCounts {
    /// How many, by status; those of which there are any.
    pub by_status: Vec<(String, f64)>,
    /// Their bytes.
    pub bytes: f64,
    /// Made each second.
    pub created: Option<f64>,
}

/// A counter with its reason.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counted {
    /// The counter: `refused`, `HTTP`, `evicted` and the like.
    pub what: &'static str,
    /// Its reason, code or name.
    pub reason: String,
    /// How often, ever.
    pub total: f64,
    /// How often each second.
    pub rate: Option<f64>,
}

/// Counters of what goes wrong: the word for it, the metric, the label that has the reason.
const TROUBLES: [(&str, &str, &str); 8] = [
    ("refused", "weir_refusals_total", "reason"),
    ("HTTP", "weir_http_refusals_total", "code"),
    ("evicted", "weir_evictions_total", "reason"),
    ("panics", "weir_panics_total", ""),
    ("worker panics", "weir_worker_panicked_total", ""),
    ("log records dropped", "weir_log_records_dropped_total", ""),
    ("tasks refused", "weir_tasks_refused_total", ""),
    ("users refused", "weir_unix_peers_refused_total", ""),
];

impl Figures {
    /// The numbers of the last scrapes; `None` if there is none, or it is of no Weir server.
    pub fn of(window: &Window) -> Option<Self> {
        let newest = window.newest()?;
        let version = newest.values_of("weir_build_info", "version").pop()?;
        let shards = shards(window, newest);
        let workers = newest.sum("weir_worker_calls_max", &[]).map(|calls_max| {
            let abandoned = gauge(newest, "weir_worker_abandoned", &[]);
            WorkerCounts {
                calls_max,
                busy: gauge(newest, "weir_worker_busy", &[]) - abandoned,
                queued: gauge(newest, "weir_worker_queued", &[]),
                queue_depth_max: gauge(newest, "weir_worker_queue_depth_max", &[]),
                abandoned,
            }
        });
        Some(Self {
            version,
            restarts: window.restarts(),
            span: window.span(),
            process: ProcessorFigures {
                start_time_seconds: newest.sum("process_start_time_seconds", &[]),
                resident_bytes: newest.sum("process_resident_memory_bytes", &[]),
                cpus: window.rate("process_cpu_seconds_total", &[]),
                descriptors: newest.sum("process_open_fds", &[]),
                descriptors_max: newest.sum("process_max_fds", &[]),
            },
            pool: pool(newest, &[]),
            shards,
            tools: tools(window, newest),
            children: children(window, newest),
            workers,
            tasks: tasks(window, newest),
            connections_max: newest.sum("weir_connections_max", &[]),
            work: window.buckets(OPERATIONS, |labels| {
                WORK.contains(&labels.value("mcp_method_name"))
            }),
            waits: window.buckets("weir_queue_wait_seconds", |_| true),
            troubles: TROUBLES
                .iter()
                .flat_map(|trouble| counted(window, newest, trouble))
                .collect(),
        })
    }

    /// The sum of a number over the shards.
    pub fn over_shards(&self, number: impl Fn(&ShardFigures) -> f64) -> f64 {
        self.shards.iter().map(number).sum()
    }

    /// The sum of a rate over the shards; absent while any is.
    pub fn rate_over_shards(&self, rate: impl Fn(&ShardFigures) -> Option<f64>) -> Option<f64> {
        self.shards.iter().map(rate).sum()
    }

    /// How often each second something was refused for being too much; absent while that cannot be told.
    pub fn refusals(&self) -> Option<f64> {
        self.span?;
        let refused = self
            .troubles
            .iter()
            .filter(|trouble| trouble.what == TROUBLES[0].0);
        refused.map(|trouble| trouble.rate).sum()
    }
}

/// A gauge, or a counter's total; zero if it is not there.
fn gauge(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> f64 {
    samples.sum(name, labels).unwrap_or(0.0)
}

fn pool(newest: &Samples, labels: &[(&str, &str)]) -> PoolFigures {
    let state = |state| {
        let labels: Vec<_> = labels.iter().copied().chain([("state", state)]).collect();
        gauge(newest, "weir_pool_handlers", &labels)
    };
    PoolFigures {
        size: gauge(newest, "weir_pool_size", labels),
        busy: state("busy"),
        lingering: state("lingering"),
        high_water: gauge(newest, "weir_pool_high_water", labels),
    }
}

fn shards(window: &Window, newest: &Samples) -> Vec<ShardFigures> {
    let names = newest.values_of("weir_pool_size", "shard");
    let mut shards: Vec<ShardFigures> = names
        .iter()
        .filter_map(|name| Some(shard(window, newest, name, name.parse().ok()?)))
        .collect();
    shards.sort_by_key(|shard| shard.shard);
    shards
}

fn shard(window: &Window, newest: &Samples, name: &str, number: u32) -> ShardFigures {
    let own = ("shard", name);
    let level = |metric| gauge(newest, metric, &[own]);
    let rate = |metric| window.rate(metric, &[own]);
    let rate_of = |metric, label, value| window.rate(metric, &[own, (label, value)]);
    let ended = |end| rate_of("weir_queue_waits_total", "end", end);
    ShardFigures {
        shard: number,
        pool: pool(newest, &[own]),
        queue: QueueFigures {
            depth: level("weir_queue_depth"),
            depth_max: level("weir_queue_depth_max"),
            high_water: level("weir_queue_high_water"),
            oldest_wait_seconds: level("weir_queue_oldest_wait_seconds"),
            waits: rate("weir_queued_total"),
            served: ended("served"),
            timed_out: ended("timed_out"),
            left: ended("left"),
        },
        steals_in: rate_of("weir_steals_total", "direction", "in"),
        steals_out: rate_of("weir_steals_total", "direction", "out"),
        work: rate_of("weir_requests_total", "class", "work"),
        control: rate_of("weir_requests_total", "class", "control"),
        in_flight: level("weir_requests_in_flight"),
        streams: level("weir_streams_open"),
        linger_cuts: rate("weir_linger_cuts_total"),
        stalls: level("weir_stalls_total"),
        connections: ConnectionFigures {
            open: level("weir_connections"),
            accepted: rate("weir_connections_accepted_total"),
            closed: rate("weir_connections_closed_total"),
            accept_failures: level("weir_accept_failures_total"),
        },
        ring: RingFigures {
            buffers: level("weir_ring_buffers"),
            free: level("weir_ring_buffers_free"),
            starved: rate("weir_ring_starved_total"),
        },
    }
}

/// What one tool or method did in the window.
#[derive(Default)]
struct Operations {
    buckets: Buckets,
    ended: f64,
    errors: f64,
}

fn tools(window: &Window, newest: &Samples) -> Vec<ToolFigures> {
    let mut all: BTreeMap<String, Operations> = BTreeMap::new();
    let (count, bucket) = (format!("{OPERATIONS}_count"), format!("{OPERATIONS}_bucket"));
    let name_of = |labels: &Labels| match labels.value("gen_ai_tool_name") {
        "" => labels.value("mcp_method_name").to_owned(),
        tool => tool.to_owned(),
    };
    for (labels, _) in newest.of(&count) {
        all.entry(name_of(labels)).or_default();
    }
    for (labels, ended) in window.growths(&count) {
        let own = all.entry(name_of(labels)).or_default();
        own.ended += ended;
        if !labels.value("error_type").is_empty() {
            own.errors += ended;
        }
    }
    for (labels, ended) in window.growths(&bucket) {
        let own = all.entry(name_of(labels)).or_default();
        own.buckets.add_labelled(labels.value("le"), ended);
    }
    for tool in newest.values_of("weir_tool_in_flight_max", "tool") {
        all.entry(tool).or_default();
    }
    let each_second = |count: f64| window.span().map(|span| count / span.as_secs_f64());
    let limits = Limits::of(window, newest);
    let figures = all.into_iter().map(|(name, own)| ToolFigures {
        rate: each_second(own.ended),
        errors: each_second(own.errors),
        p50: own.buckets.quantile(0.5),
        p99: own.buckets.quantile(0.99),
        limit: limits.limit(&name, each_second),
        name,
    });
    figures.collect()
}

/// What there is about limits, by tool: gathered once, because a server may have thousands of tools.
struct Limits<'a> {
    in_flight_max: BTreeMap<&'a str, f64>,
    in_flight: BTreeMap<&'a str, f64>,
    waiting: BTreeMap<&'a str, f64>,
    /// How many were refused in the window.
    refused: BTreeMap<&'a str, f64>,
}

impl<'a> Limits<'a> {
    fn of(window: &'a Window, newest: &'a Samples) -> Self {
        Self {
            in_flight_max: by_tool(newest.of("weir_tool_in_flight_max")),
            in_flight: by_tool(newest.of("weir_tool_in_flight")),
            waiting: by_tool(newest.of("weir_tool_waiting")),
            refused: by_tool(window.growths("weir_tool_refusals_total")),
        }
    }

    fn limit(&self, tool: &str, each_second: impl Fn(f64) -> Option<f64>) -> Option<ToolLimit> {
        let level = |levels: &BTreeMap<&str, f64>| levels.get(tool).copied();
        Some(ToolLimit {
            in_flight_max: level(&self.in_flight_max)?,
            in_flight: level(&self.in_flight).unwrap_or(0.0),
            waiting: level(&self.waiting).unwrap_or(0.0),
            refused: level(&self.refused).and_then(each_second),
        })
    }
}

fn by_tool<'a>(series: impl Iterator<Item = (&'a Labels, f64)>) -> BTreeMap<&'a str, f64> {
    let mut sums = BTreeMap::new();
    for (labels, value) in series {
        *sums.entry(labels.value("tool")).or_insert(0.0) += value;
    }
    sums
}

fn children(window: &Window, newest: &Samples) -> Vec<ChildFigures> {
    let servers = newest.values_of("weir_children", "server").into_iter();
    let figures = servers.map(|server| {
        let own = ("server", server.as_str());
        let level = |metric| gauge(newest, metric, &[own]);
        let ready = level("weir_child_ready_total");
        ChildFigures {
            states: ["starting", "serving", "stopping"]
                .map(|state| gauge(newest, "weir_children", &[own, ("state", state)])),
            in_flight: level("weir_child_calls_in_flight"),
            waiting: level("weir_child_calls_waiting"),
            calls: window.rate("weir_child_calls_total", &[own]),
            p99: window
                .buckets("weir_child_call_seconds", |labels| {
                    labels.value("server") == server
                })
                .quantile(0.99),
            deaths: level("weir_child_deaths_total"),
            starts: level("weir_child_starts_total"),
            start_seconds: (ready > 0.0).then(|| level("weir_child_start_seconds_total") / ready),
            resident_bytes: level("weir_child_resident_bytes"),
            refused: window.rate("weir_child_refusals_total", &[own]),
            is_quarantined: level("weir_child_quarantined") > 0.0,
            server: server.clone(),
        }
    });
    figures.collect()
}

fn tasks(window: &Window, newest: &Samples) -> TaskCounts {
    let statuses = newest.of("weir_tasks").filter(|(_, count)| *count > 0.0);
    TaskCounts {
        by_status: statuses
            .map(|(labels, count)| (labels.value("status").to_owned(), count))
            .collect(),
        bytes: gauge(newest, "weir_tasks_bytes", &[]),
        created: window.rate("weir_tasks_created_total", &[]),
    }
}

fn counted(
    window: &Window,
    newest: &Samples,
    (what, name, label): &(&'static str, &str, &str),
) -> Vec<Counted> {
    let reasons = newest.values_of(name, label).into_iter();
    let each = reasons.map(|reason| Counted {
        what,
        total: gauge(newest, name, &[(label, &reason)]),
        rate: window.rate(name, &[(label, &reason)]),
        reason,
    });
    each.filter(|counted| counted.total > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const EARLIER: &str = include_str!("testdata/earlier.txt");
    const LATER: &str = include_str!("testdata/later.txt");

    fn window(scrapes: &[&str]) -> Window {
        let start = Instant::now();
        let mut window = Window::default();
        for (turn, text) in (0..).zip(scrapes) {
            window.push(
                start + Duration::from_secs(turn * 2),
                Samples::parse(text).unwrap(),
            );
        }
        window
    }

    #[test]
    fn one_scrape_has_gauges_and_no_rates() {
        let figures = Figures::of(&window(&[EARLIER])).unwrap();
        assert_eq!(figures.version, "0.1.0");
        assert_eq!(figures.shards.len(), 2);
        assert_eq!(figures.pool.size, 16.0);
        assert_eq!((figures.span, figures.refusals()), (None, None));
        assert_eq!(figures.rate_over_shards(|shard| shard.work), None);
        assert_eq!(
            figures
                .tools
                .iter()
                .map(|tool| tool.name.as_str())
                .collect::<Vec<_>>(),
            ["echo", "tools/list"]
        );
        assert!(
            figures
                .tools
                .iter()
                .all(|tool| tool.rate.is_none() && tool.p99.is_none())
        );
        assert_eq!(figures.children[0].start_seconds, Some(0.5));
    }

    #[test]
    fn two_scrapes_have_rates_of_what_changed() {
        let figures = Figures::of(&window(&[EARLIER, LATER])).unwrap();
        assert_eq!(figures.span, Some(Duration::from_secs(2)));
        let shard = &figures.shards[1];
        assert_eq!((shard.shard, shard.pool.busy, shard.pool.size), (1, 7.0, 8.0));
        assert_eq!(shard.pool.utilization(), 0.875);
        assert_eq!((shard.queue.depth, shard.queue.oldest_wait_seconds), (3.0, 1.5));
        assert_eq!(
            (shard.work, shard.queue.waits, shard.queue.timed_out),
            (Some(50.0), Some(10.0), Some(1.0))
        );
        assert_eq!((shard.steals_in, shard.steals_out), (Some(0.0), Some(4.0)));
        assert_eq!(figures.rate_over_shards(|shard| shard.work), Some(60.0));
        let echo = &figures.tools[0];
        assert_eq!(
            (echo.name.as_str(), echo.rate, echo.errors),
            ("echo", Some(50.0), Some(5.0))
        );
        assert!(
            matches!(echo.p50, Some(Quantile::Within(told)) if told <= 0.01),
            "{echo:?}"
        );
        assert!(matches!(echo.p99, Some(Quantile::Beyond(1.0))), "{echo:?}");
        assert_eq!(echo.limit.as_ref().unwrap().in_flight_max, 4.0);
        assert_eq!(figures.refusals(), Some(2.0));
        let troubles: Vec<_> = figures
            .troubles
            .iter()
            .map(|one| (one.what, one.reason.as_str(), one.total))
            .collect();
        assert_eq!(troubles, [("refused", "handlers", 4.0), ("evicted", "idle", 1.0)]);
        let child = &figures.children[0];
        assert_eq!(
            (child.states, child.deaths, child.is_quarantined),
            ([0.0, 1.0, 0.0], 2.0, true)
        );
        assert_eq!(figures.process.cpus, Some(0.5));
        // Threads that are there for calls which were given up run nothing that counts.
        let workers = figures.workers.unwrap();
        assert_eq!(
            (workers.calls_max, workers.busy, workers.abandoned),
            (3.0, 1.0, 1.0)
        );
        assert_eq!(figures.tasks.by_status, [("working".to_owned(), 2.0)]);
    }

    #[test]
    fn metrics_of_something_else_are_none() {
        assert_eq!(Figures::of(&window(&["node_load1 0.5\n"])), None);
        assert_eq!(Figures::of(&Window::default()), None);
        let odd = "weir_build_info{version=\"9\"} 1\nweir_pool_size{shard=\"x\"} 4\n";
        assert_eq!(Figures::of(&window(&[odd])).unwrap().shards, []);
    }
}
