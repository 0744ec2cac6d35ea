//! The admin listener: health, readiness, metrics.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Dialect, Process, Request, Server, case, echo, eventually, tool};

const FAMILIES: [(&str, &str); 51] = [
    ("weir_build_info", "gauge"),
    ("weir_requests_total", "counter"),
    ("weir_operations_total", "counter"),
    ("weir_requests_in_flight", "gauge"),
    ("weir_refusals_total", "counter"),
    ("weir_http_refusals_total", "counter"),
    ("mcp_server_operation_duration_seconds", "histogram"),
    ("weir_pool_handlers", "gauge"),
    ("weir_pool_size", "gauge"),
    ("weir_pool_high_water", "gauge"),
    ("weir_pool_utilization_ratio", "gauge"),
    ("weir_queue_depth", "gauge"),
    ("weir_queue_depth_max", "gauge"),
    ("weir_queue_high_water", "gauge"),
    ("weir_queue_oldest_wait_seconds", "gauge"),
    ("weir_queued_total", "counter"),
    ("weir_queue_waits_total", "counter"),
    ("weir_queue_wait_seconds", "histogram"),
    ("weir_steals_total", "counter"),
    ("weir_linger_cuts_total", "counter"),
    ("weir_ring_buffers", "gauge"),
    ("weir_ring_buffers_free", "gauge"),
    ("weir_ring_starved_total", "counter"),
    ("weir_connections", "gauge"),
    ("weir_connections_max", "gauge"),
    ("weir_connections_accepted_total", "counter"),
    ("weir_connections_closed_total", "counter"),
    ("weir_accept_failures_total", "counter"),
    ("weir_evictions_total", "counter"),
    ("weir_received_bytes_total", "counter"),
    ("weir_sent_bytes_total", "counter"),
    ("weir_panics_total", "counter"),
    ("weir_stalls_total", "counter"),
    ("weir_log_records_dropped_total", "counter"),
    ("weir_worker_threads", "gauge"),
    ("weir_worker_calls_max", "gauge"),
    ("weir_worker_busy", "gauge"),
    ("weir_worker_queued", "gauge"),
    ("weir_worker_queue_depth_max", "gauge"),
    ("weir_worker_abandoned", "gauge"),
    ("weir_worker_completed_total", "counter"),
    ("weir_worker_cancelled_total", "counter"),
    ("weir_worker_refused_total", "counter"),
    ("weir_worker_panicked_total", "counter"),
    ("process_cpu_seconds_total", "counter"),
    ("process_start_time_seconds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_max_fds", "gauge"),
    ("process_threads", "gauge"),
];

#[test]
fn health_and_readiness_answer() {
    let server = Server::start(&[]);
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/healthz?probe=1", 200),
        ("GET", "/no-such", 404),
        ("GET", "/mcp", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
    ] {
        let _case = case(format!("{method} {path}"));
        server
            .ask_admin(&Request::new(method, path))
            .assert_status(status);
    }
    let foreign = Request::new("GET", "/metrics").with("Host", "evil.example");
    server.ask_admin(&foreign).assert_status(403);
    server
        .ask_admin(&Request::new("GET", "/metrics").without("Host"))
        .assert_status(400);
}

