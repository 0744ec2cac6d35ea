//! HTTP+SSE of 2024-11-05: one stream that carries everything, POSTs that are only accepted, and clients that misuse
//! both.

use std::collections::BTreeSet;
use std::sync::mpsc;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Ending, EventStream, Request, Response, Revision, Server, Shared, assert_at_rest,
    assert_overload, busy_per_shard, case, connect_to, eventually, eventually_some, send_long_call,
};

const ON: [&str; 2] = ["--sse-legacy", "on"];
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;

fn shared() -> Shared {
    static SERVER: std::sync::OnceLock<Server> = std::sync::OnceLock::new();
    Shared::get(
        &SERVER,
        &["--sse-legacy", "on", "--shards", "2", "--pool-size", "64"],
    )
}

fn start(flags: &[&str]) -> Server {
    Server::start(&[&ON[..], flags].concat())
}

fn newest() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

fn opening() -> Request {
    Request::new("GET", "/sse").plus("Accept", "text/event-stream")
}

/// A POST of a message, as the official clients make it.
fn posting(endpoint: &str, message: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", endpoint)
        .plus("Content-Type", "application/json")
        .with_body(message)
}

/// One client: its stream, and the connection it posts on.
#[derive(Debug)]
struct Sse {
    stream: EventStream,
    posts: Client,
    endpoint: String,
}

impl Sse {
    #[track_caller]
    fn open(server: &Server) -> Self {
        Self::over(server.connect(), server.connect())
    }

    /// A client with its stream on one connection and its POSTs on another.
    #[track_caller]
    fn over(stream: Client, posts: Client) -> Self {
        let mut stream = stream.open(&opening());
        stream.judge_by(Revision::NEWEST_LEGACY);
        let endpoint = stream.endpoint();
        Self {
            stream,
            posts,
            endpoint,
        }
    }

    /// The same, after `initialize`.
    #[track_caller]
    fn initialized(mut self, dialect: &Dialect) -> Self {
        self.post(&dialect.initialize("init"));
        assert_eq!(self.answer("init")["protocolVersion"], dialect.revision.0);
        self.post(&dialect.notification("notifications/initialized", json!({})));
        self
    }

    /// Posts what a client of Streamable HTTP would send; it must be accepted.
    #[track_caller]
    fn post(&mut self, request: &Request) {
        self.try_post(&request.body).assert_accepted();
    }

    #[track_caller]
    fn try_post(&mut self, message: &[u8]) -> Response {
        self.posts.ask(&posting(&self.endpoint, message))
    }

    /// The next message, which must be the result of this request.
    #[track_caller]
    fn answer(&mut self, id: impl Into<Value>) -> Value {
        let mut message = self.stream.message();
        assert_eq!(message["id"], id.into(), "{message}");
        assert!(message.get("result").is_some(), "{message}");
        message["result"].take()
    }

    #[track_caller]
    fn assert_echo(&mut self, id: impl Into<Value>, text: &str) {
        assert_eq!(self.answer(id)["content"][0]["text"], text);
    }

    fn name(&self) -> &str {
        self.endpoint.split_once('=').unwrap().1
    }
}

#[test]
fn it_is_off_until_it_is_wanted() {
    let server = Shared::usual();
    server.ask(&opening()).assert_status(404);
    let message = newest().echo(1, "x").body;
    server
        .ask(&posting("/messages?sessionId=0", message))
        .assert_status(404);
    server.ask(&opening().with_method("PUT")).assert_status(404);
}

#[test]
fn a_stream_begins_with_where_to_post() {
    let server = shared();
    let mut names = BTreeSet::new();
    let clients: Vec<Sse> = (0..20).map(|_| Sse::open(&server)).collect();
    for client in &clients {
        let name = client.endpoint.strip_prefix("/messages?sessionId=").unwrap();
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(name.len() == 32 && name.bytes().all(is_digit), "{name}");
        assert!(names.insert(name.to_owned()), "names are unique");
        // The stream is not a session of Streamable HTTP.
        assert_eq!(client.stream.head().field("mcp-session-id"), None);
        assert!(client.stream.is_chunked());
    }
}

