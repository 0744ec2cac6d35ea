//! The shard under test: what it serves, how it is driven, and what must be left when it is over.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::super::*;
use super::client::Client;
use super::tools::{self, Barrier};
use crate::children::ChildrenParts;
use crate::config::Timeouts;
use crate::config::{Linger, OutputOptions, QueueOptions, RunOptions, ToolOverrides, WorkerOptions};
use crate::mcp::{Announcement, Identity, Options, Protocol};
use crate::metrics::{ShardMetrics, ToolLabels, ToolRow};
use crate::pool::HandlerKey;
use crate::registry::{
    BlockingContext, CallContext, Cancellation, ForeignServer, NoSpawner, Registry, ServerHandle,
};
use crate::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedRing, SimulatedSocket};
use crate::ring::{DataRing, RingOptions};
use crate::session::live::LiveOptions;
use crate::session::tasks::TaskOptions;
use crate::session::{SessionKey, SessionOptions, Store};
use crate::transport::http::HealthSlot;
use crate::transport::http::HttpLimits;
use crate::transport::http::admission::AdmissionPolicy;
use crate::units::{ShardId, TimeLimit, ViewId};
use crate::wire::http1::{BodyLimits, HeadLimits};
use crate::workers::{Job, Submitter, WorkerSettings, Workers};

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The clock of this thread's shard.
pub(super) fn now() -> Instant {
    NOW.with(|now| {
        let at = now.get().unwrap_or_else(Instant::now);
        now.set(Some(at));
        at
    })
}

/// Lets time pass on a worker's thread, which has a clock of its own.
pub(super) fn let_time_pass_here(time: Duration) {
    NOW.set(Some(now() + time));
}

/// The task of a pending call, as the executor would have it.
struct Task {
    handler: HandlerKey,
    is_woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sizes that tests like to change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub handlers: u32,
    pub handler_buffer_bytes: usize,
    pub assembly_buffers: usize,
    pub assembly_buffer_bytes: usize,
    pub heap_bytes_max: usize,
    pub ring_buffers: u16,
    pub ring_buffer_bytes: usize,
    /// Whether nobody is let in before the shards are opened.
    pub opens_later: bool,
    pub connections_max: usize,
    pub connections_per_ip: Option<u32>,
    /// The only user whose processes are served, if not all are.
    pub unix_peer: Option<u32>,
    pub worker_queue_depth_max: usize,
    pub shards: usize,
    pub queue_depth_max: u32,
    pub steal_reserve: u32,
    pub linger: Linger,
}

impl Sizes {
    pub(super) const DEFAULT: Sizes = {
        Sizes {
            handlers: 8,
            handler_buffer_bytes: 4096,
            assembly_buffers: 8,
            assembly_buffer_bytes: 2048,
            heap_bytes_max: 1 << 20,
            ring_buffers: 16,
            ring_buffer_bytes: 1024,
            opens_later: false,
            connections_max: 1000,
            connections_per_ip: None,
            unix_peer: None,
            worker_queue_depth_max: 1000,
            shards: 1,
            queue_depth_max: 0,
            steal_reserve: 0,
            linger: Linger::None,
        }
    };
}

impl Default for Sizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    head: Duration::from_secs(10),
    body: Duration::from_secs(20),
    read: Duration::from_secs(5),
    idle: TimeLimit::For(Duration::from_secs(60)),
    write: Duration::from_secs(8),
    call: Duration::from_secs(15),
    ask: Duration::from_secs(40),
    stream_after: Duration::from_secs(10),
    keep_alive: Duration::from_secs(15),
};

/// How long a browser's request waits for a handler.
pub(super) const BROWSER_TIMEOUT: Duration = Duration::from_secs(4);
/// How long any other request waits.
pub(super) const AGENT_TIMEOUT: Duration = Duration::from_secs(3);

/// Long after every test.
const DRAIN_TIME: Duration = Duration::from_secs(1000);

/// One shard of a rig, and what drives it: an executor that runs its tasks.
pub(super) struct Driver {
    pub shard: Shard<SimulatedRing>,
    pub inbox: Inbox<SimulatedSocket>,
    pub metrics: Arc<ShardMetrics>,
    tasks: Vec<Task>,
    /// Its pump has ended.
    has_ended: bool,
}

