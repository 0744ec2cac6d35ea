//! Who is let in, and in which order the rules answer.

use super::{
    EdgePolicy, EdgePolicyError, Endpoint, Probe, Refusal, sse_messages_reference, sse_stream_name,
    write_preflight_answer,
};
use crate::wire::http1::{Connection, Field, HeadLimits, Status, parse_head};

const BODY_BYTES_MAX: u64 = 1000;

fn loopback() -> EdgePolicy {
    EdgePolicy::new(
        "/mcp",
        EdgePolicy::LOOPBACK_HOSTS,
        EdgePolicy::LOOPBACK_ORIGINS,
        BODY_BYTES_MAX,
    )
    .unwrap()
}

fn policy(hosts: &[&str], origins: &[&str]) -> EdgePolicy {
    EdgePolicy::new("/mcp", hosts, origins, BODY_BYTES_MAX).unwrap()
}

/// A complete, admissible POST whose fields can be replaced (`None` leaves one out) or added.
fn request(line: &str, changes: &[(&str, Option<&str>)]) -> String {
    let usual = [
        ("Host", "localhost:8080"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Length", "5"),
    ];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let mut text = format!("{line}\r\n");
    for (name, value) in usual.into_iter().filter(|(name, _)| !is_changed(name)) {
        text += &format!("{name}: {value}\r\n");
    }
    for (name, value) in changes {
        text += &value
            .map(|value| format!("{name}: {value}\r\n"))
            .unwrap_or_default();
    }
    text + "\r\n"
}

fn admit(policy: &EdgePolicy, line: &str, changes: &[(&str, Option<&str>)]) -> Result<Endpoint, Refusal> {
    let text = request(line, changes);
    let head = parse_head(text.as_bytes(), &HeadLimits::default());
    policy.admit(&head.unwrap_or_else(|error| panic!("{error}: {text:?}")))
}

fn post(changes: &[(&str, Option<&str>)]) -> Result<Endpoint, Refusal> {
    admit(&loopback(), "POST /mcp HTTP/1.1", changes)
}

fn post_with(name: &str, value: &str) -> Result<Endpoint, Refusal> {
    post(&[(name, Some(value))])
}

#[test]
fn origins_on_loopback() {
    assert_eq!(post(&[]), Ok(Endpoint::Post));
    for origin in [
        "http://localhost:8080",
        "http://127.0.0.1:6274",
        "http://[::1]",
        "https://localhost",
        "HTTP://LOCALHOST",
        "http://[0:0:0:0:0:0:0:1]:5",
    ] {
        assert_eq!(post_with("Origin", origin), Ok(Endpoint::Post), "{origin}");
    }
    for origin in [
        "http://evil.example",
        "null",
        "",
        "file://",
        "http://127.0.0.1:8080.evil.example",
        "http://localhost.evil.example",
        "http://evil.example:80",
        "http://evillocalhost",
        "http://localhost@evil.example",
        "localhost",
        "//localhost",
        "http://localhost/",
        "http://localhost:8080/x",
        "http://localhost evil",
        "ftp://localhost",
        "http://127.0.0.2",
        "http://localhost, http://localhost",
        "chrome-extension://abc",
        "http://localhost.",
        "http:localhost",
        "http://2130706433",
        "http://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(post_with("Origin", origin), Err(Refusal::Origin), "{origin}");
    }
    let twice = [
        ("Origin", Some("http://localhost")),
        ("origin", Some("http://localhost")),
    ];
    assert_eq!(post(&twice), Err(Refusal::Origin));
}

#[test]
fn hosts_on_loopback() {
    for host in [
        "localhost",
        "LocalHost:1",
        "127.0.0.1:8080",
        "[::1]:8080",
        "localhost:",
    ] {
        assert_eq!(post_with("Host", host), Ok(Endpoint::Post), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "192.0.2.1",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.10",
        "[::2]",
        "%6cocalhost",
        "localhost.",
    ] {
        assert_eq!(post_with("Host", host), Err(Refusal::Host), "{host}");
    }
    let loopback = loopback();
    let absolute = |target: &str, host| {
        admit(
            &loopback,
            &format!("POST {target} HTTP/1.1"),
            &[("Host", Some(host))],
        )
    };
    assert_eq!(
        absolute("http://localhost/mcp", "evil.example"),
        Ok(Endpoint::Post)
    );
    assert_eq!(
        absolute("http://evil.example/mcp", "localhost"),
        Err(Refusal::Host)
    );
    assert_eq!(
        admit(&loopback, "POST /mcp HTTP/1.0", &[("Host", None)]),
        Err(Refusal::Host)
    );
    assert_eq!(
        admit(&policy(&["*"], &[]), "POST /mcp HTTP/1.0", &[("Host", None)]),
        Ok(Endpoint::Post)
    );
}

#[test]
fn configured_hosts_and_origins() {
    let policy = policy(
        &["mcp.example", "other.example:8443"],
        &[
            "https://app.example",
            "http://dev.example:*",
            "http://x.example:8080",
            "vscode-webview://abc",
        ],
    );
    let admit_from = |host: &str, origin: &str| {
        admit(
            &policy,
            "POST /mcp HTTP/1.1",
            &[("Host", Some(host)), ("Origin", Some(origin))],
        )
    };
    for (host, origin) in [
        ("mcp.example", "https://app.example"),
        ("MCP.example:99", "https://APP.example:443"),
        ("other.example:8443", "http://dev.example"),
        ("mcp.example", "http://dev.example:5173"),
        ("mcp.example", "http://x.example:8080"),
        ("mcp.example", "vscode-webview://abc"),
    ] {
        assert_eq!(admit_from(host, origin), Ok(Endpoint::Post), "{host} {origin}");
    }
    for (host, origin, refusal) in [
        ("mcp.example", "https://app.example:8443", Refusal::Origin),
        ("mcp.example", "http://app.example", Refusal::Origin),
        ("mcp.example", "https://dev.example", Refusal::Origin),
        ("mcp.example", "http://x.example", Refusal::Origin),
        ("mcp.example", "vscode-webview://abc:1", Refusal::Origin),
        ("other.example", "https://app.example", Refusal::Host),
        ("other.example:1", "https://app.example", Refusal::Host),
        ("localhost", "https://app.example", Refusal::Host),
    ] {
        assert_eq!(admit_from(host, origin), Err(refusal), "{host} {origin}");
    }
}

#[test]
fn a_star_admits_everything() {
    let open = policy(&["*"], &["*"]);
    for origin in ["null", "http://evil.example", "garbage"] {
        let changes = [("Host", Some("any.example")), ("Origin", Some(origin))];
        assert_eq!(admit(&open, "POST /mcp HTTP/1.1", &changes), Ok(Endpoint::Post));
    }
    let closed = policy(&[], &[]);
    assert_eq!(admit(&closed, "POST /mcp HTTP/1.1", &[]), Err(Refusal::Host));
}

#[test]
fn settings_that_could_never_match() {
    let error = |path: &str, host: &str, origin: &str| EdgePolicy::new(path, [host], [origin], 1).map(drop);
    assert_eq!(error("/mcp", "*", "*"), Ok(()));
    for host in ["", "a b", "http://a", "*.example.com", "[::1", "a:99999"] {
        assert_eq!(error("/mcp", host, "*"), Err(EdgePolicyError::Host(host.into())));
    }
    for origin in [
        "",
        "null",
        "localhost",
        "http://",
        "http://a/",
        "http://*.a",
        "http://a:*:*",
        "*://a",
    ] {
        assert_eq!(
            error("/mcp", "*", origin),
            Err(EdgePolicyError::Origin(origin.into()))
        );
    }
    for path in ["", "mcp", "/a b", "/a?b"] {
        assert_eq!(error(path, "*", "*"), Err(EdgePolicyError::Path(path.into())));
    }
}

#[test]
fn paths_and_methods() {
    let loopback = loopback();
    let of = |line: &str| admit(&loopback, &format!("{line} HTTP/1.1"), &[]);
    assert_eq!(of("POST /mcp?x=1"), Ok(Endpoint::Post));
    // A slash behind it is no other path.
    assert_eq!(of("POST /mcp/"), Ok(Endpoint::Post));
    assert_eq!(of("GET /mcp/?x"), Ok(Endpoint::Get));
    assert_eq!(of("POST http://localhost/mcp/"), Ok(Endpoint::Post));
    for path in ["/", "/mcp//", "/mcp/x", "/MCP", "/mcpx", "//mcp", "/%6dcp", "/mc"] {
        assert_eq!(of(&format!("POST {path}")), Err(Refusal::Path), "{path}");
        assert_eq!(of(&format!("FROB {path}")), Err(Refusal::Path), "{path}");
    }
    let not_allowed = Refusal::Method {
        allow: "GET, POST, DELETE",
    };
    assert_eq!(of("GET /mcp"), Ok(Endpoint::Get));
    for line in [
        "HEAD /mcp",
        "PUT /mcp",
        "PATCH /mcp",
        "OPTIONS /mcp",
        "TRACE /mcp",
        "OPTIONS *",
        "CONNECT localhost:1",
    ] {
        assert_eq!(of(line), Err(not_allowed), "{line}");
    }
    assert_eq!(
        (not_allowed.status(), not_allowed.allow()),
        (Status::MethodNotAllowed, Some("GET, POST, DELETE"))
    );
    assert_eq!(of("FROB /mcp"), Err(Refusal::MethodUnknown));
    assert_eq!(Refusal::MethodUnknown.status(), Status::NotImplemented);
}

#[test]
fn delete_belongs_to_the_revisions_with_sessions() {
    let delete = |version| {
        let changes = [
            ("Content-Type", None),
            ("Accept", None),
            ("Content-Length", None),
            ("MCP-Protocol-Version", version),
        ];
        admit(&loopback(), "DELETE /mcp HTTP/1.1", &changes)
    };
    for version in [None, Some("2025-11-25"), Some("2024-11-05"), Some("")] {
        assert_eq!(delete(version), Ok(Endpoint::Delete));
    }
    assert_eq!(delete(Some("2026-07-28")), Err(Refusal::Method { allow: "POST" }));
}

#[test]
fn get_belongs_to_the_revisions_with_sessions_and_takes_a_stream() {
    let get = |version, accept| {
        let changes = [
            ("Content-Type", None),
            ("Accept", accept),
            ("Content-Length", None),
            ("MCP-Protocol-Version", version),
        ];
        admit(&loopback(), "GET /mcp HTTP/1.1", &changes)
    };
    let stream = Some("text/event-stream");
    for version in [None, Some("2025-11-25"), Some("2025-03-26"), Some("")] {
        assert_eq!(get(version, stream), Ok(Endpoint::Get));
    }
    assert_eq!(get(None, Some("*/*")), Ok(Endpoint::Get));
    assert_eq!(
        get(Some("2026-07-28"), stream),
        Err(Refusal::Method { allow: "POST" })
    );
    for accept in [None, Some(""), Some("text/*")] {
        assert_eq!(get(None, accept), Ok(Endpoint::Get), "{accept:?}");
    }
    for accept in [Some("application/json"), Some("text/event-stream;q=0")] {
        assert_eq!(get(None, accept), Err(Refusal::StreamNotAcceptable), "{accept:?}");
    }
    assert_eq!(Refusal::StreamNotAcceptable.status(), Status::NotAcceptable);
}

#[test]
fn media_types() {
    for value in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json ;x=\"a;b\"",
    ] {
        assert_eq!(post_with("Content-Type", value), Ok(Endpoint::Post), "{value}");
    }
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "",
        "text/plain; application/json",
        "application/json, text/plain",
        "text/json",
        "application/json-patch+json",
        "*/*",
    ] {
        assert_eq!(
            post_with("Content-Type", value),
            Err(Refusal::ContentType),
            "{value}"
        );
    }
    assert_eq!(post(&[("Content-Type", None)]), Err(Refusal::ContentType));
    let twice = [
        ("Content-Type", Some("application/json")),
        ("content-type", Some("application/json")),
    ];
    assert_eq!(post(&twice), Err(Refusal::ContentType));
    for coding in ["identity", "", "Identity, identity"] {
        assert_eq!(
            post_with("Content-Encoding", coding),
            Ok(Endpoint::Post),
            "{coding}"
        );
    }
    for coding in ["gzip", "br", "x-unknown", "identity, gzip"] {
        assert_eq!(
            post_with("Content-Encoding", coding),
            Err(Refusal::ContentEncoding),
            "{coding}"
        );
    }
    let hidden = [
        ("Content-Encoding", Some("identity")),
        ("content-encoding", Some("gzip")),
    ];
    assert_eq!(post(&hidden), Err(Refusal::ContentEncoding));
}

