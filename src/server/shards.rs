//! The shards' threads: one pinned executor each, started together or not at all.
//!
//! Listeners are made before any thread, so that a busy port is known at once; each ring is made on the thread that
//! will use it, which reports whether it could.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use crate::admin::Health;
use crate::children::ChildrenParts;
use crate::config::{ExecutorSettings, Settings, ShardPlace, TransportKind};
use crate::metrics::{ShardHistograms, ShardMetrics, ToolLabels};
use crate::registry::{ServerHandle, note_panics_here, take_last_panic};
use crate::ring::{self, DataRing, KernelRing, RingOptions, Socket};
use crate::shard::{
    self, Clients, ConnectionCap, ExecutorWaker, Inbox, Mesh, Served, Shard, ShardEvent, ShardParts,
    ShardSizes, Spread, UnixPeers,
};
use crate::units::ShardId;
use crate::workers::Submitter;

use super::failure::{Failure, make_patiently};
use super::listening::{self, Listening};
use super::signals::WakeOnDrop;
use super::start_error::StartError;

/// A shard makes a few memory maps and two rings; longer means the machine is in trouble.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The least speed at which a shard touches the memory it makes: a tenth of what was measured.
const TOUCHED_BYTES_PER_SECOND: u64 = 50 << 20;
/// How soon a start notices that it is cut short.
const CUT_SHORT_LOOK: Duration = Duration::from_millis(20);
/// How long shards may take that are told to end at once: they only wait for their rings to release sockets. A shard
/// that a tool blocks is left behind.
const ABORT_PATIENCE: Duration = Duration::from_millis(500);
/// How often ended shards are checked for.
const END_LOOK: Duration = Duration::from_millis(2);

/// A running shard, from outside.
pub(super) struct ShardHandle {
    pub(super) inbox: Inbox<Socket>,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) executor_waker: ExecutorWaker,
    /// Whether its one client has left, and the shard ended as it should.
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<Ended>,
}

/// The result of a shard's life.
type Ended = Result<ShardHistograms, io::Error>;

impl ShardHandle {
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread. Returns the shard's latencies, or why it ended.
    pub(super) fn join(self) -> Result<ShardHistograms, String> {
        match self.thread.join() {
            Ok(Ok(histograms)) => Ok(histograms),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the shard panicked".to_owned()),
        }
    }
}

/// The threads of all shards. They are ended if this is dropped before they have, because nobody else would ever stop
/// them.
#[derive(Default)]
pub(super) struct Shards(Vec<ShardHandle>);

impl Shards {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, ShardHandle> {
        self.0.iter()
    }

    /// Whether every thread has ended.
    pub(super) fn are_finished(&self) -> bool {
        self.0.iter().all(ShardHandle::is_finished)
    }

    /// Sends an event to shards that run; nobody empties the inbox of one that has ended.
    pub(super) fn tell_running(&self, mut event: impl FnMut() -> ShardEvent<Socket>) {
        for shard in self.0.iter().filter(|shard| !shard.is_finished()) {
            shard.inbox.post(event());
        }
    }

    /// The results of the threads, all of which have ended.
    pub(super) fn join(
        mut self,
    ) -> impl Iterator<Item = (Arc<ShardMetrics>, Result<ShardHistograms, String>)> {
        let handles = std::mem::take(&mut self.0);
        handles
            .into_iter()
            .map(|shard| (Arc::clone(&shard.metrics), shard.join()))
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        if self.are_finished() {
            return;
        }
        self.tell_running(|| ShardEvent::Abort);
        let deadline = Instant::now() + ABORT_PATIENCE;
        while !self.are_finished() && Instant::now() < deadline {
            thread::sleep(END_LOOK);
        }
        for shard in self.0.iter().filter(|shard| !shard.is_finished()) {
            let shard = shard.metrics.shard;
            tracing::warn!(%shard, "a shard does not end; it is left behind with what blocks it");
        }
    }
}

/// Reports when a shard's thread ends unexpectedly, in whichever way.
struct EndWatch {
    shard: ShardId,
    health: Arc<Health>,
    /// Whether the shard serves; before, the start reports its end.
    is_up: Cell<bool>,
    is_expected: Cell<bool>,
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        if self.is_up.get() && !self.is_expected.get() {
            self.health.on_shard_ended(self.shard);
            let panic = take_last_panic();
            let location = panic.as_ref().map(|panic| &*panic.location);
            let reason = panic.as_ref().map(|panic| &*panic.reason);
            let shard = self.shard;
            tracing::error!(%shard, location, reason, "a shard has ended unexpectedly; restart the process");
        }
    }
}

/// The state that all shards share.
pub(super) struct SharedParts {
    pub(super) served: Arc<Served>,
    pub(super) server: ServerHandle,
    pub(super) labels: Arc<ToolLabels>,
    pub(super) connection_cap: ConnectionCap,
    pub(super) spread: Arc<Spread<Socket>>,
    pub(super) unix_peers: UnixPeers,
    pub(super) workers: Submitter,
    pub(super) mesh: Arc<Mesh<Socket>>,
    pub(super) health: Arc<Health>,
    /// The other programs that are served, before which no client is let in.
    pub(super) children: Option<ChildrenParts>,
}

