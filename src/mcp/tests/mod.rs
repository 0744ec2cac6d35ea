//! Transcripts against the protocol in both eras. Every answer is validated against the specification's schema of
//! its revision before a test looks at it.

mod apps;
mod batches;
mod channels;
mod cost;
mod emissions;
mod eras;
mod foreign;
mod fuzz;
mod get_stream;
mod legacy;
mod listening;
mod listing;
mod meta;
mod modern;
mod param_headers;
mod prompts;
mod resources;
mod revisions;
mod rounds;
mod session_requests;
mod spec;
mod sse_post;
mod state;
mod stream;
mod tasks;
mod unreadable;

use std::collections::HashMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::state::MappedState;
use self::stream::Stream;
use super::*;
use crate::jsonrpc::Scratch;
use crate::registry::{
    CallContext, ContentBlock, NoArguments, Outcome, Registry, ShardRegistry, StartError, Started,
    Structured, Tool, ToolError,
};
use crate::wire::http1::{Field, HeadLimits, parse_head};

const META: &str = "io.modelcontextprotocol/";
const MODERN: &str = "2026-07-28";

#[derive(Deserialize, JsonSchema)]
struct EchoArguments {
    message: String,
}

#[derive(Deserialize, JsonSchema)]
struct FailArguments {
    how: String,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

#[derive(Deserialize, JsonSchema)]
struct SumArguments {
    /// Takes any value: its schema is a boolean.
    #[serde(default)]
    #[allow(dead_code, reason = "there for its schema")]
    note: Value,
    terms: Vec<i64>,
}

/// Tools of every shape the protocol treats differently.
fn tools() -> Registry {
    let mut tools = Registry::builder();
    let echo = Tool::new("echo")
        .title("Echo")
        .description("Says it again.")
        .read_only();
    tools
        .add(echo.run(|_: CallContext, args: EchoArguments| async move { Ok(args.message) }))
        .unwrap()
        .add(
            Tool::new("sum").run(|_: CallContext, args: SumArguments| async move {
                Ok(Structured(Sum {
                    sum: args.terms.iter().sum(),
                }))
            }),
        )
        .unwrap()
        .add(
            Tool::new("media").run(|_: CallContext, _: NoArguments| async move {
                Ok(vec![
                    ContentBlock::text("look"),
                    ContentBlock::audio(b"la", "audio/wav"),
                    ContentBlock::resource_link("file:///x", "x"),
                ])
            }),
        )
        .unwrap()
        .add(
            Tool::new("fail").run(|_: CallContext, args: FailArguments| async move {
                match args.how.as_str() {
                    "panic" => panic!("a secret in src/secret.rs:1"),
                    "internal" => Err::<String, _>(ToolError::internal("/etc/secret")),
                    "late" => Err(ToolError::TimedOut),
                    _ => Err(ToolError::message("it \"failed\"")),
                }
            }),
        )
        .unwrap();
    tools.build()
}

/// A server without HTTP.
struct Server {
    protocol: Protocol,
    state: MappedState,
    stream: Stream,
    /// The time of the next requests.
    now: UnixSeconds,
    tools: ShardRegistry,
    scratch: Scratch,
}

/// One answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
    session: Option<String>,
    retry_after_seconds: Option<u64>,
}

impl Answer {
    fn code(&self) -> i64 {
        self.body["error"]["code"].as_i64().unwrap_or_default()
    }

    fn refusal(&self) -> (u16, i64) {
        (self.status, self.code())
    }

    fn text(&self) -> &str {
        self.body["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_default()
    }
}

impl Server {
    fn new() -> Self {
        Self::with(tools(), Options::default())
    }

    fn with(registry: Registry, options: Options) -> Self {
        let identity = Identity {
            instructions: Some("Call echo.".to_owned()),
            ..Identity::default()
        };
        Self {
            tools: registry.for_shard(),
            protocol: Protocol::new(registry, &identity, options),
            state: MappedState::default(),
            stream: Stream::default(),
            now: UnixSeconds(1),
            scratch: Scratch::new(),
        }
    }

