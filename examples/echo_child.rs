//! A small and fast MCP server on stdio, as others write them: a child to put behind Weir, for trials and measurements.
//!
//! ```sh
//! cargo build --release --example echo_child
//! weir serve --stdio target/release/examples/echo_child --pool mode=shared
//! ```
//!
//! It uses nothing of Weir, and speaks the legacy era only: `initialize` is answered in the revision that was asked
//! for, 2025-11-25 at most. A call of `echo` costs it 1.4 µs of CPU with 64 clients (`scripts/compare_bridges.sh`). It
//! writes its answers when its input runs dry, so that many calls at once cost few system calls.
//!
//! | tool | arguments | answers with |
//! |---|---|---|
//! | `echo` | `message` | the message |
//! | `add` | `a`, `b` | the sum |
//! | `sleep` | `ms` | `slept`, after so many milliseconds; other calls go on meanwhile |
//!
//! There are also the prompt `greet` (`name`) and the resource `memo://hello`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is a child, no shard runs here"
)]

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// As much as a pipe has, so that one read takes all there is.
const INPUT_BYTES: usize = 64 << 10;

const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const RESOURCE_NOT_FOUND: i32 = -32002;

/// What is read of a message.
#[derive(Deserialize)]
struct Message<'a> {
    id: Option<Value>,
    /// Empty in an answer.
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uri: Cow<'a, str>,
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Arguments<'a>,
    request_id: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Arguments<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    a: Option<f64>,
    b: Option<f64>,
    ms: Option<u64>,
}

/// The server, and what it has not written yet.
#[derive(Default)]
struct Server {
    output: Vec<u8>,
    /// Ids of the calls that sleep; a cancelled one is taken out, and never answered.
    sleeping: Arc<Mutex<HashSet<String>>>,
}

