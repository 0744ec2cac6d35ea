//! The text of `/metrics`. Families are declared where their numbers are: those of shards in `shard`, others as
//! `figures`.
//!
//! This reads the shards' cells and writes text; it takes no locks and asks no shard. Figures whose spread over the
//! cores means something carry the label `shard`; all others are summed here. Units are base units; names begin with
//! `weir_`, except the process figures and OpenTelemetry's MCP histogram, which have conventional names.

use std::sync::Arc;

use super::children::ChildServerFigures;
use super::duration::{DurationCounts, Operation};
use super::exposition::{Exposition, Kind};
use super::labels::{Method, Outcome, ToolLabels};
use super::log_records::log_records_dropped;
use super::process::ProcessFigures;
use super::shard::{self, ShardMetrics, ShardSnapshot};
use super::tasks::TaskFigures;
use super::tombstones::TombstoneFigures;
use super::tool_limits::{self, ToolLimitFigures};
use super::workers::WorkerFigures;

/// Everything that an exposition is made from.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// This program's version.
    pub version: &'a str,
    /// The labels the shards' cells were made for.
    pub tools: &'a ToolLabels,
    /// The shards' cells.
    pub shards: &'a [Arc<ShardMetrics>],
    /// The most connections that the process accepts.
    pub connections_max: u32,
    /// The worker pool, when there is one.
    pub workers: Option<WorkerFigures>,
    /// Sessions that their clients ended.
    pub ended: TombstoneFigures,
    /// Sessions that were evicted: idle, or in the way of others.
    pub evicted: TombstoneFigures,
    /// The tasks.
    pub tasks: TaskFigures,
    /// The tools that may run only so many calls at once, with their names.
    pub tool_limits: &'a [(String, ToolLimitFigures)],
    /// Other programs that are served, by their order.
    pub children: &'a [ChildServerFigures],
    /// The process.
    pub process: ProcessFigures,
}

impl Scrape<'_> {
    /// The media type of [`Scrape::render`]'s text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// The exposition as text.
    pub fn render(&self) -> String {
        let snapshots = self.shards.iter();
        let shards: Vec<_> = snapshots
            .map(|shard| (shard.shard.to_string(), shard.snapshot()))
            .collect();
        let mut all = ShardSnapshot::default();
        for (_, snapshot) in &shards {
            all.merge(snapshot);
        }
        let mut exposition = Exposition::default();
        exposition.family(Kind::Gauge, "weir_build_info", "The running program.", |family| {
            family.sample(&[("version", self.version)], 1);
        });
        shard::expose(&mut exposition, &shards, &all);
        write_utilization(&mut exposition, &shards);
        self.write_durations(&mut exposition);
        exposition.single(
            Kind::Gauge,
            "weir_connections_max",
            "Connections that may be open.",
            Some(self.connections_max),
        );
        if let Some(workers) = self.workers {
            WorkerFigures::expose(&mut exposition, &[(None, &workers)]);
        }
        let ends = [
            (Some(("end", "deleted")), &self.ended),
            (Some(("end", "evicted")), &self.evicted),
        ];
        TombstoneFigures::expose(&mut exposition, &ends);
        TaskFigures::expose(&mut exposition, &[(None, &self.tasks)]);
        tool_limits::expose(&mut exposition, self.tools, self.tool_limits);
        ChildServerFigures::expose(&mut exposition, self.children);
        exposition.single(
            Kind::Counter,
            "weir_log_records_dropped_total",
            "Log records dropped because stderr took them too slowly.",
            Some(log_records_dropped()),
        );
        ProcessFigures::expose(&mut exposition, &[(None, &self.process)]);
        exposition.into_text()
    }

    /// OpenTelemetry's `mcp.server.operation.duration`, with its attribute names as labels.
    fn write_durations(&self, exposition: &mut Exposition) {
        let methods = Method::ALL
            .iter()
            .map(|&method| (Operation::Method(method), method, ""));
        let calls = self
            .tools
            .iter()
            .map(|(row, name)| (Operation::Tool(row), Method::ToolsCall, name));
        let name = "mcp_server_operation_duration_seconds";
        let help = "Time from a request's first byte to its answer.";
        exposition.family(Kind::Histogram, name, help, |family| {
            for (operation, method, tool) in methods.chain(calls) {
                for &outcome in Outcome::ALL {
                    let mut durations = DurationCounts::default();
                    for shard in self.shards {
                        shard.durations().collect(operation, outcome, &mut durations);
                    }
                    if durations.count() > 0 {
                        let error = if outcome == Outcome::Ok {
                            ""
                        } else {
                            outcome.as_str()
                        };
                        let labels = [
                            ("mcp_method_name", method.as_str()),
                            ("gen_ai_tool_name", tool),
                            ("error_type", error),
                        ];
                        family.histogram(&labels, &durations);
                    }
                }
            }
        });
    }
}

