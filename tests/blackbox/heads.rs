//! Request heads: host, target, methods, limits, `Expect`, `Upgrade`, persistence (RFC 9110, RFC 9112).

use crate::harness::{Case, Ending, Request, Server, Shared, case, echo, eventually};

/// The default `--head-max`, and the limits that have no flag.
const HEAD_BYTES_MAX: usize = 32 << 10;
const REQUEST_LINE_BYTES_MAX: usize = 8 << 10;
const FIELDS_MAX: usize = 100;
const BODY_BYTES_MAX: usize = 4 << 20;

#[test]
fn host_is_needed_once_and_whole() {
    let server = Shared::usual();
    let request = echo(1, "x");
    server.ask(&request.clone().without("Host")).assert_status(400);
    server
        .ask(&request.clone().plus("Host", "localhost"))
        .assert_status(400);
    server
        .ask(&request.clone().plus("host", "evil.example"))
        .assert_status(400);
    for value in [
        "a b",
        "exa\tmple",
        "[::1",
        "[::1]x",
        "::1",
        "localhost:12:34",
        "localhost:port",
        "localhost:99999",
        "ex%zzample",
        "user@localhost",
        "localhost/",
        "local\\host",
        "localhost, localhost",
        "[zz]",
        "localhost:-1",
        "\"localhost\"",
    ] {
        let _case = case(value);
        server
            .ask(&request.clone().with("Host", value))
            .assert_status(400);
    }
}

#[test]
fn absolute_targets_carry_the_authority() {
    let server = Shared::usual();
    let request = echo(1, "x");
    for target in [
        "http://localhost/mcp",
        "http://127.0.0.1:8080/mcp",
        "HTTP://LocalHost/mcp",
        "http://[::1]:1/mcp",
    ] {
        let _case = case(target);
        server
            .ask(&request.clone().with_target(target))
            .assert_echo(1, "x");
        let foreign = request.clone().with_target(target).with("Host", "evil.example");
        server.ask(&foreign).assert_echo(1, "x");
    }
    for (target, status) in [
        ("http://evil.example/mcp", 403),
        ("http://localhost.evil.example/mcp", 403),
        ("http://localhost@evil.example/mcp", 400),
        ("http:///mcp", 400),
        ("http://localhost:x/mcp", 400),
        ("http://localhost/other", 404),
    ] {
        let _case = case(target);
        server
            .ask(&request.clone().with_target(target))
            .assert_status(status);
    }
}

#[test]
fn only_one_path_is_served() {
    let server = Shared::usual();
    let request = echo(1, "x");
    server
        .ask(&request.clone().with_target("/mcp?a=b&c"))
        .assert_echo(1, "x");
    // A trailing slash makes no other path.
    for target in ["/mcp/", "/mcp/?a=b", "http://localhost/mcp/"] {
        server
            .ask(&request.clone().with_target(target))
            .assert_echo(1, "x");
    }
    for target in [
        "/",
        "/mcp//",
        "/MCP",
        "/mcp/x",
        "//mcp",
        "/x/../mcp",
        "/%6dcp",
        "/mcp%00",
        "/metrics",
        "/healthz",
    ] {
        let _case = case(target);
        let mut client = server.connect();
        client
            .ask(&request.clone().with_target(target))
            .assert_status(404);
        client.ask(&echo(2, "behind it")).assert_echo(2, "behind it");
    }
}

#[test]
fn methods_known_and_unknown() {
    let server = Shared::usual();
    let request = echo(1, "x");
    for method in ["GET", "PUT", "PATCH", "OPTIONS", "TRACE"] {
        let _case = case(method);
        let mut client = server.connect();
        let refused = client.ask(&request.clone().with_method(method));
        assert_eq!(refused.assert_status(405).field("allow"), Some("POST"));
        client.ask(&echo(2, "behind it")).assert_echo(2, "behind it");
        let legacy = Request::new(method, "/mcp").plus("Accept", "text/event-stream");
        let legacy = server.ask(&legacy);
        // A client without a session has no stream to get.
        let allowed = match method {
            "GET" => "POST, DELETE",
            _ => "GET, POST, DELETE",
        };
        assert_eq!(legacy.assert_status(405).field("allow"), Some(allowed));
    }
    for method in ["FROB", "post", "Post", "PROPFIND", "PRI"] {
        let _case = case(method);
        server
            .ask(&request.clone().with_method(method))
            .assert_status(501);
    }
    let tunnel = server.ask(&Request::new("CONNECT", "localhost:443"));
    assert!(
        tunnel.closes() && (400..500).contains(&tunnel.status),
        "{tunnel:?}"
    );
}

