//! Headers that repeat arguments, as a tool's schema wants them.

use super::*;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "dry_run": {"type": "boolean", "x-mcp-header": "Dry-Run"},
            "place": {"type": "object", "properties": {"city": {"type": "string", "x-mcp-header": "City"}}},
        },
    })
}

fn server() -> Server {
    let mut registry = Registry::builder();
    let tool = Tool::new("route").input_schema(schema());
    registry
        .add(tool.run(|_: CallContext, arguments: Value| async move { Ok(arguments.to_string()) }))
        .unwrap();
    Server::with(registry.build(), Options::default())
}

fn post(server: &mut Server, arguments: &str, fields: &[(&'static str, &'static str)]) -> Answer {
    let body = modern_body("tools/call", json!({"name": "route", "arguments": "HERE"}));
    let mut headers = modern_headers("tools/call", "route");
    headers.extend_from_slice(fields);
    server.post(
        Revision::V2026_07_28,
        &headers,
        body.replace("\"HERE\"", arguments),
    )
}

#[test]
fn headers_that_say_what_the_arguments_say() {
    let mut server = server();
    for (arguments, fields) in [
        (r#"{}"#, vec![]),
        (r#"null"#, vec![]),
        (r#"{"place":{}}"#, vec![]),
        (r#"{"region":"eu west"}"#, vec![("Mcp-Param-Region", "eu west")]),
        (
            r#"{"region":"eu west"}"#,
            vec![("mcp-param-region", "  eu west ")],
        ),
        (
            r#"{"region":"eu west"}"#,
            vec![("MCP-PARAM-REGION", "=?base64?ZXUgd2VzdA==?=")],
        ),
        (
            r#"{"region":"\u00e9"}"#,
            vec![("Mcp-Param-Region", "=?base64?w6k=?=")],
        ),
        (
            r#"{"region":"=?base64?eA=="}"#,
            vec![("Mcp-Param-Region", "=?base64?eA==")],
        ),
        (r#"{"region":""}"#, vec![("Mcp-Param-Region", "")]),
        (r#"{"count":42}"#, vec![("Mcp-Param-Count", "42.0")]),
        (r#"{"count":42.0}"#, vec![("Mcp-Param-Count", "42")]),
        (
            r#"{"count":-1,"dry_run":false}"#,
            vec![("Mcp-Param-Count", "-1"), ("Mcp-Param-Dry-Run", "false")],
        ),
        (r#"{"place":{"city":"Rome"}}"#, vec![("Mcp-Param-City", "Rome")]),
        (r#"{}"#, vec![("Mcp-Param-Other", "anything")]),
    ] {
        let answer = post(&mut server, arguments, &fields);
        assert_eq!(
            (answer.status, answer.code()),
            (200, 0),
            "{arguments} {fields:?} {answer:?}"
        );
        assert!(
            answer.body["result"].get("isError").is_none(),
            "{arguments} {answer:?}"
        );
    }
}

#[test]
fn headers_that_lie_or_are_missing() {
    let mut server = server();
    for (arguments, fields) in [
        (r#"{"region":"eu"}"#, vec![]),
        (r#"{"region":"eu"}"#, vec![("Mcp-Param-Region", "us")]),
        (r#"{"region":"eu"}"#, vec![("Mcp-Param-Region", "EU")]),
        (r#"{"region":"eu"}"#, vec![("Mcp-Param-Region", "")]),
        (
            r#"{"region":"eu"}"#,
            vec![("Mcp-Param-Region", "eu"), ("mcp-param-region", "eu")],
        ),
        (r#"{"region":"eu"}"#, vec![("Mcp-Param-Region", "=?base64?ZXU?=")]),
        (
            r#"{"region":"eu"}"#,
            vec![("Mcp-Param-Region", "=?base64?Z%U=?=")],
        ),
        (
            r#"{"region":"eu"}"#,
            vec![("Mcp-Param-Region", "=?BASE64?ZXU=?=")],
        ),
        (r#"{"region":"\u00e9"}"#, vec![("Mcp-Param-Region", "é")]),
        (r#"{}"#, vec![("Mcp-Param-Region", "eu")]),
        (r#"{"region":null}"#, vec![("Mcp-Param-Region", "null")]),
        (r#"{"count":42}"#, vec![("Mcp-Param-Count", "43")]),
        (r#"{"count":42}"#, vec![]),
        (r#"{"dry_run":true}"#, vec![("Mcp-Param-Dry-Run", "1")]),
        (r#"{"place":{"city":"Rome"}}"#, vec![]),
        (
            r#"{"region":"eu","region":"us"}"#,
            vec![("Mcp-Param-Region", "eu")],
        ),
    ] {
        let answer = post(&mut server, arguments, &fields);
        assert_eq!(answer.refusal(), (400, -32020), "{arguments} {fields:?}");
        assert_eq!(answer.body["id"], 1);
    }
    let answer = post(&mut server, r#"{"region":"eu"}"#, &[]);
    assert_eq!(
        answer.body["error"]["message"],
        "header Mcp-Param-Region is missing"
    );
}

#[test]
fn what_the_schema_refuses_is_not_the_headers_affair() {
    let mut server = server();
    let answer = post(&mut server, r#"{"region":["eu"]}"#, &[("Mcp-Param-Region", "eu")]);
    assert_eq!(answer.body["result"]["isError"], true, "{answer:?}");
    // For an argument that may be left out, `null` is the same as absent.
    let answer = post(&mut server, r#"{"region":null}"#, &[]);
    assert_eq!(answer.body["result"]["content"][0]["text"], "{}", "{answer:?}");
}

#[test]
fn legacy_requests_need_none() {
    let mut server = server();
    for revision in [Revision::V2025_03_26, Revision::V2025_11_25] {
        let params = json!({"name": "route", "arguments": {"region": "eu"}});
        let answer = server.legacy(revision, "tools/call", params);
        assert_eq!((answer.status, answer.code()), (200, 0));
    }
}