#[test]
fn accept() {
    for value in [
        "text/event-stream, application/json",
        "application/json;q=0.5, text/event-stream;q=0.9",
        "APPLICATION/JSON, Text/Event-Stream",
        "*/*",
        "application/*, text/*",
        "*/*;q=0.001",
        "text/*, application/json",
        "text/html, */*;q=0.8",
        "application/json; charset=utf-8, text/event-stream",
        "*/*, application/json;q=1.000",
        "*/*;q=0, application/*, text/*",
        "application/json;q=0, application/json, text/*",
        "application/json, application/json;q=0, text/*",
        "application/json;x=\",\", text/event-stream",
    ] {
        assert_eq!(post_with("Accept", value), Ok(Endpoint::Post), "{value}");
    }
    for value in [
        "application/json",
        "text/html",
        "application/*",
        "*",
        "*/json",
        "application/json, text/event-stream;q=0",
        "*/*, text/event-stream;q=0",
        "*/*;q=0",
        "*/*;q=abc",
        "*/*;q=1.5",
        "*/*;q=0.0001",
        "*/*;q=-1",
        "*/*;q=",
        "text/plain;x=\"application/json, text/event-stream\"",
    ] {
        assert_eq!(post_with("Accept", value), Err(Refusal::NotAcceptable), "{value}");
    }
    // Who says nothing takes anything, JSON too.
    for nothing in [None, Some(""), Some(" , ")] {
        assert_eq!(post(&[("Accept", nothing)]), Ok(Endpoint::Post), "{nothing:?}");
        let text = request("POST /mcp HTTP/1.1", &[("Accept", nothing)]);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert!(super::takes_json(&head), "{nothing:?}");
    }
    for value in [
        "text/event-stream",
        "text/*",
        "application/json;q=0.000, text/event-stream",
        "application/jsonx, text/event-stream",
        "*/*, application/*;q=0",
    ] {
        assert_eq!(post_with("Accept", value), Ok(Endpoint::Post), "{value}");
        let text = request("POST /mcp HTTP/1.1", &[("Accept", Some(value))]);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert!(!super::takes_json(&head), "{value}");
    }
    let two = [
        ("Accept", Some("application/json")),
        ("accept", Some("text/event-stream")),
    ];
    assert_eq!(post(&two), Ok(Endpoint::Post));
}

