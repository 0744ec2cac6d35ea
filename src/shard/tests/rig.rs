//! The shard under test: what it serves, how it is driven, and what must be left when it is over.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake as TaskWake, Waker};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::*;
use crate::mcp::{Identity, Options};
use crate::metrics::ToolRow;
use crate::registry::{BlockingContext, CallContext, Registry, Tool, ToolError};
use crate::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedRing};
use crate::ring::{DataRing, RingOptions, RingWaker};
use crate::session::{SealedSessions, SessionKey, SessionOptions};
use crate::units::{Patience, ShardId};
use crate::wire::http1::{BodyLimits, HeadLimits};
use crate::workers::{Workers, WorkersOptions};

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Secrets of held calls that may go on, and who waits for that.
    static RELEASED: RefCell<HashSet<String>> = RefCell::default();
    static HELD: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// The clock of this thread's shard.
fn now() -> Instant {
    NOW.with(|now| {
        let at = now.get().unwrap_or_else(Instant::now);
        now.set(Some(at));
        at
    })
}

#[derive(Deserialize, JsonSchema)]
struct Secret {
    secret: String,
}

#[derive(Deserialize, JsonSchema)]
struct Blob {
    secret: String,
    #[schemars(range(max = 4_000_000))]
    bytes: usize,
}

/// Blocking calls wait here until the test lets them go on.
#[derive(Default)]
pub(super) struct Barrier {
    state: Mutex<BarrierState>,
    changed: Condvar,
}

#[derive(Default)]
struct BarrierState {
    is_open: bool,
    waiting: usize,
}

impl Barrier {
    fn pass(&self, context: &BlockingContext) {
        let mut state = self.state.lock().unwrap();
        state.waiting += usize::from(!state.is_open);
        self.changed.notify_all();
        while !state.is_open && !context.is_cancelled() {
            // The cancellation has no waker; the bound is for it alone.
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(1))
                .unwrap()
                .0;
        }
        if !state.is_open {
            state.waiting -= 1;
        }
        self.changed.notify_all();
    }

    pub(super) fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_open = true;
        state.waiting = 0;
        self.changed.notify_all();
    }

    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }

    /// Returns once `count` calls wait here.
    pub(super) fn await_waiting(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| state.waiting != count)
                .unwrap(),
        );
    }
}

/// Answers with the secret once it was [released](Rig::release).
async fn hold(args: Secret) -> Result<String, ToolError> {
    poll_fn(|context| {
        if RELEASED.with_borrow(|released| released.contains(&args.secret)) {
            return Poll::Ready(());
        }
        HELD.with_borrow_mut(|held| held.push(context.waker().clone()));
        Poll::Pending
    })
    .await;
    Ok(args.secret)
}

fn registry(barrier: &Arc<Barrier>) -> Registry {
    let mut tools = Registry::builder();
    let barrier = Arc::clone(barrier);
    let toolset = [
        Tool::new("echo").run(|_: CallContext, args: Secret| async move { Ok(args.secret) }),
        Tool::new("hold").run(|_: CallContext, args: Secret| hold(args)),
        Tool::new("blob").run(|_: CallContext, args: Blob| async move {
            Ok(args.secret.clone() + &"x".repeat(args.bytes))
        }),
        Tool::new("fail").run(|_: CallContext, args: Secret| async move {
            Err::<String, _>(ToolError::message(args.secret))
        }),
        Tool::new("block").run_blocking(|_: &BlockingContext, args: Secret| Ok(args.secret)),
        Tool::new("wait").run_blocking(move |context: &BlockingContext, args: Secret| {
            barrier.pass(context);
            Ok(args.secret)
        }),
    ];
    for tool in toolset {
        tools.add(tool).unwrap();
    }
    tools.build()
}

struct RingWake(RingWaker);

impl Wake for RingWake {
    fn wake(&self) {
        self.0.wake();
    }
}

/// The task of a pending call, as the executor would have it.
struct Task {
    handler: HandlerKey,
    is_woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl TaskWake for Woken {
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
    pub connections_max: usize,
    pub connections_per_ip: Option<u32>,
    pub worker_queue_depth_max: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes {
            handlers: 8,
            handler_buffer_bytes: 4096,
            assembly_buffers: 8,
            assembly_buffer_bytes: 2048,
            heap_bytes_max: 1 << 20,
            ring_buffers: 16,
            ring_buffer_bytes: 1024,
            connections_max: 1000,
            connections_per_ip: None,
            worker_queue_depth_max: 1000,
        }
    }
}

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    head: Duration::from_secs(10),
    body: Duration::from_secs(20),
    read: Duration::from_secs(5),
    idle: Patience::For(Duration::from_secs(60)),
    write: Duration::from_secs(8),
    call: Duration::from_secs(15),
};

