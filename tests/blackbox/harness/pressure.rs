//! Handlers that are exhausted on purpose, and the effects that show outside: which calls wait, which move, what
//! clients get.

use serde_json::{Value, json};

use super::client::Client;
use super::message::{Dialect, Revision, tool};
use super::request::Request;
use super::response::Response;
use super::server::Server;
use super::wait::{eventually, eventually_some};

/// The code of "not now".
const OVERLOADED: i64 = -31503;

/// A connection that holds a handler until it is dropped: a modern call that ends with its client.
#[track_caller]
pub(crate) fn hold(server: &Server) -> Client {
    let busy = server.busy_handlers();
    let mut client = server.connect();
    send_long_call(&mut client);
    eventually("a handler is held", || server.busy_handlers() > busy);
    client
}

/// A modern call that runs until its client leaves.
pub(crate) fn send_long_call(client: &mut Client) {
    client.send(&tool("long", "sleep", json!({"ms": 60_000})));
}

/// A new connection that lives on this shard.
#[track_caller]
pub(crate) fn connect_to(server: &Server, shard: usize) -> Client {
    let accepted = || per_shard(server, "weir_connections_accepted_total", &[]);
    let open = server.metric("weir_connections", &[]);
    loop {
        let before = accepted();
        let client = server.connect();
        let landed = eventually_some("it is accepted", || {
            let after = accepted();
            (0..after.len()).find(|&shard| after[shard] > before[shard])
        });
        if landed == shard {
            return client;
        }
        client.reset();
        eventually("the misplaced is gone", || {
            server.metric("weir_connections", &[]) <= open
        });
    }
}

/// A figure of each shard, in order.
#[track_caller]
pub(crate) fn per_shard(server: &Server, name: &str, labels: &[(&str, &str)]) -> Vec<u64> {
    let metrics = server.metrics();
    let shards = metrics.count(name, labels).max(1);
    (0..shards)
        .map(|shard| {
            let number = shard.to_string();
            let labels: Vec<_> = labels.iter().copied().chain([("shard", &*number)]).collect();
            metrics.sum(name, &labels) as u64
        })
        .collect()
}

/// The number of busy handlers on each shard.
#[track_caller]
pub(crate) fn busy_per_shard(server: &Server) -> Vec<u64> {
    per_shard(server, "weir_pool_handlers", &[("state", "busy")])
}

/// Requests that wait for a handler.
#[track_caller]
pub(crate) fn waiting(server: &Server) -> u64 {
    server.metric("weir_queue_depth", &[])
}

/// How many waits have ended in this way.
#[track_caller]
pub(crate) fn waits(server: &Server, end: &str) -> u64 {
    server.metric("weir_queue_waits_total", &[("end", end)])
}

/// Sends a request and waits until the request waits.
#[track_caller]
pub(crate) fn enqueue(server: &Server, client: &mut Client, bytes: &[u8]) {
    let before = waiting(server);
    client.send_bytes(bytes);
    eventually("it waits", || waiting(server) == before + 1);
}

/// Waits until nothing is left over: no handler in use, nobody waiting, nothing in flight.
#[track_caller]
pub(crate) fn assert_at_rest(server: &Server) {
    eventually("it is at rest", || {
        let metrics = server.metrics();
        let idle = metrics.sum("weir_pool_handlers", &[("state", "idle")]);
        idle == metrics.sum("weir_pool_size", &[])
            && metrics.sum("weir_queue_depth", &[]) == 0.0
            && metrics.sum("weir_requests_in_flight", &[]) == 0.0
    });
    let metrics = server.metrics();
    let waits = |end| metrics.sum("weir_queue_waits_total", &[("end", end)]);
    let ended: f64 = ["served", "timed_out", "left", "stolen"]
        .into_iter()
        .map(waits)
        .sum();
    assert_eq!(ended, metrics.sum("weir_queued_total", &[]), "a wait ends once");
    let moved = |direction| metrics.sum("weir_steals_total", &[("direction", direction)]);
    assert_eq!(moved("in"), moved("out"), "who leaves a shard arrives at another");
}

/// Checks the whole overload answer, on a connection that goes on.
#[track_caller]
pub(crate) fn assert_overloaded(response: &Response, reason: &str, id: impl Into<Value>) {
    response.assert_error(503, OVERLOADED, id);
    assert_overload(response.json(), response, reason);
    assert!(!response.closes());
}

/// One overload error, alone or in a batch.
#[track_caller]
pub(crate) fn assert_overload(answer: &Value, response: &Response, reason: &str) {
    assert_eq!(answer["error"]["code"], OVERLOADED, "{answer}");
    let data = answer["error"]["data"].as_object().unwrap();
    assert_eq!(
        data.keys().collect::<Vec<_>>(),
        ["retryAfterMs", "queueDepth", "reason"]
    );
    assert_eq!(data["reason"], reason);
    let seconds: u64 = response.field("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    assert_eq!(seconds, data["retryAfterMs"].as_u64().unwrap().div_ceil(1000));
}

/// Checks that everything that needs no handler is answered on one connection.
#[track_caller]
pub(crate) fn assert_control_is_answered(server: &Server) {
    let modern = Dialect::modern();
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    let mut client = server.connect();
    client
        .ask(&modern.request(1, "server/discover", json!({})))
        .result();
    client.ask(&modern.request(2, "tools/list", json!({}))).result();
    client.ask(&legacy.request(3, "ping", json!({}))).result();
    client.ask(&legacy.request(4, "tools/list", json!({}))).result();
    client.ask(&legacy.initialize(5)).result();
    client
        .ask(&modern.notification("notifications/cancelled", json!({"requestId": 1})))
        .assert_status(202);
    client
        .ask(&legacy.notification("notifications/initialized", json!({})))
        .assert_status(202);
    client
        .ask(&modern.tool(6, "no-such", json!({})))
        .assert_error(200, -32602, 6);
    client
        .ask(&modern.request(7, "no/such", json!({})))
        .assert_error(404, -32601, 7);
    client
        .ask(&modern.echo(8, "x").with_body("{"))
        .assert_error(400, -32700, Value::Null);
    // Checks that arguments that break the tool's schema are refused in the way of each era.
    assert!(client.ask(&modern.tool(9, "echo", json!({}))).is_tool_error());
    let old = Dialect::legacy(Revision("2025-06-18"));
    client
        .ask(&old.tool(10, "echo", json!({"message": 1})))
        .assert_error(200, -32602, 10);
    let session = server.open_session(&legacy);
    client
        .ask(&Request::new("DELETE", "/mcp").plus("Mcp-Session-Id", session.session.unwrap()))
        .assert_status(200);
}
