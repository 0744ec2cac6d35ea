//! Which requests are admitted: `Origin`, `Host`, media types (MCP, Streamable HTTP, security).

use serde_json::json;

use crate::harness::{Dialect, Process, Revision, Scratch, Server, Shared, case, echo, eras};

#[test]
fn foreign_origins_are_refused_before_anything_else() {
    let server = Shared::usual();
    let port = server.address.port();
    for dialect in eras() {
        let request = dialect.echo(1, "x");
        for origin in [
            "http://evil.example",
            "null",
            "file://",
            "http://evil.example:80",
            &format!("http://127.0.0.1:{port}.evil.example"),
            "http://localhost.evil.example",
            "http://evil.example/http://localhost",
            "http://localhost@evil.example",
            "localhost",
            "",
            "http://127.0.0.1.",
            "ftp://localhost",
            "http://localhost http://evil.example",
        ] {
            let _case = case(origin);
            server
                .ask(&request.clone().plus("Origin", origin))
                .assert_status(403);
            // Neither body nor media type is looked at.
            let broken = request
                .clone()
                .with_body("{")
                .with("Content-Type", "text/plain")
                .plus("Origin", origin);
            server.ask(&broken).assert_status(403);
        }
        let twice = request
            .clone()
            .plus("Origin", "http://localhost")
            .plus("Origin", "http://localhost");
        server.ask(&twice).assert_status(403);
        for origin in [
            format!("http://127.0.0.1:{port}"),
            "http://localhost:5173".to_owned(),
            "https://[::1]".to_owned(),
        ] {
            server
                .ask(&request.clone().plus("Origin", origin))
                .assert_echo(1, "x");
        }
    }
}

#[test]
fn foreign_hosts_are_refused() {
    let server = Shared::usual();
    let port = server.address.port();
    for dialect in eras() {
        let request = dialect.echo(1, "x");
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            "192.0.2.1",
            "localhost.evil.example",
            "evil-localhost",
            "127.0.0.1.evil.example",
            "127.0.0.10",
            "[::2]",
            "127.1",
            "2130706433",
            "0.0.0.0",
            "localhost.",
        ] {
            let _case = case(host);
            server.ask(&request.clone().with("Host", host)).assert_status(403);
        }
        for host in [
            format!("127.0.0.1:{port}"),
            format!("LOCALHOST:{port}"),
            "[::1]:1".to_owned(),
        ] {
            let _case = case(&*host);
            server
                .ask(&request.clone().with("Host", &host))
                .assert_echo(1, "x");
        }
    }
}

#[test]
fn allowed_origins_and_hosts_are_added_to_loopback() {
    let server = Server::start(&[
        "--allow-origin",
        "https://app.example",
        "--allow-host",
        "mcp.example:8443",
    ]);
    for (host, origin, status) in [
        ("mcp.example:8443", "https://app.example", 200),
        ("MCP.example:8443", "https://app.example:443", 200),
        ("localhost", "http://localhost:1", 200),
        ("mcp.example", "https://app.example", 403),
        ("mcp.example:8443", "http://app.example", 403),
        ("mcp.example:8443", "https://app.example.evil.example", 403),
    ] {
        let _case = case(format!("{host} {origin}"));
        server
            .ask(&echo(1, "x").with("Host", host).plus("Origin", origin))
            .assert_status(status);
    }
    let open = Server::start(&["--allow-origin", "*", "--allow-host", "*"]);
    open.ask(&echo(1, "x").with("Host", "any.example").plus("Origin", "null"))
        .assert_echo(1, "x");
}

#[test]
fn only_json_is_accepted_and_nothing_runs_otherwise() {
    let server = Shared::usual();
    for dialect in eras() {
        let request = dialect.echo(1, "x");
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonx",
            "application/json-rpc",
            "text/plain; application/json",
            "application/*",
            "",
            "application/json, text/plain",
        ] {
            let _case = case(media_type);
            let refused = server.ask(&request.clone().with("Content-Type", media_type));
            refused.assert_status(415);
            assert!(!refused.has_json());
        }
        server
            .ask(&request.clone().without("Content-Type"))
            .assert_status(415);
        server
            .ask(&request.clone().plus("Content-Type", "application/json"))
            .assert_status(415);
        for media_type in [
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/json;charset=\"UTF-8\"",
        ] {
            server
                .ask(&request.clone().with("Content-Type", media_type))
                .assert_echo(1, "x");
        }
    }
}

