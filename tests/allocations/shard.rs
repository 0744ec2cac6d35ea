//! A whole shard: reading, admission, decoding, the lease, the call, encoding, sending and the deadlines.
//!
//! The ring is simulated, and what the simulator allocates does not count: the real one allocates nothing in
//! steady state, by contract.

use std::cell::RefCell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use weir::config::{AccessLog, Linger, StealSettings, Timeouts};
use weir::mcp::{Identity, Options, Protocol};
use weir::metrics::{ShardMetrics, ToolLabels};
use weir::registry::{Registry, ServerHandle};
use weir::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedRing, SimulatedSocket};
use weir::ring::{
    Completion, ConnectionKey, DataRing, Operation, RingCounters, RingOptions, RingWaker, SendMode,
};
use weir::session::live::LiveOptions;
use weir::session::tasks::TaskOptions;
use weir::session::{SessionKey, SessionOptions, Store};
use weir::shard::{
    ChannelLimits, Gate, HealthSlot, Inbox, Mesh, Served, Service, Shard, ShardParts, ShardRing, ShardSizes,
    Waits,
};
use weir::transport::http::HttpLimits;
use weir::transport::http::admission::AdmissionPolicy;
use weir::units::{Patience, ShardId};
use weir::wire::http1::{BodyLimits, HeadLimits};
use weir::workers::{Workers, WorkersOptions};

use crate::counting::{allocations_of, exempt};

/// Passes in which a request is certainly answered and the connection parked again.
const PASSES: usize = 6;

/// The simulated ring, shared with the test that flushes it, and exempt from counting.
#[derive(Clone)]
struct ExemptRing(Rc<RefCell<SimulatedRing>>);

impl ExemptRing {
    fn with<T>(&self, act: impl FnOnce(&mut SimulatedRing) -> T) -> T {
        exempt(|| act(&mut self.0.borrow_mut()))
    }
}

impl DataRing for ExemptRing {
    type Socket = SimulatedSocket;

    fn watch_listener(&mut self) {
        self.with(DataRing::watch_listener);
    }

    fn unwatch_listener(&mut self) {
        self.with(DataRing::unwatch_listener);
    }

    fn accept_now(&mut self) -> io::Result<Option<SimulatedSocket>> {
        self.with(DataRing::accept_now)
    }

    fn receive(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.with(|ring| ring.receive(key, socket));
    }

    fn receive_ready(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.with(|ring| ring.receive_ready(key, socket));
    }

    fn send(
        &mut self,
        key: ConnectionKey,
        socket: &SimulatedSocket,
        buffer: Vec<u8>,
        range: Range<usize>,
        mode: SendMode,
    ) {
        self.with(|ring| ring.send(key, socket, buffer, range, mode));
    }

    fn watch_hang_up(&mut self, key: ConnectionKey, socket: &SimulatedSocket) {
        self.with(|ring| ring.watch_hang_up(key, socket));
    }

    fn cancel(&mut self, key: ConnectionKey, operation: Operation) {
        self.with(|ring| ring.cancel(key, operation));
    }

    fn shutdown(&mut self, socket: &SimulatedSocket, how: Shutdown) {
        self.with(|ring| ring.shutdown(socket, how));
    }

    fn close(&mut self, key: ConnectionKey, socket: SimulatedSocket) {
        self.with(|ring| ring.close(key, socket));
    }

    fn arm_wake(&mut self) {
        self.with(DataRing::arm_wake);
    }

    fn waker(&self) -> RingWaker {
        self.with(|ring| ring.waker())
    }

    fn take_error(&self, socket: &SimulatedSocket) -> Option<io::Error> {
        self.with(|ring| ring.take_error(socket))
    }

    fn unread_bytes(&self, socket: &SimulatedSocket) -> usize {
        self.with(|ring| ring.unread_bytes(socket))
    }

    fn peer_address(&self, socket: &SimulatedSocket) -> io::Result<SocketAddr> {
        self.with(|ring| ring.peer_address(socket))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(DataRing::flush)
    }

    fn next_completion(&mut self) -> Option<Completion> {
        self.with(DataRing::next_completion)
    }

    fn next_early(&mut self) -> Option<Completion> {
        self.with(DataRing::next_early)
    }

    fn has_more(&mut self) -> bool {
        self.with(DataRing::has_more)
    }

    fn counters(&self) -> RingCounters {
        self.with(|ring| ring.counters())
    }
}

impl ShardRing for ExemptRing {
    fn close_listener(&mut self) {}
}

/// One shard serving `demo`, driven as its pump drives it.
struct Rig {
    network: SimulatedNetwork,
    ring: ExemptRing,
    shard: Shard<ExemptRing>,
    _workers: Workers,
}