#[test]
fn where_to_post_stays_beneath_the_prefix_a_proxy_shows() {
    let server = shared();
    let mut stream = server.open(&opening());
    let reference = stream.reference();
    // The reference, relative to https://host/prefix/sse, is https://host/prefix/messages.
    assert!(reference.starts_with("messages?sessionId="), "{reference}");
    let mut stream = server.open(&opening().with_target("/sse/"));
    stream.judge_by(Revision::NEWEST_LEGACY);
    let reference = stream.reference();
    let query = reference.strip_prefix("../messages?sessionId=").unwrap();
    for target in [
        format!("/messages?sessionId={query}"),
        format!("/messages/?sessionId={query}"),
    ] {
        let post = posting(&target, newest().echo(1, "x").body);
        server.ask(&post).assert_accepted();
        assert_eq!(stream.message()["result"]["content"][0]["text"], "x");
    }
}

#[test]
fn every_revision_with_a_handshake_is_spoken() {
    let server = shared();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let dialect = Dialect::legacy(revision);
        let mut client = Sse::open(&server).initialized(&dialect);
        client.post(&dialect.echo(1, "grüße"));
        client.assert_echo(1, "grüße");
        client.post(&dialect.request(2, "ping", json!({})));
        assert_eq!(client.answer(2), json!({}));
        // The agreed revision stays.
        client.post(&dialect.initialize(3));
        assert_eq!(client.stream.message()["error"]["code"], INVALID_REQUEST);
        client.post(&dialect.echo(4, "x"));
        client.assert_echo(4, "x");
    }
}

#[test]
fn who_may_come_is_the_same_as_everywhere() {
    let server = shared();
    let client = Sse::open(&server);
    let post = posting(&client.endpoint, newest().echo(1, "x").body);
    for request in [opening(), post.clone()] {
        let _case = case(&*request.method);
        for origin in ["http://evil.example", "null", "http://localhost.evil.example"] {
            server
                .ask(&request.clone().plus("Origin", origin))
                .assert_status(403);
        }
        for host in ["evil.example", "192.0.2.1", "localhost.evil.example"] {
            server.ask(&request.clone().with("Host", host)).assert_status(403);
        }
        let refused = server.ask(&request.clone().with_method("DELETE"));
        let allow = refused.assert_status(405).field("allow");
        assert_eq!(allow, Some(&*request.method));
    }
    for accept in ["application/json", "text/html", "text/event-stream;q=0"] {
        server.ask(&opening().with("Accept", accept)).assert_status(406);
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        server
            .ask(&post.clone().with("Content-Type", content_type))
            .assert_status(415);
    }
    server
        .ask(&post.clone().plus("Content-Encoding", "gzip"))
        .assert_status(415);
    // The fields that a page on this machine sends, and the versions that clients of other revisions name.
    let local = post
        .plus("Origin", "http://localhost:6274")
        .plus("Accept", "*/*")
        .plus("MCP-Protocol-Version", "2025-11-25");
    server.ask(&local).assert_accepted();
    let mut client = client;
    client.assert_echo(1, "x");
}

