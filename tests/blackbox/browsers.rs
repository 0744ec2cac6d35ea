//! Pages of other origins (CORS): they may send requests, and can read every answer.

use serde_json::json;

use crate::harness::{
    Client, Dialect, Request, Response, Revision, Server, Shared, assert_at_rest, case, connect_to, echo,
    enqueue, eventually, hold, tool,
};

const PAGE: &str = "http://localhost:5173";
const OTHER_PAGE: &str = "https://127.0.0.1:8443";
const EXPOSED: &str = "Mcp-Session-Id, Retry-After, WWW-Authenticate";

fn legacy() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

fn from_page(request: Request) -> Request {
    request.plus("Origin", PAGE)
}

/// The request by which a browser asks whether a page may send something.
fn preflight(target: &str) -> Request {
    from_page(Request::new("OPTIONS", target))
        .plus("Accept", "*/*")
        .plus("Access-Control-Request-Method", "POST")
        .plus(
            "Access-Control-Request-Headers",
            "content-type,mcp-protocol-version",
        )
        .plus("Sec-Fetch-Mode", "cors")
}

/// Fails unless the page of this origin may read the response.
#[track_caller]
fn assert_readable_by(response: &Response, origin: &str) {
    assert_eq!(
        response.field("access-control-allow-origin"),
        Some(origin),
        "{response:?}"
    );
    assert_eq!(
        response.field("access-control-expose-headers"),
        Some(EXPOSED),
        "{response:?}"
    );
    assert_eq!(response.field("vary"), Some("Origin"), "{response:?}");
    assert_eq!(response.field("access-control-allow-credentials"), None);
}

/// Fails if any page may read the response.
#[track_caller]
fn assert_unreadable(response: &Response) {
    for name in [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
    ] {
        assert_eq!(response.field(name), None, "{response:?}");
    }
}

#[track_caller]
fn assert_preflight(response: &Response) {
    response.assert_status(204);
    let field = |name| response.field(name);
    assert_eq!(field("access-control-allow-origin"), Some(PAGE));
    assert_eq!(field("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert_eq!(
        field("access-control-allow-headers"),
        Some("content-type, mcp-protocol-version")
    );
    assert_eq!(field("access-control-max-age"), Some("7200"));
    assert_eq!(field("vary"), Some("Origin"));
    assert_eq!((field("content-length"), field("allow")), (None, None));
}

#[test]
fn a_page_may_ask_for_everything_that_there_is() {
    let server = Server::start(&["--sse-legacy", "on", "--health", "on"]);
    let mut client = server.connect();
    for target in [
        "/mcp",
        "/mcp/",
        "/sse",
        "/messages?sessionId=1",
        "/healthz",
        "/nowhere",
        "/",
        "*",
    ] {
        let _case = case(target);
        assert_preflight(&client.ask(&preflight(target)));
        let modern = preflight(target).plus("MCP-Protocol-Version", "2026-07-28");
        assert_preflight(&client.ask(&modern));
        let old = preflight(target)
            .with_version("HTTP/1.0")
            .plus("Connection", "keep-alive");
        let answer = client.ask(&old);
        assert_preflight(&answer);
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }
    let private = preflight("/mcp").plus("Access-Control-Request-Private-Network", "true");
    let answer = client.ask(&private);
    assert_preflight(&answer);
    assert_eq!(answer.field("access-control-allow-private-network"), Some("true"));
    // A preflight with a body, which nobody sends, is read and dropped; the next request follows.
    client.send_bytes(&[preflight("/mcp").with_body("{}").encode(), echo(1, "x").encode()].concat());
    assert_preflight(&client.receive());
    client.receive().assert_echo(1, "x");
    client.send(&preflight("/mcp").plus("Connection", "close"));
    assert!(client.receive().closes());
    client.assert_closed();
    // This is as many as a page can think of.
    let names: Vec<String> = (0..1200).map(|number| format!("mcp-param-{number}")).collect();
    let many = preflight("/mcp").with("Access-Control-Request-Headers", names.join(","));
    let answer = server.ask(&many);
    assert_eq!(
        answer.field("access-control-allow-headers"),
        Some(&*names.join(", "))
    );
    assert_at_rest(&server);
}

#[test]
fn only_allowed_pages_may_ask() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    for origin in [
        "http://evil.example",
        "null",
        "https://app.example.evil.example",
        "http://app.example",
    ] {
        let _case = case(origin);
        let refused = server.ask(&preflight("/mcp").with("Origin", origin));
        assert_unreadable(refused.assert_status(403));
        let refused = server.ask(&echo(1, "x").plus("Origin", origin));
        assert_unreadable(refused.assert_status(403));
    }
    let foreign = server.ask(&preflight("/mcp").with("Host", "evil.example"));
    assert_unreadable(foreign.assert_status(403));
    let foreign = server.ask(&from_page(echo(1, "x")).with("Host", "evil.example"));
    assert_unreadable(foreign.assert_status(403));
    let told = server.ask(&preflight("/mcp").with("Origin", "https://app.example"));
    assert_eq!(
        told.assert_status(204).field("access-control-allow-origin"),
        Some("https://app.example")
    );
    let open = Server::start(&["--allow-origin", "*"]);
    for origin in ["null", "https://any.example", "vscode-webview://1ab"] {
        let told = open.ask(&preflight("/mcp").with("Origin", origin));
        assert_eq!(told.field("access-control-allow-origin"), Some(origin));
        let answer = open.ask(&echo(1, "x").plus("Origin", origin));
        assert_readable_by(&answer, origin);
    }
    // A text that no browser calls an origin is never repeated.
    for odd in ["x y", &"x".repeat(5_000)] {
        let answer = open.ask(&echo(1, "x").plus("Origin", odd));
        answer.assert_echo(1, "x");
        assert_unreadable(&answer);
        assert_unreadable(
            open.ask(&preflight("/mcp").with("Origin", odd))
                .assert_status(204),
        );
    }
}

