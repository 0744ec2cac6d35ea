//! Revisions up to 2025-11-25: negotiation, version headers, notifications, batches.

use serde_json::{Value, json};

use crate::harness::{Dialect, Request, Response, Revision, Shared, case};

const INVALID_REQUEST: i64 = -32600;
/// Messages that one batch may hold.
const BATCH_MESSAGES_MAX: usize = 64;

#[test]
fn every_revision_is_negotiated_and_served() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let session = server.open_session(&Dialect::legacy(revision));
        let mut client = server.connect();
        for dialect in [&session, &Dialect::legacy(revision)] {
            assert_eq!(
                client.ask(&dialect.request(1, "ping", json!({}))).result(),
                &json!({})
            );
            let listed = client.ask(&dialect.request(2, "tools/list", json!({})));
            assert_eq!(listed.result()["tools"].as_array().unwrap().len(), 7);
            client.ask(&dialect.echo("three", "x")).assert_echo("three", "x");
        }
    }
}

#[test]
fn an_unknown_revision_is_answered_with_the_newest() {
    let server = Shared::usual();
    for asked in ["1999-01-01", "2024-10-07", "2026-07-28", "2099-01-01", ""] {
        let _case = case(asked);
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let answered = server.ask(&Request::post(message.to_string()));
        assert_eq!(answered.result()["protocolVersion"], Revision::NEWEST_LEGACY.0);
    }
}

#[test]
fn version_headers_that_cannot_be_right() {
    let server = Shared::usual();
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    let request = legacy.echo(1, "x");
    for version in ["v999", "2025-11-26", "2025-1-25", "2025-11-25, 2025-11-25", ""] {
        let _case = case(version);
        let refused = server.ask(&request.clone().with("MCP-Protocol-Version", version));
        let error = refused.assert_error(400, INVALID_REQUEST, 1);
        let all: Vec<&str> = Revision::ALL_LEGACY
            .iter()
            .chain([&Revision::MODERN])
            .map(|one| one.0)
            .collect();
        assert_eq!(error["data"], json!({"supported": all}));
        let words = error["message"].as_str().unwrap();
        assert!(all.iter().all(|version| words.contains(version)), "{words}");
    }
    let twice = request
        .clone()
        .plus("MCP-Protocol-Version", Revision::NEWEST_LEGACY.0);
    server.ask(&twice).assert_error(400, INVALID_REQUEST, 1);
    server
        .ask(&request.without("MCP-Protocol-Version"))
        .assert_echo(1, "x");
    // A session has one revision, whichever other supported one the head names.
    let session = server.open_session(&Dialect::legacy(Revision("2025-06-18")));
    let other = session
        .echo(1, "x")
        .with("MCP-Protocol-Version", Revision::NEWEST_LEGACY.0);
    server.ask(&other).assert_echo(1, "x");
    server
        .ask(&session.echo(1, "x").without("MCP-Protocol-Version"))
        .assert_echo(1, "x");
}

#[test]
fn initialize_looks_at_its_body_whatever_its_header_says() {
    let server = Shared::usual();
    for header in ["2099-12-31", "2026-07-28", "2026-12-01", "v999", ""] {
        for revision in Revision::ALL_LEGACY {
            let _case = case(format!("{header:?} for {}", revision.0));
            let dialect = Dialect::legacy(revision);
            let answer = server.ask(&dialect.initialize(1).with("MCP-Protocol-Version", header));
            assert_eq!(answer.result()["protocolVersion"], revision.0);
            let session = Dialect {
                session: Some(answer.field("mcp-session-id").unwrap().to_owned()),
                ..dialect
            };
            server.ask(&session.echo(2, "x")).assert_echo(2, "x");
        }
    }
    // With the modern envelope this is a modern request.
    let mut modern: Value =
        serde_json::from_slice(&Dialect::legacy(Revision::NEWEST_LEGACY).initialize(1).body).unwrap();
    modern["params"]["_meta"] = Dialect::envelope();
    server
        .ask(&Dialect::modern().post(&modern))
        .assert_error(404, -32601, 1);
}

#[test]
fn a_log_level_is_taken_without_a_session() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let legacy = Dialect::legacy(revision);
        let set = server.ask(&legacy.request(1, "logging/setLevel", json!({"level": "warning"})));
        assert_eq!(set.result(), &json!({}));
        server
            .ask(&legacy.request(1, "logging/setLevel", json!({"level": "loud"})))
            .assert_error(200, -32602, 1);
    }
}

#[test]
fn errors_of_json_rpc_are_no_affair_of_http() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let legacy = Dialect::legacy(revision);
        let mut unknown = vec!["no/such", "subscriptions/listen", "server/list", "tasks/update"];
        if revision != Revision::NEWEST_LEGACY {
            unknown.push("tasks/list");
        }
        for method in unknown {
            server
                .ask(&legacy.request("m", method, json!({})))
                .assert_error(200, -32601, "m");
        }
        server
            .ask(&legacy.tool(2, "no-such", json!({})))
            .assert_error(200, -32602, 2);
        server
            .ask(&legacy.request(3, "tools/list", json!({"cursor": "x"})))
            .assert_error(200, -32602, 3);
    }
}