    /// Runs one POST to its end. The answer is valid by the schema of `revision`.
    fn post(&mut self, revision: Revision, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut out = b"HEAD".to_vec();
        let request_context = RequestContext {
            now: self.now,
            ..request_context(headers)
        };
        // The step ends with this statement, so that a batch may use the scratch again.
        let step =
            match self
                .protocol
                .decode(&request_context, body, &mut self.scratch, &self.state, &mut out)
            {
                Step::Reply(reply) => Ok(reply),
                Step::Work(work) => {
                    assert_eq!(out, b"HEAD", "work appended something");
                    Ok(self.stream.run(
                        &self.protocol,
                        &self.tools,
                        &self.state,
                        self.now,
                        &work,
                        &mut out,
                    ))
                }
                Step::Batch(batch) => Err(batch),
                Step::Listen(listen) => return acknowledged(&listen, &out),
                Step::AwaitTask(wanted) => panic!("{wanted:?}"),
            };
        let reply = step.unwrap_or_else(|batch| self.run_batch(batch, body, &mut out));
        let answer = answer(&reply, &out);
        spec::validate(revision, body, &answer.body);
        answer
    }

    fn run_batch(&mut self, mut batch: Batch, body: &[u8], out: &mut Vec<u8>) -> Reply {
        while let Some(work) = batch.next_work(&self.protocol, body, &mut self.scratch) {
            batch.begin_answer(out);
            let (tools, state) = (&self.tools, &self.state);
            let reply = self
                .stream
                .run(&self.protocol, tools, state, self.now, &work, out);
            assert_eq!(reply.kind, ReplyKind::Answered);
        }
        batch.close(out)
    }

    /// A modern request with everything in place.
    fn modern(&mut self, method: &str, params: Value) -> Answer {
        let name = params["name"].as_str().or(params["uri"].as_str());
        let name = name.unwrap_or_default().to_owned();
        let body = modern_body(method, params);
        self.post(Revision::V2026_07_28, &modern_headers(method, &name), body)
    }

    /// A legacy request without a session.
    fn legacy(&mut self, revision: Revision, method: &str, params: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        self.post(revision, &[("mcp-protocol-version", revision.as_str())], body)
    }

    /// A legacy message in a session.
    fn in_session(&mut self, revision: Revision, session: &str, message: Value) -> Answer {
        let headers = [
            ("mcp-protocol-version", revision.as_str()),
            ("mcp-session-id", session),
        ];
        self.post(revision, &headers, message.to_string())
    }

    /// A modern request of a client that declares these capabilities.
    fn modern_of(&mut self, capabilities: &Value, method: &str, params: Value) -> Answer {
        let name = params["name"].as_str().or(params["uri"].as_str());
        let name = name.or(params["taskId"].as_str()).unwrap_or_default().to_owned();
        let mut body: Value = serde_json::from_str(&modern_body(method, params)).unwrap();
        body["params"]["_meta"][format!("{META}clientCapabilities")] = capabilities.clone();
        self.post(
            Revision::V2026_07_28,
            &modern_headers(method, &name),
            body.to_string(),
        )
    }

    /// The same request in any revision.
    fn ask(&mut self, revision: Revision, method: &str, params: Value) -> Answer {
        match revision.era() {
            Era::Modern => self.modern(method, params),
            Era::Legacy => self.legacy(revision, method, params),
        }
    }

    /// Opens a session of this revision.
    fn open_session(&mut self, revision: Revision) -> String {
        self.open_session_of(revision, json!({}))
    }

