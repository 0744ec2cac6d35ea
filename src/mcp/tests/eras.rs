//! Every method in the era that does not have it, and in no era at all.

use super::*;
use crate::registry::{Prompt, Resource};

const LEGACY_ONLY: [&str; 5] = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
];
const MODERN_ONLY: [&str; 1] = ["subscriptions/listen"];
/// Methods that only clients answer, notifications that only one side sends, and methods that no revision has.
const NEITHER: [&str; 9] = [
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "notifications/cancelled",
    "notifications/subscriptions/acknowledged",
    "tasks/get",
    "no/such",
    "Tools/list",
    "",
];

/// A server with something of every feature.
fn server() -> Server {
    let mut registry = Registry::builder();
    registry
        .add(Tool::new("t").run(|_: CallContext, _: NoArguments| async { Ok("t") }))
        .unwrap()
        .add(Resource::new("demo://a", "a").read(|_: CallContext| async { Ok("a") }))
        .unwrap()
        .add(Prompt::new("p").run(|_: CallContext, _: NoArguments| async { Ok("p") }))
        .unwrap();
    Server::with(registry.build(), Options::default())
}

/// Parameters that any of the methods would take.
fn params() -> Value {
    json!({"uri": "demo://a", "level": "info", "notifications": {}})
}

#[test]
fn modern_requests_for_legacy_methods_are_404() {
    let mut server = server();
    for method in LEGACY_ONLY.into_iter().chain(NEITHER) {
        let body = modern_body(method, params());
        let answer = server.post(Revision::V2026_07_28, &modern_headers(method, ""), body);
        assert_eq!(answer.refusal(), (404, -32601), "{method}");
        assert_eq!(answer.body["id"], 1);
    }
    assert!(server.state.log_levels.borrow().is_empty() && server.state.subscriptions.borrow().is_empty());
    assert!(
        server.state.open.borrow().is_empty(),
        "a modern request opened a session"
    );
}

#[test]
fn legacy_requests_for_modern_methods_are_errors() {
    let mut server = server();
    for revision in Revision::ALL
        .into_iter()
        .filter(|revision| revision.era() == Era::Legacy)
    {
        let session = server.open_session(revision);
        for method in MODERN_ONLY.into_iter().chain(NEITHER) {
            let answer = server.in_session(revision, &session, request("i", method, params()));
            assert_eq!(answer.refusal(), (200, -32601), "{revision:?} {method}");
            assert_eq!(answer.body["id"], "i");
        }
    }
    // The modern method without an envelope is told what is missing.
    let bare = server.post(
        Revision::V2026_07_28,
        &[],
        request(1, "server/discover", json!({})).to_string(),
    );
    assert_eq!(bare.refusal(), (400, -32602));
}

#[test]
fn a_modern_header_alone_makes_no_modern_request() {
    let mut server = server();
    // `initialize` is the exception: its body says what it is about.
    let others = LEGACY_ONLY.into_iter().chain(MODERN_ONLY);
    for method in others.filter(|method| *method != "initialize") {
        let headers = modern_headers(method, "");
        let answer = server.post(
            Revision::V2026_07_28,
            &headers,
            request(1, method, params()).to_string(),
        );
        assert_eq!(answer.refusal(), (400, -32602), "{method}");
    }
}

#[test]
fn an_envelope_under_a_legacy_header_is_a_lie() {
    let mut server = server();
    for method in ["tools/list", "subscriptions/listen", "ping"] {
        for version in ["2025-11-25", "2027-01-01", ""] {
            let headers = [("mcp-protocol-version", version), ("mcp-method", method)];
            let answer = server.post(Revision::V2026_07_28, &headers, modern_body(method, params()));
            assert_eq!(answer.refusal(), (400, -32020), "{method} {version}");
        }
    }
}

#[test]
fn unknown_revisions_are_named() {
    let mut server = server();
    let body = modern_body("tools/list", json!({})).replace(MODERN, "2027-07-28");
    let headers = [
        ("mcp-protocol-version", "2027-07-28"),
        ("mcp-method", "tools/list"),
    ];
    let answer = server.post(Revision::V2026_07_28, &headers, body);
    assert_eq!(answer.refusal(), (400, -32022));
    assert_eq!(
        answer.body["error"]["data"],
        json!({"supported": [MODERN], "requested": "2027-07-28"})
    );
    let headers = [("mcp-protocol-version", "2023-01-01")];
    let answer = server.post(
        Revision::V2025_11_25,
        &headers,
        request(1, "ping", json!({})).to_string(),
    );
    assert_eq!(answer.refusal(), (400, -32600));
    let supported = Revision::ALL.map(Revision::as_str);
    assert_eq!(answer.body["error"]["data"], json!({"supported": supported}));
    let words = answer.body["error"]["message"].as_str().unwrap();
    assert!(supported.iter().all(|version| words.contains(version)), "{words}");
    let told = notification("notifications/initialized", json!({})).to_string();
    let answer = server.post(Revision::V2025_11_25, &headers, told);
    assert_eq!((answer.status, answer.body), (400, Value::Null));
}

#[test]
fn initialize_negotiates_from_its_body() {
    let mut server = server();
    let initialize = |version: &str| {
        request(
            1,
            "initialize",
            json!({"protocolVersion": version, "capabilities": {}}),
        )
    };
    for headers in [
        vec![("mcp-protocol-version", "2023-01-01")],
        vec![("mcp-protocol-version", "2099-12-31")],
        vec![("mcp-protocol-version", "nonsense")],
        vec![("mcp-protocol-version", MODERN), ("mcp-method", "initialize")],
        vec![
            ("mcp-protocol-version", MODERN),
            ("mcp-protocol-version", "2025-06-18"),
        ],
    ] {
        for (asked, given) in [
            ("2025-06-18", "2025-06-18"),
            ("2099-12-31", "2025-11-25"),
            (MODERN, "2025-11-25"),
        ] {
            let revision = Revision::parse(given.as_bytes()).unwrap();
            let answer = server.post(revision, &headers, initialize(asked).to_string());
            assert_eq!(
                answer.body["result"]["protocolVersion"], given,
                "{headers:?} {asked}"
            );
            assert!(answer.session.is_some());
        }
    }
    // With the envelope of the modern era this is a modern request, for a method that this era does not have.
    let headers = modern_headers("initialize", "");
    let answer = server.post(
        Revision::V2026_07_28,
        &headers,
        modern_body(
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": {}}),
        ),
    );
    assert_eq!(answer.refusal(), (404, -32601));
}

#[test]
fn an_edited_registry_is_another_server_of_the_same_name() {
    let mut server = server();
    let before = server.modern("server/discover", json!({}));
    let mut edited = server.protocol.registry().edit();
    edited
        .add(Tool::new("new").run(|_: CallContext, _: NoArguments| async { Ok("new") }))
        .unwrap();
    let edited = edited.build();
    server.tools = edited.for_shard();
    server.protocol = server.protocol.with_registry(edited);
    assert_eq!(server.modern("server/discover", json!({})).body, before.body);
    for revision in Revision::ALL {
        let listed = server.ask(revision, "tools/list", json!({}));
        let names: Vec<&Value> = listed.body["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| &tool["name"])
            .collect();
        assert_eq!(names, ["t", "new"]);
        assert_eq!(
            server.ask(revision, "tools/call", json!({"name": "new"})).text(),
            "new"
        );
    }
}