#[test]
fn what_is_no_preflight_stays_refused_and_says_why() {
    let server = Shared::usual();
    for request in [
        preflight("/mcp").without("Origin"),
        preflight("/mcp").without("Access-Control-Request-Method"),
    ] {
        let refused = server.ask(&request);
        assert_eq!(
            refused.assert_status(405).field("allow"),
            Some("GET, POST, DELETE")
        );
        assert_eq!(refused.field("vary"), Some("Origin"));
    }
}

#[test]
fn a_page_can_read_every_answer() {
    let server = Server::start(&["--sse-legacy", "on", "--health", "on", "--body-max", "8KiB"]);
    let session = server.open_session(&legacy());
    let modern = Dialect::modern();
    let stranger = Dialect {
        session: Some("stranger".to_owned()),
        ..legacy()
    };
    let no_json = modern.echo(1, "x").with_body("{");
    let large = modern.echo(1, "x").with_body("x".repeat(9 << 10));
    let no_tool = modern.tool(1, "none", json!({}));
    let cases = [
        (modern.echo(1, "x"), 200),
        (legacy().initialize(1), 200),
        (session.echo(1, "x"), 200),
        (session.notification("notifications/initialized", json!({})), 202),
        (no_json, 400),
        (no_tool, 200),
        (modern.request(1, "no/method", json!({})), 404),
        (modern.echo(1, "x").with_target("/nowhere"), 404),
        (stranger.echo(1, "x"), 404),
        (stranger.get_stream(), 404),
        (legacy().get_stream(), 405),
        (modern.echo(1, "x").with_method("PUT"), 405),
        (modern.echo(1, "x").with("Accept", "application/json"), 406),
        (session.get_stream().with("Accept", "text/html"), 406),
        (large, 413),
        (modern.echo(1, "x").with("Content-Type", "text/plain"), 415),
        (modern.echo(1, "x").plus("Expect", "miracles"), 417),
        (modern.echo(1, "x").with_method("FROB"), 501),
        (Request::new("GET", "/healthz"), 200),
        (Request::new("HEAD", "/readyz"), 200),
        (Request::new("POST", "/healthz"), 405),
        (Request::new("GET", "/messages"), 405),
        (Request::new("POST", "/messages").with_body("{}"), 415),
        (
            session
                .request(9, "x", json!({}))
                .with_method("DELETE")
                .with_body(""),
            200,
        ),
    ];
    for (request, status) in cases {
        let _case = case(format!("{} {} {status}", request.method, request.target));
        let answer = server.ask(&from_page(request.clone()));
        let status = if request.method == "DELETE" {
            answer.status
        } else {
            status
        };
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_readable_by(&answer, PAGE);
    }
}

