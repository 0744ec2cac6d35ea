//! Every method in every revision, the wrong era included: one table of the answers.
//!
//! Legacy answers carry JSON-RPC errors under status 200; the modern era has 404 for a method that it does not know. A
//! request's envelope decides its era, never its method, so each method of the other era must be unknown.

use serde_json::{Value, json};

use crate::harness::{Dialect, Request, Revision, Server, Watched, case, uri_of};

const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

/// The result of a method in an era.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    /// A result in JSON under status 200.
    Result,
    /// An event stream.
    Stream,
    /// A JSON-RPC error under this status.
    Error(u16, i64),
}

use Expected::{Error, Result, Stream};

/// The error for an unknown method in a legacy revision.
const UNKNOWN: Expected = Error(200, METHOD_NOT_FOUND);
/// The error for an unknown method in the modern one.
const GONE: Expected = Error(404, METHOD_NOT_FOUND);

/// A method, parameters that are right for it, and its results: legacy with a session, and modern. `uri` names a
/// resource that can be read and subscribed to.
pub(crate) fn table(uri: &str) -> Vec<(&'static str, Value, Expected, Expected)> {
    let style = json!({
        "ref": {"type": "ref/prompt", "name": "summarize"},
        "argument": {"name": "style", "value": "b"},
    });
    let call = json!({"name": "echo", "arguments": {"message": "x"}});
    let get = json!({"name": "summarize", "arguments": {"text": "x"}});
    let nothing = json!({});
    vec![
        // Methods of both eras.
        ("tools/list", nothing.clone(), Result, Result),
        ("tools/call", call, Result, Result),
        ("resources/list", nothing.clone(), Result, Result),
        ("resources/templates/list", nothing.clone(), Result, Result),
        ("resources/read", json!({"uri": uri}), Result, Result),
        ("prompts/list", nothing.clone(), Result, Result),
        ("prompts/get", get, Result, Result),
        ("completion/complete", style, Result, Result),
        // Methods of the legacy era.
        ("initialize", initialize(), Result, GONE),
        ("ping", nothing.clone(), Result, GONE),
        ("logging/setLevel", json!({"level": "info"}), Result, GONE),
        ("resources/subscribe", json!({"uri": uri}), Result, GONE),
        ("resources/unsubscribe", json!({"uri": uri}), Result, GONE),
        // Methods of the modern era. A probe without the envelope is told what it lacks, so the client learns that the
        // server knows the method.
        (
            "server/discover",
            nothing.clone(),
            Error(400, INVALID_PARAMS),
            Result,
        ),
        (
            "subscriptions/listen",
            json!({"notifications": {"toolsListChanged": true}}),
            UNKNOWN,
            Stream,
        ),
        // Methods by which servers ask clients, and not the other way round.
        ("roots/list", nothing.clone(), UNKNOWN, GONE),
        (
            "sampling/createMessage",
            json!({"messages": [], "maxTokens": 1}),
            UNKNOWN,
            GONE,
        ),
        ("elicitation/create", json!({"message": "x"}), UNKNOWN, GONE),
        // Notifications that carry an id are requests, and no request has such a name.
        ("notifications/initialized", nothing.clone(), UNKNOWN, GONE),
        ("notifications/cancelled", json!({"requestId": 1}), UNKNOWN, GONE),
        (
            "notifications/subscriptions/acknowledged",
            nothing.clone(),
            UNKNOWN,
            GONE,
        ),
        // Methods of no era, some of them similar to real ones.
        ("no/such", nothing.clone(), UNKNOWN, GONE),
        ("Tools/list", nothing.clone(), UNKNOWN, GONE),
        ("tools/list/", nothing.clone(), UNKNOWN, GONE),
        ("tools", nothing.clone(), UNKNOWN, GONE),
        ("", nothing.clone(), UNKNOWN, GONE),
        ("rpc.discover", nothing, UNKNOWN, GONE),
    ]
}

fn initialize() -> Value {
    json!({
        "protocolVersion": Revision::NEWEST_LEGACY.0,
        "capabilities": {},
        "clientInfo": {"name": "blackbox", "version": "1"},
    })
}

#[track_caller]
fn assert_outcome(server: &Server, request: &Request, expected: Expected) {
    let mut client = server.connect();
    client.send(request);
    match expected {
        Stream => drop(client.receive_stream()),
        Result => drop(client.receive().result().clone()),
        Error(status, code) => drop(client.receive().assert_error(status, code, "id").clone()),
    }
}

#[test]
fn every_method_in_every_revision() {
    let server = Watched::start(&[]);
    for revision in Revision::ALL_LEGACY {
        let session = server.open_session(&Dialect::legacy(revision));
        for (method, params, legacy, _) in table(&uri_of("a.txt")) {
            let _case = case(format!("{} {method:?}", revision.0));
            assert_outcome(&server, &session.request("id", method, params), legacy);
        }
    }
    for (method, params, _, modern) in table(&uri_of("a.txt")) {
        let _case = case(format!("modern {method:?}"));
        // No header can name an empty method.
        if !method.is_empty() {
            assert_outcome(&server, &Dialect::modern().request("id", method, params), modern);
        }
    }
}

