//! Resources, prompts and completion are work like any call: they hold a handler, wait for one, time out, are cancelled
//! and counted. The transcripts test their answers.

use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Request, Revision, Server, Shared, assert_at_rest, assert_control_is_answered,
    assert_overloaded, case, enqueue, eras, eventually, hold, waits,
};

const INVALID_PARAMS: i64 = -32602;
const HEADER_MISMATCH: i64 = -32020;

/// All revisions, oldest first.
fn dialects() -> impl Iterator<Item = Dialect> {
    let legacy = Revision::ALL_LEGACY.into_iter().map(Dialect::legacy);
    legacy.chain([Dialect::modern()])
}

fn read(dialect: &Dialect, uri: &str) -> Request {
    dialect.request("read", "resources/read", json!({"uri": uri}))
}

fn summarize(dialect: &Dialect, arguments: Value) -> Request {
    dialect.request(
        "get",
        "prompts/get",
        json!({"name": "summarize", "arguments": arguments}),
    )
}

fn complete(dialect: &Dialect, reference: Value, name: &str, value: &str) -> Request {
    let params = json!({"ref": reference, "argument": {"name": name, "value": value}});
    dialect.request("complete", "completion/complete", params)
}

fn greeting() -> Value {
    json!({"type": "ref/resource", "uri": "demo://greeting/{name}"})
}

/// One request of each kind that is work.
fn every_work(dialect: &Dialect) -> [(&'static str, Request); 3] {
    [
        ("read", read(dialect, "demo://about")),
        ("get", summarize(dialect, json!({"text": "x"}))),
        ("complete", complete(dialect, greeting(), "name", "")),
    ]
}

#[test]
fn what_is_no_uri_is_refused() {
    let server = Shared::usual();
    for dialect in dialects() {
        let _case = case(dialect.revision.0);
        for params in [json!({}), json!({"uri": 1}), json!({"uri": "a".repeat(8_193)})] {
            let request = dialect.request(3, "resources/read", params).without("Mcp-Name");
            server.ask(&request).assert_error(200, INVALID_PARAMS, 3);
        }
    }
}

#[test]
fn headers_mirror_uri_and_name() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    for (id, request, wrapped) in [
        (
            "read",
            read(&modern, "demo://about"),
            "=?base64?ZGVtbzovL2Fib3V0?=",
        ),
        (
            "get",
            summarize(&modern, json!({"text": "x"})),
            "=?base64?c3VtbWFyaXpl?=",
        ),
    ] {
        server.ask(&request).result();
        server.ask(&request.clone().with("Mcp-Name", wrapped)).result();
        for lying in [
            request.clone().without("Mcp-Name"),
            request.clone().without("Mcp-Method"),
            request.clone().with("Mcp-Name", "demo://other"),
            request.clone().with("Mcp-Name", ""),
            request.clone().with("Mcp-Name", "=?base64?x?="),
            request.clone().with("Mcp-Method", "tools/call"),
            request.clone().plus("Mcp-Name", "echo"),
        ] {
            server.ask(&lying).assert_error(400, HEADER_MISMATCH, id);
        }
    }
    // This names nothing.
    let completing = complete(&modern, greeting(), "name", "");
    server.ask(&completing).result();
    server
        .ask(&completing.with("Mcp-Method", "resources/read"))
        .assert_error(400, HEADER_MISMATCH, "complete");
}

/// A client whose read holds a handler until it leaves.
fn hold_by_reading(server: &Server) -> Client {
    let busy = server.busy_handlers();
    let mut client = server.connect();
    client.send(&read(&Dialect::modern(), "demo://sleep/60000"));
    eventually("a handler is held", || server.busy_handlers() > busy);
    client
}

#[test]
fn without_a_handler_they_are_told_not_now() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    let reading = hold_by_reading(&server);
    let mut client = server.connect();
    for dialect in eras() {
        for (id, request) in every_work(&dialect) {
            assert_overloaded(&client.ask(&request), "handlers", id);
        }
        // The server still answers what it knows from memory.
        for method in ["resources/list", "resources/templates/list", "prompts/list"] {
            client.ask(&dialect.request(1, method, json!({}))).result();
        }
        let code = if dialect.is_modern() {
            INVALID_PARAMS
        } else {
            -32002
        };
        client
            .ask(&read(&dialect, "demo://nothing"))
            .assert_error(200, code, "read");
        client
            .ask(&complete(
                &dialect,
                json!({"type": "ref/prompt", "name": "summarize"}),
                "text",
                "",
            ))
            .result();
    }
    assert_control_is_answered(&server);
    // A modern client cancels by leaving.
    drop(reading);
    eventually("the handler is free", || server.busy_handlers() == 0);
    for dialect in eras() {
        for (_, request) in every_work(&dialect) {
            client.ask(&request).result();
        }
    }
    assert_at_rest(&server);
}