fn write_utilization(exposition: &mut Exposition, shards: &[(String, ShardSnapshot)]) {
    let (name, help) = (
        "weir_pool_utilization_ratio",
        "Share of the handlers that is leased.",
    );
    exposition.family(Kind::Gauge, name, help, |family| {
        for (shard, snapshot) in shards {
            if let Some(utilization) = snapshot.utilization() {
                family.sample(&[("shard", shard)], utilization);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::metrics::exposition_parser::{Labels, Samples, parse};
    use crate::metrics::labels::{
        Era, Eviction, HandlerState, HttpRefusal, Method, OverloadReason, RequestClass, WaitEnd,
    };
    use crate::units::ShardId;

    fn scrape(tools: &ToolLabels, shards: &[Arc<ShardMetrics>]) -> Samples {
        let workers = WorkerFigures {
            threads: 2,
            queued: 7,
            ..WorkerFigures::default()
        };
        let scrape = Scrape {
            version: "1.2.3",
            tools,
            shards,
            connections_max: 1000,
            workers: Some(workers),
            ended: TombstoneFigures {
                remembered: 9,
                ..TombstoneFigures::default()
            },
            evicted: TombstoneFigures {
                forgotten_total: 4,
                ..TombstoneFigures::default()
            },
            tasks: TaskFigures {
                input_required: 2,
                bytes: 3_000,
                refused_total: 5,
                ..TaskFigures::default()
            },
            tool_limits: &[("echo".to_owned(), ToolLimitFigures::default())],
            children: &[ChildServerFigures::default()],
            process: ProcessFigures::read(),
        };
        parse(&scrape.render())
    }

    fn shards(tools: &ToolLabels, count: u16) -> Vec<Arc<ShardMetrics>> {
        (0..count)
            .map(|number| ShardMetrics::new(ShardId(number), tools))
            .collect()
    }

    #[test]
    fn an_idle_server_shows_every_family_and_no_empty_histogram() {
        let tools = ToolLabels::new(["echo"], 8);
        let samples = scrape(&tools, &shards(&tools, 2));
        for &reason in OverloadReason::ALL {
            assert_eq!(
                samples.value("weir_refusals_total", &[("reason", reason.as_str())]),
                Some(0.0)
            );
        }
        assert_eq!(
            samples.value("weir_build_info", &[("version", "1.2.3")]),
            Some(1.0)
        );
        assert_eq!(samples.value("weir_worker_queued", &[]), Some(7.0));
        for (status, count) in [
            ("working", 0.0),
            ("input_required", 2.0),
            ("completed", 0.0),
            ("failed", 0.0),
            ("cancelled", 0.0),
        ] {
            let tasks = samples.value("weir_tasks", &[("status", status)]);
            assert_eq!(tasks, Some(count), "{status}");
        }
        assert_eq!(samples.value("weir_tasks_bytes", &[]), Some(3_000.0));
        assert_eq!(samples.value("weir_tasks_refused_total", &[]), Some(5.0));
        for (end, remembered, forgotten) in [("deleted", 9.0, 0.0), ("evicted", 0.0, 4.0)] {
            let value = |name| samples.value(name, &[("end", end)]);
            assert_eq!(value("weir_session_tombstones"), Some(remembered));
            assert_eq!(value("weir_session_tombstones_forgotten_total"), Some(forgotten));
        }
        assert_eq!(samples.of("weir_connections").count(), 2);
        assert_eq!(samples.value("weir_connections_max", &[]), Some(1000.0));
        assert!(samples.sum("process_resident_memory_bytes") > 0.0);
        assert!(samples.sum("process_open_fds") >= 3.0);
        assert_eq!(
            samples.of("mcp_server_operation_duration_seconds_count").count(),
            0
        );
    }

    #[test]
    fn counters_come_out_under_their_labels() {
        let tools = ToolLabels::new([], 0);
        let shards = shards(&tools, 2);
        for metrics in &shards {
            metrics.on_pool(8);
            metrics.on_handler(HandlerState::Idle, HandlerState::Busy);
            metrics.on_request(Era::Legacy, RequestClass::Work);
            metrics.http_refusals.increment(HttpRefusal::from_status(413));
            metrics.evictions.increment(Eviction::WriteStall);
            metrics.sent_bytes.add(1000);
        }
        let samples = scrape(&tools, &shards);
        let busy = [("shard", "1"), ("state", "busy")];
        assert_eq!(samples.value("weir_pool_handlers", &busy), Some(1.0));
        assert_eq!(samples.sum("weir_pool_handlers"), 16.0);
        assert_eq!(
            samples.value("weir_pool_utilization_ratio", &[("shard", "0")]),
            Some(0.125)
        );
        assert_eq!(
            samples.value("weir_pool_high_water", &[("shard", "0")]),
            Some(1.0)
        );
        let request = [("shard", "0"), ("era", "legacy"), ("class", "work")];
        assert_eq!(samples.value("weir_requests_total", &request), Some(1.0));
        assert_eq!(
            samples.value("weir_http_refusals_total", &[("code", "413")]),
            Some(2.0)
        );
        assert_eq!(
            samples.value("weir_evictions_total", &[("reason", "write_stall")]),
            Some(2.0)
        );
        assert_eq!(samples.value("weir_sent_bytes_total", &[]), Some(2000.0));
    }

    #[test]
    fn the_queue_is_shown_by_shard_and_its_waits_together() {
        let tools = ToolLabels::new([], 0);
        let shards = shards(&tools, 2);
        let idle = scrape(&tools, &shards);
        assert_eq!(idle.value("weir_queue_wait_seconds_count", &[]), Some(0.0));
        for metrics in &shards {
            metrics.on_queue(16);
            (0..3).for_each(|_| metrics.on_queued());
            metrics.on_wait_ended(WaitEnd::Served, Duration::from_millis(20));
            metrics.linger_cuts.increment();
        }
        shards[0].on_wait_ended(WaitEnd::Stolen, Duration::from_millis(1));
        shards[1].on_stolen_in(Duration::from_millis(10));
        shards[0].on_oldest_wait(Duration::from_millis(1500));
        let samples = scrape(&tools, &shards);
        for (name, labels, value) in [
            ("weir_queue_depth", &[("shard", "0")][..], 1.0),
            ("weir_queue_depth", &[("shard", "1")], 2.0),
            ("weir_queue_depth_max", &[("shard", "1")], 16.0),
            ("weir_queue_high_water", &[("shard", "0")], 3.0),
            ("weir_queue_oldest_wait_seconds", &[("shard", "0")], 1.5),
            ("weir_queue_oldest_wait_seconds", &[("shard", "1")], 0.0),
            ("weir_queued_total", &[("shard", "1")], 3.0),
            (
                "weir_queue_waits_total",
                &[("shard", "1"), ("end", "served")],
                1.0,
            ),
            (
                "weir_queue_waits_total",
                &[("shard", "0"), ("end", "stolen")],
                1.0,
            ),
            ("weir_queue_waits_total", &[("shard", "0"), ("end", "left")], 0.0),
            ("weir_queue_wait_seconds_count", &[], 3.0),
            ("weir_queue_wait_seconds_bucket", &[("le", "0.01")], 1.0),
            ("weir_steals_total", &[("shard", "0"), ("direction", "out")], 1.0),
            ("weir_steals_total", &[("shard", "1"), ("direction", "in")], 1.0),
            ("weir_linger_cuts_total", &[("shard", "1")], 1.0),
        ] {
            assert_eq!(samples.value(name, labels), Some(value), "{name} {labels:?}");
        }
        assert_eq!(samples.sum("weir_steals_total"), 2.0);
        let seconds = samples.sum("weir_queue_wait_seconds_sum");
        assert!((seconds - 0.05).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn durations_are_merged_over_shards_and_equal_what_was_recorded() {
        let tools = ToolLabels::new(["echo", "sp\"in"], 8);
        let shards = shards(&tools, 3);
        let mut random = fastrand::Rng::with_seed(11);
        let mut sum = Duration::ZERO;
        for turn in 0..900 {
            let elapsed = Duration::from_nanos(random.u64(..100_000_000_000));
            sum += elapsed;
            let operation = Operation::Tool(tools.row(turn % 2));
            let outcome = if turn % 5 == 0 {
                Outcome::InvalidParams
            } else {
                Outcome::Ok
            };
            shards[turn % 3].on_operation(operation, outcome, elapsed);
        }
        let samples = scrape(&tools, &shards);
        let name = "mcp_server_operation_duration_seconds";
        let count = format!("{name}_count");
        assert_eq!(samples.sum(&count), 900.0);
        let seconds = samples.sum(&format!("{name}_sum"));
        assert!((seconds - sum.as_secs_f64()).abs() < 1e-6, "{seconds}");
        let call = |tool, error| {
            [
                ("mcp_method_name", "tools/call"),
                ("gen_ai_tool_name", tool),
                ("error_type", error),
            ]
        };
        assert_eq!(samples.value(&count, &call("sp\"in", "")), Some(360.0));
        assert_eq!(samples.value(&count, &call("echo", "-32602")), Some(90.0));
        assert_eq!(
            samples.value("weir_operations_total", &[("outcome", "ok")]),
            Some(720.0)
        );
        assert_eq!(samples.sum("weir_operations_total"), 900.0);
    }

    #[test]
    fn a_registry_of_any_size_has_bounded_series() {
        let names: Vec<String> = (0..1000).map(|number| format!("tool{number}")).collect();
        let tools = ToolLabels::new(names.iter().map(String::as_str), 10);
        let shards = shards(&tools, 1);
        for tool in 0..1000 {
            shards[0].on_operation(Operation::Tool(tools.row(tool)), Outcome::Ok, Duration::ZERO);
        }
        let samples = scrape(&tools, &shards);
        let counts = samples.of("mcp_server_operation_duration_seconds_count");
        assert_eq!(counts.map(|(_, count)| count).collect::<Vec<_>>().len(), 11);
    }

    #[test]
    fn nothing_there_to_show_is_still_an_exposition() {
        let scrape = Scrape {
            version: "0",
            tools: &ToolLabels::new([], 0),
            shards: &[],
            connections_max: 0,
            workers: None,
            ended: TombstoneFigures::default(),
            evicted: TombstoneFigures::default(),
            tasks: TaskFigures::default(),
            tool_limits: &[],
            children: &[],
            process: ProcessFigures::default(),
        };
        let samples = parse(&scrape.render());
        assert_eq!(samples.of("weir_worker_threads").count(), 0);
        assert_eq!(samples.of("process_open_fds").count(), 0);
    }

    /// Every name in a text that looks like one of our metrics, with the labels and values of the matchers behind it.
    fn metrics_named(text: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
        let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let prefixes = ["weir_", "process_", "mcp_server_"].into_iter();
        let starts = prefixes.flat_map(|prefix| text.match_indices(prefix).map(|(start, _)| start));
        let metric = |start| {
            let rest: &str = &text[start..];
            let (name, behind) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
            let matchers = behind.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let matchers = matchers.map_or("", |(matchers, _)| matchers).split(',');
            let labels = matchers.filter_map(|matcher| matcher.split_once('='));
            let labels = labels.map(|(label, value)| (label.trim_end_matches('!'), value.trim_matches('"')));
            (name, labels.collect())
        };
        let whole = starts.filter(|start| !text[..*start].ends_with(is_part));
        whole.map(metric).collect()
    }

    #[test]
    fn alert_rules_documents_and_the_reader_speak_of_metrics_that_there_are() {
        let tools = ToolLabels::new([], 0);
        let shards = shards(&tools, 1);
        shards[0].on_pool(1);
        shards[0].on_operation(Operation::Method(Method::Ping), Outcome::Ok, Duration::ZERO);
        let samples = scrape(&tools, &shards);
        let texts = [
            include_str!("../../scripts/alerts/weir.rules.yml"),
            include_str!("../../tuning.md"),
            include_str!("../../README.md"),
            include_str!("../guide/operating.md"),
            include_str!("../guide/options.md"),
        ];
        // What reads metrics from outside asks for them by name, too; its tests have some of their own.
        let reader = include_str!("../scrape/figures.rs").split("#[cfg(test)]").next();
        for (name, labels) in texts.into_iter().chain(reader).flat_map(metrics_named) {
            // A document names a histogram without the parts under which it is exposed.
            let bucket = format!("{name}_bucket");
            let mut series = samples
                .of(name)
                .chain(samples.of(&bucket))
                .map(|(labels, _)| labels)
                .peekable();
            assert!(series.peek().is_some(), "nothing is called {name}");
            let is_matched = |series: &Labels| {
                let mut matchers = labels.iter();
                matchers.all(|&(label, value)| series.get(label).is_some_and(|own| own == value))
            };
            assert!(series.any(is_matched), "no {name} has {labels:?}");
        }
    }

    /// The labels that Prometheus adds to every series.
    const ADDED: [&str; 2] = ["instance", "job"];

    /// Every query of the dashboard, with the labels that it groups by and those that its legend names.
    fn queries(part: &Value, found: &mut Vec<(String, Vec<String>)>) {
        let between = |text: &str, start: &str, end: &str| -> Vec<String> {
            let parts = text.split(start).skip(1).filter_map(|rest| rest.split_once(end));
            parts.map(|(inside, _)| inside.to_owned()).collect()
        };
        match part {
            Value::Array(parts) => parts.iter().for_each(|part| queries(part, found)),
            Value::Object(members) => {
                if let (Some(Value::String(query)), Some(Value::String(legend))) =
                    (members.get("expr"), members.get("legendFormat"))
                {
                    let mut labels = between(legend, "{{", "}}");
                    let groups = between(query, "by (", ")");
                    labels.extend(
                        groups
                            .iter()
                            .flat_map(|group| group.split(", ").map(str::to_owned)),
                    );
                    found.push((query.clone(), labels));
                }
                members.values().for_each(|part| queries(part, found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_dashboard_asks_for_metrics_and_labels_that_there_are() {
        let tools = ToolLabels::new(["echo"], 1);
        let shards = shards(&tools, 1);
        shards[0].on_pool(1);
        shards[0].on_operation(Operation::Tool(tools.row(0)), Outcome::Ok, Duration::ZERO);
        let samples = scrape(&tools, &shards);
        let dashboard: Value = serde_json::from_str(include_str!("../../scripts/dashboard.json")).unwrap();
        let mut found = Vec::new();
        queries(&dashboard, &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (query, labels) in found {
            let mut known: Vec<&Labels> = Vec::new();
            for (name, matchers) in metrics_named(&query) {
                let own: Vec<&Labels> = samples.of(name).map(|(labels, _)| labels).collect();
                assert!(!own.is_empty(), "nothing is called {name}: {query}");
                let is_matched = |series: &&Labels| {
                    let mut own = matchers.iter().filter(|(label, _)| !ADDED.contains(label));
                    own.all(|&(label, value)| series.get(label).is_some_and(|own| own == value))
                };
                assert!(own.iter().any(is_matched), "no {name} has {matchers:?}");
                known.extend(own);
            }
            for label in labels.iter().filter(|label| !ADDED.contains(&label.as_str())) {
                assert!(
                    known.iter().any(|series| series.contains_key(label)),
                    "no {label}: {query}"
                );
            }
        }
    }

    #[test]
    fn the_search_for_names_finds_what_is_there() {
        let rule = "a / (weir_requests_total{class=\"work\",shard!=\"1\"}[5m]) > weir_x_bucket, my_weir_y {b=\"c\"} \
                    + process_z";
        let expected = [
            ("weir_requests_total", vec![("class", "work"), ("shard", "1")]),
            ("weir_x_bucket", vec![]),
            ("process_z", vec![]),
        ];
        assert_eq!(metrics_named(rule), expected);
    }
}