    /// The same for a client that declares these capabilities.
    fn open_session_of(&mut self, revision: Revision, capabilities: Value) -> String {
        let params = json!({"protocolVersion": revision.as_str(), "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
        self.post(revision, &[], body).session.unwrap()
    }
}

fn call(tools: &ShardRegistry, work: &Work<'_>) -> Result<Outcome, StartError> {
    let Started::Future(call) = work.start(tools, CallContext::new())? else {
        panic!("no tool here blocks");
    };
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => panic!("no tool here waits"),
    }
}

/// The naive twin of `transport`'s table: statuses are shorter to read in tests than kinds.
fn status_of(reply: &Reply) -> u16 {
    match (reply.kind, reply.labels.era) {
        (ReplyKind::MethodNotFound, crate::metrics::Era::Modern) | (ReplyKind::Gone, _) => 404,
        (ReplyKind::Accepted, _) => 202,
        (ReplyKind::Invalid, _) => 400,
        (ReplyKind::NotOffered, _) => 405,
        (ReplyKind::StreamTaken, _) => 409,
        (ReplyKind::Unavailable, _) => 503,
        (ReplyKind::Answered | ReplyKind::SessionEnded | ReplyKind::MethodNotFound, _) => 200,
    }
}

fn answer(reply: &Reply, out: &[u8]) -> Answer {
    let body = out.strip_prefix(b"HEAD").expect("the head room was touched");
    assert_eq!(reply.has_body, !body.is_empty());
    Answer {
        status: status_of(reply),
        body: if reply.has_body {
            serde_json::from_slice(body).expect("the body is JSON")
        } else {
            Value::Null
        },
        session: reply
            .session
            .as_ref()
            .map(|id| String::from_utf8(id.as_bytes().to_vec()).unwrap()),
        retry_after_seconds: reply.retry_after_seconds,
    }
}

/// The first message on the stream of a client that listens.
fn acknowledged(listen: &Listen, out: &[u8]) -> Answer {
    let message = out.strip_prefix(b"HEAD").expect("the head room was touched");
    let message: Value = serde_json::from_slice(message).expect("the acknowledgement is JSON");
    spec::validate_said(Revision::V2026_07_28, &message);
    assert!(listen.interest.uris.len() <= LISTEN_URIS_MAX);
    Answer {
        status: 200,
        body: message,
        session: None,
        retry_after_seconds: None,
    }
}

fn request_context<'a>(headers: &[(&str, &'a str)]) -> RequestContext<'a> {
    RequestContext {
        via: Via::Http(http_head(headers)),
        principal: Principal::ANONYMOUS,
        now: UnixSeconds(1),
    }
}

fn http_head<'a>(headers: &[(&str, &'a str)]) -> HttpHead<'a> {
    let field = |name: &str| {
        let mut values = headers
            .iter()
            .filter(|(other, _)| *other == name)
            .map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (None, _) => Field::Absent,
            (Some(value), None) => Field::One(value.as_bytes()),
            _ => Field::Repeated,
        }
    };
    HttpHead {
        protocol_version: field("mcp-protocol-version"),
        method: field("mcp-method"),
        name: field("mcp-name"),
        session_id: field("mcp-session-id"),
        last_event_id: field("last-event-id"),
        params: param_headers(headers),
    }
}

/// The `Mcp-Param-*` fields of a head with these fields, which is kept for as long as the tests run.
fn param_headers(headers: &[(&str, &str)]) -> ParamHeaders<'static> {
    let lines: String = headers
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("mcp-param-"))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    if lines.is_empty() {
        return ParamHeaders::default();
    }
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n").leak();
    let head = parse_head(head.as_bytes(), &HeadLimits::default()).expect("a valid head");
    ParamHeaders::new(head.lines())
}

/// A legacy request.
fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

fn modern_headers<'a>(method: &'a str, name: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
    if !name.is_empty() {
        headers.push(("mcp-name", name));
    }
    headers
}

fn modern_body(method: &str, mut params: Value) -> String {
    params["_meta"] = envelope();
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn envelope() -> Value {
    json!({
        format!("{META}protocolVersion"): MODERN,
        format!("{META}clientCapabilities"): {},
        format!("{META}clientInfo"): {"name": "t", "version": "1"},
    })
}

/// Headers and body of a modern echo call.
fn modern_echo() -> (Vec<(&'static str, &'static str)>, Value) {
    let params = json!({"name": "echo", "arguments": {"message": "hi"}});
    let body = serde_json::from_str(&modern_body("tools/call", params)).unwrap();
    (modern_headers("tools/call", "echo"), body)
}