#[test]
fn sizes_and_expectations() {
    assert_eq!(post_with("Content-Length", "1000"), Ok(Endpoint::Post));
    for length in ["1001", "4611686018427387904", "9223372036854775807"] {
        assert_eq!(post_with("Content-Length", length), Err(Refusal::BodyTooLarge));
    }
    assert_eq!(
        post(&[("Content-Length", None), ("Transfer-Encoding", Some("chunked"))]),
        Ok(Endpoint::Post)
    );
    assert_eq!(post_with("Expect", "100-continue"), Ok(Endpoint::Post));
    assert_eq!(post_with("Expect", "200-maybe"), Err(Refusal::Expectation));
    let large = [("Expect", Some("100-continue")), ("Content-Length", Some("9999"))];
    assert_eq!(post(&large), Err(Refusal::BodyTooLarge));
}

#[test]
fn the_first_broken_rule_answers() {
    let mut faults = vec![
        ("Origin", Some("http://evil.example")),
        ("Host", Some("evil.example")),
        ("Expect", Some("x")),
        ("Content-Length", Some("9999")),
        ("Content-Type", Some("text/plain")),
        ("Content-Encoding", Some("gzip")),
        ("Accept", Some("application/json")),
    ];
    let mut seen = Vec::new();
    while !faults.is_empty() {
        let line = if seen.len() < 3 {
            "PUT /nowhere HTTP/1.1"
        } else {
            "POST /mcp HTTP/1.1"
        };
        let refusal = admit(&loopback(), line, &faults).unwrap_err();
        seen.push(refusal);
        if seen.len() != 3 {
            faults.remove(0);
        }
    }
    let expected = [
        Refusal::Origin,
        Refusal::Host,
        Refusal::Path,
        Refusal::Expectation,
        Refusal::BodyTooLarge,
        Refusal::ContentType,
        Refusal::ContentEncoding,
        Refusal::NotAcceptable,
    ];
    assert_eq!(seen, expected);
    let statuses = expected.map(|refusal| refusal.status().code());
    assert_eq!(statuses, [403, 403, 404, 417, 413, 415, 415, 406]);
}