#[test]
fn metrics_hold_the_documented_families() {
    let server = Server::start(&["--pool-size", "3", "--workers", "2", "--worker-queue", "5"]);
    server.ask(&echo(1, "x")).assert_echo(1, "x");
    let scraped = server.ask_admin(&Request::new("GET", "/metrics"));
    assert_eq!(
        scraped.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let metrics = server.metrics();
    for family in FAMILIES {
        assert!(metrics.families().any(|known| known == family), "{family:?}");
    }
    for (name, value) in [
        ("weir_pool_size", 3.0),
        ("weir_pool_handlers", 3.0),
        ("weir_worker_calls_max", 2.0),
        ("weir_worker_queue_depth_max", 10.0),
    ] {
        assert_eq!(metrics.sum(name, &[]), value, "{name}");
    }
    // The number includes additional threads.
    assert!(metrics.sum("weir_worker_threads", &[]) >= 2.0);
}

#[test]
fn metrics_move_with_what_is_done() {
    let server = Server::start(&["--pool-size", "4"]);
    let mut client = server.connect();
    for id in 0..7 {
        client.ask(&echo(id, "x")).assert_echo(id, "x");
    }
    client.ask(&tool(1, "fail", json!({"how": "error"}))).result();
    client
        .ask(&Dialect::modern().request(1, "tools/list", json!({})))
        .result();
    client
        .ask(&echo(1, "x").with("Content-Type", "text/plain"))
        .assert_status(415);
    let metrics = server.metrics();
    for (name, labels, value) in [
        (
            "weir_requests_total",
            &[("class", "work"), ("era", "modern")][..],
            8.0,
        ),
        ("weir_requests_total", &[("class", "control")], 1.0),
        ("weir_operations_total", &[("outcome", "ok")], 8.0),
        ("weir_operations_total", &[("outcome", "tool_error")], 1.0),
        ("weir_http_refusals_total", &[("code", "415")], 1.0),
        (
            "mcp_server_operation_duration_seconds_count",
            &[("gen_ai_tool_name", "echo")],
            7.0,
        ),
        (
            "mcp_server_operation_duration_seconds_count",
            &[("gen_ai_tool_name", "fail"), ("error_type", "tool_error")],
            1.0,
        ),
        (
            "mcp_server_operation_duration_seconds_count",
            &[("mcp_method_name", "tools/list"), ("error_type", "")],
            1.0,
        ),
        ("weir_connections", &[], 1.0),
        ("weir_connections_accepted_total", &[], 1.0),
        ("weir_pool_high_water", &[], 1.0),
    ] {
        assert_eq!(metrics.sum(name, labels), value, "{name} {labels:?}");
    }
    assert!(metrics.sum("weir_received_bytes_total", &[]) > metrics.sum("weir_sent_bytes_total", &[]) / 10.0);

    client.send(&tool(1, "sleep", json!({"ms": 60_000})));
    eventually("a handler is busy", || server.busy_handlers() == 1);
    let busy = server.metrics();
    assert_eq!(busy.sum("weir_requests_in_flight", &[]), 1.0);
    assert_eq!(busy.sum("weir_pool_utilization_ratio", &[]), 0.25);
    drop(client);
    eventually("nothing is in flight", || {
        server.metric("weir_requests_in_flight", &[]) == 0
    });
    eventually("the connection is closed", || {
        server.metric("weir_connections_closed_total", &[]) == 1
    });
}

#[test]
fn waits_are_shown_while_they_last_and_afterwards() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "2"]);
    let mut busy = server.connect();
    busy.send(&tool(1, "sleep", json!({"ms": 60_000})));
    eventually("the handler is busy", || server.busy_handlers() == 1);
    let mut waiting = server.connect();
    waiting.send(&echo(2, "x"));
    eventually("a request waits", || server.metric("weir_queue_depth", &[]) == 1);
    // The time is long enough for the advice to take it seriously.
    eventually("its age is shown", || {
        server.metrics().sum("weir_queue_oldest_wait_seconds", &[]) >= 0.02
    });
    drop(busy);
    waiting.receive().assert_echo(2, "x");
    let metrics = server.metrics();
    for (name, labels, value) in [
        ("weir_queue_depth", &[][..], 0.0),
        ("weir_queue_depth_max", &[], 2.0),
        ("weir_queue_high_water", &[], 1.0),
        ("weir_queued_total", &[], 1.0),
        ("weir_queue_waits_total", &[], 1.0),
        ("weir_queue_waits_total", &[("end", "served")], 1.0),
        ("weir_queue_wait_seconds_count", &[], 1.0),
        ("weir_queue_wait_seconds_bucket", &[("le", "0.01")], 0.0),
        ("weir_steals_total", &[], 0.0),
        ("weir_pool_high_water", &[], 1.0),
    ] {
        assert_eq!(metrics.sum(name, labels), value, "{name} {labels:?}");
    }
    assert!(metrics.sum("weir_queue_wait_seconds_sum", &[]) >= 0.02);
    eventually("nobody waits any longer", || {
        server.metrics().sum("weir_queue_oldest_wait_seconds", &[]) == 0.0
    });
    let report = server.stop();
    let all = &report["all"];
    assert_eq!(all["queued"], 1);
    assert_eq!(all["queue_waits"]["served"], 1);
    assert_eq!(all["queue_wait"]["count"], 1);
    let advice = &report["advice"];
    assert!(advice["contended_ns"].as_u64() > Some(0), "{advice}");
    // On a machine that has no CPU left for this server, cores are the right advice.
    if advice["contended_cpu_share"].as_f64() >= Some(0.8) {
        assert_eq!(advice["outcome"], "more_cores", "{advice}");
    } else {
        assert_eq!(
            (&advice["outcome"], &advice["pool_size"]),
            (&json!("raise_pool_size"), &json!(3))
        );
    }
}

#[test]
fn health_answers_while_the_pool_is_exhausted() {
    let server = Server::start(&["--pool-size", "1", "--workers", "1"]);
    let mut client = server.connect();
    client.send(&tool(1, "spin", json!({"ms": 60_000})));
    eventually("the handler is busy", || server.busy_handlers() == 1);
    for path in ["/healthz", "/readyz"] {
        server.ask_admin(&Request::new("GET", path)).assert_status(200);
    }
}

#[test]
fn slow_probers_do_not_keep_others_out() {
    let server = Server::start(&[]);
    let _silent: Vec<_> = (0..200)
        .map(|_| std::net::TcpStream::connect(server.admin.unwrap()).unwrap())
        .collect();
    for _ in 0..3 {
        server
            .ask_admin(&Request::new("GET", "/healthz"))
            .assert_status(200);
    }
}

#[test]
fn a_busy_port_is_an_error_only_if_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut refused = Process::start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        &address,
        "--toolset",
        "demo",
    ]);
    assert_eq!(refused.wait().code(), Some(1));
    let said = refused.stderr();
    assert!(said.contains(&address) && said.contains("--admin"), "{said}");

    // The default port, which is busy now whoever has it.
    let _default = TcpListener::bind("127.0.0.1:9464");
    let process = Process::start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--toolset",
        "demo",
        "--shards",
        "1",
    ]);
    let server = Server::over(process);
    assert!(server.admin.is_none());
    server.ask(&echo(1, "x")).assert_echo(1, "x");

    let off = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--toolset",
        "demo",
        "--shards",
        "1",
    ];
    assert!(Server::over(Process::start(&off)).admin.is_none());
}