/// Shards, their network and their clock. Most tests have one shard, which the rig stands for.
pub(super) struct Rig {
    pub network: SimulatedNetwork,
    pub barrier: Arc<Barrier>,
    pub drivers: Vec<Driver>,
    workers: Workers,
    connection_cap: ConnectionCap,
    sizes: Sizes,
}

impl Deref for Rig {
    type Target = Driver;

    fn deref(&self) -> &Driver {
        &self.drivers[0]
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Driver {
        &mut self.drivers[0]
    }
}

impl Rig {
    pub(super) fn new(seed: u64, sizes: Sizes) -> Rig {
        Rig::with_timeouts(seed, sizes, TIMEOUTS)
    }

    pub(super) fn with_timeouts(seed: u64, sizes: Sizes, timeouts: Timeouts) -> Rig {
        Rig::with_children(seed, sizes, timeouts, None)
    }

    /// One that talks to the children of servers, too.
    pub(super) fn with_children(
        seed: u64,
        sizes: Sizes,
        timeouts: Timeouts,
        children: Option<(ChildrenParts, ForeignServer)>,
    ) -> Rig {
        tools::forget_released();
        let network = SimulatedNetwork::new(seed);
        let barrier = Arc::new(Barrier::default());
        let mut registry = tools::registry(&barrier, now);
        let children = children.map(|(parts, server)| {
            let mut edited = registry.edit();
            assert!(edited.replace_foreign(vec![Arc::new(server)]).is_empty());
            registry = edited.build();
            parts
        });
        let service = Arc::new(service(&registry, timeouts, sizes));
        let elsewhere = elsewhere(&service, sizes);
        let served = Served::new(Arc::clone(&service), [Arc::new(elsewhere)]);
        // One thread, so that blocking calls end in the order of their submission.
        let workers = Workers::start(&WorkerSettings {
            options: WorkerOptions {
                threads: Some(1),
                ..WorkerOptions::default()
            },
            queue_depth_max: sizes.worker_queue_depth_max,
            abandoned_max: 2,
            cpus: Vec::new(),
        })
        .unwrap();
        let per_address_max = sizes.connections_per_ip.and_then(NonZeroU32::new);
        let connection_cap = ConnectionCap::new(sizes.connections_max, per_address_max, sizes.shards);
        let mesh = Mesh::new(sizes.shards, sizes.handlers, now());
        let spread = Spread::new(sizes.shards);
        let driver = |number: usize| {
            let ring = network.ring(RingOptions {
                buffers: sizes.ring_buffers,
                buffer_bytes: sizes.ring_buffer_bytes,
                ..RingOptions::default()
            });
            let inbox = Inbox::new(Box::new(ring.waker()));
            let metrics = ShardMetrics::new(ShardId(number as u16), &service.labels);
            let parts = ShardParts {
                served: Arc::clone(&served),
                server: ServerHandle::NOWHERE,
                sizes: sizes.of_shard(),
                connection_cap: connection_cap.clone(),
                spread: Arc::clone(&spread),
                unix_peers: sizes
                    .unix_peer
                    .map_or(UnixPeers::Any, |uid| UnixPeers::Only([uid].into())),
                inbox: inbox.clone(),
                mesh: Arc::clone(&mesh),
                workers: workers.submitter(),
                clients: if sizes.opens_later {
                    Clients::Later
                } else {
                    Clients::Listeners
                },
                children: children.clone(),
                metrics: Arc::clone(&metrics),
                clock: now,
            };
            Driver {
                shard: Shard::new(ring, parts),
                inbox,
                metrics,
                tasks: Vec::new(),
                has_ended: false,
            }
        };
        Rig {
            drivers: (0..sizes.shards).map(driver).collect(),
            network,
            barrier,
            workers,
            connection_cap,
            sizes,
        }
    }

    pub(super) fn connect(&self) -> SimulatedPeer {
        self.network.connect(0)
    }

    /// Connects to the listener of one shard.
    pub(super) fn connect_to(&self, shard: usize) -> SimulatedPeer {
        self.network.connect(shard)
    }

    /// A tool's row in metrics.
    pub(super) fn row(&self, tool: &str) -> ToolRow {
        let labels = &self.shard.service.labels;
        labels.iter().find(|(_, name)| *name == tool).unwrap().0
    }

    /// Lets the held call with this secret go on.
    pub(super) fn release(&self, secret: &str) {
        tools::release(secret);
    }