#[test]
fn connections_go_on_only_when_the_next_request_can_be_found() {
    let keeps = |changes: &[(&str, Option<&str>)]| {
        let text = request("POST /mcp HTTP/1.1", changes);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        loopback().admit(&head).unwrap_err().keeps_connection(&head)
    };
    assert!(keeps(&[("Origin", Some("null"))]));
    assert!(keeps(&[("Accept", Some("text/html"))]));
    assert!(!keeps(&[
        ("Accept", Some("text/html")),
        ("Connection", Some("close"))
    ]));
    assert!(!keeps(&[("Content-Length", Some("1001"))]));
    assert!(!keeps(&[
        ("Accept", Some("text/html")),
        ("Expect", Some("100-continue"))
    ]));
    assert!(!keeps(&[("Expect", Some("x"))]));
    assert!(!keeps(&[
        ("Accept", Some("text/html")),
        ("Connection", Some("upgrade")),
        ("Upgrade", Some("websocket"))
    ]));
}

#[test]
fn a_get_becomes_a_websocket_where_that_is_on() {
    type Change = (&'static str, Option<&'static str>);
    let upgrade = |changes: &[Change]| {
        let mut all = vec![
            ("Content-Type", None),
            ("Accept", None),
            ("Content-Length", None),
            ("Connection", Some("keep-alive, Upgrade")),
            ("Upgrade", Some("WebSocket")),
            ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZQ==")),
            ("Sec-WebSocket-Version", Some("13")),
        ];
        all.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        all.extend_from_slice(changes);
        all
    };
    let on = loopback().with_websocket(true);
    let get = |changes: &[Change]| admit(&on, "GET /mcp HTTP/1.1", &upgrade(changes));
    assert_eq!(get(&[]), Ok(Endpoint::WebSocket));
    assert_eq!(
        get(&[("MCP-Protocol-Version", Some("2026-07-28"))]),
        Ok(Endpoint::WebSocket)
    );
    // Origin, host and path come before everything that is WebSocket's own.
    for (name, value, refusal) in [
        ("Origin", "http://evil.example", Refusal::Origin),
        ("Origin", "null", Refusal::Origin),
        ("Host", "evil.example", Refusal::Host),
    ] {
        let faults = [(name, Some(value)), ("Sec-WebSocket-Version", Some("8"))];
        assert_eq!(get(&faults), Err(refusal), "{value}");
    }
    let elsewhere = admit(&on, "GET /ws HTTP/1.1", &upgrade(&[]));
    assert_eq!(elsewhere, Err(Refusal::Path));
    // Other offers, and other methods, are not taken up.
    assert_eq!(get(&[("Upgrade", Some("h2c"))]), Ok(Endpoint::Get));
    assert_eq!(get(&[("Connection", Some("close"))]), Ok(Endpoint::Get));
    let post = admit(&on, "POST /mcp HTTP/1.1", &upgrade(&[]));
    assert_eq!(post, Err(Refusal::ContentType));
    let old = admit(&on, "GET /mcp HTTP/1.0", &upgrade(&[]));
    assert_eq!(old, Ok(Endpoint::Get));
    // Off: the offer is ignored.
    let off = admit(&loopback(), "GET /mcp HTTP/1.1", &upgrade(&[]));
    assert_eq!(off, Ok(Endpoint::Get));
}