#[test]
fn a_post_without_a_stream_leads_nowhere() {
    let server = shared();
    let message = newest().echo(1, "x").body;
    let post = |target: &str| server.ask(&posting(target, message.clone()));
    let zeros = "0".repeat(32);
    for target in [
        "/messages",
        "/messages?",
        "/messages?session_id=1",
        "/messages?sessionId",
    ] {
        let _case = case(target);
        post(target).assert_error(400, INVALID_REQUEST, Value::Null);
    }
    let twice = format!("/messages?sessionId={zeros}&sessionId={zeros}");
    post(&twice).assert_error(400, INVALID_REQUEST, Value::Null);
    let long = "0".repeat(4_000);
    for name in ["", "0", "../../etc/passwd", "%00", &zeros, &long, "\u{7b}\u{7d}"] {
        let _case = case(name);
        let target = format!("/messages?sessionId={name}");
        post(&target).assert_error(404, INVALID_REQUEST, Value::Null);
    }
    // The id of a session is not a stream's name, and the other way round.
    let session = server.open_session(&newest());
    let target = format!("/messages?sessionId={}", session.session.as_deref().unwrap());
    post(&target).assert_error(404, INVALID_REQUEST, Value::Null);
    let mut client = Sse::open(&server);
    let stranger = Dialect {
        session: Some(client.name().to_owned()),
        ..newest()
    };
    server
        .ask(&stranger.echo(1, "x"))
        .assert_error(404, INVALID_REQUEST, 1);
    // A name is spelt in one way.
    for wrong in [&client.name()[1..], &format!("{}0", client.name())] {
        post(&format!("/messages?sessionId={wrong}")).assert_error(404, INVALID_REQUEST, Value::Null);
    }
    client.post(&newest().echo(2, "x"));
    client.assert_echo(2, "x");
}