    /// The context of the call that shares it, to speak by while nobody polls that.
    pub(super) fn take_context(&self) -> CallContext {
        tools::take_context()
    }

    /// Turns of the pump until nothing moves; lateness of the ring's completions included.
    pub(super) fn run(&mut self) {
        for _ in 0..24 {
            self.turn();
        }
    }

    /// One turn of each shard's pump, then whatever tasks were woken. What blocking calls come to is there before,
    /// so that a run follows from its seed.
    pub(super) fn turn(&mut self) {
        for number in 0..self.drivers.len() {
            self.turn_of(number);
        }
    }

    /// A flush of the first shard's ring and at most so many completions, then whatever tasks were woken.
    pub(super) fn pass_once(&mut self, completions_max: usize) {
        let driver = &mut self.drivers[0];
        driver.shard.begin_pass();
        driver.shard.flush().unwrap();
        driver.handle(completions_max);
        driver.run_tasks();
    }

    /// One turn of one shard's pump.
    pub(super) fn turn_of(&mut self, shard: usize) {
        let (workers, barrier) = (self.workers.submitter(), Arc::clone(&self.barrier));
        let driver = &mut self.drivers[shard];
        if driver.has_ended {
            driver.run_tasks();
        } else {
            driver.turn(&|| await_workers(&workers, &barrier));
            driver.has_ended = driver.shard.is_finished();
        }
    }

    /// Lets time pass, then ticks, as the tick tasks would once.
    pub(super) fn pass(&mut self, time: Duration) {
        NOW.set(Some(now() + time));
        for driver in self.drivers.iter_mut().filter(|driver| !driver.has_ended) {
            driver.shard.begin_pass();
            driver.shard.handle_tick();
            driver.has_ended = driver.shard.is_finished();
        }
    }

    /// Lets time pass and takes one turn of one shard's pump, with a tick or without.
    pub(super) fn pass_of(&mut self, shard: usize, time: Duration, is_tick: bool) {
        NOW.set(Some(now() + time));
        let driver = &mut self.drivers[shard];
        driver.shard.begin_pass();
        if is_tick {
            driver.shard.handle_tick();
        }
        driver.shard.offer_waiters();
        self.turn_of(shard);
    }

    /// Lets a little time pass, after which waiters that are old enough are offered, as a task does.
    pub(super) fn offer(&mut self, time: Duration) {
        NOW.set(Some(now() + time));
        for driver in &mut self.drivers {
            driver.shard.begin_pass();
            driver.shard.offer_waiters();
        }
    }

    /// Lets time pass in ticks, with turns between them.
    pub(super) fn live(&mut self, time: Duration) {
        let step = Duration::from_millis(500);
        let mut left = time;
        while !left.is_zero() {
            self.pass(left.min(step));
            self.turn();
            left = left.saturating_sub(step);
        }
        self.run();
    }

    /// Waits for the worker threads: nothing is queued or running but calls that wait at the barrier.
    pub(super) fn await_workers(&self) {
        await_workers(&self.workers.submitter(), &self.barrier);
    }

    /// Keeps the worker busy until the barrier is open.
    pub(super) fn occupy_worker(&self) {
        let barrier = Arc::clone(&self.barrier);
        let wait = move |_: &Cancellation| barrier.pass(&BlockingContext::new(Cancellation::new()));
        let job = Job::new(Cancellation::new(), wait, drop);
        self.workers.submitter().try_submit(job).unwrap();
        self.barrier.await_waiting(1);
    }

    /// Jobs in the workers' queue.
    pub(super) fn queued_jobs(&self) -> u64 {
        self.workers.figures().queued
    }

    /// Whether the process has its fill of connections, so that more wait unaccepted.
    pub(super) fn is_full(&self) -> bool {
        self.connection_cap.open() >= self.sizes.connections_max
    }

    /// Whether a request in two pieces can be put together.
    pub(super) fn can_assemble(&self) -> bool {
        let Sizes {
            assembly_buffers,
            heap_bytes_max,
            assembly_buffer_bytes,
            ..
        } = self.sizes;
        let own = if assembly_buffers > 0 {
            assembly_buffer_bytes
        } else {
            0
        };
        heap_bytes_max + own > 1000
    }

    /// Lets everybody who listens hear of it.
    pub(super) fn announce(&self, announcement: Announcement) {
        let live = self.shard.service.main().store.live();
        live.broadcast(&announcement);
    }

