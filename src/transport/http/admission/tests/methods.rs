//! The methods of each path.

use super::*;

#[test]
fn paths_and_methods() {
    let loopback = loopback();
    let of = |line: &str| admit(&loopback, &format!("{line} HTTP/1.1"), &[]);
    assert_eq!(of("POST /mcp?x=1"), Ok(Endpoint::Post));
    // A trailing slash makes no other path.
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
fn several_paths_are_served_and_the_root_is_one() {
    let policy = AdmissionPolicy::new("/api/mcp/", ["localhost"], [], 1000)
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
        assert_eq!(refused, Err(AdmissionPolicyError::Path(path.into())));
    }
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
    // Other offers, and other methods, are ignored.
    assert_eq!(get(&[("Upgrade", Some("h2c"))]), Ok(Endpoint::Get));
    assert_eq!(get(&[("Connection", Some("close"))]), Ok(Endpoint::Get));
    let post = admit(&on, "POST /mcp HTTP/1.1", &upgrade(&[]));
    assert_eq!(post, Err(Refusal::ContentType));
    let old = admit(&on, "GET /mcp HTTP/1.0", &upgrade(&[]));
    assert_eq!(old, Ok(Endpoint::Get));
    // The option is off, so the offer is ignored.
    let off = admit(&loopback(), "GET /mcp HTTP/1.1", &upgrade(&[]));
    assert_eq!(off, Ok(Endpoint::Get));
}

#[test]
fn health_is_there_when_wanted_for_whoever_asks() {
    let (with, without) = (loopback().with_health(true), loopback());
    let of =
        |line: &str, changes: &[(&str, Option<&str>)]| admit(&with, &format!("{line} HTTP/1.1"), changes);
    // Probers have any `Accept`, or none, and call a server by its address.
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
    // Everything but health is closed to them, and health is closed to a foreign page.
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

#[test]
fn each_server_has_paths_of_its_own() {
    let policy = loopback()
        .with_sse_legacy(true)
        .with_health(true)
        .with_server("/servers/a", ViewId(1))
        .with_server("/servers/a%20b", ViewId(2));
    let of = |line: &str| {
        let text = request(&format!("{line} HTTP/1.1"), &[]);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        let admitted = policy.admit(&head);
        admitted.map(|endpoint| (endpoint, policy.view_of(&head)))
    };
    for (line, expected) in [
        ("POST /mcp", Ok((Endpoint::Post, ViewId::MAIN))),
        ("POST /servers/a/mcp", Ok((Endpoint::Post, ViewId(1)))),
        ("POST /servers/a/mcp/", Ok((Endpoint::Post, ViewId(1)))),
        ("POST /servers/a/mcp?x=1", Ok((Endpoint::Post, ViewId(1)))),
        ("DELETE /servers/a%20b/mcp", Ok((Endpoint::Delete, ViewId(2)))),
        ("GET /servers/a/mcp", Ok((Endpoint::Get, ViewId(1)))),
        ("GET /servers/a/sse", Ok((Endpoint::SseOpen, ViewId(1)))),
        (
            "POST /servers/a/messages?sessionId=x",
            Ok((Endpoint::SsePost, ViewId(1))),
        ),
        (
            "PUT /servers/a/mcp",
            Err(Refusal::Method {
                allow: "GET, POST, DELETE",
            }),
        ),
        ("POST /servers/a", Err(Refusal::Path)),
        ("POST /servers/a/", Err(Refusal::Path)),
        ("POST /servers/amcp", Err(Refusal::Path)),
        ("POST /servers/a/mcp/x", Err(Refusal::Path)),
        ("POST /servers/A/mcp", Err(Refusal::Path)),
        ("GET /servers/a/healthz", Err(Refusal::Path)),
    ] {
        assert_eq!(of(line), expected, "{line}");
    }
}
