//! Revision 2026-07-28: each request stands for itself; headers mirror the body; errors have their own codes.

use serde_json::{Value, json};

use crate::harness::{Dialect, Request, Revision, Shared, case, echo};

const INVALID_PARAMS: i64 = -32602;
const HEADER_MISMATCH: i64 = -32020;
const UNSUPPORTED_VERSION: i64 = -32022;

/// A method with these parameters, the envelope not added.
fn bare(method: &str, params: Value) -> Request {
    Dialect::modern().post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
}

#[test]
fn discover_and_list_say_what_there_is() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    let discovered = server.ask(&modern.request(1, "server/discover", json!({})));
    let result = discovered.result();
    assert_eq!(result["supportedVersions"], json!([Revision::MODERN.0]));
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "weir"
    );
    assert!(result["capabilities"]["tools"].is_object());
    let listed = server.ask(&modern.request(2, "tools/list", json!({})));
    let names: Vec<&str> = listed.result()["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["echo", "sleep", "spin", "fail", "blob", "progress", "ask"]
    );
    let again = server.ask(&modern.request(2, "tools/list", json!({"cursor": ""})));
    assert_eq!(again.body, listed.body, "the order is always the same");
    server
        .ask(&modern.request(3, "tools/list", json!({"cursor": "x"})))
        .assert_error(200, INVALID_PARAMS, 3);
}

#[test]
fn headers_say_what_the_body_says() {
    let server = Shared::usual();
    let request = echo(1, "x");
    let with = |name: &str, value: &str| request.clone().with(name, value);
    for (name, broken) in [
        ("no method", request.clone().without("Mcp-Method")),
        ("no name", request.clone().without("Mcp-Name")),
        ("no version", request.clone().without("MCP-Protocol-Version")),
        ("two methods", request.clone().plus("Mcp-Method", "tools/call")),
        ("two names", request.clone().plus("Mcp-Name", "echo")),
        (
            "two versions",
            request.clone().plus("MCP-Protocol-Version", Revision::MODERN.0),
        ),
        ("other method", with("Mcp-Method", "tools/list")),
        ("other name", with("Mcp-Name", "sleep")),
        ("other version", with("MCP-Protocol-Version", "2025-11-25")),
        ("method in capitals", with("Mcp-Method", "TOOLS/CALL")),
        ("name in capitals", with("Mcp-Name", "ECHO")),
        ("empty name", with("Mcp-Name", "")),
        ("a list of names", with("Mcp-Name", "echo, echo")),
        ("base64 without padding", with("Mcp-Name", "=?base64?ZWNobw?=")),
        (
            "base64 with too much padding",
            with("Mcp-Name", "=?base64?ZWNobw===?="),
        ),
        ("base64 of no alphabet", with("Mcp-Name", "=?base64?ZW%obw==?=")),
        ("base64 with stray bits", with("Mcp-Name", "=?base64?ZWNobx==?=")),
        ("base64 of another name", with("Mcp-Name", "=?base64?c2xlZXA=?=")),
        ("marker in capitals", with("Mcp-Name", "=?BASE64?ZWNobw==?=")),
        ("no end of base64", with("Mcp-Name", "=?base64?ZWNobw==")),
        (
            "a method in base64",
            with("Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?="),
        ),
    ] {
        let _case = case(name);
        server.ask(&broken).assert_error(400, HEADER_MISMATCH, 1);
    }
    for (name, equal) in [
        (
            "names in capitals",
            request.clone().with_names(str::to_ascii_uppercase),
        ),
        (
            "names in lower case",
            request.clone().with_names(str::to_ascii_lowercase),
        ),
        (
            "white space",
            with("Mcp-Name", " \techo \t").with("Mcp-Method", "  tools/call  "),
        ),
        ("the name in base64", with("Mcp-Name", "=?base64?ZWNobw==?=")),
        (
            "a session id, which means nothing",
            request.clone().plus("Mcp-Session-Id", "anything"),
        ),
        (
            "an event id, which means nothing",
            request.clone().plus("Last-Event-ID", "5"),
        ),
    ] {
        let _case = case(name);
        let answered = server.ask(&equal);
        answered.assert_echo(1, "x");
        assert_eq!(answered.field("mcp-session-id"), None);
    }
}

#[test]
fn the_envelope_is_required_whole() {
    let server = Shared::usual();
    let whole = Dialect::envelope();
    let with = |key: &str, value: Value| {
        let mut envelope = whole.clone();
        envelope[format!("io.modelcontextprotocol/{key}")] = value;
        json!({"_meta": envelope})
    };
    let without = |key: &str| {
        let mut envelope = whole.clone();
        envelope
            .as_object_mut()
            .unwrap()
            .shift_remove(&format!("io.modelcontextprotocol/{key}"));
        json!({"_meta": envelope})
    };
    for method in ["server/discover", "tools/list"] {
        for (name, params) in [
            ("no _meta", json!({})),
            ("_meta is no object", json!({"_meta": "x"})),
            ("no version", without("protocolVersion")),
            ("no capabilities", without("clientCapabilities")),
            (
                "a version that is no string",
                with("protocolVersion", json!(20260728)),
            ),
            (
                "capabilities that are no object",
                with("clientCapabilities", json!([])),
            ),
            (
                "a client without a name",
                with("clientInfo", json!({"version": "1"})),
            ),
            ("an unknown log level", with("logLevel", json!("loud"))),
        ] {
            let _case = case(format!("{method}: {name}"));
            let refused = server.ask(&bare(method, params));
            // A legacy method without an envelope is a legacy request, and its version header is not.
            let code = refused.json()["error"]["code"].as_i64().unwrap();
            assert_eq!(refused.status, 400, "{}", refused.text());
            assert!([INVALID_PARAMS, -32600].contains(&code), "{}", refused.text());
            assert!(
                method != "server/discover" || code == INVALID_PARAMS,
                "{}",
                refused.text()
            );
        }
        for params in [
            without("clientInfo"),
            with("logLevel", json!("debug")),
            with("unknown", json!([1])),
        ] {
            server.ask(&bare(method, params)).result();
        }
    }
}

