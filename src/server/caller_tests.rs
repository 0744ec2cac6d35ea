//! Who calls: every transport and revision, in every kind of function, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::test_client::PATIENCE;
use super::*;
use crate::registry::{
    BlockingContext, CallContext, Caller, CompletionRequest, FromClient, ListRequest, NoArguments, Prompt,
    PromptArgument, PromptArguments, Registry, Resource, ResourceLister, ResourcePage, ResourceTemplate,
    TaskSupport, Tool, ToolError,
};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const INTERNAL: &str = "internal error";

/// Everything that a function can learn of its caller.
fn described(caller: Caller<'_>) -> Result<String, ToolError> {
    let value = json!({
        "revision": caller.revision(),
        "transport": format!("{:?}", caller.transport()),
        "peer": caller.peer().map(|peer| peer.to_string()),
        "is_anonymous": caller.principal().is_anonymous(),
        "session": caller.session().map(|session| format!("{session:?}")),
        "client": caller.client().map(|client| client.unverified().to_string()),
        "meta": caller.meta().map(FromClient::unverified),
        "trace": caller.trace().map(|trace| trace.unverified().trace_id().to_owned()),
        "tenant": caller.header("X-Tenant")?.map(FromClient::unverified),
    });
    Ok(value.to_string())
}

#[derive(Deserialize)]
struct Variables {
    #[allow(dead_code, reason = "the URI has it")]
    name: String,
}

fn registry() -> Registry {
    let tool = |name| Tool::new(name).reads_header("x-tenant");
    let later = |call: CallContext| async move {
        crate::ring::sleep(Duration::from_millis(1)).await;
        described(call.caller())
    };
    let mut registry = Registry::builder();
    let tools = [
        tool("who").run(|call: CallContext, _: NoArguments| async move { described(call.caller()) }),
        // It learns all of it before it has a future.
        tool("before").run(|call: CallContext, _: NoArguments| {
            let said = described(call.caller());
            async move { said }
        }),
        tool("later").run(move |call: CallContext, _: NoArguments| later(call)),
        tool("worker").run_blocking(|call: &BlockingContext, _: NoArguments| described(call.caller())),
        #[cfg(feature = "tokio")]
        tool("tokio").run_tokio(|call: CallContext, _: NoArguments| async move {
            tokio::task::yield_now().await;
            described(call.caller())
        }),
        tool("task")
            .task(TaskSupport::Optional)
            .run(move |call: CallContext, _: NoArguments| later(call)),
        Tool::new("unnamed").run(|call: CallContext, _: NoArguments| async move { described(call.caller()) }),
    ];
    for tool in tools {
        registry.add(tool).unwrap();
    }
    let resource = Resource::new("who://me", "me").reads_header("x-tenant");
    let template = ResourceTemplate::new("who://{name}", "anybody")
        .reads_header("x-tenant")
        .complete("name", |call: CallContext, _: CompletionRequest| async move {
            Ok(vec![described(call.caller())?])
        });
    let prompt = Prompt::new("who")
        .reads_header("x-tenant")
        .argument(PromptArgument::optional("name"))
        .complete_blocking("name", |call: &BlockingContext, _: CompletionRequest| {
            Ok(vec![described(call.caller())?])
        });
    let lister = ResourceLister::blocking("all", |call: &BlockingContext, _: ListRequest| {
        let described = described(call.caller())?;
        let listed = Resource::new("who://me", "listed")
            .description(described)
            .listed();
        Ok(ResourcePage {
            resources: vec![listed],
            next: None,
        })
    });
    registry
        .add(resource.read(|call: CallContext| async move { described(call.caller()) }))
        .unwrap()
        .add(template.read_blocking(|call: &BlockingContext, _: Variables| described(call.caller())))
        .unwrap()
        .add(prompt.run(|call: CallContext, _: PromptArguments| async move { described(call.caller()) }))
        .unwrap()
        .add(lister.reads_header("x-tenant"))
        .unwrap();
    registry.build()
}

fn start() -> Server {
    let builder = Server::builder("test", "1").listen(([127, 0, 0, 1], 0).into());
    let builder = builder.configure(|options| options.channels.sse_legacy = true);
    builder.pool_size(8).shards(1).start(registry()).unwrap()
}