/// The source of a shard's clients.
enum Source {
    /// Connections of these sockets.
    Listeners(Vec<Arc<OwnedFd>>),
    /// One client; the shard ends with it. Its pipes come later if nobody is served yet.
    Stdio(Option<Socket>),
}

/// Shards that were started, and what they are to serve.
pub(super) struct Started {
    pub(super) shards: Shards,
    /// The places where they listen.
    pub(super) listening: Vec<Listening>,
    /// The pipes of the one client, if they are kept until there is something to serve.
    pipes: Option<Socket>,
}

impl Started {
    /// Lets clients in where shards were made to wait.
    pub(super) fn open(&mut self) {
        // The shard of the one client is alone.
        let mut pipes = self.pipes.take();
        self.shards.tell_running(|| {
            ShardEvent::Open(match pipes.take() {
                Some(pipes) => Clients::One(pipes),
                None => Clients::Listeners,
            })
        });
    }
}

/// Starts all shards, unless it is cut short. Returns them with their listeners once all have started; if there are
/// children, they are yet to be [opened](Started::open). If one does not start, the others are ended. `wake_on_drop` is
/// dropped when the last of them has ended.
pub(super) fn start(
    settings: &Settings,
    shared: &SharedParts,
    wake_on_drop: Option<WakeOnDrop>,
    is_cut_short: &mut dyn FnMut() -> bool,
) -> Result<Started, StartError> {
    let Sources {
        of_shards,
        listening,
        pipes,
    } = sources(settings, shared.children.is_some())?;
    let wake_on_drop = Arc::new(wake_on_drop);
    let mut shards = Shards(Vec::with_capacity(of_shards.len()));
    for (place, source) in settings.shards.iter().zip(of_shards) {
        let wake_on_drop = Arc::clone(&wake_on_drop);
        let handle = start_one(settings, shared, *place, source, wake_on_drop, is_cut_short)?;
        shards.0.push(handle);
    }
    Ok(Started {
        shards,
        listening,
        pipes,
    })
}

/// Where each shard has its clients from, the places where it listens, and the pipes that it is given later.
struct Sources {
    of_shards: Vec<Source>,
    listening: Vec<Listening>,
    pipes: Option<Socket>,
}

fn sources(settings: &Settings, is_later: bool) -> Result<Sources, StartError> {
    match settings.endpoints.transport {
        TransportKind::Http => {
            let (listening, of_shards) = listening::listen(&settings.endpoints, settings.shards.len())?;
            let sources = of_shards.into_iter().map(Source::Listeners);
            Ok(Sources {
                of_shards: sources.collect(),
                listening,
                pipes: None,
            })
        }
        TransportKind::Stdio => {
            let pipes = Socket::take_stdio().map_err(StartError::Stdio)?;
            let (now, later) = if is_later {
                (None, Some(pipes))
            } else {
                (Some(pipes), None)
            };
            Ok(Sources {
                of_shards: vec![Source::Stdio(now)],
                listening: Vec::new(),
                pipes: later,
            })
        }
    }
}

fn start_one(
    settings: &Settings,
    shared: &SharedParts,
    place: ShardPlace,
    source: Source,
    wake_on_drop: Arc<Option<WakeOnDrop>>,
    is_cut_short: &mut dyn FnMut() -> bool,
) -> Result<ShardHandle, StartError> {
    let failed = |failure: Failure| StartError::of_shard(place.shard, &failure);
    let metrics = ShardMetrics::new(place.shard, &shared.labels);
    let executor_waker = ExecutorWaker::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let setup = ThreadSetup {
        executor_waker: executor_waker.clone(),
        executor: settings.executor,
        options: settings.ring,
        sizes: settings.sizes,
        served: Arc::clone(&shared.served),
        server: shared.server.clone(),
        connection_cap: shared.connection_cap.clone(),
        spread: Arc::clone(&shared.spread),
        unix_peers: shared.unix_peers.clone(),
        mesh: Arc::clone(&shared.mesh),
        workers: shared.workers.clone(),
        children: shared.children.clone(),
        metrics: Arc::clone(&metrics),
        source,
        is_over: Arc::clone(&is_over),
    };
    let cpu = place.cpu.0;
    let (shard, health) = (place.shard, Arc::clone(&shared.health));
    let (ready, readiness) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(format!("weir-shard-{}", place.shard))
        .spawn(move || {
            let watch = EndWatch {
                shard,
                health,
                is_up: Cell::new(false),
                is_expected: Cell::new(false),
            };
            note_panics_here();
            setup.workers.drop_for_this_thread();
            let ended = run(setup, cpu, &ready, &watch);
            watch.is_expected.set(ended.is_ok());
            drop((watch, wake_on_drop));
            ended
        })
        .map_err(|error| failed(Failure::thread(error)))?;
    let touched = settings.memory.per_shard.total_bytes() / TOUCHED_BYTES_PER_SECOND;
    let patience = START_PATIENCE + Duration::from_secs(touched);
    let inbox = await_start(&readiness, patience, is_cut_short)?
        .ok_or_else(|| failed(Failure::silence()))?
        .map_err(failed)?;
    Ok(ShardHandle {
        inbox,
        metrics,
        executor_waker,
        is_over,
        thread,
    })
}

