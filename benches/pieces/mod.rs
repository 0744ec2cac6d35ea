//! The library's own pieces in the order of a request's way, without sockets: bytes of a request go in, bytes of its
//! answer come out. The ring, the lease and the deadlines are missing.
#![allow(dead_code, reason = "each of the benches that include this uses its part")]

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use weir::internals::jsonrpc::Scratch;
use weir::internals::mcp::{Identity, Options, Principal, Protocol, Reply, Step, Ticket, UnixSeconds, Work};
use weir::internals::registry::{Outcome, ShardRegistry, Started};
use weir::internals::session::live::LiveOptions;
use weir::internals::session::tasks::TaskOptions;
use weir::internals::session::{SessionKey, SessionOptions, ShardStore, Store};
use weir::internals::transport::http::admission::AdmissionPolicy;
use weir::internals::transport::http::{
    HEAD_RESERVE, Head, HttpLimits, Intake, KnownHeads, Progress, Request, Response, ResponseContext,
    request_context,
};
use weir::internals::wire::http1::{BodyLimits, DateCache, HeadLimits};
use weir::{CallContext, Registry};

const NOW: UnixSeconds = UnixSeconds(1_785_000_000);

/// A server without I/O.
pub(crate) struct Server {
    protocol: Protocol,
    tools: ShardRegistry,
    sessions: ShardStore,
    policy: AdmissionPolicy,
    limits: HttpLimits,
    known_heads: RefCell<KnownHeads>,
    scratch: Scratch,
    date: DateCache,
    out: Vec<u8>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let mut tools = Registry::builder();
        tools.add(weir::demo::Demo).expect("names are free");
        let registry = tools.build();
        let policy = AdmissionPolicy::new(
            "/mcp",
            AdmissionPolicy::LOOPBACK_HOSTS,
            AdmissionPolicy::LOOPBACK_ORIGINS,
            4 << 20,
        );
        Self {
            tools: ShardRegistry::new(registry.clone()),
            protocol: Protocol::new(registry, &Identity::default(), Options::default()),
            sessions: ShardStore::new(Arc::new(Store::new(
                &SessionKey::random().expect("randomness"),
                SessionOptions::default(),
                LiveOptions::default(),
                TaskOptions::default(),
                1,
            ))),
            policy: policy.expect("valid"),
            limits: HttpLimits {
                head: HeadLimits::default(),
                body: BodyLimits::default(),
            },
            known_heads: RefCell::default(),
            scratch: Scratch::new(),
            date: DateCache::new(NOW.0),
            out: Vec::with_capacity(16 << 10),
        }
    }

    /// Parses or recalls a request's head, admits it, and finds the end of its body.
    pub(crate) fn take<'h, 'r>(&self, request: &'r [u8], head: &'h mut Head<'r>) -> Request<'h, 'r> {
        let known = &mut self.known_heads.borrow_mut();
        match Intake::default().advance(request, &self.policy, &self.limits, known, head) {
            Ok(Progress::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    /// Does the rest of decoding: JSON, envelope, era, method, and the destination of the call.
    pub(crate) fn decode<T>(
        &mut self,
        request: &Request<'_, '_>,
        then: impl FnOnce(Decoded<'_, '_>) -> T,
    ) -> T {
        self.out.clear();
        self.out.resize(HEAD_RESERVE, 0);
        let request_context = request_context(request.head, Principal::ANONYMOUS, NOW);
        let mut unchunked = Vec::new();
        let body = request.body(&mut unchunked, &self.limits);
        let step = self.protocol.decode(
            &request_context,
            body,
            &mut self.scratch,
            &self.sessions,
            &mut self.out,
        );
        then(Decoded {
            step,
            protocol: &self.protocol,
            tools: &self.tools,
            out: &mut self.out,
        })
    }

    /// Runs a call up to its outcome.
    pub(crate) fn execute(&mut self, request: &[u8]) -> (Ticket, Outcome) {
        let mut head = Head::default();
        let request = self.take(request, &mut head);
        self.decode(&request, |decoded| match &decoded.step {
            Step::Work(work) => (work.ticket(), run(decoded.tools, work)),
            other => panic!("a call was sent, and came to {other:?}"),
        })
    }

    /// The answer to a call, head and body, from its outcome.
    pub(crate) fn encode(&mut self, ticket: &Ticket, outcome: &Outcome) -> &[u8] {
        self.out.clear();
        self.out.resize(HEAD_RESERVE, 0);
        let reply = self.protocol.answer(ticket, outcome, &mut self.out);
        self.finish(&reply)
    }

    fn finish(&mut self, reply: &Reply) -> &[u8] {
        let context = ResponseContext::default();
        let range = Response::Reply(reply).write(&mut self.out, &context, self.date.text());
        &self.out[range]
    }

    /// The answer to `request`, head and body.
    pub(crate) fn serve(&mut self, request: &[u8]) -> &[u8] {
        let mut head = Head::default();
        let request = self.take(request, &mut head);
        let reply = self.decode(&request, |decoded| decoded.answer());
        self.finish(&reply)
    }
}

/// A decoded request, and the parts that its answer is made with.
pub(crate) struct Decoded<'s, 'r> {
    step: Step<'r>,
    protocol: &'s Protocol,
    tools: &'s ShardRegistry,
    out: &'s mut Vec<u8>,
}

impl Decoded<'_, '_> {
    /// Whether it is work for a handler.
    pub(crate) fn is_work(&self) -> bool {
        matches!(self.step, Step::Work(_))
    }

    fn answer(self) -> Reply {
        match self.step {
            Step::Reply(reply) => reply,
            Step::Work(work) => {
                let ticket = work.ticket();
                let outcome = run(self.tools, &work);
                self.protocol.answer(&ticket, &outcome, self.out)
            }
            other => panic!("a call was sent, and came to {other:?}"),
        }
    }
}

fn run(tools: &ShardRegistry, work: &Work<'_>) -> Outcome {
    let Ok(Started::Future(call)) = work.start(tools, CallContext::new()) else {
        panic!("did not start");
    };
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
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

pub(crate) fn modern(message: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{message}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1.0.0"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    post(
        "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n",
        &body,
    )
}

pub(crate) fn legacy(session: &str) -> Vec<u8> {
    post(
        &format!("mcp-protocol-version: 2025-11-25\r\n{session}"),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#,
    )
}

/// `Mcp-Session-Id` of a new session, as a header line.
pub(crate) fn new_session(server: &mut Server) -> String {
    let initialize = post(
        "",
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}"#,
    );
    let answer = String::from_utf8(server.serve(&initialize).to_vec()).expect("UTF-8");
    let is_id = |line: &&str| line.to_ascii_lowercase().starts_with("mcp-session-id:");
    format!("{}\r\n", answer.lines().find(is_id).expect("a session"))
}