/// A client, with headers that it sends with each request.
struct Client<S> {
    stream: S,
    headers: String,
}

impl Client<TcpStream> {
    fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client {
            stream,
            headers: String::new(),
        }
    }

    fn address(&self) -> String {
        self.stream.local_addr().unwrap().to_string()
    }
}

impl<S: Read + Write> Client<S> {
    fn with(mut self, headers: &str) -> Self {
        self.headers.push_str(headers);
        self
    }

    fn post(&mut self, path: &str, headers: &str, message: &Value) -> Answer {
        let (own, message) = (&self.headers, message.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\n{own}{headers}Content-Length: {}\r\n\r\n",
            message.len()
        );
        // A header may have any byte.
        let mut bytes: Vec<u8> = request.chars().map(|c| u8::try_from(c).unwrap()).collect();
        bytes.extend(message.as_bytes());
        self.stream.write_all(&bytes).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let mut read = Vec::new();
        let mut byte = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = header(head, "content-length").and_then(|length| length.parse().ok());
                let is_whole = match length {
                    Some(length) => body.len() >= length,
                    // A stream: it ends with an empty chunk.
                    None => body.ends_with("0\r\n\r\n") || head.contains(" 202 "),
                };
                if is_whole {
                    return Answer {
                        head: head.to_owned(),
                        body: body.to_owned(),
                    };
                }
            }
            let length = self.stream.read(&mut byte).unwrap();
            assert!(length > 0, "the connection ended after {text:?}");
            read.extend_from_slice(&byte[..length]);
        }
    }

    /// The answer to a request of 2026-07-28.
    fn ask_modern(&mut self, method: &str, params: Value) -> Value {
        let name = ["name", "uri", "taskId"]
            .into_iter()
            .find_map(|member| params.get(member));
        let name = name
            .and_then(Value::as_str)
            .map(|name| format!("Mcp-Name: {name}\r\n"));
        let headers = format!(
            "MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {method}\r\n{}",
            name.unwrap_or_default()
        );
        self.post("/mcp", &headers, &modern(method, params)).json()
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post("/mcp", "", &message).json()
    }

    /// Begins a session of a client that says so of itself.
    fn initialized(mut self, revision: &str, client: Option<Value>) -> Self {
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize(revision, client)});
        let answer = self.post("/mcp", "", &message);
        let id = header(&answer.head, "mcp-session-id").unwrap();
        self.with(&format!(
            "Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {revision}\r\n"
        ))
    }
}

fn initialize(revision: &str, client: Option<Value>) -> Value {
    let mut params = json!({"protocolVersion": revision, "capabilities": {}});
    if let Some(client) = client {
        params["clientInfo"] = client;
    }
    params
}

fn modern(method: &str, mut params: Value) -> Value {
    let meta = params["_meta"].take();
    let mut envelope = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "probe \"x\"", "version": "1.0"},
    });
    for (name, value) in meta.as_object().into_iter().flatten() {
        envelope[name] = value.clone();
    }
    params["_meta"] = envelope;
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    /// The message, also of a stream of one event.
    fn json(&self) -> Value {
        let data = self.body.split("data: ").find(|data| data.contains("jsonrpc"));
        let data = data.unwrap_or(&self.body);
        let text = data.lines().next().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.body))
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .into_iter()
        .find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
}

/// What a tool said of its caller.
#[track_caller]
fn said(answer: &Value) -> Map<String, Value> {
    let text = &answer["result"]["content"][0]["text"];
    parsed(text.as_str().unwrap_or_else(|| panic!("{answer}")))
}

#[track_caller]
fn parsed(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn tools() -> Vec<&'static str> {
    let mut tools = vec!["who", "before", "later", "worker"];
    if cfg!(feature = "tokio") {
        tools.push("tokio");
    }
    tools
}

fn call(tool: &str) -> Value {
    json!({"name": tool, "arguments": {}})
}

