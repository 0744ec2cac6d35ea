//! State that a legacy session has remembered, and its messages that want no answer.

use super::*;
use crate::jsonrpc::{Id, RequestId};
use crate::registry::{AnswerError, LogLevel, Resource};

const LEGACY: Revision = Revision::V2025_11_25;
const WITH_SESSIONS: [Revision; 4] = [
    Revision::V2024_11_05,
    Revision::V2025_03_26,
    Revision::V2025_06_18,
    Revision::V2025_11_25,
];

fn server() -> Server {
    let mut registry = Registry::builder();
    registry
        .add(Resource::new("demo://a", "a").read(|_: CallContext| async { Ok("a") }))
        .unwrap();
    Server::with(registry.build(), Options::default())
}

fn token(server: &Server, session: &str) -> SessionToken {
    server.state.open.borrow()[session.as_bytes()].token
}

#[test]
fn log_levels_are_set() {
    for revision in WITH_SESSIONS {
        let mut server = server();
        let session = server.open_session(revision);
        for level in LogLevel::ALL {
            let set = request("a", "logging/setLevel", json!({"level": level.as_str()}));
            let answer = server.in_session(revision, &session, set);
            assert_eq!((answer.status, &answer.body["result"]), (200, &json!({})));
            let token = token(&server, &session);
            assert_eq!(server.state.log_levels.borrow()[&token], level);
        }
        for level in [json!("loud"), json!("INFO"), json!(3), Value::Null] {
            let set = request(1, "logging/setLevel", json!({"level": level}));
            let refused = server.in_session(revision, &session, set);
            assert_eq!(refused.refusal(), (200, -32602), "{level}");
        }
        let empty = server.in_session(revision, &session, request(1, "logging/setLevel", json!({})));
        assert_eq!(empty.refusal(), (200, -32602));
    }
}

#[test]
fn resources_are_subscribed_to() {
    for revision in WITH_SESSIONS {
        let mut server = server();
        let session = server.open_session(revision);
        let mut ask = |method: &str, uri: Value| {
            let asked = request(7, method, json!({"uri": uri}));
            server.in_session(revision, &session, asked)
        };
        for method in ["resources/subscribe", "resources/subscribe"] {
            let answer = ask(method, json!("demo://a"));
            assert_eq!((answer.status, &answer.body["result"]), (200, &json!({})));
        }
        let unknown = ask("resources/subscribe", json!("demo://b"));
        assert_eq!(unknown.refusal(), (200, -32002));
        assert_eq!(unknown.body["error"]["data"]["uri"], "demo://b");
        assert_eq!(ask("resources/subscribe", json!(1)).refusal(), (200, -32602));
        assert_eq!(ask("resources/subscribe", Value::Null).refusal(), (200, -32602));
        let long = json!(format!("demo://{}", "a".repeat(9_000)));
        assert_eq!(ask("resources/subscribe", long).refusal(), (200, -32602));
        // A URI that was never subscribed to can be unsubscribed from, too.
        assert_eq!(
            ask("resources/unsubscribe", json!("demo://b")).body["result"],
            json!({})
        );
        assert_eq!(server.state.subscriptions.borrow().len(), 1);
        let gone = request(8, "resources/unsubscribe", json!({"uri": "demo://a"}));
        assert_eq!(server.in_session(revision, &session, gone).status, 200);
        assert!(server.state.subscriptions.borrow().is_empty());
    }
}