#[test]
fn a_page_can_read_that_its_request_was_no_request() {
    let server = Server::start(&["--head-max", "1KiB"]);
    let long = from_page(echo(1, "x")).plus("Cookie", "x".repeat(2_000));
    let many = (0..120).fold(from_page(echo(1, "x")), |request, number| {
        request.plus(&format!("X{number}"), "")
    });
    let cases = [
        (long.encode(), 431),
        (from_page(echo(1, "x")).with_version("HTTP/2.0").encode(), 505),
        (from_page(echo(1, "x")).without("Host").encode(), 400),
        (from_page(echo(1, "x")).plus("Content-Length", "1").encode(), 400),
        (from_page(echo(1, "x")).plus("Bad Name", "x").encode(), 400),
        (
            from_page(echo(1, "x"))
                .plus("Transfer-Encoding", "gzip, chunked")
                .framed_as(b""),
            501,
        ),
        (
            from_page(echo(1, "x"))
                .plus("Transfer-Encoding", "chunked")
                .framed_as(b"zz\r\n"),
            400,
        ),
    ];
    for (bytes, status) in cases {
        let _case = case(String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
        let refused = server.ask_bytes(&bytes);
        assert_readable_by(refused.assert_status(status), PAGE);
        // A foreign page is treated no better than before.
        let at = bytes
            .windows(PAGE.len())
            .position(|window| window == PAGE.as_bytes())
            .unwrap();
        let mut foreign = bytes.clone();
        foreign[at..at + PAGE.len()].copy_from_slice(b"http://localhosT.evil");
        let refused = server.ask_bytes(&foreign);
        assert_unreadable(&refused);
    }
    let refused = server.ask_bytes(&many.encode());
    assert_eq!(refused.status, 431);
}

#[test]
fn a_page_can_read_streams_from_their_first_event_on() {
    let server = Server::start(&["--sse-legacy", "on"]);
    let session = server.open_session(&legacy());
    for dialect in [Dialect::modern(), session.clone()] {
        let mut stream = server.open(&from_page(dialect.progress(1, 2, 0)));
        assert_readable_by(stream.head(), PAGE);
        stream.notification("notifications/progress");
        stream.notification("notifications/progress");
        assert!(stream.answer(1).get("result").is_some());
        // This stream was over before its head was written.
        let whole = dialect.echo(2, "x").with("Accept", "text/event-stream");
        let mut stream = server.open(&from_page(whole));
        assert_readable_by(stream.head(), PAGE);
        assert!(stream.answer(2).get("result").is_some());
    }
    let get_stream = server.open(&from_page(session.get_stream()));
    assert_readable_by(get_stream.head(), PAGE);
    let opened = Request::new("GET", "/sse").plus("Accept", "text/event-stream");
    let mut events = server.open(&from_page(opened));
    assert_readable_by(events.head(), PAGE);
    let post = Request::new("POST", &events.endpoint())
        .plus("Content-Type", "application/json")
        .with_body(legacy().initialize(1).body);
    let accepted = server.ask(&from_page(post));
    accepted.assert_accepted();
    assert_readable_by(&accepted, PAGE);
}

#[test]
fn every_request_of_a_connection_is_answered_for_its_own_origin() {
    let server = Shared::usual();
    let mut client = server.connect();
    for origin in [
        Some(PAGE),
        None,
        Some(OTHER_PAGE),
        Some(PAGE),
        Some(PAGE),
        None,
        Some(OTHER_PAGE),
    ] {
        let request = match origin {
            Some(origin) => echo(1, "x").plus("Origin", origin),
            None => echo(1, "x"),
        };
        let answer = client.ask(&request);
        answer.assert_echo(1, "x");
        match origin {
            Some(origin) => assert_readable_by(&answer, origin),
            None => {
                assert_unreadable(&answer);
                assert_eq!(answer.field("vary"), None);
            }
        }
        let refused = client.ask(&request.with_target("/nowhere"));
        match origin {
            Some(origin) => assert_readable_by(refused.assert_status(404), origin),
            None => assert_unreadable(refused.assert_status(404)),
        }
        // A cache on the way must not show one page the other's response.
        assert_eq!(refused.field("vary"), Some("Origin"));
    }
    // The requests are pipelined, so the second is read while the first is answered.
    let pages = [PAGE, OTHER_PAGE, PAGE];
    let bytes: Vec<u8> = pages
        .iter()
        .flat_map(|page| tool(1, "sleep", json!({"ms": 1})).plus("Origin", page).encode())
        .collect();
    client.send_bytes(&bytes);
    for page in pages {
        assert_readable_by(&client.receive(), page);
    }
    let foreign = client.ask(&echo(1, "x").plus("Origin", "http://evil.example"));
    assert_unreadable(foreign.assert_status(403));
}

#[test]
fn a_page_can_read_that_there_is_no_place_for_it() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "1", "--steal-reserve", "0"]);
    let held = hold(&server);
    let mut waiting = server.connect();
    enqueue(&server, &mut waiting, &from_page(echo(1, "x")).encode());
    let refused = server.ask(&from_page(echo(2, "x")));
    assert_readable_by(refused.assert_status(503), PAGE);
    assert!(refused.field("retry-after").is_some());
    // A preflight takes no place.
    assert_preflight(&server.ask(&preflight("/mcp")));
    held.reset();
    let answer = waiting.receive();
    answer.assert_echo(1, "x");
    assert_readable_by(&answer, PAGE);
}