#[test]
fn a_stream_must_be_acceptable_and_is_the_answer_if_nothing_else_is() {
    let server = Shared::usual();
    for dialect in eras() {
        let request = dialect.echo(1, "x");
        for accept in [
            "application/json",
            "text/html",
            "application/json, text/event-stream;q=0",
            "*/*, text/event-stream;q=0",
        ] {
            let _case = case(accept);
            server
                .ask(&request.clone().with("Accept", accept))
                .assert_status(406);
        }
        // A client without an `Accept` accepts anything.
        server.ask(&request.clone().without("Accept")).assert_echo(1, "x");
        for accept in [
            "text/event-stream",
            "application/jsonx, text/event-stream",
            "application/json;q=0, text/event-stream",
            "*/*, application/json;q=0",
        ] {
            let _case = case(accept);
            let mut client = server.connect();
            client.send(&request.clone().with("Accept", accept));
            let answer = client.receive_stream().answer(1);
            assert_eq!(answer["result"]["content"][0]["text"], "x", "{answer}");
        }
        for accept in [
            "text/event-stream, application/json",
            "application/json;q=0.5, text/event-stream;q=0.9",
            "*/*",
            "",
            "APPLICATION/JSON, Text/Event-Stream",
            "application/*, text/*",
            "text/html, */*;q=0.1",
        ] {
            let _case = case(accept);
            server
                .ask(&request.clone().with("Accept", accept))
                .assert_echo(1, "x");
        }
        let two = request
            .clone()
            .with("Accept", "application/json")
            .plus("Accept", "text/event-stream");
        server.ask(&two).assert_echo(1, "x");
    }
}

#[test]
fn who_says_nothing_of_media_types_is_served_with_streams_too() {
    let server = Shared::usual();
    for accept in [None, Some("*/*")] {
        let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
        let saying = |request: crate::harness::Request| match accept {
            Some(accept) => request.with("Accept", accept),
            None => request.without("Accept"),
        };
        let mut stream = server.open(&saying(session.progress(1, 3, 0)));
        for _ in 0..3 {
            stream.notification("notifications/progress");
        }
        assert!(stream.answer(1).get("result").is_some());
        let get_stream = server.open(&saying(session.get_stream()));
        assert!(get_stream.is_chunked());
        let list = saying(session.request(2, "tools/list", json!({})));
        server.ask(&list).result();
    }
}

#[test]
fn the_admin_listener_knows_the_same_wildcards() {
    let server = Server::start(&[
        "--allow-host",
        "mcp.example:*",
        "--allow-origin",
        "http://app.example:*",
    ]);
    for (host, status) in [
        ("mcp.example", 200),
        ("MCP.example:81", 200),
        ("a.mcp.example", 403),
    ] {
        let _case = case(host);
        server.ask(&echo(1, "x").with("Host", host)).assert_status(status);
        server
            .ask_admin(&crate::harness::Request::new("GET", "/healthz").with("Host", host))
            .assert_status(status);
    }
    let from = |origin: &str| server.ask(&echo(1, "x").plus("Origin", origin));
    from("http://app.example:5173").assert_echo(1, "x");
    from("https://app.example:5173").assert_status(403);
    for (flag, value) in [
        ("--allow-host", "*.example"),
        ("--allow-origin", "https://*.example"),
    ] {
        let mut refused = Process::start(&["serve", flag, value]);
        assert_eq!(refused.wait().code(), Some(2));
        let said = refused.stderr();
        assert!(said.contains(value) && said.contains("write"), "{said}");
    }
}

#[test]
fn it_listens_on_loopback_unless_told_otherwise() {
    let folder = Scratch::new("loopback");
    std::fs::write(folder.path().join("empty.toml"), "").unwrap();
    let mut check = Process::start(&["check", &folder.text("empty.toml")]);
    assert!(check.wait().success());
    let told = check.stdout();
    let is_told = |name: &str, value: &str| {
        told.lines()
            .any(|line| line.split_whitespace().eq([name, value, "default"]))
    };
    assert!(
        is_told("listen", "127.0.0.1:8080") && is_told("admin", "127.0.0.1:9464"),
        "{told}"
    );

    let server = Shared::usual();
    let sockets = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap();
    for port in [server.address.port(), server.admin.unwrap().port()] {
        let listens = |address: &str| {
            let local = format!(" {address}:{port:04X} ");
            sockets
                .lines()
                .any(|line| line.contains(&local) && line.contains(" 0A "))
        };
        assert!(listens("0100007F") && !listens("00000000"), "{sockets}");
    }
}
