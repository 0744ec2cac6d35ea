//! The handler pool and the workers: what happens when they are exhausted, and that they recover.

use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Revision, Server, assert_control_is_answered, assert_overloaded, case, echo, eras,
    eventually, tool,
};

/// Modern calls that run until their client leaves.
struct Holders(Vec<Client>);

impl Holders {
    /// `count` calls of `name`, sent until `total` handlers are held.
    fn take(server: &Server, count: u64, name: &str, total: u64) -> Self {
        let hold = |_| {
            let mut client = server.connect();
            client.send(&tool("held", name, json!({"ms": 60_000})));
            client
        };
        let clients = (0..count).map(hold).collect();
        eventually("the handlers are held", || server.busy_handlers() == total);
        Self(clients)
    }

    /// The clients leave, which ends their calls.
    fn release(self, server: &Server) {
        drop(self.0);
        eventually("the handlers are free", || server.busy_handlers() == 0);
    }
}

#[test]
fn an_exhausted_pool_says_not_now_and_recovers() {
    let server = Server::start(&["--pool-size", "2", "--queue-depth", "0"]);
    let mut client = server.connect();
    for turn in 0..3 {
        let _case = case(format!("turn {turn}"));
        let holders = Holders::take(&server, 2, "sleep", 2);
        for dialect in eras() {
            assert_overloaded(&client.ask(&dialect.echo("asked", "x")), "handlers", "asked");
            assert_overloaded(
                &client.ask(&dialect.tool(5, "spin", json!({"ms": 0}))),
                "handlers",
                5,
            );
        }
        assert_control_is_answered(&server);
        holders.release(&server);
        // The connection of the refused call is as good as before.
        client.ask(&echo(6, "served")).assert_echo(6, "served");
    }
    assert_eq!(
        server.metric("weir_refusals_total", &[("reason", "handlers")]),
        12
    );
    assert_eq!(server.metric("weir_pool_high_water", &[]), 2);
}

#[test]
fn each_call_of_a_refused_batch_gets_its_own_error() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    let holders = Holders::take(&server, 1, "sleep", 1);
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "x"}}});
    let ping = json!({"jsonrpc": "2.0", "id": "ping", "method": "ping"});
    let batch = Dialect::legacy(Revision::BATCHING).post(&json!([call(1), ping, call(2)]));
    let mut client = server.connect();
    let refused = client.ask(&batch);
    refused.assert_status(503);
    for answer in refused.json().as_array().unwrap() {
        match &answer["id"] {
            Value::String(_) => assert_eq!(answer["result"], json!({})),
            _ => assert_eq!(answer["error"]["data"]["reason"], "handlers"),
        }
    }
    assert_eq!(refused.json().as_array().unwrap().len(), 3);
    holders.release(&server);
    client.ask(&batch).assert_status(200);
}

#[test]
fn a_refused_request_keeps_its_place_in_a_pipeline() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    let holders = Holders::take(&server, 1, "sleep", 1);
    let ping = Dialect::legacy(Revision::NEWEST_LEGACY).request("p", "ping", json!({}));
    let mut client = server.connect();
    client.send_bytes(
        &[
            echo(1, "a").encode(),
            ping.encode(),
            echo(2, "b").encode(),
            ping.encode(),
        ]
        .concat(),
    );
    assert_overloaded(&client.receive(), "handlers", 1);
    assert_eq!(client.receive().json()["id"], "p");
    assert_overloaded(&client.receive(), "handlers", 2);
    assert_eq!(client.receive().json()["id"], "p");
    holders.release(&server);
}

#[test]
fn idle_and_silent_connections_hold_no_handler() {
    let server = Server::start(&["--pool-size", "1"]);
    let mut parked: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    for client in parked.iter_mut().take(15) {
        client.ask(&echo(1, "x")).assert_echo(1, "x");
    }
    for client in parked.iter_mut().skip(20) {
        client.send_bytes(b"POST /mcp HTTP/1.1\r\n");
    }
    for _ in 0..5 {
        server.ask(&echo(2, "served")).assert_echo(2, "served");
    }
    for client in parked.iter_mut().take(20) {
        client.ask(&echo(3, "still here")).assert_echo(3, "still here");
    }
}

#[test]
fn a_full_queue_of_the_workers_is_overload_of_its_own() {
    let server = Server::start(&["--pool-size", "8", "--workers", "1", "--worker-queue", "1"]);
    for turn in 0..2 {
        let _case = case(format!("turn {turn}"));
        let running = Holders::take(&server, 1, "spin", 1);
        eventually("one runs", || server.metric("weir_worker_busy", &[]) == 1);
        let queued = Holders::take(&server, 1, "spin", 2);
        eventually("one waits", || server.metric("weir_worker_queued", &[]) == 1);
        let mut client = server.connect();
        for dialect in eras() {
            let refused = client.ask(&dialect.tool("w", "spin", json!({"ms": 1})));
            assert_overloaded(&refused, "workers", "w");
            // Nothing else is short.
            client.ask(&dialect.echo(1, "x")).assert_echo(1, "x");
        }
        assert_control_is_answered(&server);
        assert_eq!(server.busy_handlers(), 2);
        // A waiting call leaves the queue, and a running one notices its cancellation.
        drop(queued.0);
        eventually("the queue is empty", || {
            server.metric("weir_worker_queued", &[]) == 0
        });
        running.release(&server);
        eventually("the worker is free", || {
            server.metric("weir_worker_busy", &[]) == 0
        });
        assert_eq!(
            client.ask(&tool(2, "spin", json!({"ms": 1}))).tool_text(),
            "spun 1 ms"
        );
    }
    assert_eq!(server.metric("weir_refusals_total", &[("reason", "workers")]), 4);
}

#[test]
fn a_pool_that_does_not_fit_is_refused_with_the_arithmetic() {
    let mut refused = crate::harness::Process::start(&[
        "serve",
        "--shards",
        "1",
        "--pool-size",
        "60000",
        "--memory-max",
        "64MiB",
    ]);
    assert_eq!(refused.wait().code(), Some(2));
    let said = refused.stderr();
    assert!(
        said.contains("pool-size") && said.contains("memory-max") && said.contains("MiB"),
        "{said}"
    );
}
