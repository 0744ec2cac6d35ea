//! The paths that are served: those of MCP, and health on the same port.

use serde_json::json;

use crate::harness::{
    Dialect, Process, Request, Revision, Scratch, Server, WebSocket, assert_at_rest, case, echo, hold,
};

#[test]
fn mcp_is_served_on_the_paths_that_are_given() {
    let server = Server::start(&["--path", "/", "--path", "/api/mcp/", "--sse-legacy", "on"]);
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    let opened = server.ask(&legacy.initialize(0).with_target("/api/mcp"));
    let session = Dialect {
        session: opened.field("mcp-session-id").map(str::to_owned),
        ..legacy
    };
    for target in ["/", "/?x=1", "http://localhost", "/api/mcp", "/api/mcp/"] {
        let _case = case(target);
        let at = |request: Request| server.ask(&request.with_target(target));
        at(echo(1, "x")).assert_echo(1, "x");
        at(session.echo(2, "x")).assert_echo(2, "x");
        let get_stream = server.open(&session.get_stream().with_target(target));
        assert!(get_stream.is_chunked());
    }
    for target in ["/mcp", "/api", "/api/mcp//", "//", "/x"] {
        let _case = case(target);
        server.ask(&echo(1, "x").with_target(target)).assert_status(404);
    }
    let mut client = server.connect();
    client.send(&WebSocket::handshake().with_target("/api/mcp/"));
    let mut socket = WebSocket::accepted(client);
    socket.send(&echo(1, "x"));
    assert_eq!(socket.answer(1)["result"]["content"][0]["text"], "x");
    // HTTP+SSE has paths of its own beside them.
    let mut events = server.open(&Request::new("GET", "/sse").plus("Accept", "text/event-stream"));
    assert!(events.endpoint().starts_with("/messages?"));
    assert!(server.stderr().contains(&format!("http://{}/", server.address)));
    drop((socket, events));
    server.stop();
}

#[test]
fn a_path_that_is_something_else_is_refused_at_start() {
    for (flags, said) in [
        (
            ["--path", "/sse", "--sse-legacy", "on"],
            "path = /sse, but sse-legacy = on",
        ),
        (
            ["--path", "/messages/", "--sse-legacy", "on"],
            "path = /messages, but sse-legacy = on",
        ),
        (
            ["--path", "/healthz", "--health", "on"],
            "path = /healthz, but health = on",
        ),
        (
            ["--path", "/readyz/", "--health", "on"],
            "path = /readyz, but health = on",
        ),
        (
            ["--path", "/mcp", "--path", "/mcp/"],
            "path = /mcp/ (from --path) is given twice",
        ),
        (
            ["--path", "mcp", "--path", "/"],
            "path = mcp (from --path) is not a path; write for example `/mcp`",
        ),
        (["--path", "/a?b", "--path", "/"], "is not a path"),
    ] {
        let _case = case(said);
        let mut refused = Process::start(
            &[
                &["serve", "--listen", "127.0.0.1:0", "--admin", "off"],
                &flags[..],
            ]
            .concat(),
        );
        assert_eq!(refused.wait().code(), Some(2));
        assert!(refused.stderr().contains(said), "{}", refused.stderr());
    }
}

#[test]
fn health_is_not_served_beside_mcp_until_it_is_wanted() {
    let server = Server::start(&[]);
    for path in ["/healthz", "/readyz"] {
        server.ask(&Request::new("GET", path)).assert_status(404);
        server
            .ask(&Request::new("GET", path).with("Host", "10.1.2.3"))
            .assert_status(403);
    }
}

#[test]
fn health_answers_a_probe_whatever_it_calls_the_server() {
    let server = Server::start(&[
        "--health",
        "on",
        "--pool-size",
        "1",
        "--queue-depth",
        "0",
        "--steal-reserve",
        "0",
    ]);
    // The answer waits for nobody.
    let held = hold(&server);
    let mut client = server.connect();
    for (path, word) in [
        ("/healthz", "ok\n"),
        ("/readyz", "serving\n"),
        ("/readyz?x=1", "serving\n"),
    ] {
        for host in [
            "localhost",
            "10.1.2.3:8080",
            "[fd00::1]:8080",
            "mcp.example",
            "evil.example",
        ] {
            let _case = case(format!("{path} {host}"));
            let probe = Request::new("GET", path).with("Host", host);
            let answer = client.ask(&probe);
            assert_eq!(
                (answer.assert_status(200).text(), answer.closes()),
                (word.to_owned(), false)
            );
            assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(answer.field("cache-control"), Some("no-store"));
            let head = client.ask(&probe.with_method("HEAD"));
            assert_eq!(
                head.assert_status(200).field("content-length"),
                Some(&*word.len().to_string())
            );
            assert!(head.body.is_empty());
        }
    }
    let nameless = server.ask_bytes(b"GET /readyz HTTP/1.0\r\n\r\n");
    assert!(nameless.assert_status(200).closes());
    for (method, path, status) in [
        ("POST", "/healthz", 405),
        ("DELETE", "/readyz", 405),
        ("GET", "/metrics", 404),
        ("GET", "/", 404),
    ] {
        let _case = case(format!("{method} {path}"));
        let refused = client.ask(&Request::new(method, path));
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(refused.assert_status(status).field("allow"), allow);
    }
    let foreign = Request::new("GET", "/healthz").plus("Origin", "http://evil.example");
    client.ask(&foreign).assert_status(403);
    let named = echo(1, "x").with("Host", "10.1.2.3");
    client.ask(&named).assert_status(403);
    held.reset();
    assert_at_rest(&server);
}

#[test]
fn the_first_path_of_a_file_is_what_clients_are_pointed_at() {
    let folder = Scratch::new("paths");
    let file = folder.text("weir.toml");
    std::fs::write(&file, "path = [\"/tools\", \"/mcp\"]\nhealth = \"on\"\n").unwrap();
    let server = Server::start(&["--config", &file]);
    assert!(
        server
            .stderr()
            .contains(&format!("http://{}/tools", server.address))
    );
    for target in ["/tools", "/tools/", "/mcp"] {
        server.ask(&echo(1, "x").with_target(target)).assert_echo(1, "x");
    }
    let list = Dialect::modern().request(1, "tools/list", json!({}));
    server.ask(&list.with_target("/")).assert_status(404);
    server.ask(&Request::new("GET", "/readyz")).assert_status(200);
}
