//! Which requests become a WebSocket, and which do not.

use serde_json::json;

use crate::harness::{
    Client, Dialect, FIN, Request, Response, Revision, Server, Shared, TEXT, WebSocket, case, echo, frame,
};

/// The answer to a handshake that is refused, and the end behind it.
#[track_caller]
fn refused(server: &Server, handshake: &Request, status: u16) -> Response {
    let mut client = server.connect();
    let answered = client.ask(handshake);
    answered.assert_status(status);
    client.assert_closed();
    answered
}

#[test]
fn origin_host_and_path_are_judged_before_the_upgrade() {
    let server = Shared::usual();
    let handshake = WebSocket::handshake();
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost.evil.example",
        "file://",
    ] {
        let _case = case(origin);
        refused(&server, &handshake.clone().plus("Origin", origin), 403);
        // This comes even before faults of the handshake itself.
        let broken = handshake.clone().with("Sec-WebSocket-Version", "8");
        refused(&server, &broken.plus("Origin", origin), 403);
    }
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1"] {
        let _case = case(host);
        refused(&server, &handshake.clone().with("Host", host), 403);
    }
    refused(&server, &handshake.clone().with_target("/ws"), 404);
    for origin in ["http://localhost:5173", "https://127.0.0.1"] {
        let mut client = server.connect();
        client.send(&handshake.clone().plus("Origin", origin));
        WebSocket::accepted(client).close(1000);
    }
}

#[test]
fn handshakes_that_are_not_sound() {
    let server = Shared::usual();
    let handshake = WebSocket::handshake();
    refused(&server, &handshake.clone().without("Sec-WebSocket-Key"), 400);
    refused(&server, &handshake.clone().without("Sec-WebSocket-Version"), 400);
    for key in ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZXh5"] {
        let _case = case(key);
        refused(&server, &handshake.clone().with("Sec-WebSocket-Key", key), 400);
    }
    refused(
        &server,
        &handshake
            .clone()
            .plus("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        400,
    );
    for version in ["8", "12", "14", "13, 8", "x"] {
        let _case = case(version);
        let answered = refused(
            &server,
            &handshake.clone().with("Sec-WebSocket-Version", version),
            426,
        );
        assert_eq!(answered.field("sec-websocket-version"), Some("13"));
        assert_eq!(answered.field("upgrade"), Some("websocket"));
        assert_eq!(answered.field("connection"), Some("close, Upgrade"));
    }
    refused(&server, &handshake.with_body("{}"), 400);
}

#[test]
fn heads_beyond_the_limits_are_refused_as_any_request() {
    let server = Shared::usual();
    let many = (0..1_000).fold(WebSocket::handshake(), |request, number| {
        request.plus(&format!("X-{number}"), "x")
    });
    let large = WebSocket::handshake().plus("X-Large", "x".repeat(1 << 20));
    for handshake in [many, large] {
        let mut client = server.connect();
        // The answer may come, and the connection end, before all of it is sent.
        let _ = client.try_send_bytes(&handshake.encode());
        client.receive().assert_status(431);
    }
}

#[test]
fn offers_are_taken_or_left() {
    let server = Shared::usual();
    let accepted = |handshake: &Request| {
        let mut client = server.connect();
        client.send(handshake);
        let head = client.receive_head();
        assert_eq!(head.status, 101, "{head:?}");
        head
    };
    let offers = |value| WebSocket::handshake().with("Sec-WebSocket-Protocol", value);
    let subprotocol = |head: &Response| head.field("sec-websocket-protocol").map(str::to_owned);
    assert_eq!(
        subprotocol(&accepted(&offers("soap, mcp"))).as_deref(),
        Some("mcp")
    );
    assert_eq!(subprotocol(&accepted(&offers("soap"))), None);
    let none = WebSocket::handshake().without("Sec-WebSocket-Protocol");
    assert_eq!(subprotocol(&accepted(&none)), None);
    let compressed = WebSocket::handshake().plus(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    );
    assert_eq!(accepted(&compressed).field("sec-websocket-extensions"), None);
    let modern = WebSocket::handshake().plus("MCP-Protocol-Version", "2026-07-28");
    accepted(&modern);
    accepted(
        &WebSocket::handshake()
            .with("Connection", "keep-alive, UPGRADE")
            .with("Upgrade", "WebSocket"),
    );
}