    /// Lets clients in, who connect to the listeners.
    pub(super) fn open(&self) {
        for driver in &self.drivers {
            driver.inbox.post(ShardEvent::Open(Clients::Listeners));
        }
    }

    pub(super) fn drain(&self) {
        self.drain_within(DRAIN_TIME);
    }

    pub(super) fn drain_within(&self, time: Duration) {
        for driver in &self.drivers {
            driver.inbox.post(ShardEvent::Drain(now() + time));
        }
    }

    pub(super) fn abort(&self) {
        for driver in &self.drivers {
            driver.inbox.post(ShardEvent::Abort);
        }
    }

    /// Whether every shard's drain is complete.
    pub(super) fn is_finished(&self) -> bool {
        self.drivers.iter().all(|driver| driver.shard.is_finished())
    }

    /// These clients leave, the last there are, and nothing of anybody stays.
    pub(super) fn leave(&mut self, clients: &[Client]) {
        clients.iter().for_each(|client| client.peer.finish());
        self.live(Duration::from_secs(80));
        for driver in &self.drivers {
            let reserved = driver.shard.writer.heap_bytes_reserved();
            assert_eq!(reserved, 0, "bytes of large buffers that nobody needs");
        }
        self.assert_nothing_left();
    }

    /// Nothing is held by anybody.
    pub(super) fn assert_nothing_left(&mut self) {
        self.barrier.open();
        self.await_workers();
        self.run();
        assert_eq!(self.network.connections_open(), 0, "the network's connections");
        assert_eq!(self.connection_cap.open(), 0, "the count of connections");
        let limits = &self.shard.service.main().tool_limits;
        for limit in limits.iter().flatten() {
            assert!(!limit.is_used(), "permits of a tool: {limit:?}");
        }
        let sizes = self.sizes;
        self.drivers
            .iter_mut()
            .for_each(|driver| driver.assert_nothing_left(sizes));
        let sum = |of: fn(&ShardMetrics) -> u64| -> u64 {
            self.drivers.iter().map(|driver| of(&driver.metrics)).sum()
        };
        assert_eq!(
            sum(|metrics| metrics.connections_accepted.value()),
            sum(|metrics| metrics.connections_closed.value())
        );
        assert_eq!(
            sum(|metrics| metrics.steals_in.value()),
            sum(|metrics| metrics.steals_out.value())
        );
    }
}

impl Driver {
    fn turn(&mut self, await_workers: &dyn Fn()) {
        loop {
            self.shard.begin_pass();
            await_workers();
            self.shard.flush().unwrap();
            let handled = self.handle(256);
            if handled == 0 && !self.shard.has_pieces() || self.shard.awaits_tasks() {
                break;
            }
        }
        self.run_tasks();
        await_workers();
        self.shard.flush().unwrap();
    }

    /// A batch of completions, and what they start.
    fn handle(&mut self, completions_max: usize) -> usize {
        let mut handled = 0;
        while handled < completions_max {
            let count = self.shard.handle_completions(completions_max - handled);
            self.run_started();
            if count == 0 {
                break;
            }
            handled += count;
        }
        handled
    }

    fn run_started(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while let Some((handler, mut call)) = self.shard.next_started() {
            match Pin::new(&mut call).poll(&mut context) {
                Poll::Ready(outcome) => self.shard.settle(handler, outcome),
                Poll::Pending => {
                    self.shard.suspend(handler, call, Awaits::Turn(None));
                    self.tasks.push(Task {
                        handler,
                        is_woken: Arc::new(Woken(AtomicBool::new(true))),
                    });
                }
            }
        }
    }

    fn run_tasks(&mut self) {
        for task in std::mem::take(&mut self.tasks) {
            if !task.is_woken.0.swap(false, Ordering::SeqCst) {
                self.tasks.push(task);
                continue;
            }
            let waker = Waker::from(Arc::clone(&task.is_woken));
            let Some(mut call) = self.shard.resume_call(task.handler) else {
                continue;
            };
            match Pin::new(&mut call).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => self.shard.settle(task.handler, outcome),
                Poll::Pending => {
                    self.shard.suspend(task.handler, call, Awaits::Anything(waker));
                    self.tasks.push(task);
                }
            }
        }
    }