/// No server may rely on `initialize` having come first: sessions live elsewhere, too.
#[test]
fn without_a_session_what_needs_none_is_served() {
    let server = Watched::start(&[]);
    let needs_session = ["resources/subscribe", "resources/unsubscribe"];
    for revision in Revision::ALL_LEGACY {
        let dialect = Dialect::legacy(revision);
        for (method, params, legacy, _) in table(&uri_of("a.txt")) {
            let _case = case(format!("{} {method:?}", revision.0));
            let request = dialect.request("id", method, params);
            if needs_session.contains(&method) {
                let answer = server.ask(&request);
                assert!(answer.has_json(), "{answer:?}");
            } else {
                assert_outcome(&server, &request, legacy);
            }
        }
    }
}

#[test]
fn notifications_of_any_name_are_taken_in_silence() {
    let server = Watched::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut client = server.connect();
    for dialect in [session, Dialect::modern()] {
        for (method, params, ..) in table(&uri_of("a.txt")) {
            let _case = case(format!("{} {method:?}", dialect.revision.0));
            if method.is_empty() {
                continue;
            }
            let answer = client.ask(&dialect.notification(method, params));
            assert!(
                answer.status == 202 || (400..500).contains(&answer.status),
                "{answer:?}"
            );
            if method.starts_with("notifications/cancelled") {
                assert_eq!(answer.status, 202);
            }
        }
    }
}

#[test]
fn unknown_revisions_are_told_what_is_known() {
    let server = Watched::start(&[]);
    for version in [
        "2024-10-07",
        "2027-01-01",
        "v999.0.0",
        "DRAFT-2026-v1",
        "2025-11-25 ",
        "",
    ] {
        let _case = case(format!("{version:?}"));
        let mut envelope = Dialect::envelope();
        envelope["io.modelcontextprotocol/protocolVersion"] = json!(version);
        for method in ["tools/list", "subscriptions/listen", "server/discover"] {
            let params = json!({"_meta": envelope, "notifications": {}});
            let request = Dialect::modern()
                .request("id", method, params)
                .with("MCP-Protocol-Version", version);
            let answer = server.ask(&request);
            assert_eq!(answer.status, 400, "{}", answer.text());
            let code = answer.json()["error"]["code"].as_i64().unwrap();
            // A header loses the white space at its end, so that the two differ.
            assert!([-32022, -32020].contains(&code), "{}", answer.text());
        }
        // An `initialize` with an unknown revision is answered with the newest one.
        let mut request = initialize();
        request["protocolVersion"] = json!(version);
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": request});
        let answer = server.ask(&Request::post(message.to_string()));
        assert_eq!(
            answer.result()["protocolVersion"],
            Revision::NEWEST_LEGACY.0,
            "{version:?}"
        );
    }
}

/// A modern revision cannot be negotiated by `initialize`, nor a legacy one by an envelope.
#[test]
fn revisions_keep_to_their_eras() {
    let server = Watched::start(&[]);
    let mut request = initialize();
    request["protocolVersion"] = json!(Revision::MODERN.0);
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": request});
    let answer = server.ask(&Request::post(message.to_string()));
    assert_eq!(answer.result()["protocolVersion"], Revision::NEWEST_LEGACY.0);
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let mut envelope = Dialect::envelope();
        envelope["io.modelcontextprotocol/protocolVersion"] = json!(revision.0);
        let request = Dialect::modern()
            .request("id", "tools/list", json!({"_meta": envelope}))
            .with("MCP-Protocol-Version", revision.0);
        let answer = server.ask(&request);
        let error = answer.assert_error(400, -32022, "id");
        assert_eq!(error["data"]["requested"], revision.0);
        assert_eq!(error["data"]["supported"], json!([Revision::MODERN.0]));
    }
}

#[test]
fn http_methods_are_of_their_eras() {
    let server = Watched::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut client = server.connect();
    for method in ["GET", "DELETE"] {
        let _case = case(method);
        let modern = Dialect::modern().get_stream().with_method(method);
        let answer = client.ask(&modern);
        assert_eq!(answer.assert_status(405).field("allow"), Some("POST"));
        // A session's name does not make a request legacy.
        let named = modern.plus("Mcp-Session-Id", session.session.as_deref().unwrap());
        client.ask(&named).assert_status(405);
    }
    for method in ["PUT", "PATCH", "OPTIONS"] {
        let _case = case(method);
        let answer = client.ask(&session.get_stream().with_method(method));
        assert!([405, 403, 204].contains(&answer.status), "{answer:?}");
    }
}
