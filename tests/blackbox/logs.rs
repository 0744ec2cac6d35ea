//! The log: one line for each record, nothing unescaped from a peer, no token; and the records of requests.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Request, Server, WEIR, WebSocket, busy_per_shard, case, connect_to, echo, eras,
    eventually, send_long_call, tool,
};

#[test]
fn nothing_from_a_peer_reaches_the_log_raw() {
    let (mark, token) = ("FORGED-4e1b", "tok-b7d1f09c");
    for format in ["text", "json"] {
        let _case = case(format);
        let server = Server::start(&[
            "--log-level",
            "trace",
            "--log-format",
            format,
            "--toolset",
            "demo",
            "--toolset",
            "files",
        ]);
        for between in [
            "\r\n",
            "\n",
            "\r",
            "\u{1b}[31m",
            "\u{2028}",
            "\u{85}",
            "\0",
            "\u{202e}",
            "\u{9b}31m",
            "\u{2066}",
        ] {
            let hostile = format!("a{between}{mark}");
            for dialect in eras() {
                for request in [
                    dialect.request(1, &hostile, json!({})),
                    dialect.tool(1, &hostile, json!({})),
                    dialect.tool(1, "read_file", json!({"path": hostile})),
                    dialect.tool(1, "search", json!({"pattern": hostile, "glob": hostile})),
                    dialect.tool(1, "fail", json!({"how": hostile})),
                    dialect.notification(&hostile, json!({})),
                ] {
                    let request =
                        if between.is_ascii() && !between.starts_with(|c: char| c.is_ascii_control()) {
                            request
                        } else {
                            request.with("Mcp-Method", "x").with("Mcp-Name", "x")
                        };
                    let answered = server.ask(&request.plus("Authorization", format!("Bearer {token}")));
                    assert!(answered.status < 500, "{answered:?}");
                }
            }
            for field in [
                "User-Agent",
                "Host",
                "Origin",
                "Mcp-Session-Id",
                "Mcp-Name",
                "MCP-Protocol-Version",
                "Accept",
            ] {
                let request = Dialect::modern().echo(1, "x").with(field, &hostile);
                let answered = server.ask(&request.plus("Authorization", format!("Bearer {token}")));
                assert!(answered.status < 500, "{answered:?}");
            }
            let target = format!("/mcp?access_token={token}&x={}", hostile.escape_unicode());
            server.ask(&Request::new("GET", &target.replace(['{', '}', '\\'], "%")));
        }
        let said = server.stderr() + &server.stdout();
        assert!(!said.contains(token), "a token was logged");
        assert_is_clean(&said, format, mark);
    }
}

/// Whether a log is one record a line, in this format, of which none begins with a peer's `mark`, and which tells a
/// terminal nothing.
#[track_caller]
pub(crate) fn assert_is_clean(said: &str, format: &str, mark: &str) {
    let raw = [
        '\u{1b}', '\0', '\r', '\u{2028}', '\u{85}', '\u{202e}', '\u{9b}', '\u{2066}',
    ];
    for line in said.lines() {
        assert!(!line.contains(raw) && !line.starts_with(mark), "{line:?}");
        let is_record = match format {
            "json" => serde_json::from_str::<Value>(line).is_ok(),
            _ => line.get(..2) == Some("20") && line.contains("Z "),
        };
        assert!(is_record, "{line:?}");
    }
}

fn access_records(server: &Server) -> Vec<Value> {
    let said = server.stderr();
    // The last line may be incomplete.
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    let records = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = records.filter(|record| record["target"] == "weir::access");
    records.collect()
}

/// Sends requests, and returns the new records once there are so many.
fn records_of(server: &Server, count: usize, ask: impl FnOnce(&Server)) -> Vec<Value> {
    let before = access_records(server).len();
    ask(server);
    eventually("the records are there", || {
        access_records(server).len() >= before + count
    });
    access_records(server).split_off(before)
}

fn assert_fields(record: &Value, fields: &[(&str, Value)]) {
    for (name, value) in fields {
        assert_eq!(&record[*name], value, "{name} in {record}");
    }
}

fn json_server(mode: &str, flags: &[&str]) -> Server {
    let mut all = vec!["--log-format", "json", "--access-log", mode];
    all.extend(flags);
    Server::start(&all)
}