#[test]
fn they_wait_in_order_with_all_other_work() {
    let server = Server::start(&[
        "--pool-size",
        "1",
        "--queue-depth",
        "16",
        "--queue-timeout",
        "60s",
        "--queue-timeout-agent",
        "60s",
    ]);
    let holder = hold(&server);
    let mut waiters = Vec::new();
    for dialect in eras() {
        for (_, request) in every_work(&dialect) {
            let mut client = server.connect();
            enqueue(&server, &mut client, &request.encode());
            waiters.push(client);
        }
        // Wrong arguments are found without a handler.
        server
            .ask(&summarize(&dialect, json!({})))
            .assert_error(200, INVALID_PARAMS, "get");
    }
    assert!(waiters.iter().all(Client::is_silent));
    drop(holder);
    for mut waiter in waiters {
        waiter.receive().result();
    }
    assert_eq!(waits(&server, "served"), 6);
    assert_at_rest(&server);
}

#[test]
fn their_time_is_bounded() {
    let server = Server::start(&["--call-timeout", "200ms"]);
    for dialect in eras() {
        let answer = server.ask(&read(&dialect, "demo://sleep/60000"));
        let error = answer.assert_error(200, -32603, "read");
        assert!(error["message"].as_str().unwrap().contains("timed out"));
    }
    assert_at_rest(&server);
}

#[test]
fn they_are_counted_under_their_methods() {
    let server = Server::start(&[]);
    for dialect in eras() {
        for (_, request) in every_work(&dialect) {
            server.ask(&request).result();
        }
        server.ask(&read(&dialect, "demo://sleep/soon"));
        server.ask(&read(&dialect, "demo://unknown-to-everybody"));
    }
    let count = |method: &str, error: &str| {
        let labels = [("mcp_method_name", method), ("error_type", error)];
        server.metric("mcp_server_operation_duration_seconds_count", &labels)
    };
    for method in ["resources/read", "prompts/get", "completion/complete"] {
        assert_eq!(count(method, ""), 2, "{method}");
    }
    assert_eq!(count("resources/read", "-32002"), 2);
    assert_eq!(count("resources/read", "-32602"), 2);
    let classes = |class: &str| server.metric("weir_requests_total", &[("class", class)]);
    assert_eq!((classes("work"), classes("control")), (8, 2));
    let scraped = server.ask_admin(&Request::new("GET", "/metrics")).text();
    assert!(!scraped.contains("unknown-to-everybody") && !scraped.contains("demo://"));
}

#[test]
fn they_stand_in_batches() {
    let server = Shared::usual();
    let batching = Dialect::legacy(Revision::BATCHING);
    let request = |id: u32, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let batch = json!([
        request(1, "resources/read", json!({"uri": "demo://about"})),
        request(2, "prompts/get", json!({"name": "summarize", "arguments": {}})),
        request(
            3,
            "completion/complete",
            json!({"ref": greeting(), "argument": {"name": "name", "value": "G"}})
        ),
        request(
            4,
            "tools/call",
            json!({"name": "echo", "arguments": {"message": "x"}})
        ),
        request(5, "resources/read", json!({"uri": "demo://sleep/soon"})),
        request(6, "prompts/list", json!({})),
    ]);
    let answer = server.ask(&batching.post(&batch));
    let answers = answer.json().as_array().unwrap();
    assert_eq!(answers.len(), 6);
    let of = |id: u32| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(of(1)["result"]["contents"][0]["uri"], "demo://about");
    assert_eq!(of(2)["error"]["code"], INVALID_PARAMS);
    assert_eq!(of(3)["result"]["completion"]["values"], json!(["Grace"]));
    assert_eq!(of(4)["result"]["content"][0]["text"], "x");
    assert_eq!(of(5)["error"]["code"], -32002);
    assert_eq!(of(6)["result"]["prompts"][0]["name"], "summarize");
}
