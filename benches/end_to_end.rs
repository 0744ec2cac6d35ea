//! A warm echo with the library's own pieces and without sockets: decode, route, validate, execute, encode.
//!
//! Bytes of a request in, bytes of its answer out; both eras, and a legacy one with a session. What is missing of
//! a request's way is the ring, the lease and the deadlines. Run once as a test by `cargo test --benches`.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use weir::jsonrpc::Scratch;
use weir::mcp::{Facts, Identity, Options, Principal, Protocol, Reply, Step, UnixSeconds, Work};
use weir::registry::{CallContext, Registry, ShardRegistry, Started};
use weir::session::live::LiveOptions;
use weir::session::tasks::TaskOptions;
use weir::session::{SessionKey, SessionOptions, Store};
use weir::transport::http::admission::AdmissionPolicy;
use weir::transport::http::{HEAD_RESERVE, HttpLimits, Intake, Progress, finish_answer};
use weir::wire::http1::{BodyLimits, DateCache, HeadLimits, ResponseHead, Status};

const NOW: UnixSeconds = UnixSeconds(1_785_000_000);

fn main() {
    divan::main();
}

/// A server without I/O.
struct Server {
    protocol: Protocol,
    tools: ShardRegistry,
    sessions: Store,
    policy: AdmissionPolicy,
    limits: HttpLimits,
    scratch: Scratch,
    date: DateCache,
    out: Vec<u8>,
}

impl Server {
    fn new() -> Self {
        let mut tools = Registry::builder();
        weir::demo::register(&mut tools).expect("names are free");
        let registry = tools.build();
        let policy = AdmissionPolicy::new(
            "/mcp",
            AdmissionPolicy::LOOPBACK_HOSTS,
            AdmissionPolicy::LOOPBACK_ORIGINS,
            4 << 20,
        );
        Self {
            tools: registry.for_shard(),
            protocol: Protocol::new(registry, &Identity::default(), Options::default()),
            sessions: Store::new(
                &SessionKey::random().expect("randomness"),
                SessionOptions::default(),
                LiveOptions::default(),
                TaskOptions::default(),
                1,
            ),
            policy: policy.expect("valid"),
            limits: HttpLimits {
                head: HeadLimits::default(),
                body: BodyLimits::default(),
            },
            scratch: Scratch::new(),
            date: DateCache::new(NOW.0),
            out: Vec::with_capacity(16 << 10),
        }
    }

    /// The answer to `request`, head and body.
    fn serve(&mut self, request: &[u8]) -> &[u8] {
        let progress = Intake::default().advance(request, &self.policy, &self.limits);
        let Ok(Progress::Request(request)) = progress else {
            panic!("{progress:?}");
        };
        self.out.clear();
        self.out.resize(HEAD_RESERVE, 0);
        let facts = Facts::of_head(&request.head, Principal::ANONYMOUS, NOW);
        let mut unchunked = Vec::new();
        let body = request.body(&mut unchunked, &self.limits);
        let step = self
            .protocol
            .decode(&facts, body, &mut self.scratch, &self.sessions, &mut self.out);
        let reply = match step {
            Step::Reply(reply) => reply,
            Step::Work(work) => run(&self.protocol, &self.tools, &work, &mut self.out),
            other => panic!("a call was sent, and came to {other:?}"),
        };
        let status = Status::from_code(reply.status).expect("a status of ours");
        let mut head = ResponseHead::json(status, self.out.len() - HEAD_RESERVE, self.date.text());
        head.session_id = reply
            .session
            .as_ref()
            .and_then(|id| std::str::from_utf8(id.as_bytes()).ok());
        let range = finish_answer(&mut self.out, &head, false);
        &self.out[range]
    }
}

fn run(protocol: &Protocol, tools: &ShardRegistry, work: &Work<'_>, out: &mut Vec<u8>) -> Reply {
    let ticket = work.ticket();
    let Ok(Started::Future(call)) = work.start(tools, CallContext::new()) else {
        panic!("did not start");
    };
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => protocol.answer(&ticket, &outcome, out),
        Poll::Pending => panic!("an echo is ready at once"),
    }
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n{fields}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn modern(message: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{message}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1.0.0"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    post(
        "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n",
        &body,
    )
}

fn legacy(session: &str) -> Vec<u8> {
    post(
        &format!("mcp-protocol-version: 2025-11-25\r\n{session}"),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#,
    )
}

/// `Mcp-Session-Id` of a new session, as a header line.
fn new_session(server: &mut Server) -> String {
    let initialize = post(
        "",
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}"#,
    );
    let answer = String::from_utf8(server.serve(&initialize).to_vec()).expect("UTF-8");
    let is_id = |line: &&str| line.to_ascii_lowercase().starts_with("mcp-session-id:");
    format!("{}\r\n", answer.lines().find(is_id).expect("a session"))
}

fn bench_echo(bencher: Bencher<'_, '_>, mut server: Server, request: &[u8], message: &str) {
    let answer = String::from_utf8_lossy(server.serve(request)).into_owned();
    let expected = format!(r#"{{"type":"text","text":"{message}"}}"#);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains(&expected),
        "{answer}"
    );
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| black_box(server.serve(black_box(request))).len());
}

/// Messages of this many bytes.
#[divan::bench(args = [5, 1_000, 10_000])]
fn modern_echo(bencher: Bencher<'_, '_>, message_bytes: usize) {
    let message = "m".repeat(message_bytes);
    bench_echo(bencher, Server::new(), &modern(&message), &message);
}

#[divan::bench]
fn legacy_echo(bencher: Bencher<'_, '_>) {
    bench_echo(bencher, Server::new(), &legacy(""), "hello");
}

/// The session's id is opened for every request: one AEAD over some hundred bytes.
#[divan::bench]
fn legacy_echo_in_a_session(bencher: Bencher<'_, '_>) {
    let mut server = Server::new();
    let request = legacy(&new_session(&mut server));
    bench_echo(bencher, server, &request, "hello");
}