#[test]
fn the_endpoints_of_http_with_sse_are_there_when_wanted() {
    let (with, without) = (loopback().with_sse_legacy(true), loopback());
    let of = |line: &str| admit(&with, &format!("{line} HTTP/1.1"), &[]);
    assert_eq!(of("GET /sse"), Ok(Endpoint::SseOpen));
    assert_eq!(of("GET /sse?x"), Ok(Endpoint::SseOpen));
    assert_eq!(of("POST /messages?sessionId=1"), Ok(Endpoint::SsePost));
    assert_eq!(of("POST /messages"), Ok(Endpoint::SsePost));
    assert_eq!(
        (of("POST /mcp"), of("GET /mcp")),
        (Ok(Endpoint::Post), Ok(Endpoint::Get))
    );
    for line in ["POST /sse", "HEAD /sse", "DELETE /sse", "OPTIONS /sse"] {
        assert_eq!(of(line), Err(Refusal::Method { allow: "GET" }), "{line}");
    }
    for line in ["GET /messages", "DELETE /messages", "OPTIONS /messages"] {
        assert_eq!(of(line), Err(Refusal::Method { allow: "POST" }), "{line}");
    }
    assert_eq!(of("FROB /sse"), Err(Refusal::MethodUnknown));
    assert_eq!(of("GET /sse/"), Ok(Endpoint::SseOpen));
    assert_eq!(of("POST /messages/?sessionId=1"), Ok(Endpoint::SsePost));
    for path in ["/sse//", "/SSE", "/sse/messages", "/message", "/mcp/sse", "/"] {
        assert_eq!(of(&format!("GET {path}")), Err(Refusal::Path), "{path}");
    }
    for line in ["GET /sse", "POST /messages?sessionId=1", "PUT /sse"] {
        assert_eq!(
            admit(&without, &format!("{line} HTTP/1.1"), &[]),
            Err(Refusal::Path),
            "{line}"
        );
    }
}