impl Rig {
    fn new() -> Self {
        let network = SimulatedNetwork::new(1);
        let ring = ExemptRing(Rc::new(RefCell::new(network.ring(RingOptions::default()))));
        let workers = Workers::start(&WorkersOptions {
            threads: 1,
            queue_depth_max: 1,
            abandoned_max: 1,
            cpus: Vec::new(),
        });
        let workers = workers.unwrap();
        let mut tools = Registry::builder();
        weir::demo::register(&mut tools).unwrap();
        let registry = tools.build();
        let labels = registry.tools().map(|(_, tool)| tool.name());
        let labels = Arc::new(ToolLabels::new(labels, ToolLabels::TOOLS_MAX_DEFAULT));
        let parts = ShardParts {
            alarm: Default::default(),
            server: ServerHandle::NOWHERE,
            sizes: ShardSizes {
                handlers: 4,
                handler_buffer_bytes: 16 << 10,
                queue_depth_max: 4,
                assembly_buffers: 4,
                assembly_buffer_bytes: 16 << 10,
                ring_buffer_bytes: RingOptions::default().buffer_bytes,
                heap_bytes_max: 1 << 20,
                is_prefaulted: false,
            },
            gate: Gate::new(16, None, 1),
            inbox: Inbox::new(Box::new(ring.waker())),
            mesh: Mesh::new(1, 4, Instant::now()),
            steal: StealSettings {
                is_on: true,
                reserve: 0,
            },
            workers: workers.submitter(),
            stdio: None,
            access_log: AccessLog::Errors,
            metrics: ShardMetrics::new(ShardId(0), &labels),
            served: Served::new(Arc::new(service(registry, labels))),
            clock: Instant::now,
        };
        Self {
            network,
            shard: Shard::new(ring.clone(), parts),
            ring,
            _workers: workers,
        }
    }

    fn pass(&mut self) {
        self.shard.begin_pass();
        self.ring.flush().unwrap();
        self.shard.handle_completions(usize::MAX);
        while let Some((key, call)) = self.shard.next_started() {
            match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => self.shard.settle(key, outcome),
                Poll::Pending => panic!("an echo is ready at once"),
            }
        }
        self.ring.flush().unwrap();
    }

    /// Sends one request, and counts what the shard allocates until it is parked again.
    fn ask(&mut self, peer: &SimulatedPeer, request: &[u8]) -> (usize, String) {
        let (allocations, answer) = self.exchange(peer, request);
        (allocations, String::from_utf8(answer).unwrap())
    }

    fn exchange(&mut self, peer: &SimulatedPeer, bytes: &[u8]) -> (usize, Vec<u8>) {
        peer.write(bytes);
        let allocations = allocations_of(|| (0..PASSES).for_each(|_| self.pass()));
        (allocations, peer.read())
    }
}

fn service(registry: Registry, labels: Arc<ToolLabels>) -> Service {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let policy = AdmissionPolicy::new(
        "/mcp",
        AdmissionPolicy::LOOPBACK_HOSTS,
        AdmissionPolicy::LOOPBACK_ORIGINS,
        1 << 20,
    )
    .map(|policy| policy.with_websocket(true));
    Service {
        channels: ChannelLimits::default(),
        tool_rows: registry
            .tools()
            .map(|(tool, _)| labels.row(tool.as_usize()))
            .collect(),
        protocol: Arc::new(Protocol::new(registry, &Identity::default(), Options::default())),
        store: Arc::new(Store::new(
            &SessionKey::random().unwrap(),
            SessionOptions::default(),
            LiveOptions::default(),
            TaskOptions::default(),
            1,
        )),
        policy: policy.unwrap(),
        health: HealthSlot::default(),
        http: HttpLimits {
            head: HeadLimits::default(),
            body: BodyLimits::default(),
        },
        timeouts: Timeouts {
            head: TIMEOUT,
            body: TIMEOUT,
            read: TIMEOUT,
            idle: Patience::For(TIMEOUT),
            write: TIMEOUT,
            call: TIMEOUT,
            ask: TIMEOUT,
            stream_after: TIMEOUT,
            keep_alive: TIMEOUT,
        },
        waits: Waits {
            browser: TIMEOUT,
            agent: TIMEOUT,
        },
        linger: Linger::None,
        labels,
    }
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const MODERN_ECHO: &str = r#"{"jsonrpc":"2.0","id":"a-uuid-is-36-characters-long-as-this","method":"tools/call",
    "params":{"name":"echo","arguments":{"message":"hello \"world\"\n"},"_meta":{
    "io.modelcontextprotocol/protocolVersion":"2026-07-28",
    "io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},
    "io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}}}}"#;
const LEGACY_ECHO: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",
    "arguments":{"message":"hello \"world\"\n"}}}"#;

fn modern_echo() -> Vec<u8> {
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n";
    post(fields, MODERN_ECHO)
}

fn legacy_echo(session: &str) -> Vec<u8> {
    post(
        &format!("MCP-Protocol-Version: 2025-11-25\r\n{session}"),
        LEGACY_ECHO,
    )
}

/// A message of more than 125 bytes in one frame, masked by zeros; or a control frame.
fn frame(first: u8, payload: &str) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let length = match payload.len() {
        0..=125 => vec![0x80 | length[1]],
        _ => [&[0x80 | 126][..], &length].concat(),
    };
    [&[first][..], &length, &[0; 4], payload.as_bytes()].concat()
}