fn gate(sizes: Sizes, shards: usize) -> Gate {
    let per_address_max = sizes.connections_per_ip.and_then(NonZeroU32::new);
    Gate::new(sizes.connections_max, per_address_max, shards)
}

/// A shard, its network and its clock.
pub(super) struct Rig {
    pub network: SimulatedNetwork,
    pub shard: Shard<SimulatedRing>,
    pub barrier: Arc<Barrier>,
    pub mailbox: Mailbox<Mail>,
    pub metrics: Arc<ShardMetrics>,
    tasks: Vec<Task>,
    workers: Workers,
    gate: Gate,
    listener: usize,
    sizes: Sizes,
}

impl Rig {
    pub(super) fn new(seed: u64, sizes: Sizes) -> Rig {
        Rig::with_timeouts(seed, sizes, TIMEOUTS)
    }

    pub(super) fn with_timeouts(seed: u64, sizes: Sizes, timeouts: Timeouts) -> Rig {
        RELEASED.with_borrow_mut(HashSet::clear);
        Rig::on(SimulatedNetwork::new(seed), gate(sizes, 1), 0, sizes, timeouts)
    }

    /// Several shards of one process, each with a listener of its own.
    pub(super) fn several(seed: u64, sizes: Sizes, count: usize) -> Vec<Rig> {
        RELEASED.with_borrow_mut(HashSet::clear);
        let (network, gate) = (SimulatedNetwork::new(seed), gate(sizes, count));
        (0..count)
            .map(|listener| Rig::on(network.clone(), gate.clone(), listener, sizes, TIMEOUTS))
            .collect()
    }

    /// Listeners are numbered in the order of making.
    fn on(network: SimulatedNetwork, gate: Gate, listener: usize, sizes: Sizes, timeouts: Timeouts) -> Rig {
        let ring = network.ring(RingOptions {
            buffers: sizes.ring_buffers,
            buffer_bytes: sizes.ring_buffer_bytes,
            ..RingOptions::default()
        });
        let barrier = Arc::new(Barrier::default());
        let registry = registry(&barrier);
        let names = registry.tools().map(|(_, tool)| tool.name());
        let labels = Arc::new(ToolLabels::new(names, ToolLabels::TOOLS_MAX_DEFAULT));
        let service = Service {
            protocol: Protocol::new(registry.clone(), &Identity::default(), Options::default()),
            sessions: Arc::new(SealedSessions::new(
                &SessionKey::random().unwrap(),
                SessionOptions::default(),
            )),
            policy: EdgePolicy::new("/mcp", ["localhost"], ["http://localhost:*"], 1 << 16).unwrap(),
            http: HttpLimits {
                head: HeadLimits::default(),
                body: BodyLimits {
                    body_bytes_max: 1 << 16,
                    ..BodyLimits::default()
                },
            },
            timeouts,
            labels: Arc::clone(&labels),
        };
        // One thread, so that blocking calls end in the order of their submission.
        let workers = Workers::start(&WorkersOptions {
            threads: 1,
            queue_depth_max: sizes.worker_queue_depth_max,
            abandoned_max: 2,
            cpus: Vec::new(),
        })
        .unwrap();
        let mailbox = Mailbox::new(1024, Box::new(RingWake(ring.waker())));
        let metrics = ShardMetrics::new(ShardId(0), &labels);
        let parts = ShardParts {
            alarm: Default::default(),
            service: Arc::new(service),
            tools: registry.for_shard(),
            sizes: ShardSizes {
                handlers: sizes.handlers,
                handler_buffer_bytes: sizes.handler_buffer_bytes,
                assembly_buffers: sizes.assembly_buffers,
                assembly_buffer_bytes: sizes.assembly_buffer_bytes,
                heap_bytes_max: sizes.heap_bytes_max,
            },
            gate: gate.clone(),
            mailbox: mailbox.clone(),
            workers: workers.submitter(),
            metrics: Arc::clone(&metrics),
            clock: now,
        };
        Rig {
            shard: Shard::new(ring, parts),
            tasks: Vec::new(),
            network,
            barrier,
            mailbox,
            metrics,
            workers,
            gate,
            listener,
            sizes,
        }
    }