#[test]
fn a_page_can_read_what_another_shard_answers() {
    let server = Server::start(&["--shards", "2", "--pool-size", "1", "--steal-reserve", "0"]);
    let mut held = connect_to(&server, 0);
    held.send(&tool(1, "sleep", json!({"ms": 60_000})));
    eventually("a handler is held", || server.busy_handlers() == 1);
    let mut moving = connect_to(&server, 0);
    moving.send(&from_page(echo(2, "x")));
    let answer = moving.receive();
    answer.assert_echo(2, "x");
    assert_readable_by(&answer, PAGE);
    assert_eq!(server.metric("weir_steals_total", &[("direction", "in")]), 1);
    held.reset();
}

#[test]
fn a_page_can_read_that_it_has_too_many_connections() {
    let server = Server::start(&["--connections-per-ip", "2"]);
    let mut taken = [server.connect(), server.connect()];
    for client in &mut taken {
        client.ask(&from_page(echo(1, "x"))).assert_echo(1, "x");
    }
    // A refused connection has a place of its own for the refusal, which is free again once that is over.
    let ask = |request: &Request| -> Response {
        let mut client: Client = server.connect();
        client.send(request);
        let answer = client.receive();
        client.assert_closed();
        drop(client);
        eventually("its place is free", || {
            server.metric("weir_connections", &[]) == 2
        });
        answer
    };
    let refused = ask(&from_page(echo(2, "x")));
    assert_readable_by(refused.assert_status(503), PAGE);
    let asked = ask(&preflight("/mcp"));
    assert!(asked.closes());
    assert_preflight(&asked);
    let refused = ask(&echo(3, "x"));
    assert_unreadable(refused.assert_status(503));
    let refused = ask(&echo(4, "x").plus("Origin", "http://evil.example"));
    assert_unreadable(refused.assert_status(503));
    drop(taken);
    eventually("they have left", || server.metric("weir_connections", &[]) == 0);
}

#[test]
fn a_page_can_read_that_it_was_too_slow() {
    let server = Server::start(&["--body-timeout", "300ms", "--head-timeout", "300ms"]);
    let request = from_page(echo(1, "x"));
    let whole = request.encode();
    let head_bytes = request.plus("Content-Length", "1").head().len();
    for part in [&whole[..whole.len() - 5], &whole[..head_bytes - 60]] {
        let mut client = server.connect();
        // This comes behind another request, whose origin must not be taken for this one's.
        client
            .ask(&echo(1, "x").plus("Origin", OTHER_PAGE))
            .assert_echo(1, "x");
        client.send_bytes(part);
        let refused = client.receive();
        let is_said = String::from_utf8_lossy(part).contains(&format!("{PAGE}\r\n"));
        match refused.assert_status(408) {
            late if is_said => assert_readable_by(late, PAGE),
            late => assert_unreadable(late),
        }
    }
}