#[test]
fn without_a_session_nothing_can_be() {
    let mut server = server();
    for (method, params) in [
        ("resources/subscribe", json!({"uri": "demo://a"})),
        ("resources/unsubscribe", json!({"uri": "demo://a"})),
    ] {
        assert_eq!(
            server.legacy(LEGACY, method, params).refusal(),
            (400, -32600),
            "{method}"
        );
    }
    // A level is accepted, since logging is promised, and remembered for nobody.
    let set = server.legacy(LEGACY, "logging/setLevel", json!({"level": "info"}));
    assert_eq!((set.status, &set.body["result"]), (200, &json!({})));
    let loud = server.legacy(LEGACY, "logging/setLevel", json!({"level": "loud"}));
    assert_eq!(loud.refusal(), (200, -32602));
    assert!(server.state.subscriptions.borrow().is_empty() && server.state.log_levels.borrow().is_empty());
    // This server has nothing of the feature.
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    let subscribe = request(1, "resources/subscribe", json!({"uri": "demo://a"}));
    assert_eq!(
        server.in_session(LEGACY, &session, subscribe).refusal(),
        (200, -32601)
    );
}

#[test]
fn no_room_is_overload() {
    let mut server = server();
    server.state.is_live_full = true;
    let session = server.open_session(LEGACY);
    for (method, params) in [
        ("logging/setLevel", json!({"level": "info"})),
        ("resources/subscribe", json!({"uri": "demo://a"})),
    ] {
        let answer = server.in_session(LEGACY, &session, request(1, method, params));
        assert_eq!(answer.refusal(), (503, -31503), "{method}");
        assert_eq!(answer.body["error"]["data"]["reason"], "memory");
        assert!(answer.retry_after_seconds.is_some());
    }
}

#[test]
fn before_initialize_only_where_sessions_are_optional() {
    let strict = Options {
        require_session: true,
    };
    let mut server = Server::with(tools(), strict);
    for message in [
        request(1, "tools/list", json!({})),
        request(1, "ping", json!({})),
        request(1, "logging/setLevel", json!({"level": "info"})),
        notification("notifications/cancelled", json!({"requestId": 1})),
        json!({"jsonrpc": "2.0", "id": "q", "result": {}}),
    ] {
        let answer = server.post(
            LEGACY,
            &[("mcp-protocol-version", "2025-11-25")],
            message.to_string(),
        );
        let wants_answer = message.get("method").is_some() && message.get("id").is_some();
        let code = if wants_answer { -32600 } else { 0 };
        assert_eq!(answer.refusal(), (400, code), "{message}");
    }
    assert!(server.state.cancelled.borrow().is_empty() && server.state.answers.borrow().is_empty());
}

#[test]
fn cancellations_name_their_request() {
    let mut server = server();
    let session = server.open_session(LEGACY);
    for params in [
        json!({"requestId": 7}),
        json!({"requestId": "7", "reason": "enough"}),
        // Ignored, as the specification says.
        json!({"requestId": 1.5}),
        json!({"requestId": 1e300}),
        json!({"requestId": 8.0}),
        json!({"requestId": null}),
        json!({}),
    ] {
        let cancelled = notification("notifications/cancelled", params);
        let answer = server.in_session(LEGACY, &session, cancelled);
        assert_eq!((answer.status, answer.body), (202, Value::Null));
    }
    let token = token(&server, &session);
    let expected = [
        Id::Signed(7),
        Id::Text("7"),
        Id::Verbatim("1e+300"),
        Id::Signed(8),
    ]
    .map(|id| (token, RequestId::from(id)));
    assert_eq!(*server.state.cancelled.borrow(), expected);
    // Without a session no request can be told from another client's.
    let cancelled = notification("notifications/cancelled", json!({"requestId": 7}));
    assert_eq!(server.post(LEGACY, &[], cancelled.to_string()).status, 202);
    assert_eq!(server.state.cancelled.borrow().len(), 4);
}

#[test]
fn other_notifications_are_accepted() {
    let mut server = server();
    let session = server.open_session(LEGACY);
    for method in [
        "notifications/initialized",
        "notifications/roots/list_changed",
        "notifications/progress",
        "notifications/no/such",
    ] {
        let answer = server.in_session(LEGACY, &session, notification(method, json!({})));
        assert_eq!((answer.status, answer.body), (202, Value::Null), "{method}");
    }
}

