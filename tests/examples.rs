//! The examples do what they say: each is started as a user would start it, called over HTTP, and ended.
//!
//! They are built with all other targets by `cargo test`; this test alone needs `cargo build --examples` first. The
//! official conformance suite judges the fixtures of `everything`, not this test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

/// Its own test runs here: were it marked as having one, `cargo test` would build the test in the program's place.
#[expect(dead_code, reason = "the program is started, not called")]
#[path = "../examples/hello.rs"]
mod hello;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use weir::{unportable_input, unportable_output};

const NEWEST: &str = "2026-07-28";
const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", NEWEST];
/// A tool that is listed as the official suite wants it, with keywords that not every client accepts.
const WRITTEN_BY_HAND: &str = "json_schema_2020_12_tool";

/// A time far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running example; killed when dropped.
struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
    authority: String,
}

impl Example {
    /// Starts it and waits until it prints its address.
    fn start(name: &str, arguments: &[&str]) -> Example {
        let path = path(name);
        let mut child = Command::new(&path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; is it built? `cargo build --examples`",
                    path.display()
                )
            });
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut example = Example {
            child,
            output,
            authority: String::new(),
        };
        let line = example.line();
        let authority = line
            .strip_prefix("serving on http://")
            .and_then(|rest| rest.strip_suffix("/mcp"));
        example.authority = authority.unwrap_or_else(|| panic!("{line:?}")).to_owned();
        example
    }

    /// The next line it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn input(&self) -> &ChildStdin {
        self.child.stdin.as_ref().unwrap()
    }

    /// The result of a request in the newest revision.
    fn result_of(&self, method: &str, params: Value) -> Value {
        self.result_in(NEWEST, method, params)
    }

    /// The result of a request that needs no session.
    fn result_in(&self, revision: &str, method: &str, params: Value) -> Value {
        self.result_with("", revision, method, params)
    }

    /// The same with these lines in the head.
    fn result_with(&self, fields: &str, revision: &str, method: &str, params: Value) -> Value {
        let (head, body) = self.response_in(fields, revision, method, params);
        let body = if head.contains("transfer-encoding: chunked") {
            whole_body(&body).unwrap_or_else(|| panic!("it breaks off: {head}"))
        } else {
            body
        };
        let mut answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {head}{body}"));
        answer["result"].take()
    }

    /// The head, in small letters, and the body of the response to it.
    fn response_in(&self, fields: &str, revision: &str, method: &str, mut params: Value) -> (String, String) {
        if revision == NEWEST && params.get("_meta").is_none() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": revision,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str);
        let name = name.map_or_else(String::new, |name| format!("Mcp-Name: {name}\r\n"));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let authority = &self.authority;
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {revision}\r\nMcp-Method: {method}\r\n\
             {name}{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(authority).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    /// The text of a tool's answer.
    fn call(&self, tool: &str, arguments: Value) -> String {
        let result = self.result_of("tools/call", json!({"name": tool, "arguments": arguments}));
        result["content"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{result}"))
            .to_owned()
    }

    /// The names of the items of a list.
    fn names(&self, kind: &str) -> Vec<String> {
        let result = self.result_of(&format!("{kind}/list"), json!({}));
        let items = result[kind].as_array().unwrap_or_else(|| panic!("{result}"));
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Tells it to stop and returns whether it ended as it should.
    fn terminate(mut self) -> bool {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // The process is killed, whatever it is doing, because the test is over. The test fails if it has ended
        // already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The data of a body in chunks, which have nothing but ASCII; `None` if it has no end.
fn whole_body(mut chunks: &str) -> Option<String> {
    let mut data = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).unwrap();
        let (chunk, rest) = rest.split_at_checked(size)?;
        chunks = rest.strip_prefix("\r\n")?;
        if size == 0 {
            return Some(data);
        }
        data.push_str(chunk);
    }
}

/// The program is beside the folder that this test's binary is in.
fn path(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

#[test]
fn hello_greets_and_drains() {
    let hello = Example::start("hello", &["127.0.0.1:0"]);
    assert_eq!(hello.names("tools"), ["hello"]);
    assert_eq!(hello.call("hello", json!({"name": "Ada"})), "Hello, Ada!");
    let discovered = hello.result_of("server/discover", json!({}));
    assert_eq!(
        discovered["_meta"]["io.modelcontextprotocol/serverInfo"],
        json!({"name": "hello", "version": "1.0.0"})
    );
    assert!(hello.terminate());
}

#[test]
fn tenants_are_told_apart_and_stdio_is_known() {
    let tenants = Example::start("tenants", &["127.0.0.1:0"]);
    let refused = tenants.result_of("tools/call", json!({"name": "note", "arguments": {"note": "a"}}));
    assert_eq!(refused["content"][0]["text"], "no tenant");
    let note = |tenant: &str, note: &str| {
        let params = json!({"name": "note", "arguments": {"note": note}});
        let fields = format!("X-Tenant: {tenant}\r\n");
        let result = tenants.result_with(&fields, NEWEST, "tools/call", params);
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(note("acme", "one"), "one");
    assert_eq!(note("other", "two"), "two");
    assert_eq!(note("acme", "three"), "one\nthree");
    let who = tenants.call("who_am_i", json!({}));
    assert!(
        who.starts_with("somebody, which speaks 2026-07-28 over Http from 127.0.0.1:"),
        "{who}"
    );
    assert!(tenants.terminate());

    let mut child = Command::new(path("tenants"))
        .arg("stdio")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let info = json!({"name": "a terminal", "version": "0.1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
    let calls = [
        json!({"name": "note", "arguments": {"note": "four"}}),
        json!({"name": "who_am_i", "arguments": {}}),
    ];
    writeln!(
        input,
        "{}",
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    )
    .unwrap();
    for (params, id) in calls.into_iter().zip(1..) {
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        writeln!(input, "{call}").unwrap();
    }
    drop(input);
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(said.contains(r#""text":"four""#), "{said}");
    let who = "a terminal 0.1, which speaks 2025-06-18 over Stdio from its own process";
    assert!(said.contains(who), "{said}");
}

#[test]
fn an_embedded_server_shares_its_programs_life() {
    let mut notebook = Example::start("embed", &["127.0.0.1:0"]);
    let search = |notebook: &Example| notebook.call("search_notes", json!({"text": "buy"}));
    assert_eq!(search(&notebook), "");

    // When `/metrics` has answered, the program has read the line before.
    writeln!(notebook.input(), "buy milk\nsell bread\n/metrics").unwrap();
    assert!(notebook.line().starts_with("weir_operations_total{"));
    assert_eq!(search(&notebook), "buy milk");
    assert_eq!(notebook.names("tools"), ["search_notes"]);

    writeln!(notebook.input(), "/writable").unwrap();
    while notebook.line() != "clients may add notes" {}
    assert_eq!(notebook.names("tools"), ["search_notes", "add_note"]);
    assert_eq!(notebook.call("add_note", json!({"note": "buy eggs"})), "Added.");
    assert_eq!(search(&notebook), "buy milk\nbuy eggs");
    let read = notebook.result_of("resources/read", json!({"uri": "notebook://notes"}));
    assert_eq!(read["contents"][0]["text"], "buy milk\nsell bread\nbuy eggs");

    // The program ends, and the server with it.
    drop(notebook.child.stdin.take());
    let mut rest = String::new();
    notebook.output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("search_notes"), "no report: {rest}");
    assert!(notebook.child.wait().unwrap().success());
}

#[test]
fn everything_has_one_of_everything() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    for (kind, some) in [
        (
            "tools",
            &[
                "test_simple_text",
                "json_schema_2020_12_tool",
                "test_param_headers",
            ][..],
        ),
        ("resources", &["static-text", "static-binary", "watched-resource"]),
        ("prompts", &["test_simple_prompt", "test_prompt_with_arguments"]),
    ] {
        let names = everything.names(kind);
        assert!(
            some.iter().all(|name| names.iter().any(|other| other == name)),
            "{kind}: {names:?}"
        );
    }
    assert_eq!(
        everything.call("test_simple_text", json!({})),
        "This is a simple text response for testing."
    );
    let sum = everything.result_of(
        "tools/call",
        json!({"name": "test_structured_content", "arguments": {"numbers": [1, 2.5]}}),
    );
    assert_eq!(sum["structuredContent"], json!({"sum": 3.5, "count": 2}));
    assert!(everything.terminate());
}

#[test]
fn load_says_in_the_head_what_it_must_and_checks_structured_results() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    let url = format!("http://{}/mcp", everything.authority);
    for (tool, arguments) in [
        ("test_param_headers", r#"{"region":"Zürich","priority":3}"#),
        (
            "test_param_headers",
            r#"{"region":"{{random:5}}","priority":{{number:0..9}},"dry_run":true}"#,
        ),
        ("test_structured_content", r#"{"numbers":[1,{{counter}}]}"#),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args([
                "bench",
                &url,
                "--clients",
                "2",
                "--duration",
                "300ms",
                "--warm-up",
                "0s",
                "--json",
            ])
            .args(["--tool", tool, "--args", arguments])
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(report["errors"], 0, "{report}");
        assert!(report["requests"].as_u64().unwrap() > 0, "{report}");
    }
    assert!(everything.terminate());
}

#[test]
fn long_results_are_read_while_they_are_sent() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    let text = everything.call("test_streamed_text", json!({"lines": 200_000}));
    assert_eq!(text.lines().count(), 200_000);
    assert!(text.ends_with("line 200000\n"));
    let read = everything.result_of("resources/read", json!({"uri": "test://streamed-binary"}));
    let contents = &read["contents"][0];
    assert_eq!(contents["mimeType"], "application/octet-stream");
    // Four characters for three bytes.
    let blob = contents["blob"].as_str().unwrap();
    assert!(
        blob.len() == 1_333_336 && blob.ends_with("AA=="),
        "{}",
        blob.len()
    );
    let nothing = json!({"lines": 0, "fails": true});
    let params = json!({"name": "test_streamed_text", "arguments": nothing});
    let (_, body) = everything.response_in("", NEWEST, "tools/call", params);
    assert!(body.contains("-32603") && !body.contains("intended"), "{body}");
    for lines in [10_000, 100_000] {
        let arguments = json!({"lines": lines, "fails": true});
        let params = json!({"name": "test_streamed_text", "arguments": arguments});
        let (head, body) = everything.response_in("", NEWEST, "tools/call", params);
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert!(!body.is_empty() && whole_body(&body).is_none(), "{}", body.len());
    }
    assert!(everything.terminate());
}

/// A source may take longer than any timeout, as long as something comes of it.
#[test]
fn a_slow_result_comes_as_it_is_made() {
    let arguments = "--listen 127.0.0.1:0 --option write-timeout=1s --option call-timeout=4s";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let everything = Example::start("everything", &arguments);
    let text = everything.call("test_streamed_text", json!({"lines": 25, "pause_ms": 200}));
    assert!(text.ends_with("line 24\nline 25\n"), "{text}");
    let silent = json!({"name": "test_streamed_text", "arguments": {"lines": 2, "pause_ms": 2500}});
    let (_, body) = everything.response_in("", NEWEST, "tools/call", silent);
    assert!(body.contains("line 1") && whole_body(&body).is_none(), "{body}");
    let late = json!({"name": "test_streamed_text", "arguments": {"lines": 1, "pause_ms": 6000}});
    let (head, body) = everything.response_in("", NEWEST, "tools/call", late);
    assert!(
        !head.contains("chunked") && body.contains("timed out"),
        "{head}{body}"
    );
    assert!(everything.terminate());
}

/// The same tool for a host that shows its chart, and for a client that does not.
#[test]
fn a_chart_is_shown_where_it_can_be() {
    let example = Example::start("chart", &["127.0.0.1:0"]);
    let tools = example.result_of("tools/list", json!({}));
    let page = tools["tools"][0]["_meta"]["ui"]["resourceUri"].as_str().unwrap();
    let read = example.result_of("resources/read", json!({"uri": page}));
    let contents = &read["contents"][0];
    assert_eq!(contents["mimeType"], "text/html;profile=mcp-app");
    assert_eq!(contents["_meta"]["ui"], json!({"prefersBorder": true}));
    assert!(contents["text"].as_str().unwrap().starts_with("<!doctype html>"));

    let call = |capabilities: Value| {
        let envelope = json!({
            "io.modelcontextprotocol/protocolVersion": NEWEST,
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        let params = json!({"name": "sales", "arguments": {"year": 2026}, "_meta": envelope});
        let result = example.result_of("tools/call", params);
        let amount = &result["structuredContent"]["quarters"][3]["amount"];
        assert_eq!(amount, 76, "{result}");
        result["content"].clone()
    };
    let apps = json!({"mimeTypes": ["text/html;profile=mcp-app"]});
    let summary = "Sales of 2026: 270 thousand.";
    let host = call(json!({"extensions": {"io.modelcontextprotocol/ui": apps}}));
    assert_eq!(host, json!([{"type": "text", "text": summary}]));
    let text = call(json!({}));
    let text = text[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with(summary) && text.contains("\nQ4  76 ####"),
        "{text}"
    );
    assert_eq!(
        example.call("sales", json!({"year": 1999})),
        "nothing is known of 1999"
    );
    assert!(example.terminate());
}

#[test]
fn websocket_echo_sends_back_what_it_gets() {
    let example = Example::start("websocket_echo", &["127.0.0.1:0"]);
    let mut connection = TcpStream::connect(&example.authority).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let handshake = format!(
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        example.authority
    );
    // The handshake, then a masked `Hello` (RFC 6455, section 5.7).
    connection.write_all(handshake.as_bytes()).unwrap();
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    connection.write_all(masked).unwrap();
    let (echoed, mut received) = (&b"\x81\x05Hello"[..], Vec::new());
    while !received.ends_with(echoed) {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        received.push(byte[0]);
    }
    assert!(received.starts_with(b"HTTP/1.1 101 "));
    assert!(example.terminate());
}

#[test]
fn every_client_takes_the_schemas_in_every_revision() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    let hello = Example::start("hello", &["127.0.0.1:0"]);
    let mut embed = Example::start("embed", &["127.0.0.1:0"]);
    writeln!(embed.input(), "/writable").unwrap();
    while embed.line() != "clients may add notes" {}
    for (example, count) in [(&everything, 20), (&hello, 1), (&embed, 2)] {
        for revision in REVISIONS {
            let listed = example.result_in(revision, "tools/list", json!({}));
            let tools = listed["tools"]
                .as_array()
                .unwrap_or_else(|| panic!("{revision}: {listed}"));
            assert!(tools.len() >= count, "{revision}: {}", tools.len());
            for tool in tools {
                let name = tool["name"].as_str().unwrap();
                let found = unportable_input(&tool["inputSchema"]);
                assert_eq!(
                    found.is_empty(),
                    name != WRITTEN_BY_HAND,
                    "{revision} {name}: {found:?}"
                );
                if let Some(output) = tool.get("outputSchema") {
                    assert_eq!(unportable_output(output), [], "{revision} {name}");
                }
            }
        }
    }
}

#[test]
fn what_may_be_left_out_may_be_null() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    let tool = "test_optional_arguments";
    let nothing = "text None, None, None, None, None, {}, at most 10";
    let listed = everything.result_of("tools/list", json!({}));
    let listed = listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|listed| listed["name"] == tool)
        .unwrap();
    let schema = &listed["inputSchema"];
    assert_eq!(schema.get("required"), None);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["properties"]["states"],
        json!({
            "type": "array",
            "description": "In one of these states.",
            "items": {
                "type": "string",
                "enum": ["open", "closed"],
                "description": "- `open`: To be done.\n- `closed`: Done, or not to be done.",
            },
        })
    );
    let mut all = json!({});
    for name in schema["properties"].as_object().unwrap().keys() {
        all[name] = Value::Null;
        assert_eq!(everything.call(tool, json!({name: null})), nothing, "{name}");
    }
    assert_eq!(everything.call(tool, all), nothing);
    let some = json!({"states": ["open"], "assigned": {"to": "user", "name": "Ada", "team": null}, "numbers": [1, 2]});
    assert_eq!(
        everything.call(tool, some),
        "text None, Some([Open]), Some(\"Ada\"), None, Some((1, 2)), {}, at most 10"
    );
}

#[test]
fn a_wrong_choice_is_told_the_right_ones() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    for (arguments, expected) in [
        (
            json!({"order": "x"}),
            r#"/order: "x" is not one of "number" or "title""#,
        ),
        (
            json!({"states": ["x"]}),
            r#"/states/0: "x" is not one of "open" or "closed""#,
        ),
        (
            json!({"assigned": {"to": "x"}}),
            r#"/assigned/to: "x" is not one of "nobody" or "user""#,
        ),
        (
            json!({"txt": "x"}),
            r#"Additional properties are not allowed ('txt' was unexpected); did you mean "text"?"#,
        ),
    ] {
        assert_eq!(
            everything.call("test_optional_arguments", arguments),
            format!("invalid arguments: {expected}")
        );
    }
}

#[test]
fn variables_of_a_template_become_numbers_and_choices() {
    let everything = Example::start("everything", &["--listen", "127.0.0.1:0"]);
    let read = |uri: &str| everything.result_of("resources/read", json!({"uri": uri}));
    assert_eq!(
        read("test://issues/open/7")["contents"][0]["text"],
        "The open issue 7, before 8"
    );
    for uri in [
        "test://issues/open/x",
        "test://issues/gone/7",
        "test://issues/open/-1",
    ] {
        assert_eq!(read(uri), Value::Null, "{uri}");
    }
}