#[test]
fn a_modern_request_says_everything_itself() {
    let server = start();
    let mut client = Client::new(&server).with("X-Tenant: acme\r\n");
    for tool in tools() {
        let mut params = call(tool);
        params["_meta"] = json!({"traceparent": TRACEPARENT, "own": [1, 1.5, "\u{e9}"]});
        let said = said(&client.ask_modern("tools/call", params));
        let address = client.address();
        for (name, expected) in [
            ("revision", json!(MODERN)),
            ("transport", json!("Http")),
            ("peer", json!(address)),
            ("is_anonymous", json!(true)),
            ("session", Value::Null),
            ("client", json!("probe \"x\" 1.0")),
            ("trace", json!("0af7651916cd43dd8448eb211c80319c")),
            ("tenant", json!("acme")),
        ] {
            assert_eq!(said[name], expected, "{tool}: {name}");
        }
        assert_eq!(said["meta"]["own"], json!([1, 1.5, "\u{e9}"]), "{tool}");
        assert_eq!(said["meta"]["io.modelcontextprotocol/protocolVersion"], MODERN);
    }
    assert!(server.drain(PATIENCE, |_| false).is_clean);
}

/// What one call knew, the next on the same connection does not.
#[test]
fn nothing_is_left_for_the_next_call() {
    let server = start();
    let mut client = Client::new(&server);
    let mut named = Client::new(&server).with("X-Tenant: acme\r\n");
    for tool in tools() {
        said(&named.ask_modern("tools/call", call(tool)));
        let said = said(&client.ask("tools/call", &call(tool)));
        assert_eq!(said["revision"], "2025-03-26", "what is assumed");
        for name in ["session", "client", "meta", "trace", "tenant"] {
            assert_eq!(said[name], Value::Null, "{tool}: {name}");
        }
    }
}

#[test]
fn resources_prompts_lists_and_completions_know_their_callers_too() {
    let server = start();
    let mut client = Client::new(&server).with("X-Tenant: acme\r\n");
    let argument = json!({"name": "name", "value": ""});
    let of_template = json!({"type": "ref/resource", "uri": "who://{name}"});
    let of_prompt = json!({"type": "ref/prompt", "name": "who"});
    let asked = [
        ("resources/read", json!({"uri": "who://me"}), "/contents/0/text"),
        ("resources/read", json!({"uri": "who://x"}), "/contents/0/text"),
        ("resources/list", json!({}), "/resources/1/description"),
        ("prompts/get", json!({"name": "who"}), "/messages/0/content/text"),
        (
            "completion/complete",
            json!({"ref": of_template, "argument": argument}),
            "/completion/values/0",
        ),
        (
            "completion/complete",
            json!({"ref": of_prompt, "argument": argument}),
            "/completion/values/0",
        ),
    ];
    for (method, params, place) in asked {
        let modern = client.ask_modern(method, params.clone());
        let legacy = client.ask(method, &params);
        for (answer, revision) in [(modern, MODERN), (legacy, "2025-03-26")] {
            let text = answer["result"].pointer(place).and_then(Value::as_str);
            let said = parsed(text.unwrap_or_else(|| panic!("{method}: {answer}")));
            assert_eq!(said["revision"], revision, "{method}");
            assert_eq!(said["tenant"], "acme", "{method}");
            assert_eq!(said["peer"], client.address(), "{method}");
        }
    }
}

#[test]
fn a_session_says_what_its_client_said_when_it_began() {
    let server = start();
    for revision in LEGACY {
        let info = json!({"name": "probe (beta)", "version": "2.0"});
        let mut client = Client::new(&server).initialized(revision, Some(info));
        let mut other = Client::new(&server).initialized(revision, None);
        for tool in tools() {
            let mut params = call(tool);
            params["_meta"] = json!({"progressToken": 7});
            let said = said(&client.ask("tools/call", &params));
            assert_eq!(said["revision"], revision);
            assert_eq!(said["transport"], "Http");
            assert_eq!(said["client"], "probe (beta) 2.0", "{tool}");
            assert_eq!(said["meta"], json!({"progressToken": 7}));
            let again = self::said(&client.ask("tools/call", &params));
            assert_eq!(
                (&again["session"], said["session"].is_string()),
                (&said["session"], true)
            );
            let others = self::said(&other.ask("tools/call", &params));
            assert_eq!(others["client"], Value::Null, "{tool}");
            assert_ne!(others["session"], said["session"]);
        }
    }
}

