//! The report as one JSON object on one line, for programs.
//!
//! Every key is always present, whatever its number; new keys may be added, and none changes its meaning. Durations are
//! integers in nanoseconds and say so. `shards[n]` and `all` have the same members except for `shard`; a shard that did
//! not give its histograms has `null` for `queue_wait`, `stages` and `tools`.

use serde_json::{Map, Value, json};

use super::advice::{Facts, advise};
use super::merged::{Report, ShardReport};
use crate::metrics::children::ChildServerFigures;
use crate::metrics::counter::Counts;
use crate::metrics::duration::DurationCounts;
use crate::metrics::histogram::{Latency, ShardHistograms};
use crate::metrics::labels::{ChildDeath, ChildRefusal, Label, RequestClass, Stage, ToolLabels};
use crate::metrics::saturating_nanos;
use crate::metrics::shard::ShardSnapshot;
use crate::metrics::workers::WorkerFigures;

pub(super) fn render(report: &Report) -> String {
    let shards: Vec<Value> = report
        .shards
        .iter()
        .map(|shard| shard_object(shard, &report.tools))
        .collect();
    let mut all = numbers_object(&report.all);
    insert_latencies(&mut all, Some(&report.all_histograms), &report.tools);
    let object = json!({
        "uptime_seconds": report.uptime.as_secs_f64(),
        "shards": shards,
        "all": all,
        "workers": report.workers.map(workers_object),
        "children": report.children.iter().map(children_object).collect::<Vec<_>>(),
        "advice": advice_object(report),
    });
    format!("{object}\n")
}

fn children_object(server: &ChildServerFigures) -> Value {
    json!({
        "server": server.server,
        "starts": server.starts_total,
        "ready": server.ready_total,
        "deaths": by_name::<ChildDeath>(&server.deaths_total),
        "calls": server.calls_total(),
        "repeated": server.repeated_total,
        "refusals": by_name::<ChildRefusal>(&server.refused_total),
        "with_children_ns": server.with_children.sum_nanos(),
        "elsewhere_ns": server.elsewhere.sum_nanos(),
        "with_children_counts": counts_object(&server.with_children),
        "elsewhere_counts": counts_object(&server.elsewhere),
        "questions_held": server.tally.questions_held,
        "questions": server.tally.questions_total,
        "places_lost": server.tally.places_lost_total,
        "stray_answers": server.tally.stray_answers_total,
        "rubbish_lines": server.tally.rubbish_lines_total,
        "resident_bytes": server.resident_bytes,
        "cpu_ns": nanos(server.cpu_total),
    })
}

/// How many durations were at most so many seconds long.
fn counts_object(counts: &DurationCounts) -> Value {
    let counts = counts.cumulative();
    let object: Map<_, _> = counts.map(|(le, count)| (le.to_owned(), count.into())).collect();
    object.into()
}

fn by_name<E: Label>(counts: &[u64]) -> Value {
    let names = E::all().iter().map(|member| member.as_str().to_owned());
    let counts = counts.iter().map(|count| Value::from(*count));
    names.zip(counts).collect::<Map<_, _>>().into()
}

fn advice_object(report: &Report) -> Value {
    let facts = Facts::of(report);
    let advice = advise(&facts);
    let contention = report.contention;
    json!({
        "outcome": advice.as_str(),
        "pool_size": advice.pool_size(),
        "text": advice.line(&facts),
        "contended_ns": nanos(contention.elapsed),
        "contended_cpu_ns": nanos(contention.processor.used),
        "contended_cpu_wait_ns": nanos(contention.processor.waited),
        "contended_cpu_share": facts.cpu_share,
    })
}

fn shard_object(shard: &ShardReport, tools: &ToolLabels) -> Value {
    let mut object = Map::new();
    object.insert("shard".into(), shard.shard.0.into());
    object.append(&mut numbers_object(&shard.numbers));
    insert_latencies(&mut object, shard.histograms.as_ref(), tools);
    object.into()
}