#[test]
fn the_endpoints_of_http_with_sse_have_the_same_guards() {
    let policy = loopback().with_sse_legacy(true);
    let refused = |line: &str, changes: &[(&str, Option<&str>)]| {
        admit(&policy, &format!("{line} HTTP/1.1"), changes).unwrap_err()
    };
    for line in ["GET /sse", "POST /messages?sessionId=1"] {
        assert_eq!(
            refused(line, &[("Origin", Some("http://evil.example"))]),
            Refusal::Origin
        );
        assert_eq!(refused(line, &[("Origin", Some("null"))]), Refusal::Origin);
        assert_eq!(refused(line, &[("Host", Some("evil.example"))]), Refusal::Host);
        assert_eq!(
            refused(line, &[("Content-Length", Some("1001"))]),
            Refusal::BodyTooLarge
        );
    }
    let json_only = [("Accept", Some("application/json"))];
    assert_eq!(refused("GET /sse", &json_only), Refusal::StreamNotAcceptable);
    let silent = admit(&policy, "GET /sse HTTP/1.1", &[("Accept", None)]);
    assert_eq!(silent, Ok(Endpoint::SseOpen));
    let post = |changes: &[(&str, Option<&str>)]| admit(&policy, "POST /messages HTTP/1.1", changes);
    for accept in [None, Some("*/*"), Some("application/json"), Some("text/plain")] {
        assert_eq!(post(&[("Accept", accept)]), Ok(Endpoint::SsePost), "{accept:?}");
    }
    let with = |name, value| post(&[(name, value)]);
    assert_eq!(
        with("Content-Type", Some("text/plain")),
        Err(Refusal::ContentType)
    );
    assert_eq!(with("Content-Type", None), Err(Refusal::ContentType));
    assert_eq!(
        with("Content-Encoding", Some("gzip")),
        Err(Refusal::ContentEncoding)
    );
    // Clients name what was negotiated, or what they would have liked; the stream's channel knows better.
    assert_eq!(
        with("MCP-Protocol-Version", Some("2026-07-28")),
        Ok(Endpoint::SsePost)
    );
}

#[test]
fn a_stream_is_named_once_in_the_query() {
    let name = |target: &str| {
        let text = request(&format!("POST {target} HTTP/1.1"), &[]);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        sse_stream_name(&head).map(str::to_owned)
    };
    let found = [
        ("/messages?sessionId=00ff", "00ff"),
        ("/messages?a=b&sessionId=1&c", "1"),
        ("http://localhost/messages?sessionId=1", "1"),
        ("/messages?sessionId=", ""),
        ("/messages?sessionId=1=2", "1=2"),
        ("/messages?sessionId=a?sessionId=b", "a?sessionId=b"),
    ];
    for (target, expected) in found {
        assert_eq!(name(target).as_deref(), Some(expected), "{target}");
    }
    for target in [
        "/messages",
        "/messages?",
        "/messages?sessionId",
        "/messages?sessionid=1",
        "/messages?%73essionId=1",
        "/messages?sessionId=1&sessionId=1",
    ] {
        assert_eq!(name(target), None, "{target}");
    }
}

#[test]
fn where_to_post_is_said_relative_to_where_the_stream_is() {
    for (path, reference) in [
        ("/sse", "messages"),
        ("/sse?x=/", "messages"),
        ("/sse/", "../messages"),
    ] {
        let text = request(&format!("GET {path} HTTP/1.1"), &[]);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert_eq!(sse_messages_reference(&head), reference, "{path}");
    }
}

#[test]
fn several_paths_are_served_and_the_root_is_one() {
    let policy = EdgePolicy::new("/api/mcp/", ["localhost"], [], 1000)
        .and_then(|policy| policy.with_path("/"))
        .unwrap();
    let of = |line: &str| admit(&policy, &format!("{line} HTTP/1.1"), &[]);
    for path in ["/api/mcp", "/api/mcp/", "/", "http://localhost", "/?x=1"] {
        assert_eq!(of(&format!("POST {path}")), Ok(Endpoint::Post), "{path}");
        assert_eq!(of(&format!("GET {path}")), Ok(Endpoint::Get), "{path}");
    }
    for path in ["/mcp", "/api", "//", "/api/mcp//", "/x"] {
        assert_eq!(of(&format!("POST {path}")), Err(Refusal::Path), "{path}");
    }
    for path in ["", "mcp", "/a b", "/a?b"] {
        let refused = policy.clone().with_path(path).map(drop);
        assert_eq!(refused, Err(EdgePolicyError::Path(path.into())));
    }
}