#[test]
fn wrong_arguments_take_the_form_of_their_revision() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let response = server.ask(&Dialect::legacy(revision).tool(1, "sleep", json!({"ms": "soon"})));
        if revision >= Revision::NEWEST_LEGACY {
            assert!(response.is_tool_error());
        } else {
            let error = response.assert_error(200, -32602, 1);
            assert_eq!(error["data"]["violations"][0]["path"], "/ms", "{error}");
        }
    }
}

#[test]
fn notifications_and_responses_are_accepted_without_a_body() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let session = server.open_session(&Dialect::legacy(revision));
        let mut client = server.connect();
        for method in [
            "notifications/cancelled",
            "notifications/roots/list_changed",
            "notifications/unknown",
        ] {
            client
                .ask(&session.notification(method, json!({"requestId": 99})))
                .assert_status(202);
        }
        client
            .ask(&session.post(&json!({"jsonrpc": "2.0", "id": 5, "result": {}})))
            .assert_status(202);
        let error = json!({"jsonrpc": "2.0", "id": 6, "error": {"code": 1, "message": "no"}});
        client.ask(&session.post(&error)).assert_status(202);
    }
}

/// A batch under 2025-03-26.
fn batch(messages: &[Value]) -> Request {
    Dialect::legacy(Revision::BATCHING).post(&Value::from(messages))
}

fn call(id: Value, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// The answers of a batch by id, as sorted text; their order is free.
#[track_caller]
fn ids(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{}", response.text());
    let answers = response.json().as_array().unwrap();
    let mut ids: Vec<String> = answers.iter().map(|answer| answer["id"].to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn batches_in_their_one_revision() {
    let server = Shared::usual();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let mixed = [
        ping.clone(),
        call(json!("sleeper"), "sleep", json!({"ms": 20})),
        notification.clone(),
        call(json!(3), "echo", json!({"message": "in a batch"})),
        json!({"jsonrpc": "2.0", "id": 4, "method": "no/such"}),
        call(json!(5), "spin", json!({"ms": 5})),
        call(json!(6), "sleep", json!({"ms": -1})),
        call(json!(7), "fail", json!({"how": "error"})),
        json!({"jsonrpc": "2.0", "id": 99, "result": {}}),
    ];
    let mut client = server.connect();
    for turn in 0..3 {
        let _case = case(format!("turn {turn}"));
        let answered = client.ask(&batch(&mixed));
        assert_eq!(ids(&answered), ["\"sleeper\"", "1", "3", "4", "5", "6", "7"]);
        let by_id = |id: Value| {
            answered
                .json()
                .as_array()
                .unwrap()
                .iter()
                .find(|answer| answer["id"] == id)
                .unwrap()
        };
        assert_eq!(by_id(json!(3))["result"]["content"][0]["text"], "in a batch");
        assert_eq!(
            by_id(json!("sleeper"))["result"]["content"][0]["text"],
            "slept 20 ms"
        );
        assert_eq!(by_id(json!(4))["error"]["code"], -32601);
        assert_eq!(by_id(json!(6))["error"]["code"], -32602);
        assert_eq!(by_id(json!(7))["result"]["isError"], true);
    }
    client.ask(&batch(&[notification])).assert_status(202);
    assert_eq!(ids(&client.ask(&batch(std::slice::from_ref(&ping)))), ["1"]);
    // Without a header 2025-03-26 is assumed.
    assert_eq!(
        ids(&client.ask(&batch(&[ping]).without("MCP-Protocol-Version"))),
        ["1"]
    );
}

#[test]
fn batches_that_are_refused_as_a_whole() {
    let server = Shared::usual();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let initialize: Value =
        serde_json::from_slice(&Dialect::legacy(Revision::BATCHING).initialize(2).body).unwrap();
    let modern: Value =
        serde_json::from_slice(&Dialect::modern().request(3, "tools/list", json!({})).body).unwrap();
    let many = vec![ping.clone(); BATCH_MESSAGES_MAX + 1];
    for (name, messages) in [
        ("empty", vec![]),
        ("with a number", vec![ping.clone(), json!(1)]),
        ("with a batch", vec![ping.clone(), json!([ping.clone()])]),
        ("with an initialize", vec![ping.clone(), initialize]),
        ("with a modern request", vec![ping.clone(), modern]),
        (
            "with a duplicate of nothing",
            vec![json!({"jsonrpc": "2.0", "id": null, "method": "ping"})],
        ),
        ("too long", many.clone()),
    ] {
        let _case = case(name);
        let refused = server.ask(&batch(&messages));
        assert_eq!(
            (refused.status, refused.json()["error"]["code"].as_i64()),
            (400, Some(INVALID_REQUEST))
        );
    }
    assert_eq!(ids(&server.ask(&batch(&many[1..]))).len(), BATCH_MESSAGES_MAX);
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let _case = case(revision);
        let request = Dialect::legacy(Revision(revision)).post(&json!([ping]));
        server
            .ask(&request)
            .assert_error(400, INVALID_REQUEST, Value::Null);
    }
}