fn numbers_object(numbers: &ShardSnapshot) -> Map<String, Value> {
    let eras = numbers
        .requests
        .0
        .iter()
        .map(|(era, classes)| (era.as_str().to_owned(), members(classes)))
        .collect::<Map<_, _>>();
    let object = json!({
        "requests": numbers.requests_total(),
        "requests_control": numbers.requests_of(RequestClass::Control),
        "requests_work": numbers.requests_of(RequestClass::Work),
        "requests_by_era": eras,
        "operations": members(&numbers.outcomes),
        "in_flight": numbers.in_flight,
        "streams_open": numbers.streams_open,
        "refusals": members(&numbers.refusals),
        "http_refusals": members(&numbers.http_refusals),
        "evictions": members(&numbers.evictions),
        "pool_size": numbers.pool_size,
        "pool_high_water": numbers.pool_high_water,
        "pool_utilization": numbers.utilization(),
        "handlers": members(&numbers.handlers),
        "queue_depth": numbers.queue_depth,
        "queue_depth_max": numbers.queue_depth_max,
        "queue_high_water": numbers.queue_high_water,
        "queue_oldest_wait_ns": numbers.oldest_wait.0,
        "queued": numbers.queued,
        "queue_waits": members(&numbers.wait_ends),
        "steals_in": numbers.steals_in,
        "steals_out": numbers.steals_out,
        "linger_cuts": numbers.linger_cuts,
        "connections_accepted": numbers.connections_accepted,
        "connections_closed": numbers.connections_closed,
        "connections_open": numbers.connections_open,
        "accept_failures": numbers.accept_failures,
        "received_bytes": numbers.received_bytes,
        "sent_bytes": numbers.sent_bytes,
        "ring_buffers": numbers.ring_buffers,
        "ring_buffers_free": numbers.ring_buffers_free,
        "ring_starved": numbers.ring_starved,
        "panics": numbers.panics,
        "stalls": numbers.stalls,
    });
    match object {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn members<E: Label, const N: usize>(counts: &Counts<E, N>) -> Value {
    let member = |(member, count): (E, u64)| (member.as_str().to_owned(), Value::from(count));
    counts.iter().map(member).collect::<Map<_, _>>().into()
}

fn insert_latencies(
    object: &mut Map<String, Value>,
    histograms: Option<&ShardHistograms>,
    tools: &ToolLabels,
) {
    let stages = histograms.map(|histograms| {
        let stage = |&stage: &Stage| (stage.as_str().to_owned(), latency_object(histograms.stage(stage)));
        Stage::ALL.iter().map(stage).collect::<Map<_, _>>()
    });
    let tools = histograms.map(|histograms| {
        let rows = tools.iter();
        let tool = |(row, name): (_, &str)| Some((name.to_owned(), latency_object(histograms.tool(row)?)));
        rows.filter_map(tool).collect::<Map<_, _>>()
    });
    let waits = histograms.map(|histograms| latency_object(histograms.waits()));
    object.insert("queue_wait".into(), waits.into());
    object.insert("stages".into(), stages.into());
    object.insert("tools".into(), tools.into());
}

fn latency_object(latency: &Latency) -> Value {
    let mut object = Map::new();
    object.insert("count".into(), latency.count().into());
    for (quantile, name) in Latency::QUANTILES {
        let key = format!("{}_ns", name.replace('.', "_"));
        object.insert(key, nanos(latency.quantile(quantile)));
    }
    object.insert("max_ns".into(), nanos(latency.max()));
    object.into()
}

fn nanos(duration: std::time::Duration) -> Value {
    saturating_nanos(duration).into()
}

fn workers_object(workers: WorkerFigures) -> Value {
    json!({
        "threads": workers.threads,
        "threads_configured": workers.threads_configured,
        "busy": workers.busy,
        "queued": workers.queued,
        "queue_depth_max": workers.queue_depth_max,
        "abandoned": workers.abandoned,
        "completed": workers.completed_total,
        "cancelled": workers.cancelled_total,
        "refused": workers.refused_total,
        "panicked": workers.panicked_total,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::example;
    use super::*;
    use crate::metrics::contention::ContentionFigures;
    use crate::metrics::process::ProcessorTime;

    fn parsed(report: &Report) -> Value {
        let text = report.to_json();
        assert_eq!(text.matches('\n').count(), 1, "one line");
        assert!(text.ends_with('\n'));
        serde_json::from_str(&text).unwrap()
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_merged_part_is_the_sum_of_the_shards() {
        let json = parsed(&example());
        assert_eq!(json["uptime_seconds"], 3723.0);
        for pointer in [
            "/requests",
            "/pool_size",
            "/refusals/handlers",
            "/stages/total/count",
            "/tools/echo/count",
        ] {
            let of = |part: &Value| part.pointer(pointer).unwrap().as_u64().unwrap();
            let sum: u64 = json["shards"].as_array().unwrap().iter().map(of).sum();
            assert_eq!(of(&json["all"]), sum, "{pointer}");
        }
        assert_eq!(json["all"]["requests"], 10);
        assert_eq!(json["all"]["refusals"]["handlers"], 2);
        assert_eq!(json["all"]["pool_size"], 512);
    }

    #[test]
    fn keys_do_not_depend_on_what_happened() {
        let example = example();
        let idle = ShardReport {
            shard: crate::units::ShardId(0),
            numbers: ShardSnapshot::default(),
            histograms: Some(ShardHistograms::new(&example.tools)),
        };
        let idle = Report::new(
            example.tools.clone(),
            example.uptime,
            vec![idle],
            None,
            ContentionFigures::default(),
        );
        let (busy, idle) = (parsed(&example), parsed(&idle));
        assert_eq!(keys(&busy), keys(&idle));
        for pointer in [
            "",
            "/refusals",
            "/evictions",
            "/queue_waits",
            "/queue_wait",
            "/stages",
            "/stages/total",
            "/tools",
            "/requests_by_era",
        ] {
            let of = |json: &Value| keys(json["shards"][0].pointer(pointer).unwrap()).join(" ");
            assert_eq!(of(&busy), of(&idle), "{pointer}");
        }
        assert_eq!(keys(&busy["advice"]), keys(&idle["advice"]));
        assert_eq!(idle["workers"], Value::Null);
        assert_eq!(idle["advice"]["outcome"], "no_work");
        assert_eq!(idle["advice"]["pool_size"], Value::Null);
        assert_eq!(idle["advice"]["contended_cpu_share"], Value::Null);
    }

    #[test]
    fn advice_comes_from_what_the_shards_did() {
        let mut example = example();
        let mut shards = std::mem::take(&mut example.shards);
        let first = &mut shards[0];
        first.numbers.pool_size = 8;
        first.numbers.pool_high_water = 8;
        first.numbers.queue_high_water = 4;
        first.numbers.queued = 6;
        first
            .histograms
            .as_mut()
            .unwrap()
            .record_wait(Duration::from_secs(1));
        // Calls waited for ten seconds of an hour: twenty of two shards' cores.
        let report = |used, waited| {
            let contention = ContentionFigures {
                elapsed: Duration::from_secs(10),
                processor: ProcessorTime {
                    used: Duration::from_secs(used),
                    waited: Duration::from_secs(waited),
                },
            };
            parsed(&Report::new(
                example.tools.clone(),
                example.uptime,
                shards.clone(),
                None,
                contention,
            ))
        };
        // 8 at work and 4 waiting, of 16; refusals for a full queue make it the least.
        let pool = report(9, 1);
        assert_eq!(pool["advice"]["outcome"], "raise_pool_size");
        assert_eq!(pool["advice"]["pool_size"], 16);
        let text = pool["advice"]["text"].as_str().unwrap();
        assert!(
            text.starts_with("raise --pool-size to 16 or more (at most 8 of"),
            "{text}"
        );
        assert!(text.contains("60.0 % of 10 calls waited, P99 1.0"), "{text}");
        assert_eq!(pool["advice"]["contended_ns"], 10_000_000_000_u64);
        assert_eq!(pool["advice"]["contended_cpu_ns"], 9_000_000_000_u64);
        assert_eq!(pool["advice"]["contended_cpu_wait_ns"], 1_000_000_000);
        assert_eq!(pool["advice"]["contended_cpu_share"], 0.5);
        // The process computes all the time, or is starved by others.
        for (used, waited) in [(16, 0), (1, 15)] {
            assert_eq!(report(used, waited)["advice"]["outcome"], "more_cores");
        }
        assert_eq!(pool["all"]["queue_wait"]["count"], 1);
        assert_eq!(pool["all"]["queued"], 6);
    }

    #[test]
    fn quantiles_are_in_nanoseconds() {
        let json = parsed(&example());
        let total = &json["all"]["stages"]["total"];
        let expected = [
            "count",
            "p50_ns",
            "p90_ns",
            "p99_ns",
            "p99_9_ns",
            "p99_99_ns",
            "max_ns",
        ];
        assert_eq!(keys(total), expected);
        assert_eq!(total["p50_ns"].as_u64().unwrap() / 100_000, 10);
        assert_eq!(total["max_ns"].as_u64().unwrap() / 10_000_000, 10);
    }

    #[test]
    fn a_shard_that_did_not_answer_is_reported_with_its_counters() {
        let mut example = example();
        let mut shards = std::mem::take(&mut example.shards);
        shards[1].histograms = None;
        let json = parsed(&Report::new(
            example.tools.clone(),
            example.uptime,
            shards,
            None,
            ContentionFigures::default(),
        ));
        assert_eq!(json["shards"][1]["requests"], 1);
        assert_eq!(json["shards"][1]["stages"], Value::Null);
        assert_eq!(json["shards"][1]["queue_wait"], Value::Null);
        assert_eq!(json["all"]["stages"]["total"]["count"], 9);
    }
}