/// A connection that has become a WebSocket.
fn open_websocket(rig: &mut Rig) -> SimulatedPeer {
    let peer = rig.network.connect(0);
    let (_, head) = rig.ask(
        &peer,
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer
}

/// `Mcp-Session-Id` of a new session, as a header line.
fn new_session(rig: &mut Rig, peer: &SimulatedPeer) -> String {
    let initialize = post(
        "",
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
            "capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#,
    );
    let (_, answer) = rig.ask(peer, &initialize);
    let is_id = |line: &&str| line.to_ascii_lowercase().starts_with("mcp-session-id:");
    let line = answer
        .lines()
        .find(is_id)
        .unwrap_or_else(|| panic!("no session: {answer}"));
    format!("{line}\r\n")
}

/// Cold a request may allocate; warm, only the tool's `String`.
fn assert_warm_costs_one(rig: &mut Rig, peer: &SimulatedPeer, request: &[u8]) {
    assert!(rig.ask(peer, request).0 >= 1, "nothing is counted");
    for _ in 0..100 {
        let (allocations, answer) = rig.ask(peer, request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.contains(r#"{"type":"text","text":"hello \"world\"\n"}"#),
            "{answer}"
        );
        assert_eq!(allocations, 1);
    }
}

#[test]
fn a_warm_modern_echo_allocates_its_own_string_and_nothing_else() {
    let mut rig = Rig::new();
    let peer = rig.network.connect(0);
    assert_warm_costs_one(&mut rig, &peer, &modern_echo());
}

#[test]
fn a_warm_legacy_echo_allocates_its_own_string_with_and_without_a_session() {
    let mut rig = Rig::new();
    let peer = rig.network.connect(0);
    assert_warm_costs_one(&mut rig, &peer, &legacy_echo(""));
    let session = new_session(&mut rig, &peer);
    assert_warm_costs_one(&mut rig, &peer, &legacy_echo(&session));
}

#[test]
fn a_warm_echo_of_a_page_costs_no_more_on_any_of_its_connections() {
    let from = |origin: &str, echo: &[u8]| {
        let head = b"POST /mcp HTTP/1.1\r\n";
        let rest = echo.strip_prefix(head).unwrap();
        [&head[..], format!("Origin: {origin}\r\n").as_bytes(), rest].concat()
    };
    let mut rig = Rig::new();
    let request = from("http://localhost:5173", &modern_echo());
    for _ in 0..3 {
        let peer = rig.network.connect(0);
        assert_warm_costs_one(&mut rig, &peer, &request);
        let (_, answer) = rig.ask(&peer, &request);
        assert!(
            answer.contains("\r\nAccess-Control-Allow-Origin: http://localhost:5173\r\n"),
            "{answer}"
        );
    }
    // Who asks first pays nothing either: a preflight is written where answers are.
    let preflight = from(
        "http://localhost:5173",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n\
        Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
    );
    let preflight = [b"OPTIONS", preflight.strip_prefix(b"POST").unwrap()].concat();
    let peer = rig.network.connect(0);
    rig.ask(&peer, &preflight);
    for _ in 0..100 {
        let (allocations, answer) = rig.ask(&peer, &preflight);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert_eq!(allocations, 0);
    }
}

#[test]
fn warm_pipelined_echoes_allocate_one_string_each() {
    const DEPTH: usize = 4;
    const WARM_UP_TURNS: usize = 20;
    let mut rig = Rig::new();
    let peer = rig.network.connect(0);
    let requests = modern_echo().repeat(DEPTH);
    for turn in 0..100 {
        peer.write(&requests);
        let allocations = allocations_of(|| (0..PASSES * DEPTH).for_each(|_| rig.pass()));
        let answers = String::from_utf8(peer.read()).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), DEPTH);
        assert!(turn < WARM_UP_TURNS || allocations <= DEPTH, "{allocations}");
    }
}

#[test]
fn a_warm_echo_over_websocket_allocates_its_own_string_and_nothing_else() {
    const WARM_UP_TURNS: usize = 20;
    let mut rig = Rig::new();
    let peer = open_websocket(&mut rig);
    for echo in [frame(0x81, MODERN_ECHO), frame(0x81, LEGACY_ECHO)] {
        for turn in 0..100 {
            let (allocations, answer) = rig.exchange(&peer, &echo);
            // Its length comes in two bytes, which need not be UTF-8.
            let text = String::from_utf8_lossy(&answer);
            assert!(
                text.contains(r#"{"type":"text","text":"hello \"world\"\n"}"#),
                "{text}"
            );
            assert!(turn < WARM_UP_TURNS || allocations == 1, "{allocations}");
        }
    }
}

#[test]
fn a_warm_ping_allocates_nothing() {
    const WARM_UP_TURNS: usize = 20;
    let mut rig = Rig::new();
    let peer = open_websocket(&mut rig);
    for turn in 0..100 {
        let (allocations, pong) = rig.exchange(&peer, &frame(0x89, "well?"));
        assert_eq!(pong, b"\x8a\x05well?");
        assert!(turn < WARM_UP_TURNS || allocations == 0, "{allocations}");
    }
}