#[test]
fn versions_that_are_not_served() {
    let server = Shared::usual();
    for version in [
        "2099-01-01",
        "2026-07-29",
        "v999.0.0",
        "DRAFT-2026-v1",
        "2025-11-25",
        "",
    ] {
        let _case = case(version);
        let mut envelope = Dialect::envelope();
        envelope["io.modelcontextprotocol/protocolVersion"] = json!(version);
        let request = bare("tools/list", json!({"_meta": envelope}));
        let agreeing = request.clone().with("MCP-Protocol-Version", version);
        let refused = server.ask(&agreeing);
        let error = refused.assert_error(400, UNSUPPORTED_VERSION, 1);
        assert_eq!(
            error["data"],
            json!({"supported": [Revision::MODERN.0], "requested": version})
        );
        assert_names_versions(error);
        server.ask(&request).assert_error(400, HEADER_MISMATCH, 1);
    }
}

/// Fails unless the text of an error names every supported version.
#[track_caller]
fn assert_names_versions(error: &Value) {
    let words = error["message"].as_str().unwrap();
    let mut all = Revision::ALL_LEGACY.into_iter().chain([Revision::MODERN]);
    assert!(all.all(|revision| words.contains(revision.0)), "{words}");
}

#[test]
fn methods_of_other_eras_and_of_none() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    for method in [
        "no/such",
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "Tools/List",
        "tools/list ",
        "",
        "a\r\nb",
        "\u{202e}method",
        "resources/unsubscribe",
        "notifications/roots/list_changed",
        "subscriptions/no-such",
        "notifications/initialized",
    ] {
        let _case = case(method);
        let mut request = modern.request("m7", method, json!({}));
        if !method.bytes().all(|byte| byte.is_ascii_graphic()) {
            request = request.with("Mcp-Method", "unspeakable");
        }
        server.ask(&request).assert_error(404, -32601, "m7");
    }
}

#[test]
fn calls_that_cannot_be_made() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    server
        .ask(&modern.tool(1, "no-such", json!({})))
        .assert_error(200, INVALID_PARAMS, 1);
    server
        .ask(&modern.tool(1, "Echo", json!({"message": "x"})))
        .assert_error(200, INVALID_PARAMS, 1);
    for params in [
        json!({}),
        json!({"name": 5}),
        json!({"name": "echo", "arguments": [1]}),
        json!({"name": "echo", "arguments": "x"}),
    ] {
        let _case = case(params.to_string());
        let response = server.ask(&modern.request(1, "tools/call", params).with("Mcp-Name", "echo"));
        assert_eq!(
            response.json()["error"]["code"],
            INVALID_PARAMS,
            "{}",
            response.text()
        );
    }
    for (tool, arguments, words) in [
        ("echo", json!({}), &["message"][..]),
        ("echo", json!({"message": 5}), &["/message"]),
        ("sleep", json!({"ms": -1}), &["/ms"]),
        ("sleep", json!({"ms": 60_001}), &["/ms", "60000"]),
        ("fail", json!({"how": "softly"}), &["/how"]),
    ] {
        let _case = case(format!("{tool} {arguments}"));
        let response = server.ask(&modern.tool(1, tool, arguments));
        assert!(response.is_tool_error());
        let text = response.result()["content"][0]["text"].as_str().unwrap();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn notifications_are_accepted_without_a_body_and_responses_are_not() {
    let server = Shared::usual();
    let modern = Dialect::modern();
    let mut client = server.connect();
    for method in ["notifications/cancelled", "notifications/unknown"] {
        client
            .ask(&modern.notification(method, json!({"requestId": 99})))
            .assert_status(202);
    }
    let refused =
        server.ask(&modern.post(&json!({"jsonrpc": "2.0", "id": 5, "result": {"resultType": "complete"}})));
    assert_eq!((refused.status, refused.text()), (400, String::new()));
    let batch = modern.post(&json!([{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": Dialect::envelope()}}]));
    let refused = server.ask(&batch);
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_i64()),
        (400, Some(-32600))
    );
}

#[test]
fn only_post_is_served() {
    let server = Shared::usual();
    for method in ["GET", "DELETE"] {
        let request = Request::new(method, "/mcp").plus("Accept", "text/event-stream");
        let refused = server.ask(&request.plus("MCP-Protocol-Version", Revision::MODERN.0));
        assert_eq!(refused.assert_status(405).field("allow"), Some("POST"));
    }
}
