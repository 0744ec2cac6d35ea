//! `weir bench` against servers that are not Weir: what they list, promise, leave open and close.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// What a server does with a request: the bytes of its answer, and whether the connection ends behind them.
type Answer = Box<dyn Fn(&str, &Value) -> (String, bool) + Send + Sync>;

/// A server with one way of its own; lives as long as the test's process.
struct Peer {
    address: SocketAddr,
    /// Requests that it had.
    requests: Arc<AtomicUsize>,
}

impl Peer {
    fn start(answer: Answer) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let (answer, requests) = (Arc::new(answer), Arc::clone(&peer.requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                thread::spawn(move || serve(&stream.unwrap(), &answer, &requests));
            }
        });
        peer
    }

    fn bench(&self, flags: &[&str]) -> Output {
        let url = format!("http://{}/mcp", self.address);
        let length: &[&str] = if flags.contains(&"--duration") {
            &[]
        } else {
            &["--duration", "400ms"]
        };
        let mut command = Command::new(WEIR);
        command.args(["bench", &url, "--warm-up", "0s", "--clients", "2"]);
        command.args(length).args(flags);
        command.output().unwrap()
    }

    /// The figures of a run, and what was said beside them.
    #[track_caller]
    fn figures(&self, flags: &[&str]) -> (Value, String) {
        let output = self.bench(&[&["--json"], flags].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{flags:?}: {said}");
        (serde_json::from_slice(&output.stdout).unwrap(), said)
    }
}

fn serve(mut stream: &TcpStream, answer: &Answer, requests: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader) {
        requests.fetch_add(1, Ordering::Relaxed);
        let (text, is_last) = answer(&head, &body);
        if stream.write_all(text.as_bytes()).is_err() || is_last {
            return;
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Value)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        reader.read_line(&mut head).ok().filter(|count| *count > 0)?;
        let line = &head[start..];
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).unwrap_or_default()))
}

/// A good answer over HTTP.
fn ok(request: &Value, result: &Value) -> String {
    let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a modern server says of itself.
fn discovered() -> Value {
    let info = json!({"io.modelcontextprotocol/serverInfo": {"name": "peer", "version": "1"}});
    json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}, "_meta": info})
}

/// A modern server with these pages of tools, which answers calls so.
fn with_tools(pages: &'static [&'static str], call: fn(&Value) -> Value) -> Answer {
    Box::new(move |_, request| {
        let result = match request["method"].as_str() {
            Some("server/discover") => discovered(),
            Some("tools/list") => {
                let page: usize = request["params"]["cursor"]
                    .as_str()
                    .map_or(0, |at| at.parse().unwrap());
                let tools: Value = serde_json::from_str(pages[page]).unwrap();
                let mut result = json!({"tools": tools});
                if page + 1 < pages.len() {
                    result["nextCursor"] = json!((page + 1).to_string());
                }
                result
            }
            _ => call(request),
        };
        (ok(request, &result), false)
    })
}

const ADD: &[&str] = &[
    r#"[{"name": "other", "inputSchema": {"type": "object"}}]"#,
    r#"[{"name": "add", "inputSchema": {"type": "object"}, "outputSchema":
        {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}}]"#,
];