#[test]
fn health_is_there_when_wanted_for_whoever_asks() {
    let (with, without) = (loopback().with_health(true), loopback());
    let of =
        |line: &str, changes: &[(&str, Option<&str>)]| admit(&with, &format!("{line} HTTP/1.1"), changes);
    // Probers say what they take, or nothing, and call a server by its address.
    for host in ["localhost", "10.1.2.3:8080", "evil.example", "[fd00::1]:8080"] {
        for (path, probe) in [("/healthz", Probe::Health), ("/readyz", Probe::Readiness)] {
            for method in ["GET", "HEAD"] {
                let line = format!("{method} {path}?x");
                for accept in [None, Some("*/*"), Some("text/plain")] {
                    let admitted = of(&line, &[("Host", Some(host)), ("Accept", accept)]);
                    assert_eq!(admitted, Ok(Endpoint::Health(probe)), "{line} {host}");
                }
            }
        }
    }
    let nameless = admit(&with, "GET /readyz HTTP/1.0", &[("Host", None)]);
    assert_eq!(nameless, Ok(Endpoint::Health(Probe::Readiness)));
    let not_allowed = Refusal::Method { allow: "GET, HEAD" };
    assert_eq!(of("POST /healthz", &[]), Err(not_allowed));
    assert_eq!(of("FROB /healthz", &[]), Err(Refusal::MethodUnknown));
    assert_eq!(of("GET /metrics", &[]), Err(Refusal::Path));
    // What is not health is not for them, nor is anything for a foreign page.
    for line in ["POST /healthz", "POST /mcp", "GET /metrics", "GET /"] {
        assert_eq!(
            of(line, &[("Host", Some("10.1.2.3"))]),
            Err(Refusal::Host),
            "{line}"
        );
    }
    let foreign = of("GET /healthz", &[("Origin", Some("http://evil.example"))]);
    assert_eq!(foreign, Err(Refusal::Origin));
    let large = of(
        "GET /healthz",
        &[("Host", Some("10.1.2.3")), ("Content-Length", Some("1001"))],
    );
    assert_eq!(large, Err(Refusal::BodyTooLarge));
    for path in ["/healthz", "/readyz"] {
        let off = admit(&without, &format!("GET {path} HTTP/1.1"), &[]);
        assert_eq!(off, Err(Refusal::Path));
    }
}

/// A preflight as a browser sends it, from a page on this machine.
fn preflight<'a>(changes: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, Option<&'a str>)> {
    let usual = [
        ("Content-Type", None),
        ("Accept", Some("*/*")),
        ("Content-Length", None),
        ("Origin", Some("http://localhost:5173")),
        ("Access-Control-Request-Method", Some("POST")),
    ];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = usual.into_iter().filter(|(name, _)| !is_changed(name));
    kept.chain(changes.iter().copied()).collect()
}

#[test]
fn a_preflight_is_let_in_whatever_it_is_for() {
    let policy = loopback().with_sse_legacy(true).with_health(true);
    let of = |line: &str, changes: &[(&'static str, Option<&'static str>)]| {
        admit(&policy, &format!("{line} HTTP/1.1"), &preflight(changes))
    };
    for path in [
        "/mcp",
        "/mcp/",
        "/nowhere",
        "/",
        "/sse",
        "/messages?sessionId=1",
        "/healthz",
        "*",
    ] {
        assert_eq!(
            of(&format!("OPTIONS {path}"), &[]),
            Ok(Endpoint::Preflight),
            "{path}"
        );
    }
    for changes in [
        [("MCP-Protocol-Version", Some("2026-07-28"))],
        [("Authorization", Some("Bearer x"))],
        [("Access-Control-Request-Method", Some("FROB"))],
        [("Access-Control-Request-Method", Some(""))],
        [("Accept", Some("text/html"))],
    ] {
        assert_eq!(
            of("OPTIONS /mcp", &changes),
            Ok(Endpoint::Preflight),
            "{changes:?}"
        );
    }
    // Who may not come may not ask.
    assert_eq!(
        of("OPTIONS /mcp", &[("Origin", Some("null"))]),
        Err(Refusal::Origin)
    );
    assert_eq!(
        of("OPTIONS /mcp", &[("Host", Some("evil.example"))]),
        Err(Refusal::Host)
    );
    // No preflight is what no browser sends.
    let not_allowed = Refusal::Method {
        allow: "GET, POST, DELETE",
    };
    for missing in ["Origin", "Access-Control-Request-Method"] {
        assert_eq!(
            of("OPTIONS /mcp", &[(missing, None)]),
            Err(not_allowed),
            "{missing}"
        );
        assert_eq!(of("OPTIONS /nowhere", &[(missing, None)]), Err(Refusal::Path));
    }
    assert_eq!(of("PUT /mcp", &[]), Err(not_allowed));
    assert_eq!(of("GET /mcp", &[]), Ok(Endpoint::Get));
}