/// Nothing but its own name depends on what a client says of itself, so none of it is refused.
#[test]
fn rubbish_and_long_names_are_nobody() {
    let server = start();
    let (fits, long) = ("n".repeat(63), "n".repeat(64));
    for (info, expected) in [
        (json!({}), Value::Null),
        (json!({"name": 7, "version": "1"}), Value::Null),
        (json!({"name": "", "version": "1"}), Value::Null),
        (json!({"name": "a~b", "version": ["1"]}), json!("a~b")),
        (json!({"name": "a", "version": long}), json!("a")),
        (json!({"name": fits, "version": "1"}), json!(fits)),
        (json!({"name": long, "version": "1"}), Value::Null),
        (
            json!({"name": "\u{0}\r\nX: y", "version": "%"}),
            json!("\u{0}\r\nX: y %"),
        ),
    ] {
        let mut client = Client::new(&server).initialized("2025-06-18", Some(info.clone()));
        let said = said(&client.ask("tools/call", &call("who")));
        assert_eq!(said["client"], expected, "{info}");
    }
    let mut client = Client::new(&server);
    for (name, expected) in [("n".repeat(256), true), ("n".repeat(257), false)] {
        let mut params = call("who");
        params["_meta"] = json!({"io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"}});
        let said = said(&client.ask_modern("tools/call", params));
        assert_eq!(said["client"].is_string(), expected);
        // All of it is there.
        assert_eq!(said["meta"]["io.modelcontextprotocol/clientInfo"]["name"], name);
    }
    let mut params = call("who");
    params["_meta"] = json!({"io.modelcontextprotocol/clientInfo": null});
    let said = said(&client.ask_modern("tools/call", params));
    assert_eq!(said["client"], Value::Null, "a client need not say what it is");
}

#[test]
fn a_large_message_is_no_different() {
    let server = start();
    let mut client = Client::new(&server);
    for bytes in [3_000, 5_000, 100_000] {
        let mut params = json!({"name": "who", "arguments": {"ignored": "x".repeat(bytes)}});
        params["_meta"] = json!({"traceparent": TRACEPARENT});
        let said = said(&client.ask_modern("tools/call", params));
        assert_eq!(said["client"], "probe \"x\" 1.0");
        assert_eq!(said["meta"]["traceparent"], TRACEPARENT);
    }
}

#[test]
fn headers_are_text_that_stands_once_and_was_named() {
    let server = start();
    let mut client = Client::new(&server);
    let mut asked = |tool: &str, headers: &str| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call(tool)});
        client.post("/mcp", headers, &message).json()
    };
    for (headers, expected) in [
        ("", Value::Null),
        ("x-TENANT:  a b\t\r\n", json!("a b")),
        ("X-Tenant:\r\n", json!("")),
        ("X-Tenants: a\r\nX-Tenan: b\r\n", Value::Null),
    ] {
        for tool in tools() {
            assert_eq!(said(&asked(tool, headers))["tenant"], expected, "{headers}");
        }
    }
    for (headers, expected) in [
        (
            "X-Tenant: a\r\nx-tenant: a\r\n",
            "the header X-Tenant is sent more than once",
        ),
        (
            "X-Tenant: \u{e9}\r\n",
            "the header X-Tenant has characters outside ASCII",
        ),
    ] {
        for tool in tools() {
            let answer = asked(tool, headers);
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            assert_eq!(answer["result"]["content"][0]["text"], expected);
        }
    }
    // The fault is the tool's, and the client is not told.
    let answer = asked("unnamed", "X-Tenant: a\r\n");
    let answer = answer.to_string();
    assert!(answer.contains(INTERNAL) && !answer.contains("enant"), "{answer}");
}

#[test]
fn calls_of_a_batch_know_who_made_them() {
    let server = start();
    let info = json!({"name": "probe", "version": "2.0"});
    let mut client = Client::new(&server)
        .initialized("2025-03-26", Some(info))
        .with("X-Tenant: acme\r\n");
    let calls = tools().into_iter().zip(1..).map(|(tool, id)| {
        let mut params = call(tool);
        params["_meta"] = json!({"own": id});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    });
    let answers = client.post("/mcp", "", &Value::Array(calls.collect()));
    let answers: Vec<Value> = serde_json::from_str(&answers.body).unwrap();
    assert_eq!(answers.len(), tools().len());
    let address = client.address();
    for answer in &answers {
        let said = said(answer);
        assert_eq!(said["revision"], "2025-03-26");
        assert_eq!(said["client"], "probe 2.0");
        assert_eq!(said["peer"], address);
        assert_eq!(said["tenant"], "acme");
        assert_eq!(said["meta"], json!({"own": answer["id"]}));
        assert!(said["session"].is_string());
    }
}

