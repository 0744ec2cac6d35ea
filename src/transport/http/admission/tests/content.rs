//! Sizes, media types, and the order of the rules.

use super::*;

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
    // A client without the field accepts anything, JSON too.
    for nothing in [None, Some(""), Some(" , ")] {
        assert_eq!(post(&[("Accept", nothing)]), Ok(Endpoint::Post), "{nothing:?}");
        let text = request("POST /mcp HTTP/1.1", &[("Accept", nothing)]);
        let head = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert!(takes_json(&head), "{nothing:?}");
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
        assert!(!takes_json(&head), "{value}");
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
