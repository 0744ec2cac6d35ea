//! The questions of browsers before a page may send something, and the answers.

use super::*;

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
    // A client that may not come may not ask.
    assert_eq!(
        of("OPTIONS /mcp", &[("Origin", Some("null"))]),
        Err(Refusal::Origin)
    );
    assert_eq!(
        of("OPTIONS /mcp", &[("Host", Some("evil.example"))]),
        Err(Refusal::Host)
    );
    // A request that no browser sends is no preflight.
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

/// The fields of the answer to a preflight that concern CORS.
fn answer_to_preflight(policy: &AdmissionPolicy, changes: &[(&str, Option<&str>)]) -> Vec<String> {
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

/// The fields for every page of this machine, and further ones that a page may send.
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