fn main() -> io::Result<()> {
    let mut input = BufReader::with_capacity(INPUT_BYTES, io::stdin().lock());
    let mut server = Server::default();
    let mut line = Vec::new();
    loop {
        if !input.buffer().contains(&b'\n') {
            write_out(&server.output)?;
            server.output.clear();
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        server.handle(&line);
    }
}

/// Writes whole lines; those of calls that slept do not come between.
fn write_out(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

impl Server {
    fn handle(&mut self, line: &[u8]) {
        let message: Message<'_> = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(_) => return self.refuse_unreadable(line),
        };
        match (&*message.method, message.id) {
            ("notifications/cancelled", None) => {
                let id = message.params.request_id.unwrap_or_default();
                self.cancel(&id);
            }
            // Other notifications need nothing, and it asks nobody for an answer.
            ("", _) | (_, None) => {}
            (method, Some(id)) => self.answer(&id, method, &message.params),
        }
    }

    /// Answers a request with parameters of other types than it knows; what has no id is no request.
    fn refuse_unreadable(&mut self, line: &[u8]) {
        let message: Value = serde_json::from_slice(line).unwrap_or_default();
        match message.get("id") {
            Some(id) => self.refuse(id, INVALID_PARAMS, "parameters of a wrong type"),
            None => eprintln!("not a message: {} bytes", line.len()),
        }
    }

    fn answer(&mut self, id: &Value, method: &str, params: &Params<'_>) {
        match method {
            "tools/call" => self.call(id, params),
            "initialize" => self.succeed(id, &introduction(&params.protocol_version)),
            "ping" => self.succeed(id, &json!({})),
            "tools/list" => self.succeed(id, &tools()),
            "prompts/list" => self.succeed(id, &prompts()),
            "prompts/get" if params.name == "greet" => {
                let name = params.arguments.name.as_deref().unwrap_or("world");
                let content = json!({"type": "text", "text": format!("Greet {name}.")});
                self.succeed(id, &json!({"messages": [{"role": "user", "content": content}]}));
            }
            "prompts/get" => self.refuse(id, INVALID_PARAMS, "no such prompt"),
            "resources/list" => self.succeed(
                id,
                &json!({"resources": [{"uri": "memo://hello", "name": "hello"}]}),
            ),
            "resources/templates/list" => self.succeed(id, &json!({"resourceTemplates": []})),
            "resources/read" if params.uri == "memo://hello" => {
                let contents = json!([{"uri": "memo://hello", "mimeType": "text/plain", "text": "Hello!"}]);
                self.succeed(id, &json!({"contents": contents}));
            }
            "resources/read" => self.refuse(id, RESOURCE_NOT_FOUND, "no such resource"),
            _ => self.refuse(id, METHOD_NOT_FOUND, "no such method"),
        }
    }

    fn call(&mut self, id: &Value, params: &Params<'_>) {
        let arguments = &params.arguments;
        match (&*params.name, arguments) {
            (
                "echo",
                Arguments {
                    message: Some(text), ..
                },
            ) => write_text(&mut self.output, id, text),
            (
                "add",
                Arguments {
                    a: Some(a),
                    b: Some(b),
                    ..
                },
            ) => write_text(&mut self.output, id, &(a + b).to_string()),
            ("sleep", Arguments { ms: Some(ms), .. }) => self.sleep(id.clone(), Duration::from_millis(*ms)),
            ("echo" | "add" | "sleep", _) => self.refuse(id, INVALID_PARAMS, "an argument is missing"),
            _ => self.refuse(id, INVALID_PARAMS, "no such tool"),
        }
    }

    /// Answers later, unless the call is cancelled by then.
    fn sleep(&self, id: Value, time: Duration) {
        locked(&self.sleeping).insert(id.to_string());
        let sleeping = Arc::clone(&self.sleeping);
        thread::spawn(move || {
            thread::sleep(time);
            if !locked(&sleeping).remove(&id.to_string()) {
                return;
            }
            let mut line = Vec::new();
            write_text(&mut line, &id, "slept");
            // Nobody is left to read it if this fails.
            let _ = write_out(&line);
        });
    }

    fn cancel(&self, id: &Value) {
        locked(&self.sleeping).remove(&id.to_string());
    }

    fn succeed(&mut self, id: &Value, result: &Value) {
        write_json(
            &mut self.output,
            &json!({"jsonrpc": "2.0", "id": id, "result": result}),
        );
        self.output.push(b'\n');
    }

    fn refuse(&mut self, id: &Value, code: i32, message: &str) {
        let error = json!({"code": code, "message": message});
        write_json(
            &mut self.output,
            &json!({"jsonrpc": "2.0", "id": id, "error": error}),
        );
        self.output.push(b'\n');
    }
}

fn locked(ids: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends the answer of a tool; only this is worth writing by hand.
fn write_text(output: &mut Vec<u8>, id: &Value, text: &str) {
    output.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    write_json(output, id);
    output.extend_from_slice(br#","result":{"content":[{"type":"text","text":"#);
    write_json(output, text);
    output.extend_from_slice(b"}]}}\n");
}

fn write_json(output: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(output, value).expect("memory takes everything, and every key is a string");
}

fn introduction(asked: &str) -> Value {
    let newest = REVISIONS[REVISIONS.len() - 1];
    let known = REVISIONS.iter().find(|revision| **revision == asked);
    json!({
        "protocolVersion": known.unwrap_or(&newest),
        "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
        "serverInfo": {"name": "echo-child", "version": "1.0.0"},
        "instructions": "Echoes, adds and sleeps.",
    })
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: &[(&str, &str)]| {
        let names: Vec<_> = properties.iter().map(|(name, _)| *name).collect();
        let types = properties
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), json!({"type": kind})));
        let types: serde_json::Map<String, Value> = types.collect();
        json!({
            "name": name,
            "description": description,
            "inputSchema": {"type": "object", "properties": types, "required": names},
        })
    };
    json!({"tools": [
        tool("echo", "Answers with the message.", &[("message", "string")]),
        tool("add", "Adds two numbers.", &[("a", "number"), ("b", "number")]),
        tool("sleep", "Answers after so many milliseconds.", &[("ms", "integer")]),
    ]})
}

fn prompts() -> Value {
    json!({"prompts": [{
        "name": "greet",
        "description": "Asks for a greeting.",
        "arguments": [{"name": "name", "required": false}],
    }]})
}