#[test]
fn answers_reach_their_session() {
    let mut server = server();
    let session = server.open_session(LEGACY);
    let token = token(&server, &session);
    for message in [
        json!({"jsonrpc": "2.0", "id": "q-1", "result": {"action": "decline"}}),
        json!({"jsonrpc": "2.0", "id": "q-2", "error": {"code": -1, "message": "no"}}),
        json!({"jsonrpc": "2.0", "id": "q-3", "error": {"code": 1.5, "message": "x".repeat(2000)}}),
        json!({"jsonrpc": "2.0", "id": "q-4", "error": "odd"}),
        // Nobody asked this: the ids of our questions are strings.
        json!({"jsonrpc": "2.0", "id": 5, "result": {}}),
        json!({"jsonrpc": "2.0", "error": {"code": 1, "message": ""}}),
    ] {
        let answer = server.in_session(LEGACY, &session, message);
        assert_eq!((answer.status, answer.body), (202, Value::Null));
    }
    let refused = |code, message: &str| {
        Err(AnswerError::Refused {
            code,
            message: message.to_owned(),
        })
    };
    let expected = [
        ("q-1", Ok(json!({"action": "decline"}))),
        ("q-2", refused(-1, "no")),
        ("q-3", refused(0, &"x".repeat(1024))),
        ("q-4", refused(0, "")),
    ];
    let expected = expected.map(|(id, answer)| (token, id.to_owned(), answer));
    assert_eq!(*server.state.answers.borrow(), expected);
}

#[test]
fn answers_of_nobody_go_nowhere() {
    let mut server = server();
    let answered = json!({"jsonrpc": "2.0", "id": "q-1", "result": {}}).to_string();
    assert_eq!(server.post(LEGACY, &[], &answered).status, 202);
    let unknown = server.post(LEGACY, &[("mcp-session-id", "no-such")], &answered);
    assert_eq!((unknown.status, unknown.body), (404, Value::Null));
    let modern = server.post(
        Revision::V2026_07_28,
        &[("mcp-protocol-version", MODERN)],
        &answered,
    );
    assert_eq!((modern.status, modern.body), (400, Value::Null));
    assert!(server.state.answers.borrow().is_empty());
}

#[test]
fn a_batch_may_hold_all_of_it() {
    let revision = Revision::V2025_03_26;
    let mut server = server();
    let session = server.open_session(revision);
    let quiet = json!([
        notification("notifications/cancelled", json!({"requestId": 3})),
        {"jsonrpc": "2.0", "id": "q-1", "result": {}},
    ]);
    let answer = server.in_session(revision, &session, quiet);
    assert_eq!((answer.status, answer.body), (202, Value::Null));
    assert_eq!(server.state.cancelled.borrow().len(), 1);
    assert_eq!(server.state.answers.borrow().len(), 1);
    let asking = json!([
        request(1, "logging/setLevel", json!({"level": "error"})),
        request(2, "resources/subscribe", json!({"uri": "demo://a"})),
        request(2, "resources/subscribe", json!({"uri": "demo://b"})),
        request(3, "resources/read", json!({"uri": "demo://a"})),
    ]);
    let answer = server.in_session(revision, &session, asking);
    let answers = answer.body.as_array().unwrap();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [1, 2, 2, 3], "{answers:?}");
    assert_eq!(answers[2]["error"]["code"], -32002);
    assert_eq!(server.state.subscriptions.borrow().len(), 1);
    assert_eq!(server.state.log_levels.borrow().len(), 1);
}

#[test]
fn one_id_may_name_two_requests() {
    let mut server = server();
    let session = server.open_session(LEGACY);
    for _ in 0..2 {
        let read = request("same", "resources/read", json!({"uri": "demo://a"}));
        let answer = server.in_session(LEGACY, &session, read);
        assert_eq!((answer.status, &answer.body["id"]), (200, &json!("same")));
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#;
    let answer = server.post(LEGACY, &[("mcp-session-id", session.as_str())], twice);
    assert_eq!(answer.refusal(), (400, -32600));
    assert!(answer.body.get("id").is_none());
}