#[test]
fn answers_to_head_have_no_body() {
    let server = Shared::usual();
    let mut client = server.connect();
    client.send(&Request::new("HEAD", "/mcp"));
    client.send(&echo(2, "after it"));
    let refused = client.receive();
    assert_eq!(refused.status, 405);
    assert_ne!(refused.field("content-length"), None);
    client.receive().assert_echo(2, "after it");
    // A broken head is refused before its method is known to matter; nothing may be parsed out of step.
    let mut client = server.connect();
    client.send(&Request::new("HEAD", "/mcp").plus("Host", "localhost"));
    assert_eq!(client.receive().status, 400);
    assert!(matches!(client.ending(), Ending::Closed(_)));
}

/// A head of exactly `bytes`, made of fields of at most 1 KiB.
fn head_of(bytes: usize) -> Request {
    let request = echo(1, "x");
    let present = request.encode().len() - request.body.len();
    let line = |value: usize| "X-Filler: \r\n".len() + value;
    let (mut missing, mut filled) = (bytes - present, request);
    while missing > 2 * line(1000) {
        filled = filled.plus("X-Filler", "f".repeat(1000));
        missing -= line(1000);
    }
    filled.plus("X-Filler", "f".repeat(missing - line(0)))
}

fn exactly(what: &str, at: usize) -> Case {
    case(format!("{what} {at}"))
}

#[test]
fn heads_at_their_limits_and_one_past() {
    let server = Shared::usual();
    for (bytes, status) in [
        (HEAD_BYTES_MAX, 200),
        (HEAD_BYTES_MAX + 1, 431),
        (2 * HEAD_BYTES_MAX, 431),
    ] {
        let _case = exactly("head of", bytes);
        let request = head_of(bytes);
        assert_eq!(request.encode().len() - request.body.len(), bytes);
        server.ask(&request).assert_status(status);
    }
    for (bytes, status) in [
        (REQUEST_LINE_BYTES_MAX, 200),
        (REQUEST_LINE_BYTES_MAX + 1, 414),
        (20_000, 414),
    ] {
        let _case = exactly("request line of", bytes);
        let filler = bytes - "POST /mcp? HTTP/1.1".len();
        server
            .ask(&echo(1, "x").with_target(&format!("/mcp?{}", "a".repeat(filler))))
            .assert_status(status);
    }
    for (fields, status) in [(FIELDS_MAX, 200), (FIELDS_MAX + 1, 431), (1000, 431)] {
        let _case = exactly("fields", fields);
        let mut request = echo(1, "x");
        let present = request.encode().iter().filter(|byte| **byte == b'\n').count() - 2;
        for number in present..fields {
            request = request.plus(&format!("X-{number}"), "a");
        }
        server.ask(&request).assert_status(status);
    }
    let one_field = echo(1, "x").plus("X-Big", "a".repeat(2 * HEAD_BYTES_MAX));
    server.ask(&one_field).assert_status(431);
}

