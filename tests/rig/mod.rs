//! A whole shard without a kernel, warm and driven as its pump drives it, so that its costs can be counted exactly.
//!
//! | file | its part |
//! |---|---|
//! | `ring` | the simulated ring, which does not count |
//! | `requests` | the requests of clients |
//! | `child` | a child that answers |
//!
//! The crate that includes this defines `exempt` at its root: it runs code that is not the server's own.
#![allow(dead_code, reason = "each of those that include this uses its part")]

mod child;
pub(crate) mod requests;
mod ring;

use std::cell::Cell;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use weir::internals::children::ChildrenParts;
use weir::internals::config::{
    OutputOptions, QueueOptions, RunOptions, Timeouts, ToolOverrides, WorkerOptions,
};
use weir::internals::mcp::{Identity, Options, Protocol};
use weir::internals::metrics::{ShardMetrics, ToolLabels};
use weir::internals::pool::HandlerKey;
use weir::internals::registry::{CallFuture, NoSpawner};
use weir::internals::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedSocket};
use weir::internals::ring::{DataRing, RingOptions};
use weir::internals::session::live::LiveOptions;
use weir::internals::session::tasks::TaskOptions;
use weir::internals::session::{SessionKey, SessionOptions, Store};
use weir::internals::shard::{
    Awaits, ChannelLimits, Clients, Common, ConnectionCap, Inbox, Mesh, Served, Service, Shard, ShardEvent,
    ShardParts, ShardSizes, Spread, UnixPeers,
};
use weir::internals::transport::http::admission::AdmissionPolicy;
use weir::internals::transport::http::{HealthSlot, HttpLimits};
use weir::internals::units::{ShardId, TimeLimit};
use weir::internals::wire::http1::{BodyLimits, HeadLimits};
use weir::internals::workers::{WorkerSettings, Workers};
use weir::{CallContext, Registry, ServerHandle, Tool};

use crate::exempt;
use child::PlayedChild;
use ring::ExemptRing;

/// Passes in which a request is certainly answered and the connection parked again.
pub(crate) const PASSES: usize = 6;
const HANDLERS: u32 = 4;

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The clock goes on by a microsecond whenever it is read: a stage lasts as long in every run, on every machine.
fn steady_clock() -> Instant {
    NOW.with(|now| {
        let next = now.get().unwrap_or_else(Instant::now) + Duration::from_micros(1);
        now.set(Some(next));
        next
    })
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    message: String,
}