/// The fields of the answer to a preflight that CORS has to do with.
fn answer_to_preflight(policy: &EdgePolicy, changes: &[(&str, Option<&str>)]) -> Vec<String> {
    let text = request("OPTIONS /mcp HTTP/1.1", &preflight(changes));
    let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
    assert_eq!(policy.admit(&head), Ok(Endpoint::Preflight));
    let mut out = b"before".to_vec();
    let readable_by = policy.readable_by(head.fields.origin);
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    write_preflight_answer(&mut out, &head, readable_by, Connection::Persist, date);
    let out = String::from_utf8(out).unwrap();
    let fields = out
        .strip_prefix("beforeHTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
        .and_then(|rest| rest.strip_suffix("\r\n\r\n"));
    let fields = fields.unwrap_or_else(|| panic!("{out}"));
    fields.split("\r\n").map(str::to_owned).collect()
}

/// What every page of this machine is told, and what a page may send besides.
fn usual<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let first = [
        "Vary: Origin",
        "Access-Control-Allow-Origin: http://localhost:5173",
        "Access-Control-Allow-Methods: GET, POST, DELETE",
    ];
    [&first[..], more, &["Access-Control-Max-Age: 7200"]].concat()
}

#[test]
fn a_preflight_is_told_what_a_page_may_send() {
    let answer = |changes: &[(&str, Option<&str>)]| answer_to_preflight(&loopback(), changes);
    assert_eq!(answer(&[]), usual(&[]));
    let all = "accept,accept-language,authorization,baggage,content-language,content-type,last-event-id,mcp-method,\
               mcp-name,mcp-param-city,mcp-protocol-version,mcp-session-id,traceparent,tracestate";
    let allowed = format!("Access-Control-Allow-Headers: {}", all.replace(',', ", "));
    let requested = |names| [("Access-Control-Request-Headers", Some(names))];
    assert_eq!(answer(&requested(all)), usual(&[&allowed]));
    for (asked, told) in [
        ("content-type, x-evil,mcp-name", Some("content-type, mcp-name")),
        ("MCP-Param-X, Mcp-Session-Id", Some("MCP-Param-X, Mcp-Session-Id")),
        ("mcp-param-", None),
        ("mcp-param, cookie, range, mcp-paramx", None),
        ("mcp-param-a b, mcp-param-\u{e4}", None),
        ("*", None),
        ("", None),
    ] {
        let told = told.map(|names| format!("Access-Control-Allow-Headers: {names}"));
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(answer(&requested(asked)), usual(&told), "{asked}");
    }
    let private = |value| [("Access-Control-Request-Private-Network", Some(value))];
    assert_eq!(
        answer(&private("true")),
        usual(&["Access-Control-Allow-Private-Network: true"])
    );
    assert_eq!(answer(&private("false")), usual(&[]));
}

#[test]
fn whoever_may_come_is_named_even_if_anybody_may() {
    let open = policy(&["*"], &["*"]);
    for origin in ["null", "https://app.example", "chrome-extension://abc"] {
        let fields = answer_to_preflight(&open, &[("Origin", Some(origin))]);
        assert!(
            fields.contains(&format!("Access-Control-Allow-Origin: {origin}")),
            "{fields:?}"
        );
    }
    // No browser sends these.
    let long = "x".repeat(300);
    for origin in ["a b", "", long.as_str(), "\u{e4}"] {
        assert_eq!(
            answer_to_preflight(&open, &[("Origin", Some(origin))]),
            ["Vary: Origin"]
        );
    }
    assert_eq!(
        loopback().readable_by(Field::One(b"http://localhost:1")),
        Some("http://localhost:1")
    );
    for foreign in [
        Field::Absent,
        Field::Repeated,
        Field::One(b"null"),
        Field::One(b"http://evil.example"),
    ] {
        assert_eq!(loopback().readable_by(foreign), None, "{foreign:?}");
    }
}