#[test]
fn a_task_knows_who_asked_for_it() {
    let server = start();
    let mut client = Client::new(&server)
        .initialized("2025-11-25", Some(json!({"name": "probe", "version": "2.0"})))
        .with("X-Tenant: acme\r\n");
    let mut params = call("task");
    params["task"] = json!({});
    let task = client.ask("tools/call", &params);
    let id = task["result"]["task"]["taskId"]
        .as_str()
        .unwrap_or_else(|| panic!("{task}"))
        .to_owned();
    let said = said(&client.ask("tasks/result", &json!({"taskId": id})));
    assert_eq!(
        (&said["client"], &said["tenant"]),
        (&json!("probe 2.0"), &json!("acme"))
    );
    assert_eq!(said["peer"], client.address());
    let session = self::said(&client.ask("tools/call", &call("who")))["session"].clone();
    assert_eq!(said["session"], session);
}

#[test]
fn a_task_of_a_client_without_sessions_knows_who_asked_for_it() {
    let server = start();
    let mut client = Client::new(&server).with("X-Tenant: acme\r\n");
    let able = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let able =
        json!({"io.modelcontextprotocol/clientCapabilities": able, "traceparent": TRACEPARENT, "own": 7});
    let mut params = call("task");
    params["_meta"] = able.clone();
    let task = client.ask_modern("tools/call", params);
    let id = task["result"]["taskId"]
        .as_str()
        .unwrap_or_else(|| panic!("{task}"))
        .to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    let ended = loop {
        let task = client.ask_modern("tasks/get", json!({"taskId": id, "_meta": able}));
        if task["result"]["status"] != "working" {
            break task;
        }
        // Its function may still have the client's connection when that is gone; meanwhile others use it.
        client.ask_modern("tools/call", call("unnamed"));
        assert!(Instant::now() < deadline, "{task}");
    };
    let said = said(&ended["result"]);
    assert_eq!(
        (&said["client"], &said["tenant"], &said["revision"]),
        (&json!("probe \"x\" 1.0"), &json!("acme"), &json!(MODERN))
    );
    assert_eq!(said["peer"], client.address());
    assert_eq!(said["meta"]["own"], 7);
    assert_eq!(said["trace"], TRACEPARENT[3..35]);
    assert!(said["session"].is_null(), "{said:?}");
}

