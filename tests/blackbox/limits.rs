//! Tools that may run only so many calls at once: over all shards, first in first out, and in nobody else's way.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    Client, Server, assert_at_rest, assert_overloaded, busy_per_shard, connect_to, echo, eras, eventually,
    send_long_call, tool, waiting,
};

fn figure(server: &Server, name: &str, tool: &str) -> u64 {
    server.metric(name, &[("tool", tool)])
}

/// Calls in flight, and calls that wait for those.
fn used(server: &Server, tool: &str) -> (u64, u64) {
    (
        figure(server, "weir_tool_in_flight", tool),
        figure(server, "weir_tool_waiting", tool),
    )
}

fn started(limits: &str, flags: &[&str]) -> Server {
    let own = ["--shards", "2", "--queue-timeout", "1h", "--tool", limits];
    Server::start(&[&own, flags].concat())
}

#[test]
fn whoever_came_first_goes_first_over_both_shards_and_holds_nobody_up() {
    let server = started("sleep:concurrency=1", &["--pool-size", "2"]);
    assert_eq!(figure(&server, "weir_tool_in_flight_max", "sleep"), 1);
    let mut holder = connect_to(&server, 0);
    send_long_call(&mut holder);
    eventually("it runs", || used(&server, "sleep") == (1, 0));
    let mut waiters = Vec::new();
    for number in 0..6 {
        let mut client = connect_to(&server, [1, 0, 1][number % 3]);
        client.send(&tool(number, "sleep", json!({"ms": 30})));
        eventually("it waits", || used(&server, "sleep") == (1, number as u64 + 1));
        waiters.push(client);
    }
    // They have no handlers, and are in nobody's way.
    assert_eq!((busy_per_shard(&server), waiting(&server)), (vec![1, 0], 0));
    for shard in [0, 1] {
        for dialect in eras() {
            let mut other = connect_to(&server, shard);
            other.ask(&dialect.echo("other", "x")).assert_echo("other", "x");
        }
    }
    drop(holder);
    let answered = |mut client: Client| {
        assert_eq!(client.receive().tool_text(), "slept 30 ms");
        Instant::now()
    };
    let times: Vec<Instant> = std::thread::scope(|scope| {
        let threads = waiters.into_iter().map(|client| scope.spawn(|| answered(client)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for pair in times.windows(2) {
        let apart = pair[1].saturating_duration_since(pair[0]);
        assert!(apart >= Duration::from_millis(10), "{times:?}");
    }
    assert_eq!(used(&server, "sleep"), (0, 0));
    assert_at_rest(&server);
}

#[test]
fn past_the_limit_and_its_queue_calls_are_refused_and_their_connections_go_on() {
    let server = started("sleep:concurrency=1,queue=1", &[]);
    let mut held = [connect_to(&server, 0), connect_to(&server, 1)];
    for (number, client) in held.iter_mut().enumerate() {
        send_long_call(client);
        eventually("it came", || used(&server, "sleep") == (1, number as u64));
    }
    let mut refused = 0;
    for shard in [0, 1] {
        let mut client = connect_to(&server, shard);
        for dialect in eras() {
            let response = client.ask(&dialect.tool("refused", "sleep", json!({"ms": 1})));
            assert_overloaded(&response, "tool", "refused");
            assert_eq!(response.json()["error"]["data"]["queueDepth"], 1);
            client.ask(&echo("after", "x")).assert_echo("after", "x");
            refused += 1;
        }
    }
    assert_eq!(figure(&server, "weir_tool_refusals_total", "sleep"), refused);
    assert_eq!(
        server.metric("weir_refusals_total", &[("reason", "tool")]),
        refused
    );
    drop(held);
    eventually("all is over", || used(&server, "sleep") == (0, 0));
    assert_at_rest(&server);
}

#[test]
fn a_client_that_leaves_while_it_waits_loses_nobody_a_place() {
    let server = started("sleep:concurrency=2", &[]);
    for round in 0..20 {
        let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(send_long_call);
        eventually("all came", || used(&server, "sleep") == (2, 6));
        fastrand::Rng::with_seed(round).shuffle(&mut clients);
        let mut last = clients.pop().unwrap();
        for (number, client) in clients.into_iter().enumerate() {
            if number % 2 == 0 {
                client.reset();
            }
        }
        eventually("the last one runs", || used(&server, "sleep") == (1, 0));
        last.finish();
        last.assert_closed();
        eventually("all is over", || used(&server, "sleep") == (0, 0));
    }
    assert_at_rest(&server);
}

#[test]
fn an_operators_timeout_is_one_tools_alone() {
    let server = started("sleep:timeout=50ms", &[]);
    let mut client = server.connect();
    let late = client.ask(&tool(1, "sleep", json!({"ms": 10_000})));
    assert!(
        late.is_tool_error() || late.json()["error"].is_object(),
        "{late:?}"
    );
    client.ask(&echo(2, "x")).assert_echo(2, "x");
    assert_at_rest(&server);
}