/// One shard serving `demo`.
pub(crate) struct Rig {
    network: SimulatedNetwork,
    shard: Shard<ExemptRing>,
    inbox: Inbox<SimulatedSocket>,
    child: Option<PlayedChild>,
    /// Calls that were pending when they were last polled.
    pending: Vec<HandlerKey>,
    _workers: Workers,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let mut tools = Registry::builder();
        tools.add(weir::demo::Demo).unwrap();
        Self::serving(tools.build(), None)
    }

    /// A shard whose `echo` looks at who calls it.
    pub(crate) fn with_caller() -> Self {
        let mut tools = Registry::builder();
        let echo = Tool::new("echo").run(|call: CallContext, args: Echo| async move {
            let caller = call.caller();
            black_box((caller.peer(), caller.session(), caller.client()));
            Ok(args.message)
        });
        tools.add(echo).unwrap();
        Self::serving(tools.build(), None)
    }

    /// A shard whose `echo` reads a header.
    pub(crate) fn with_header() -> Self {
        let mut tools = Registry::builder();
        let echo = Tool::new("echo").reads_header("x-tenant");
        let echo = echo.run(|call: CallContext, args: Echo| async move {
            black_box(call.caller().header("x-tenant")?);
            Ok(args.message)
        });
        tools.add(echo).unwrap();
        Self::serving(tools.build(), None)
    }

    /// A shard whose `echo` is a child's.
    pub(crate) fn with_child() -> Self {
        let mut rig = Self::serving(child::registry(), Some(child::parts()));
        let (child, order) = PlayedChild::start(&rig.network);
        rig.child = Some(child);
        rig.inbox.post(ShardEvent::Children(order));
        (0..4 * PASSES).for_each(|_| rig.pass());
        rig
    }

    fn serving(registry: Registry, children: Option<ChildrenParts>) -> Self {
        let network = SimulatedNetwork::new(1);
        let ring = ExemptRing::new(network.ring(RingOptions::default()));
        let workers = Workers::start(&WorkerSettings {
            options: WorkerOptions {
                threads: Some(1),
                ..WorkerOptions::default()
            },
            queue_depth_max: 1,
            abandoned_max: 1,
            cpus: Vec::new(),
        });
        let workers = workers.unwrap();
        let inbox = Inbox::new(Box::new(ring.waker()));
        let labels = registry.tools().map(|(_, tool)| tool.name());
        let labels = Arc::new(ToolLabels::new(labels, ToolLabels::TOOLS_MAX_DEFAULT));
        let parts = ShardParts {
            server: ServerHandle::NOWHERE,
            sizes: sizes(),
            connection_cap: ConnectionCap::new(16, None, 1),
            unix_peers: UnixPeers::Any,
            spread: Spread::new(1),
            inbox: inbox.clone(),
            mesh: Mesh::new(1, 4, Instant::now()),
            workers: workers.submitter(),
            clients: Clients::Listeners,
            children,
            metrics: ShardMetrics::new(ShardId(0), &labels),
            served: Served::new(Arc::new(service(registry, labels)), []),
            clock: steady_clock,
        };
        Self {
            network,
            shard: Shard::new(ring, parts),
            inbox,
            child: None,
            pending: Vec::with_capacity(HANDLERS as usize),
            _workers: workers,
        }
    }

    /// A client that has connected.
    pub(crate) fn connect(&self) -> SimulatedPeer {
        self.network.connect(0)
    }

    /// One turn of the pump, and one poll of every call that is pending. A child reads and answers before it.
    pub(crate) fn pass(&mut self) {
        if let Some(child) = &mut self.child {
            exempt(|| child.live());
        }
        self.shard.begin_pass();
        self.shard.flush().unwrap();
        self.shard.handle_completions(usize::MAX);
        let pending_before = self.pending.len();
        while let Some((key, call)) = self.shard.next_started() {
            self.poll(key, call, None);
        }
        for _ in 0..pending_before {
            let key = self.pending.remove(0);
            if let Some(call) = self.shard.resume_call(key) {
                self.poll(key, call, Some(Waker::noop().clone()));
            }
        }
        self.shard.flush().unwrap();
    }

    fn poll(&mut self, key: HandlerKey, mut call: CallFuture, waker: Option<Waker>) {
        match Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => self.shard.settle(key, outcome),
            Poll::Pending => {
                self.shard.suspend(key, call, Awaits::Turn(waker));
                self.pending.push(key);
            }
        }
    }

    /// The answer that `peer` gets to these bytes.
    pub(crate) fn exchange(&mut self, peer: &SimulatedPeer, bytes: &[u8]) -> Vec<u8> {
        exempt(|| peer.write(bytes));
        (0..PASSES).for_each(|_| self.pass());
        exempt(|| peer.read())
    }
}

fn sizes() -> ShardSizes {
    ShardSizes {
        handlers: HANDLERS,
        handler_buffer_bytes: 16 << 10,
        queue_depth_max: 4,
        assembly_buffers: 4,
        assembly_buffer_bytes: 16 << 10,
        ring_buffer_bytes: RingOptions::default().buffer_bytes,
        heap_bytes_max: 1 << 20,
        is_prefaulted: false,
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
    let common = Common {
        channels: ChannelLimits::default(),
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
            idle: TimeLimit::For(TIMEOUT),
            write: TIMEOUT,
            call: TIMEOUT,
            ask: TIMEOUT,
            stream_after: TIMEOUT,
            keep_alive: TIMEOUT,
        },
        queue: QueueOptions {
            timeout: TIMEOUT,
            ..QueueOptions::default()
        },
        run: RunOptions::default(),
        output: OutputOptions::default(),
        tools: ToolOverrides::default(),
        tool_limits: Arc::default(),
        spawner: Arc::new(NoSpawner),
        labels,
    };
    let protocol = Protocol::new(registry, &Identity::default(), Options::default());
    let store = Store::new(
        &SessionKey::random().unwrap(),
        SessionOptions::default(),
        LiveOptions::default(),
        TaskOptions::default(),
        1,
    );
    Service::new(Arc::new(common), Arc::new(protocol), Arc::new(store))
}