#[test]
fn without_an_upgrade_a_get_stays_http() {
    let server = Shared::usual();
    for handshake in [
        WebSocket::handshake().without("Connection"),
        WebSocket::handshake().without("Upgrade"),
        WebSocket::handshake().with("Upgrade", "h2c"),
        WebSocket::handshake().with_version("HTTP/1.0"),
    ] {
        // A client without a session has no stream to get.
        server.ask(&handshake).assert_status(405);
    }
}

#[test]
fn what_is_switched_off_is_ignored() {
    let server = Server::start(&["--websocket", "off"]);
    let mut client = server.connect();
    let behind = echo("behind", "x").encode();
    client.send_bytes(&[WebSocket::handshake().encode(), behind].concat());
    client.receive().assert_status(405);
    // The bytes behind an upgrade could be anything.
    client.assert_closed();
}

#[test]
fn bytes_behind_the_handshake_are_frames_and_never_http() {
    let server = Shared::usual();
    let handshake = WebSocket::handshake().encode();
    let smuggled = [
        echo("smuggled", "x").encode(),
        Dialect::legacy(Revision::NEWEST_LEGACY)
            .echo("smuggled", "x")
            .encode(),
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        WebSocket::handshake().encode(),
    ];
    for bytes in smuggled {
        let _case = case(String::from_utf8_lossy(&bytes).into_owned());
        let mut client = server.connect();
        client.send_bytes(&[handshake.clone(), bytes].concat());
        // `P` and `G` have reserved bits.
        WebSocket::accepted(client).assert_closed(1002);
    }
    let mut client = server.connect();
    let call = echo("framed", "x");
    client.send_bytes(&[handshake.clone(), frame(FIN | TEXT, &call.body)].concat());
    let mut socket = WebSocket::accepted(client);
    socket.note(&call);
    assert_eq!(socket.answer("framed")["result"]["content"][0]["text"], "x");
    socket.close(1000);
    // A handshake that is refused is the last request of its connection.
    let refused = WebSocket::handshake().without("Sec-WebSocket-Key").encode();
    let mut client = server.connect();
    client.send_bytes(&[refused, echo("smuggled", "x").encode()].concat());
    client.receive().assert_status(400);
    client.assert_closed();
}

#[test]
fn requests_before_the_handshake_are_answered_before_it() {
    let server = Shared::usual();
    let mut client: Client = server.connect();
    let before = [echo(1, "one"), echo(2, "two")];
    for request in &before {
        client.expect(request);
    }
    let bytes = [
        before[0].encode(),
        before[1].encode(),
        WebSocket::handshake().encode(),
        frame(FIN | TEXT, &echo(3, "three").body),
    ];
    client.send_bytes(&bytes.concat());
    client.receive().assert_echo(1, "one");
    client.receive().assert_echo(2, "two");
    let mut socket = WebSocket::accepted(client);
    socket.note(&echo(3, "three"));
    assert_eq!(socket.answer(3)["result"]["content"][0]["text"], "three");
    socket.close(1000);
}

#[test]
fn however_handshake_and_frames_are_cut() {
    let server = Shared::usual();
    let call = echo("cut", "\u{20ac}");
    let discover = Dialect::modern().request("discover", "server/discover", json!({}));
    let (front, back) = call.body.split_at(call.body.len() / 2);
    let bytes = [
        WebSocket::handshake().encode(),
        frame(TEXT, front),
        frame(FIN, back),
        frame(FIN | TEXT, &discover.body),
    ]
    .concat();
    let converse = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut client = server.connect();
        for piece in pieces {
            client.send_bytes(piece);
        }
        let mut socket = WebSocket::accepted(client);
        socket.note(&call);
        socket.note(&discover);
        // Control may overtake work.
        let answers = [socket.message(), socket.message()];
        let answer = |id: &str| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(answer("cut")["result"]["content"][0]["text"], "\u{20ac}");
        assert!(answer("discover")["result"]["supportedVersions"].is_array());
        socket.close(1000);
    };
    for at in 0..=bytes.len() {
        let _case = case(format!("cut at {at} of {}", bytes.len()));
        let (first, second) = bytes.split_at(at);
        converse(&mut [first, second].into_iter());
    }
    for _ in 0..10 {
        converse(&mut bytes.chunks(1));
    }
}