#[test]
fn results_are_checked_against_the_schema_that_their_tool_lists() {
    let good = Peer::start(with_tools(
        ADD,
        |_| json!({"content": [], "structuredContent": {"sum": 3}}),
    ));
    let (report, said) = good.figures(&["--tool", "add"]);
    assert_eq!(report["errors"], 0, "{report}");
    assert!(
        report["requests"].as_u64().unwrap() > 0 && said.is_empty(),
        "{said}"
    );
    for (call, word) in [
        (
            (|_| json!({"content": [], "structuredContent": {"sum": "3"}})) as fn(&Value) -> Value,
            "/sum",
        ),
        (|_| json!({"content": []}), "no structuredContent"),
    ] {
        let wrong = Peer::start(with_tools(ADD, call));
        let (report, _) = wrong.figures(&["--tool", "add"]);
        assert_eq!(report["requests"], 0, "{report}");
        assert_eq!(report["others"], json!({"off_schema": report["errors"]}));
        let first = report["first_texts"]["off_schema"].as_str().unwrap();
        assert!(first.contains(word), "{first}");
        let text = String::from_utf8(wrong.bench(&["--tool", "add"]).stdout).unwrap();
        assert!(
            text.contains("calls of add; results are checked against their output schema"),
            "{text}"
        );
        assert!(
            text.contains("results that do not fit the tool's output schema"),
            "{text}"
        );
        let (report, _) = wrong.figures(&["--tool", "add", "--no-schema"]);
        assert_eq!(report["errors"], 0, "{report}");
    }
    // Of answers that are never alike some are checked, and a few wrong ones are found all the same.
    let some = Peer::start(with_tools(ADD, |request| {
        let id = request["id"].as_u64().unwrap();
        let sum = if id % 2 == 0 { json!(id) } else { json!("odd") };
        json!({"content": [], "structuredContent": {"sum": sum}})
    }));
    let (report, _) = some.figures(&["--tool", "add"]);
    assert!(report["others"]["off_schema"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_server_that_lists_no_tools_is_spoken_of_and_called() {
    let peer = Peer::start(Box::new(|_, request| {
        let text = match request["method"].as_str() {
            Some("server/discover") => ok(request, &discovered()),
            Some("tools/list") => {
                let error = json!({"code": -32601, "message": "no such method"});
                let body = json!({"jsonrpc": "2.0", "id": request["id"], "error": error}).to_string();
                format!(
                    "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            _ => ok(request, &json!({"content": []})),
        };
        (text, false)
    }));
    let (report, said) = peer.figures(&["--tool", "anything"]);
    assert_eq!(report["errors"], 0, "{report}");
    assert!(report["requests"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(said.matches("does not list its tools").count(), 1, "{said}");
    assert!(said.contains("no such method"), "{said}");
    assert!(peer.requests.load(Ordering::Relaxed) > 2);
}

/// A good answer as the only event of a stream that stays open.
fn left_open(request: &Value, fields: &str, result: &Value) -> String {
    let message = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    let event = format!("event: message\ndata: {message}\n\n");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{fields}\r\n{:x}\r\n{event}\r\n",
        event.len()
    )
}

#[test]
fn streams_left_open_and_connections_closed_before_the_load_are_answers() {
    const ONE: &[&str] = &[r#"[{"name": "echo", "inputSchema": {"type": "object"}}]"#];
    let call = |request: &Value| (ok(request, &json!({"content": []})), false);
    let is_asking = |request: &Value| request["method"] == "tools/call";
    let plain = with_tools(ONE, |_| json!({}));
    let modern = Peer::start(Box::new(move |head, request| {
        if is_asking(request) {
            return call(request);
        }
        let (text, _) = plain(head, request);
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let message: Value = serde_json::from_str(body).unwrap();
        (left_open(request, "", &message["result"]), false)
    }));
    let (report, said) = modern.figures(&[]);
    assert!(
        report["requests"].as_u64().unwrap() > 0 && said.is_empty(),
        "{said} {report}"
    );
    assert_eq!(report["errors"], 0, "{report}");
    // A legacy server that leaves the stream of `initialize` open, one that closes its connection, and one without
    // sessions that does so.
    for (is_left_open, session) in [
        (true, "mcp-session-id: s\r\n"),
        (false, "mcp-session-id: s\r\n"),
        (false, ""),
    ] {
        let legacy = Peer::start(Box::new(move |_, request| match request["method"].as_str() {
            Some("initialize") => {
                let version = &request["params"]["protocolVersion"];
                let result =
                    json!({"protocolVersion": version, "serverInfo": {"name": "p"}, "capabilities": {}});
                if is_left_open {
                    return (left_open(request, session, &result), false);
                }
                let fields = format!("200 OK\r\nconnection: close\r\n{session}");
                (ok(request, &result).replacen("200 OK\r\n", &fields, 1), true)
            }
            Some("tools/list") => (ok(request, &json!({"tools": [{"name": "echo"}]})), false),
            Some("tools/call") => call(request),
            Some("notifications/initialized") => (
                "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
                false,
            ),
            _ => (
                "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".to_owned(),
                false,
            ),
        }));
        for flags in [
            &["--revision", "2025-11-25"][..],
            &["--life-cycle", "--expect", "{}"],
        ] {
            let (report, said) = legacy.figures(&[flags, &["--duration", "2s"]].concat());
            assert!(
                report["requests"].as_u64().unwrap() > 0,
                "{flags:?} {said} {report}"
            );
            assert_eq!(report["errors"], 0, "{flags:?} {report}");
        }
    }
}

#[test]
fn a_server_that_is_gone_is_not_asked_again_at_once() {
    let peer = Peer::start(with_tools(ADD, |_| json!({"content": []})));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let front = gone.local_addr().unwrap();
    let behind = peer.address;
    thread::spawn(move || {
        // What it takes in its first moments is served, and then nobody listens.
        let mut all = Vec::new();
        gone.set_nonblocking(true).unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(1_500) {
            if let Ok((near, _)) = gone.accept() {
                near.set_nonblocking(false).unwrap();
                let far = TcpStream::connect(behind).unwrap();
                let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let (mut from, mut to) = (far, near);
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                all.push(ends);
            } else {
                thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        drop(gone);
        for end in all.iter().flatten() {
            let _ = end.shutdown(std::net::Shutdown::Both);
        }
    });
    let url = format!("http://{front}/mcp");
    let output = Command::new(WEIR)
        .args([
            "bench",
            &url,
            "--tool",
            "other",
            "--clients",
            "8",
            "--duration",
            "4s",
            "--json",
        ])
        .args(["--warm-up", "0s"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["requests"].as_u64().unwrap() > 0, "{report}");
    let failed = report["others"]["no_connection"].as_u64().unwrap();
    // At least half of 10, 20, … 640 ms and then of a second: eleven tries in four seconds, of eight clients.
    assert!((8..8 * 14).contains(&failed), "{report}");
}