#[test]
fn every_request_has_its_record_when_all_are_asked_for() {
    let server = json_server("all", &["--pool-size", "1"]);
    for dialect in eras() {
        let mut client = server.connect();
        let peer = client.local_address().to_string();
        let long = "i".repeat(500);
        for (id, shown) in [
            (json!(7), "7".to_owned()),
            (json!("a\"b"), r#""a\"b""#.to_owned()),
            (json!(long), format!("\"{}…", "i".repeat(159))),
        ] {
            let records = records_of(&server, 1, |_| {
                client.ask(&dialect.echo(id.clone(), "hello")).assert_status(200);
            });
            assert_eq!(records.len(), 1, "{records:?}");
            let record = &records[0];
            assert_fields(
                record,
                &[
                    ("level", json!("INFO")),
                    ("message", json!("request")),
                    ("method", json!("tools/call")),
                    ("tool", json!("echo")),
                    ("id", json!(shown)),
                    ("status", json!(200)),
                    ("outcome", json!("ok")),
                    ("wait_us", json!(0)),
                    ("shard", json!(0)),
                    ("peer", json!(peer)),
                ],
            );
            assert!(record["bytes"].as_u64() > Some(20), "{record}");
            assert!(record["duration_us"].is_u64(), "{record}");
        }
        let records = records_of(&server, 1, |_| {
            client.ask(&dialect.request(1, "tools/list", json!({}))).result();
        });
        assert_fields(
            &records[0],
            &[("method", json!("tools/list")), ("id", json!("1"))],
        );
    }
    // The request that waited, and for how long.
    let records = records_of(&server, 2, |server| {
        let mut holder = server.connect();
        holder.send(&tool(1, "sleep", json!({"ms": 50})));
        eventually("the handler is busy", || server.busy_handlers() == 1);
        server.ask(&echo(2, "x")).assert_echo(2, "x");
        holder.receive().assert_status(200);
    });
    let waited = records.iter().find(|record| record["tool"] == "echo").unwrap();
    assert!(waited["wait_us"].as_u64() > Some(0), "{waited}");
    assert!(
        waited["duration_us"].as_u64() >= waited["wait_us"].as_u64(),
        "{waited}"
    );
    // A WebSocket's messages have records of their own, and no status.
    let records = records_of(&server, 2, |server| {
        let mut socket = server.open_websocket();
        socket.ask(&Dialect::modern().echo(3, "x"));
    });
    assert_fields(&records[0], &[("method", json!("GET")), ("status", json!(101))]);
    assert_fields(&records[1], &[("tool", json!("echo")), ("status", Value::Null)]);
}

#[test]
fn a_message_that_another_shard_serves_has_one_record_that_names_its_client() {
    let server = json_server("all", &["--shards", "2", "--pool-size", "1"]);
    let mut holder = connect_to(&server, 0);
    send_long_call(&mut holder);
    eventually("the first shard is busy", || busy_per_shard(&server)[0] == 1);
    let client = connect_to(&server, 0);
    let peer = client.local_address().to_string();
    let mut socket = WebSocket::upgrade(client);
    let records = records_of(&server, 1, |_| {
        socket.ask(&echo(3, "x"));
    });
    let records: Vec<&Value> = records.iter().filter(|record| record["tool"] == "echo").collect();
    assert_eq!(records.len(), 1, "{records:?}");
    let expected = [
        ("id", json!("3")),
        ("status", Value::Null),
        ("shard", json!(1)),
        ("peer", json!(peer)),
    ];
    assert_fields(records[0], &expected);
    assert!(records[0]["wait_us"].as_u64() > Some(0), "{records:?}");
    // Nor is it counted twice.
    let calls = server.metric(
        "mcp_server_operation_duration_seconds_count",
        &[("gen_ai_tool_name", "echo")],
    );
    assert_eq!(calls, 1);
}

#[test]
fn failures_and_refusals_say_their_reason_by_default() {
    let server = Server::start(&[
        "--log-format",
        "json",
        "--pool-size",
        "1",
        "--queue-depth",
        "0",
        "--queue-timeout",
        "50ms",
    ]);
    let origin = "https://evil.example";
    for (request, fields) in [
        (
            echo(1, "x").with("Origin", origin),
            vec![
                ("status", json!(403)),
                ("reason", json!("this origin is not allowed; see --allow-origin")),
                ("origin", json!(origin)),
                ("method", json!("POST")),
                ("path", json!("/mcp")),
            ],
        ),
        (
            echo(1, "x").with("Host", "evil.example"),
            vec![("status", json!(403)), ("host", json!("evil.example"))],
        ),
        (
            echo(1, "x").with("Accept", "application/json"),
            vec![("status", json!(406)), ("accept", json!("application/json"))],
        ),
        (
            Request::new("GET", "/elsewhere?access_token=secret"),
            vec![("status", json!(404)), ("path", json!("/elsewhere"))],
        ),
        (
            tool(8, "echo", json!({"text": 1})),
            vec![
                ("outcome", json!("tool error")),
                ("tool", json!("echo")),
                ("id", json!("8")),
            ],
        ),
        (
            tool(9, "no such tool", json!({})),
            vec![
                ("error", json!(-32602)),
                ("outcome", json!("invalid params")),
                ("id", json!("9")),
            ],
        ),
        (
            tool(10, "fail", json!({"how": "error"})),
            vec![("outcome", json!("tool error")), ("tool", json!("fail"))],
        ),
    ] {
        let records = records_of(&server, 1, |server| {
            server.ask(&request);
        });
        assert_eq!(records.len(), 1, "{records:?}");
        assert_fields(&records[0], &[("level", json!("WARN"))]);
        assert_fields(&records[0], &fields);
    }
    let records = records_of(&server, 1, |server| {
        let mut holder = server.connect();
        holder.send(&tool(1, "sleep", json!({"ms": 60_000})));
        eventually("the handler is busy", || server.busy_handlers() == 1);
        server.ask(&echo("full", "x")).assert_status(503);
    });
    assert_fields(
        &records[0],
        &[
            ("status", json!(503)),
            ("outcome", json!("overload")),
            ("reason", json!("handlers")),
            ("error", json!(-31503)),
            ("tool", json!("echo")),
            ("id", json!("\"full\"")),
        ],
    );
    // Its client has left, which ended the call that held the handler.
    eventually("the call is cancelled", || {
        let cancelled = |record: &Value| record["outcome"] == "cancelled" && record["tool"] == "sleep";
        access_records(&server).iter().any(cancelled)
    });
    let before = access_records(&server).len();
    server.ask(&echo(1, "x")).assert_echo(1, "x");
    assert_eq!(
        access_records(&server).len(),
        before,
        "what ends well has no record"
    );
    assert!(!server.stderr().contains("secret"));
}

#[test]
fn no_request_has_a_record_when_none_is_wanted() {
    let server = json_server("off", &[]);
    server
        .ask(&echo(1, "x").with("Host", "evil.example"))
        .assert_status(403);
    server.ask(&tool(1, "fail", json!({"how": "error"}))).result();
    server.signal(Signal::HUP);
    eventually("a later record is written", || server.stderr().contains("SIGHUP"));
    assert!(access_records(&server).is_empty());
}

#[test]
fn a_panic_names_its_tool_and_its_request() {
    let mut server = json_server("off", &[]);
    server.may_panic = true;
    for id in [1, 2] {
        server
            .ask(&tool(id, "fail", json!({"how": "panic"})))
            .assert_error(200, -32603, id);
    }
    let panics = || {
        let said = server.stderr();
        let records = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records
            .filter(|record| record["message"] == "panic")
            .collect::<Vec<_>>()
    };
    eventually("both are told", || panics().len() == 2);
    for (record, id) in panics().iter().zip(["1", "2"]) {
        assert_fields(
            record,
            &[
                ("level", json!("ERROR")),
                ("tool", json!("fail")),
                ("id", json!(id)),
                ("shard", json!(0)),
            ],
        );
        for field in ["location", "reason", "peer"] {
            assert!(record[field].is_string(), "{field} in {record}");
        }
    }
}

#[test]
fn an_error_for_the_log_alone_names_its_tool_and_its_request() {
    let server = json_server("off", &[]);
    let answer = server.ask(&tool(7, "fail", json!({"how": "internal"})));
    answer.assert_error(200, -32603, 7);
    let failure = || {
        let said = server.stderr();
        let mut records = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.find(|record| record["message"] == "an operation failed internally")
    };
    eventually("it is told", || failure().is_some());
    let record = failure().unwrap();
    assert_fields(
        &record,
        &[
            ("level", json!("ERROR")),
            ("tool", json!("fail")),
            ("id", json!("7")),
            ("detail", json!("failed inside as asked")),
        ],
    );
    assert!(record["peer"].is_string(), "{record}");
}

#[test]
fn a_flood_of_refusals_is_cut_off_and_counted() {
    let server = json_server("errors", &[]);
    let refused = Dialect::modern().request(1, "no/such/method", json!({})).encode();
    let mut client = server.connect();
    let flood = 2_000;
    for _ in 0..flood / 50 {
        client.send_bytes(&refused.repeat(50));
        (0..50).for_each(|_| drop(client.receive()));
    }
    let counted = || -> u64 {
        let records = access_records(&server);
        let of = |record: &Value| record["records"].as_u64().unwrap_or(1);
        records.iter().map(of).sum()
    };
    eventually("each is written or counted", || counted() == flood);
}

#[test]
fn a_stderr_that_nobody_reads_holds_nobody_up() {
    let mut command = Command::new(WEIR);
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--toolset",
        "demo",
        "--shards",
        "1",
        "--access-log",
        "all",
        "--log-format",
        "json",
        "--report",
        "none",
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("http://") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended at start");
    }
    let said: Value = serde_json::from_str(&line).unwrap();
    let url = said["url"].as_str().unwrap();
    let address = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/mcp"))
        .unwrap();
    // More than the pipe and the queue hold.
    let (turns, each) = (300, 50);
    let mut client = Client::connect(address.parse().unwrap());
    let request = echo(1, "x").encode().repeat(each);
    for _ in 0..turns {
        client.send_bytes(&request);
        (0..each).for_each(|_| client.receive().assert_echo(1, "x"));
    }
    // When it is read at last, the log says what is missing.
    let (mut requests, mut dropped) = (0, 0);
    while requests + dropped < (turns * each) as u64 {
        line.clear();
        assert!(
            stderr.read_line(&mut line).unwrap() > 0,
            "{requests} written, {dropped} dropped"
        );
        let record: Value = serde_json::from_str(&line).unwrap();
        requests += u64::from(record["target"] == "weir::access");
        dropped += record["records"].as_u64().unwrap_or(0);
    }
    assert!(dropped > 0);
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let rest = stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let last = rest.last().unwrap();
    assert_eq!(last["message"], "draining", "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