#[test]
fn an_endless_head_is_refused_at_the_limit() {
    let server = Shared::usual();
    let mut client = server.connect();
    client.send_bytes(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n");
    for _ in 0..HEAD_BYTES_MAX / 10 {
        if client.try_send_bytes(b"X: 567890\r\n").is_err() {
            break;
        }
    }
    client.receive().assert_status(431);
    assert!(matches!(client.ending(), Ending::Closed(_) | Ending::Reset(_)));
    let mut client = server.connect();
    let _ = client.try_send_bytes(&b"A".repeat(2 * HEAD_BYTES_MAX));
    client.receive().assert_status(414);
}

#[test]
fn limits_follow_their_flags() {
    let server = Server::start(&["--head-max", "1KiB", "--body-max", "2KiB"]);
    for (bytes, status) in [(1024, 200), (1025, 431)] {
        server.ask(&head_of(bytes)).assert_status(status);
    }
    let empty = echo(1, "").body.len();
    for (bytes, status) in [(2048, 200), (2049, 413)] {
        let request = echo(1, &"m".repeat(bytes - empty));
        assert_eq!(request.body.len(), bytes);
        server.ask(&request).assert_status(status);
        server
            .ask_bytes(&request.encode_chunked(&[700, 700]))
            .assert_status(status);
    }
}

#[test]
fn bodies_at_their_limit_and_one_past() {
    let server = Shared::usual();
    let request = echo(1, "x");
    let padded = |bytes: usize| {
        let padding = vec![b' '; bytes - request.body.len()];
        request.clone().with_body([&request.body[..], &padding].concat())
    };
    server.ask(&padded(BODY_BYTES_MAX)).assert_echo(1, "x");
    server
        .ask_bytes(&padded(BODY_BYTES_MAX).encode_chunked(&[1 << 20; 3]))
        .assert_echo(1, "x");
    // The announcement alone is refused: the body is never sent.
    for bytes in [
        (BODY_BYTES_MAX + 1).to_string(),
        (1_u64 << 62).to_string(),
        i64::MAX.to_string(),
    ] {
        let _case = case(bytes.clone());
        let mut client = server.connect();
        client.send_bytes(&request.clone().plus("Content-Length", &bytes).framed_as(b"{"));
        assert!(client.receive().assert_status(413).closes());
        client.assert_closed();
    }
    let mut client = server.connect();
    client.send_bytes(
        &request
            .clone()
            .plus("Transfer-Encoding", "chunked")
            .framed_as(b"400001\r\n{"),
    );
    assert!(client.receive().assert_status(413).closes());
    client.assert_closed();
}

#[test]
fn chunks_without_end_are_refused_at_the_limit() {
    let server = Shared::usual();
    let mut client = server.connect();
    client.send_bytes(&echo(1, "x").plus("Transfer-Encoding", "chunked").head());
    let piece = [b"10000\r\n", &[b' '; 0x10000][..], b"\r\n"].concat();
    for _ in 0..BODY_BYTES_MAX / 0x10000 + 1 {
        if client.try_send_bytes(&piece).is_err() {
            break;
        }
    }
    client.receive().assert_status(413);
}

#[test]
fn expect_continue_is_answered_once_and_only_if_the_body_is_wanted() {
    let server = Shared::usual();
    let request = echo(1, "x");
    let bytes = request.body.len().to_string();
    for framing in [("Content-Length", &*bytes), ("Transfer-Encoding", "chunked")] {
        let _case = case(framing.0);
        let expecting = request
            .clone()
            .plus("Expect", "100-Continue")
            .plus(framing.0, framing.1);
        let mut client = server.connect();
        client.send_bytes(&expecting.head());
        assert_eq!(client.receive().status, 100);
        match framing.0 {
            "Content-Length" => client.send_bytes(&request.body),
            _ => client.send_bytes(&crate::harness::chunked(&request.body, &[7])),
        }
        client.receive().assert_echo(1, "x");
        client.ask(&echo(2, "behind it")).assert_echo(2, "behind it");
        // The body is there already: no interim answer, or at most one that comes first.
        let mut client = server.connect();
        let payload = match framing.0 {
            "Content-Length" => request.body.clone(),
            _ => crate::harness::chunked(&request.body, &[7]),
        };
        client
            .ask_bytes(&expecting.framed_as(&payload))
            .assert_echo(1, "x");
    }
    for (status, refused) in [
        (
            413,
            request
                .clone()
                .plus("Content-Length", (BODY_BYTES_MAX + 1).to_string()),
        ),
        (
            415,
            request
                .clone()
                .with("Content-Type", "text/plain")
                .plus("Content-Length", &bytes),
        ),
        (
            404,
            request
                .clone()
                .with_target("/other")
                .plus("Content-Length", &bytes),
        ),
        (
            403,
            request
                .clone()
                .plus("Origin", "http://evil.example")
                .plus("Content-Length", &bytes),
        ),
    ] {
        let _case = exactly("refused with", status.into());
        let mut client = server.connect();
        client.send_bytes(&refused.plus("Expect", "100-continue").head());
        // The body may or may not follow, so nobody knows where the next request begins.
        assert!(client.receive().assert_status(status).closes());
        client.assert_closed();
    }
    for expectation in ["200-maybe", "100-continue, other", "100"] {
        let _case = case(expectation);
        server
            .ask(&request.clone().plus("Expect", expectation))
            .assert_status(417);
    }
}

#[test]
fn bytes_behind_an_upgrade_are_never_a_request() {
    let server = Shared::usual();
    for protocol in ["websocket", "h2c", "TLS/1.0", "foo, bar"] {
        let _case = case(protocol);
        let upgrading = echo(1, "x")
            .plus("Connection", "keep-alive, Upgrade")
            .plus("Upgrade", protocol);
        let mut client = server.connect();
        client.send_bytes(&[upgrading.encode(), echo(2, "behind it").encode()].concat());
        let answered = client.receive();
        assert!(answered.closes(), "{answered:?}");
        client.assert_closed();
    }
}

#[test]
fn persistence_follows_version_and_connection() {
    let server = Shared::usual();
    for (version, connection, persists) in [
        ("HTTP/1.1", None, true),
        ("HTTP/1.1", Some("keep-alive"), true),
        ("HTTP/1.1", Some("close"), false),
        ("HTTP/1.1", Some("Close"), false),
        ("HTTP/1.1", Some("foo, close"), false),
        ("HTTP/1.1", Some("keep-alive, close"), false),
        ("HTTP/1.0", None, false),
        ("HTTP/1.0", Some("keep-alive"), true),
        ("HTTP/1.0", Some("Keep-Alive"), true),
        ("HTTP/1.0", Some("close"), false),
        ("HTTP/1.0", Some("close, keep-alive"), false),
        ("HTTP/1.7", None, true),
    ] {
        let _case = case(format!("{version} {connection:?}"));
        let mut request = echo(1, "x").with_version(version);
        if let Some(options) = connection {
            request = request.plus("Connection", options);
        }
        let mut client = server.connect();
        let answered = client.ask(&request);
        answered.assert_echo(1, "x");
        assert_eq!(answered.closes(), !persists);
        if persists {
            let says_so = answered.field("connection") == Some("keep-alive");
            assert_eq!(says_so, version == "HTTP/1.0", "{answered:?}");
            client.ask(&request).assert_echo(1, "x");
        } else {
            client.assert_closed();
        }
    }
}

#[test]
fn empty_lines_before_a_request_are_skipped_in_moderation() {
    let server = Shared::usual();
    let raw = echo(1, "x").encode();
    server
        .ask_bytes(&[b"\r\n\r\n", &raw[..]].concat())
        .assert_echo(1, "x");
    server
        .ask_bytes(&[b"\r\n".repeat(1000), raw.clone()].concat())
        .assert_status(400);
    let mut client = server.connect();
    client
        .ask_bytes(&[&raw[..], b"\r\n"].concat())
        .assert_echo(1, "x");
    client.ask_bytes(&raw).assert_echo(1, "x");
}

#[test]
fn what_is_not_http_ends_the_connection() {
    let server = Server::start(&["--head-timeout", "1s"]);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello, this is TLS\r\n\r\n"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"\n\n\n\n",
    ] {
        let _case = case(String::from_utf8_lossy(bytes));
        let mut client = server.connect();
        client.send_bytes(bytes);
        let refused = client.receive();
        assert!(
            [400, 505].contains(&refused.status) && refused.closes(),
            "{refused:?}"
        );
    }
    // Without a line end the request cannot be judged: the deadline for heads ends it.
    let mut client = server.connect();
    client.send_bytes(b"\x80\x2e\x01\x00\x02");
    let ended = client.try_receive();
    assert!(ended.is_ok_and(|refused| [400, 408].contains(&refused.status)));
    eventually("all are closed", || server.metric("weir_connections", &[]) == 0);
}