#[test]
fn a_process_on_a_unix_socket_is_known_by_its_credentials() {
    let path = std::env::temp_dir().join(format!("weir-caller-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = Server::builder("test", "1")
        .listen_unix(PathBuf::from(&path))
        .pool_size(4)
        .shards(1);
    let server = server.start(registry()).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client {
        stream,
        headers: String::new(),
    };
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let peer = format!("unix:uid={uid},gid={gid},pid={}", std::process::id());
    for tool in tools() {
        let said = said(&client.ask_modern("tools/call", call(tool)));
        assert_eq!(
            (&said["transport"], &said["peer"]),
            (&json!("Http"), &json!(peer))
        );
    }
    drop(server);
}

/// A client of a WebSocket; its frames have a mask of zeros, which changes nothing.
struct WebSocket(Client<TcpStream>);

impl WebSocket {
    fn open(server: &Server, headers: &str) -> Self {
        let mut client = Client::new(server);
        let upgrade = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        client.stream.write_all(upgrade.as_bytes()).unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.stream.read_exact(&mut byte).unwrap();
            read.extend(byte);
        }
        assert!(read.starts_with(b"HTTP/1.1 101"));
        Self(client)
    }

    fn ask(&mut self, message: &Value) -> Value {
        let text = message.to_string();
        // Enough for the longer form of the length.
        let text = format!("{text:126}");
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        let stream = &mut self.0.stream;
        stream.write_all(&frame).unwrap();
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let mut length = usize::from(head[1]);
        if length == 126 {
            stream.read_exact(&mut head).unwrap();
            length = u16::from_be_bytes(head).into();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

#[test]
fn a_websocket_has_the_headers_of_its_handshake() {
    let server = start();
    let mut socket = WebSocket::open(&server, "X-Tenant: acme\r\n");
    let address = socket.0.address();
    let mut sessions = Vec::new();
    for tool in tools() {
        let said = said(&socket.ask(&modern("tools/call", call(tool))));
        assert_eq!(
            (&said["transport"], &said["revision"]),
            (&json!("WebSocket"), &json!(MODERN))
        );
        assert_eq!(
            (&said["peer"], &said["tenant"]),
            (&json!(address), &json!("acme"))
        );
        assert_eq!(said["client"], "probe \"x\" 1.0");
        sessions.push(said["session"].clone());
    }
    let legacy = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call("who")});
    let before = said(&socket.ask(&legacy));
    assert_eq!(
        (&before["client"], &before["session"]),
        (&Value::Null, &sessions[0])
    );
    assert!(
        sessions
            .iter()
            .all(|session| session.is_string() && *session == sessions[0])
    );
    let info = Some(json!({"name": "old", "version": "0.1"}));
    let initialize = initialize("2025-06-18", info);
    socket.ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize}));
    for tool in tools() {
        let params = call(tool);
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let said = said(&socket.ask(&message));
        assert_eq!(
            (&said["revision"], &said["client"]),
            (&json!("2025-06-18"), &json!("old 0.1"))
        );
        assert_eq!(
            (&said["peer"], &said["tenant"]),
            (&json!(address), &json!("acme"))
        );
        // A modern message on the same channel says for itself what its client is.
        let modern = self::said(&socket.ask(&modern("tools/call", call(tool))));
        assert_eq!(modern["client"], "probe \"x\" 1.0");
    }
    let mut other = WebSocket::open(&server, "X-Tenant: a\r\nX-Tenant: b\r\n");
    let answer = other.ask(&modern("tools/call", call("who")));
    assert_eq!(
        answer["result"]["content"][0]["text"],
        "the header X-Tenant is sent more than once"
    );
    let mut third = WebSocket::open(&server, "");
    let said = said(&third.ask(&modern("tools/call", call("who"))));
    assert_eq!(said["tenant"], Value::Null);
    assert_ne!(said["session"], sessions[0]);
}

#[test]
fn a_message_to_an_event_stream_is_of_the_client_that_opened_it() {
    let server = start();
    let mut stream = Client::new(&server);
    let opening =
        "GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-Tenant: acme\r\n\r\n";
    stream.stream.write_all(opening.as_bytes()).unwrap();
    let mut read = String::new();
    let mut wait_for = |stream: &mut Client<TcpStream>, mark: &str| {
        read = super::test_client::read_until(&mut stream.stream, &read, mark);
        let (_, rest) = read.split_once(mark).unwrap();
        let found = rest.lines().next().unwrap().to_owned();
        read.clear();
        found
    };
    let endpoint = wait_for(&mut stream, "data: ");
    let endpoint = endpoint.trim();
    let path = if endpoint.starts_with('/') {
        endpoint.to_owned()
    } else {
        format!("/{endpoint}")
    };
    // Posts come on another connection, whose headers say nothing.
    let mut posts = Client::new(&server).with("X-Tenant: other\r\n");
    let info = Some(json!({"name": "old", "version": "0.1"}));
    let params = initialize("2024-11-05", info);
    posts.post(
        &path,
        "",
        &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}),
    );
    wait_for(&mut stream, r#""serverInfo""#);
    for tool in tools() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call(tool)});
        posts.post(&path, "", &message);
        let text = wait_for(&mut stream, r#"{"jsonrpc""#);
        let said = said(&serde_json::from_str(&format!(r#"{{"jsonrpc"{text}"#)).unwrap());
        assert_eq!(
            (&said["transport"], &said["client"]),
            (&json!("HttpSse"), &json!("old 0.1"))
        );
        assert_eq!(
            (&said["peer"], &said["tenant"]),
            (&json!(stream.address()), &json!("acme"))
        );
        assert!(said["session"].is_string());
    }
}