    pub(super) fn connect(&self) -> SimulatedPeer {
        self.network.connect(self.listener)
    }

    /// A tool's row in metrics.
    pub(super) fn row(&self, tool: &str) -> ToolRow {
        let labels = &self.shard.service.labels;
        labels.iter().find(|(_, name)| *name == tool).unwrap().0
    }

    /// Lets the held call with this secret go on.
    pub(super) fn release(&self, secret: &str) {
        RELEASED.with_borrow_mut(|released| released.insert(secret.to_owned()));
        HELD.take().into_iter().for_each(Waker::wake);
    }

    /// Turns of the pump until nothing moves; lateness of the ring's completions included.
    pub(super) fn run(&mut self) {
        for _ in 0..24 {
            self.turn();
        }
    }

    /// One turn of the pump, then whatever tasks were woken.
    pub(super) fn turn(&mut self) {
        loop {
            self.shard.begin_pass();
            self.flush();
            let mut handled = 0;
            loop {
                let count = self.shard.handle_completions(256);
                self.run_started();
                if count == 0 {
                    break;
                }
                handled += count;
            }
            if handled == 0 {
                break;
            }
        }
        self.run_tasks();
        self.flush();
    }

    /// What blocking calls come to is there before each flush, so that a run follows from its seed.
    fn flush(&mut self) {
        self.await_workers();
        self.shard.ring.flush().unwrap();
    }

    fn run_started(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while let Some((handler, mut call)) = self.shard.next_started() {
            match Pin::new(&mut call).poll(&mut context) {
                Poll::Ready(outcome) => self.shard.settle(handler, outcome),
                Poll::Pending => {
                    self.shard.suspend(handler, call, None);
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
                    self.shard.suspend(task.handler, call, Some(waker));
                    self.tasks.push(task);
                }
            }
        }
    }

    /// Lets time pass, then ticks, as the tick task would once.
    pub(super) fn pass(&mut self, time: Duration) {
        NOW.set(Some(now() + time));
        self.shard.begin_pass();
        self.shard.handle_tick();
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
        loop {
            let (waiting, stats) = (self.barrier.waiting(), self.workers.submitter().stats());
            if stats.busy == waiting && (stats.queued == 0 || waiting > 0) {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Whether the process has its fill of connections, so that more wait unaccepted.
    pub(super) fn is_full(&self) -> bool {
        self.gate.open() >= self.sizes.connections_max
    }

    /// Whether a request in two pieces can be put together.
    pub(super) fn can_assemble(&self) -> bool {
        let Sizes {
            assembly_buffers,
            heap_bytes_max,
            assembly_buffer_bytes,
            ..
        } = self.sizes;
        assembly_buffers > 0 && heap_bytes_max + assembly_buffer_bytes > 1000
    }

    pub(super) fn drain(&self) {
        self.mailbox.post(Mail::Drain);
    }

    /// Nothing is held by anybody.
    pub(super) fn assert_nothing_left(&mut self) {
        self.barrier.open();
        self.await_workers();
        self.run();
        let shard = &self.shard;
        assert_eq!(shard.table.open(), 0, "connections");
        assert_eq!(self.network.connections_open(), 0, "the network's connections");
        assert_eq!(self.gate.open(), 0, "the gate's count");
        assert_eq!(shard.pool.busy(), 0, "busy handlers");
        assert_eq!(
            shard.assembly.free(),
            self.sizes.assembly_buffers,
            "assembly buffers"
        );
        assert_eq!(shard.heap.used(), 0, "bytes charged to the heap budget");
        assert_eq!(shard.pending_calls, 0, "pending calls");
        assert_eq!(self.tasks.len(), 0, "tasks of calls that are over");
        assert!(
            shard.started.is_empty(),
            "{} calls never polled",
            shard.started.len()
        );
        assert!(
            shard.starved.is_empty(),
            "{} starved connections",
            shard.starved.len()
        );
        assert!(shard.timers.is_empty(), "{} timers", shard.timers.len());
        let counters = shard.ring.counters();
        assert_eq!(counters.buffers_free, counters.buffers_total, "ring buffers");
        shard.ring.assert_settled();
        let numbers = self.metrics.snapshot();
        assert_eq!(numbers.in_flight, 0, "requests in flight");
        assert_eq!(numbers.connections_open, 0, "connections_open");
        assert_eq!(numbers.handlers_leased(), 0, "handlers leased");
        assert_eq!(numbers.connections_accepted, numbers.connections_closed);
    }
}