#[test]
fn what_is_no_message_is_refused_where_it_was_posted() {
    let server = shared();
    let mut client = Sse::open(&server).initialized(&newest());
    for (body, code) in [
        ("", PARSE_ERROR),
        ("{", PARSE_ERROR),
        ("\"text\"", INVALID_REQUEST),
        ("{}", INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","method":"ping","id":null}"#, INVALID_REQUEST),
    ] {
        let _case = case(body);
        client
            .try_post(body.as_bytes())
            .assert_error(400, code, Value::Null);
    }
    let known = client.try_post(br#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#);
    known.assert_error(400, INVALID_REQUEST, 7);
    // A client waits for its answer on the stream, and need not look at the status of its POST.
    let message = client.stream.message();
    assert_eq!(
        (&message["id"], &message["error"]["code"]),
        (&json!(7), &json!(INVALID_REQUEST))
    );
    let cut = client.try_post(br#"{"jsonrpc":"2.0","method":"ping","params":{"x":"\ud83d"},"id":"cut"}"#);
    cut.assert_error(400, INVALID_REQUEST, "cut");
    let message = client.stream.message();
    assert_eq!(
        (&message["id"], &message["error"]["code"]),
        (&json!("cut"), &json!(INVALID_REQUEST))
    );
    // A message that makes no sense is answered on the stream.
    client.post(&newest().request(8, "no/such", json!({})));
    let message = client.stream.message();
    assert_eq!(
        (&message["id"], &message["error"]["code"]),
        (&json!(8), &json!(-32601))
    );
    client.try_post(b"[]").assert_accepted();
    assert_eq!(client.stream.message()["error"]["code"], INVALID_REQUEST);
    client.post(&newest().echo(9, "x"));
    client.assert_echo(9, "x");
}

#[test]
fn bodies_are_as_large_and_as_odd_as_anywhere() {
    let server = shared();
    let mut client = Sse::open(&server).initialized(&newest());
    let large = "x".repeat(1 << 20);
    client.post(&newest().echo(1, &large));
    client.assert_echo(1, &large);
    let oversized = newest().echo(2, &"x".repeat(5 << 20));
    let mut other = server.connect();
    other.send_bytes(
        &posting(&client.endpoint, [])
            .plus("Content-Length", oversized.body.len().to_string())
            .head(),
    );
    other.receive().assert_status(413);
    let chunks = posting(&client.endpoint, newest().echo(3, "in pieces").body).encode_chunked(&[1, 5, 20]);
    client.posts.ask_bytes(&chunks).assert_accepted();
    client.assert_echo(3, "in pieces");
    // Several messages come one behind the other.
    let many: Vec<u8> = (4..20)
        .flat_map(|id| posting(&client.endpoint, newest().echo(id, "x").body).encode())
        .collect();
    client.posts.send_bytes(&many);
    for _ in 4..20 {
        client.posts.receive().assert_accepted();
    }
    let answered: BTreeSet<i64> = (4..20)
        .map(|_| client.stream.message()["id"].as_i64().unwrap())
        .collect();
    assert!(answered.into_iter().eq(4..20));
}

#[test]
fn answers_go_to_the_stream_whose_client_asked() {
    let server = shared();
    let mut clients: Vec<Sse> = (0..8)
        .map(|_| Sse::open(&server).initialized(&newest()))
        .collect();
    for round in 0..20 {
        // The ids are the same everywhere, and one connection carries the POSTs of all.
        let mut posts = server.connect();
        for (number, client) in clients.iter().enumerate() {
            let message = newest().echo(round, &format!("{number} {round}")).body;
            posts.ask(&posting(&client.endpoint, message)).assert_accepted();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            client.assert_echo(round, &format!("{number} {round}"));
        }
    }
}

#[test]
fn calls_that_wait_are_served_by_the_shard_that_has_a_handler() {
    let server = start(&["--shards", "2", "--pool-size", "1", "--queue-timeout", "1h"]);
    let mut holder = connect_to(&server, 0);
    send_long_call(&mut holder);
    eventually("the first shard is busy", || busy_per_shard(&server)[0] == 1);
    let stream = connect_to(&server, 0);
    let mut client = Sse::over(stream, connect_to(&server, 1)).initialized(&newest());
    for id in 0..10 {
        client.post(&newest().echo(id, &format!("{id}")));
    }
    for id in 0..10 {
        client.assert_echo(id, &format!("{id}"));
    }
    assert_eq!(server.metric("weir_steals_total", &[("direction", "in")]), 10);
    drop(holder);
    drop(client);
    assert_at_rest(&server);
}

#[test]
fn a_post_may_come_to_any_shard() {
    let server = start(&["--shards", "2"]);
    let able = newest().able(json!({"elicitation": {}}));
    for (stream, posts) in [(0, 1), (1, 0), (0, 0)] {
        let _case = case(format!("stream on shard {stream}, posts to {posts}"));
        let stream = connect_to(&server, stream);
        let posts = connect_to(&server, posts);
        let mut client = Sse::over(stream, posts).initialized(&able);
        client.post(&able.echo(1, "x"));
        client.assert_echo(1, "x");
        // A question, and its answer.
        client.post(&able.tool(2, "ask", json!({"question": "Which colour?"})));
        let (question, form) = client.stream.question("elicitation/create");
        let properties = form["requestedSchema"]["properties"].as_object().unwrap();
        let content: Value = properties
            .keys()
            .map(|name| (name.clone(), json!("blue")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        client.post(&able.response(&question, &json!({"action": "accept", "content": content})));
        assert_eq!(client.answer(2)["content"][0]["text"], "the user said: blue");
        // A call is cancelled.
        let progress = able.progress(3, 10_000, 10);
        client.post(&progress);
        client.stream.notification("notifications/progress");
        client.post(&able.cancelled(3));
        eventually("the call is given up", || server.busy_handlers() == 0);
        client.post(&able.request("last", "ping", json!({})));
        let last =
            std::iter::repeat_with(|| client.stream.message()).find(|message| message.get("id").is_some());
        assert_eq!(
            last.unwrap()["id"],
            "last",
            "a call that was given up has no answer"
        );
    }
    assert_at_rest(&server);
}

#[test]
fn a_stream_that_is_gone_is_gone_for_its_posts() {
    let server = shared();
    for reset in [false, true] {
        let mut client = Sse::open(&server).initialized(&newest());
        let post = posting(&client.endpoint, newest().echo(1, "x").body);
        client.posts.ask(&post).assert_accepted();
        client.assert_echo(1, "x");
        let Sse {
            stream, mut posts, ..
        } = client;
        if reset {
            stream.reset()
        } else {
            stream.leave()
        }
        let refused = eventually_some("nobody is there", || {
            let response = posts.ask(&post);
            (response.status != 202).then_some(response)
        });
        refused.assert_error(404, INVALID_REQUEST, Value::Null);
    }
}

#[test]
fn calls_in_flight_when_their_stream_dies_end_by_their_era() {
    let server = start(&["--pool-size", "8"]);
    // Legacy calls run to their end, though nobody receives their answers.
    let mut client = Sse::open(&server).initialized(&newest());
    for id in 0..4 {
        client.post(&newest().tool(id, "sleep", json!({"ms": 2_000})));
    }
    eventually("they run", || server.busy_handlers() == 4);
    client.stream.reset();
    eventually("they are over", || server.busy_handlers() == 0);
    let ended = |outcome: &str| server.metric("weir_operations_total", &[("outcome", outcome)]);
    assert_eq!(ended("cancelled"), 0);
    // Modern calls are cancelled when their client leaves.
    let mut client = Sse::open(&server);
    for id in 0..4 {
        client.post(&Dialect::modern().tool(id, "sleep", json!({"ms": 60_000})));
    }
    eventually("they run", || server.busy_handlers() == 4);
    client.stream.leave();
    eventually("they are given up", || server.busy_handlers() == 0);
    assert_eq!(ended("cancelled"), 4);
    assert_at_rest(&server);
}

#[test]
fn more_calls_than_one_client_may_have_are_refused_on_its_stream() {
    let server = start(&["--pool-size", "128"]);
    let mut client = Sse::open(&server).initialized(&newest());
    for id in 0..80 {
        client.post(&newest().tool(id, "sleep", json!({"ms": 60_000})));
    }
    let refused = client.stream.message();
    assert_eq!(refused["error"]["code"], -31503, "{refused}");
    assert!(refused["error"]["data"]["retryAfterMs"].as_u64() > Some(0));
    // Control is answered, and other clients are served.
    client.post(&newest().request("ping", "ping", json!({})));
    let ids = std::iter::repeat_with(|| client.stream.message()["id"].clone());
    assert!(ids.take(80).any(|id| id == "ping"));
    server.ask(&newest().echo(1, "x")).assert_echo(1, "x");
    client.stream.reset();
}

/// Posts big calls until one is refused. Returns how many were accepted, and the refusal.
#[track_caller]
fn post_until_refused(client: &mut Sse, blob_bytes: u64) -> (u64, Response) {
    for id in 0..100_000 {
        let message = newest().tool(id, "blob", json!({"bytes": blob_bytes}));
        let response = client.try_post(&message.body);
        if response.status != 202 {
            return (id, response);
        }
    }
    panic!("everything was accepted");
}

#[test]
fn posts_for_a_reader_that_does_not_read_are_refused_and_the_reader_is_cut_off() {
    let server = start(&["--write-timeout", "2s", "--shards", "2"]);
    let stream = Client::with_small_window(server.address);
    let mut client = Sse::over(stream, server.connect()).initialized(&newest());
    let mut bystander = Sse::open(&server).initialized(&newest());
    let before_kib = server.resident_kib();
    let (accepted, refused) = post_until_refused(&mut client, 30_000);
    assert!(accepted > 8, "{accepted}");
    // The POST is refused at once, with the request's id, or the stream is already cut off.
    if refused.status == 503 {
        refused.assert_error(503, -31503, accepted);
        assert_overload(refused.json(), &refused, "connections");
    } else {
        refused.assert_error(404, INVALID_REQUEST, Value::Null);
    }
    let grown_kib = server.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib < 32 << 10, "{grown_kib} KiB");
    bystander.post(&newest().echo(1, "x"));
    bystander.assert_echo(1, "x");
    let message = newest().echo("last", "x").body;
    eventually("it is cut off", || client.try_post(&message).status == 404);
    // A client that reads on finds the stream broken off, not ended.
    let ending = loop {
        match client.stream.try_frame() {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(ending.is_err(), "{ending:?}");
    assert_at_rest(&server);
}

#[test]
fn ten_thousand_posts_are_answered_once_each() {
    const POSTS: i64 = 10_000;
    const UNANSWERED_MAX: usize = 32;
    let server = shared();
    let Sse {
        mut stream,
        mut posts,
        endpoint,
    } = Sse::open(&server).initialized(&newest());
    // The bounded channel has a place for each request without an answer.
    let (asked, answered) = mpsc::sync_channel::<()>(UNANSWERED_MAX);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for id in 0..POSTS {
                asked.send(()).unwrap();
                let message = newest().echo(id, "x").body;
                posts.ask(&posting(&endpoint, message)).assert_accepted();
            }
        });
        let mut ids = BTreeSet::new();
        for _ in 0..POSTS {
            let message = stream.message();
            assert_eq!(message["result"]["content"][0]["text"], "x", "{message}");
            assert!(ids.insert(message["id"].as_i64().unwrap()), "{message}");
            answered.recv().unwrap();
        }
        assert!(ids.into_iter().eq(0..POSTS));
    });
}

#[test]
fn silence_is_broken_by_comments() {
    let server = start(&["--stream-keep-alive", "50ms"]);
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut stream = server.open(&opening().with_version(version));
        stream.endpoint();
        for _ in 0..3 {
            stream.comment();
        }
    }
}

#[test]
fn without_chunks_the_stream_lasts_as_long_as_its_connection() {
    let server = shared();
    let mut stream = server.open(&opening().with_version("HTTP/1.0"));
    assert!(!stream.is_chunked() && stream.head().closes());
    stream.judge_by(Revision::NEWEST_LEGACY);
    let endpoint = stream.endpoint();
    for id in 0..3 {
        let message = newest().echo(id, "x").body;
        server.ask(&posting(&endpoint, message)).assert_accepted();
        assert_eq!(stream.message()["id"], id);
    }
}

#[test]
fn what_is_sent_behind_the_opening_is_nobodys() {
    let server = shared();
    let mut client = server.connect();
    let mut bytes = opening().encode();
    bytes.extend(newest().echo(1, "smuggled").encode());
    client.send_bytes(&bytes);
    let mut stream = client.receive_stream();
    stream.judge_by(Revision::NEWEST_LEGACY);
    let endpoint = stream.endpoint();
    for _ in 0..50 {
        stream.client().send_bytes(&[b'x'; 16 << 10]);
    }
    let message = newest().echo(2, "x").body;
    server.ask(&posting(&endpoint, message)).assert_accepted();
    assert_eq!(stream.message()["id"], 2);
}

#[test]
fn opening_and_leaving_leaves_nothing_behind() {
    let server = start(&[]);
    let left = || {
        let metrics = server.metrics();
        ["weir_connections", "weir_streams_open"].map(|name| metrics.sum(name, &[]) as u64)
    };
    assert_eq!(left(), [0, 0]);
    for _ in 0..10 {
        let mut clients: Vec<Sse> = (0..100).map(|_| Sse::open(&server)).collect();
        for client in &mut clients[..50] {
            client.post(&newest().initialize(0));
        }
        drop(clients);
    }
    eventually("nothing is left", || left() == [0, 0]);
    assert_at_rest(&server);
}

#[test]
fn a_drain_answers_what_is_in_flight_and_ends_streams_in_order() {
    let mut server = start(&[]);
    let mut idle = Sse::open(&server).initialized(&newest());
    let mut busy = Sse::open(&server).initialized(&newest());
    busy.post(&newest().tool(1, "sleep", json!({"ms": 3_000})));
    eventually("it runs", || server.busy_handlers() == 1);
    server.signal(Signal::TERM);
    assert_eq!(idle.stream.try_message(), None, "the idle one ends at once");
    assert!(server.is_running() && server.busy_handlers() == 1);
    assert_eq!(busy.answer(1)["content"][0]["text"], "slept 3000 ms");
    assert_eq!(
        busy.stream.try_message(),
        None,
        "and the busy one behind its answer"
    );
    assert_eq!(busy.stream.client().ending(), Ending::Closed(Vec::new()));
    assert_eq!(server.wait().code(), Some(0));
}