/// Waits for a shard thread's report of its start; `None` if none comes.
fn await_start(
    readiness: &Receiver<Readiness>,
    patience: Duration,
    is_cut_short: &mut dyn FnMut() -> bool,
) -> Result<Option<Readiness>, StartError> {
    let deadline = Instant::now() + patience;
    loop {
        if is_cut_short() {
            return Err(StartError::CutShort);
        }
        match readiness.recv_timeout(CUT_SHORT_LOOK) {
            Ok(readiness) => return Ok(Some(readiness)),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => return Ok(None),
        }
    }
}

/// The values that travel to a shard's thread.
struct ThreadSetup {
    executor_waker: ExecutorWaker,
    executor: ExecutorSettings,
    options: RingOptions,
    sizes: ShardSizes,
    served: Arc<Served>,
    server: ServerHandle,
    connection_cap: ConnectionCap,
    spread: Arc<Spread<Socket>>,
    unix_peers: UnixPeers,
    mesh: Arc<Mesh<Socket>>,
    workers: Submitter,
    children: Option<ChildrenParts>,
    metrics: Arc<ShardMetrics>,
    source: Source,
    is_over: Arc<AtomicBool>,
}

type Readiness = Result<Inbox<Socket>, Failure>;
type Ready = SyncSender<Readiness>;

/// A shard's whole life, on its own thread.
fn run(setup: ThreadSetup, cpu: usize, ready: &Ready, watch: &EndWatch) -> Ended {
    match make_patiently(|| make_executor(setup.executor, cpu)) {
        Ok(executor) => executor.run(serve(setup, ready, watch)),
        Err(failure) => Err(tell(failure, ready)),
    }
}

/// Passes a failure on to the starter of the shards; returns the error with which the thread ends.
fn tell(failure: Failure, ready: &Ready) -> io::Error {
    let ended = io::Error::other(failure.to_string());
    let _ = ready.send(Err(failure));
    ended
}

/// An executor for the calling thread.
pub(super) fn make_executor(settings: ExecutorSettings, cpu: usize) -> Result<LocalExecutor, Failure> {
    let placement = if settings.is_pinned {
        Placement::Fixed(cpu)
    } else {
        Placement::Unbound
    };
    // The first executor of a process panics if it gets no ring to ask for the kernel's features, and every executor if
    // it gets no thread for blocking calls.
    ring::try_smallest_ring().map_err(Failure::executor)?;
    thread::Builder::new().spawn(|| ()).map_err(Failure::executor)?;
    let builder = LocalExecutorBuilder::new(placement)
        .ring_depth(settings.ring_entries)
        .io_memory(settings.io_memory_bytes);
    let made = panic::catch_unwind(AssertUnwindSafe(|| builder.make()));
    match made {
        Ok(executor) => Ok(executor?),
        Err(payload) => Err(Failure::executor_panic(payload.as_ref())),
    }
}

async fn serve(setup: ThreadSetup, ready: &Ready, watch: &EndWatch) -> Ended {
    let mut ring = match make_patiently(|| Ok(KernelRing::new(setup.options)?)) {
        Ok(ring) => ring,
        Err(failure) => return Err(tell(failure, ready)),
    };
    let has_one_client = matches!(setup.source, Source::Stdio(_));
    let clients = match setup.source {
        Source::Listeners(listeners) => {
            for listener in listeners {
                ring.listen(listener);
            }
            if setup.children.is_some() {
                Clients::Later
            } else {
                Clients::Listeners
            }
        }
        Source::Stdio(pipes) => pipes.map_or(Clients::Later, Clients::One),
    };
    let inbox = Inbox::new(Box::new(ring.waker()));
    let parts = ShardParts {
        served: setup.served,
        server: setup.server,
        sizes: setup.sizes,
        connection_cap: setup.connection_cap,
        spread: setup.spread,
        unix_peers: setup.unix_peers,
        inbox: inbox.clone(),
        mesh: setup.mesh,
        workers: setup.workers,
        clients,
        children: setup.children,
        metrics: setup.metrics,
        clock: now,
    };
    let shard = Rc::new(RefCell::new(Shard::new(ring, parts)));
    watch.is_up.set(true);
    let _ = ready.send(Ok(inbox));
    shard::run(Rc::clone(&shard), setup.executor_waker).await?;
    setup.is_over.store(has_one_client, Ordering::Release);
    let histograms = shard.borrow().histograms().clone();
    Ok(histograms)
}

#[allow(clippy::disallowed_methods, reason = "this is the shard's clock")]
fn now() -> Instant {
    Instant::now()
}