    fn assert_nothing_left(&mut self, sizes: Sizes) {
        let shard = &self.shard;
        assert_eq!(shard.table.open(), shard.children.pipes(), "connections");
        shard.calls.assert_at_rest();
        shard.admission.assert_at_rest(shard.calls.handlers());
        shard
            .intake
            .assert_at_rest(sizes.assembly_buffers, sizes.queue_depth_max as usize);
        assert_eq!(
            shard.writer.heap_bytes_used(),
            0,
            "bytes charged to the heap budget"
        );
        assert!(shard.writer.has_no_pieces(), "pieces of answers");
        assert_eq!(self.tasks.len(), 0, "tasks of calls that are over");
        assert!(
            shard.channels.visitors.is_empty(),
            "messages of other shards' channels"
        );
        assert!(
            !shard.channels.has_interrupted(),
            "channels with messages not taken"
        );
        assert_eq!(shard.clock.deadlines(), 0, "timers");
        let counters = shard.ring.counters();
        assert_eq!(counters.buffers_free, counters.buffers_total, "ring buffers");
        shard.ring.assert_settled();
        let numbers = self.metrics.snapshot();
        assert_eq!(numbers.in_flight, 0, "requests in flight");
        assert_eq!(numbers.connections_open, 0, "connections_open");
        assert_eq!(numbers.streams_open, 0, "streams_open");
        assert_eq!(numbers.handlers_leased(), 0, "handlers leased");
        assert_eq!(self.metrics.queue_depth.value(), 0, "queue_depth");
    }
}

/// Another endpoint, which no test has unless it asks for its path.
fn elsewhere(main: &Service, sizes: Sizes) -> Service {
    let registry = tools::elsewhere(main.protocol.registry());
    let protocol = main.protocol.with_registry(registry);
    Service::new(Arc::clone(&main.common), Arc::new(protocol), store(sizes))
}

fn store(sizes: Sizes) -> Arc<Store> {
    let store = Store::new(
        &SessionKey::random().unwrap(),
        SessionOptions::default(),
        LiveOptions::default(),
        TaskOptions::default(),
        sizes.shards,
    );
    Arc::new(store)
}

fn service(registry: &Registry, timeouts: Timeouts, sizes: Sizes) -> Service {
    let names = registry.tools().map(|(_, tool)| tool.name());
    let labels = ToolLabels::new(names, ToolLabels::TOOLS_MAX_DEFAULT);
    let protocol = Protocol::new(registry.clone(), &Identity::default(), Options::default());
    let common = Common {
        channels: ChannelLimits::default(),
        labels: Arc::new(labels),
        policy: AdmissionPolicy::new("/mcp", ["localhost"], ["http://localhost:*"], 1 << 16)
            .unwrap()
            .with_websocket(true)
            .with_server("/servers/elsewhere", ViewId(1))
            .with_sse_legacy(true),
        health: HealthSlot::default(),
        http: HttpLimits {
            head: HeadLimits::default(),
            body: BodyLimits {
                body_bytes_max: 1 << 16,
                ..BodyLimits::default()
            },
        },
        timeouts,
        queue: QueueOptions {
            depth_max: Some(sizes.queue_depth_max),
            timeout: BROWSER_TIMEOUT,
            timeout_agent: Some(AGENT_TIMEOUT),
            steal: true,
            steal_reserve: Some(sizes.steal_reserve),
            linger: sizes.linger,
        },
        run: RunOptions::default(),
        output: OutputOptions::default(),
        tools: ToolOverrides::default(),
        tool_limits: Arc::default(),
        spawner: Arc::new(NoSpawner),
    };
    Service::new(Arc::new(common), Arc::new(protocol), store(sizes))
}

impl Sizes {
    fn of_shard(self) -> ShardSizes {
        ShardSizes {
            handlers: self.handlers,
            handler_buffer_bytes: self.handler_buffer_bytes,
            queue_depth_max: self.queue_depth_max,
            assembly_buffers: self.assembly_buffers,
            assembly_buffer_bytes: self.assembly_buffer_bytes,
            ring_buffer_bytes: self.ring_buffer_bytes,
            heap_bytes_max: self.heap_bytes_max,
            is_prefaulted: false,
        }
    }
}

fn await_workers(workers: &Submitter, barrier: &Barrier) {
    loop {
        let (waiting, figures) = (barrier.waiting() as u64, workers.figures());
        if figures.busy == waiting && (figures.queued == 0 || waiting > 0) {
            return;
        }
        std::thread::yield_now();
    }
}
