//! The two endpoints of HTTP+SSE.

use super::*;

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
    // Clients name the negotiated version, or the one they would have liked; the stream's channel knows better.
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
