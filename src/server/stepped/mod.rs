//! A server without a network, for tests of tools: one shard on the simulated ring, by a clock that is moved.
//!
//! It is the server that programs run, from the bytes of a request to those of its answer: only sockets, executor and
//! clock are others. It has one thread, which drives the shard, besides those for tools that do not run there.
//!
//! ```text
//!  test ── connect, write ──▶ network ◀── step ── driver's thread ── tools
//!       ── await_news ──────▶ goals ◀── reached? ──┘   └─ nothing to do: moves the clock
//! ```
//!
//! The clock moves only while somebody waits here and the shard has nothing to do: it jumps to what is due next. If a
//! call runs elsewhere that is not asleep by this clock, it jumps when so much real time has passed.
//!
//! | file | its part |
//! |---|---|
//! | `goals` | what the threads of a test wait for |
//! | `driver` | the thread that steps and moves the clock |
//! | `activity` | which calls on tokio's threads are asleep |
//! | `log` | what is logged, on stderr |

mod activity;
mod driver;
mod goals;
mod log;

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::clock::VirtualClock;
use crate::config::Settings;
use crate::mcp::{Options, Protocol};
use crate::registry::{Registry, RegistryEdit, ServerHandle, ServerLink, Spawner};
use crate::ring::simulated::{PeerView, SimulatedNetwork, SimulatedPeer};
use crate::shard::Served;
use crate::workers::Workers;

use super::cause::Cause;
use super::failure::Failure;
use super::link::Link;
use super::program::Program;
use super::service;
use super::start_error::StartError;
use crate::units::ShardId;
use activity::{Activity, WatchedSpawner};
use driver::Driver;
pub(crate) use goals::Waited;
use goals::{Goal, Goals};

/// How long the driver may take to end; a tool that blocks it is left behind.
const END_PATIENCE: Duration = Duration::from_millis(500);
/// Where the one shard listens.
const LISTENER: usize = 0;

/// A server that serves clients in this process.
pub(crate) struct Stepped {
    network: SimulatedNetwork,
    clock: VirtualClock,
    goals: Arc<Goals>,
    handle: ServerHandle,
    /// The first of the paths that MCP is served on.
    path: String,
    spawner: Arc<dyn Spawner>,
    _workers: Workers,
}

impl Stepped {
    /// Starts serving.
    pub(super) fn start(
        program: &Program,
        settings: &Settings,
        registry: Registry,
    ) -> Result<Stepped, StartError> {
        let (clock, goals) = (VirtualClock::new(), Arc::new(Goals::default()));
        let activity = Arc::new(Activity::default());
        let spawner: Arc<dyn Spawner> = Arc::new(WatchedSpawner {
            inner: program.spawner_by(settings, &clock),
            activity: Arc::clone(&activity),
            clock: clock.clone(),
        });
        let options = Options {
            require_session: settings.session.is_required,
        };
        let protocol = Protocol::new(registry, &program.identity, options);
        let services = service::make(settings, protocol, Arc::clone(&spawner))?;
        let main = Arc::clone(&services.main);
        let served = Served::new(Arc::clone(&main), services.others);
        let link = WakingLink {
            link: Link::new(Arc::clone(&served)),
            goals: Arc::clone(&goals),
        };
        let handle = ServerHandle::new(Arc::new(link));
        let of_workers = clock.clone();
        let workers = Workers::start_with(&settings.workers, move || of_workers.enter());
        let workers = workers.map_err(|error| StartError::Workers(Cause::new(error)))?;
        let network = SimulatedNetwork::new(0);
        let driver = Driver {
            served,
            main,
            server: handle.clone(),
            network: network.clone(),
            clock: clock.clone(),
            goals: Arc::clone(&goals),
            activity,
            workers: workers.submitter(),
            sizes: settings.sizes,
            ring: settings.ring,
            connections_max: settings.connections.limit() as usize,
        };
        let (ready, readiness) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("weir-testing".to_owned())
            .spawn(move || driver.run(&ready))
            .map_err(|error| StartError::of_shard(ShardId(0), &Failure::thread(error)))?;
        // Without an answer the thread has panicked, and its goals say so.
        let _ = readiness.recv();
        Ok(Stepped {
            network,
            clock,
            goals,
            handle,
            path: settings.endpoints.paths.first().cloned().unwrap_or_default(),
            spawner,
            _workers: workers,
        })
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Connection {
        let peer = self.network.connect(LISTENER);
        // A client's memory is not what a test is about.
        peer.set_window(usize::MAX);
        Connection(Arc::new(peer))
    }

    /// The path that MCP is served on.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What tools and the program reach the server by.
    pub(crate) fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// How far its clock has moved.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Waits until one of these connections has bytes or an end; meanwhile time passes, at most `patience`.
    pub(crate) fn await_news(&self, connections: &[&Connection], patience: Duration) -> Waited {
        let peers = connections.iter().map(|connection| Arc::clone(&connection.0));
        let until = self.clock.now() + patience;
        self.goals.reach(Goal::News(peers.collect(), until))
    }

    /// Waits until the shard has nothing to do. No time passes.
    pub(crate) fn settle(&self) -> Waited {
        self.goals.reach(Goal::Idle)
    }

    /// Lets so much time pass.
    pub(crate) fn advance(&self, time: Duration) -> Waited {
        self.goals.reach(Goal::Until(self.clock.now() + time))
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        self.goals.end(END_PATIENCE);
        self.spawner.shut_down(Duration::ZERO);
    }
}

impl std::fmt::Debug for Stepped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepped")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

/// A client's end of a connection, which closes when it is dropped.
#[derive(Debug)]
pub(crate) struct Connection(Arc<SimulatedPeer>);

impl Connection {
    /// Sends bytes.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// What came since the last time.
    pub(crate) fn read(&self) -> Vec<u8> {
        self.0.read()
    }

    /// Whether bytes or an end have come.
    pub(crate) fn has_news(&self) -> bool {
        self.0.has_news()
    }

    /// Whether no more will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.view() != PeerView::Open
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The server as its tools reach it; the driver is woken by what they say.
struct WakingLink {
    link: Arc<Link>,
    goals: Arc<Goals>,
}

impl ServerLink for WakingLink {
    fn resource_updated(&self, uri: &str) {
        self.link.resource_updated(uri);
        self.goals.signal();
    }

    fn resources_changed(&self) {
        self.link.resources_changed();
        self.goals.signal();
    }

    fn edit_registry(&self, edit: RegistryEdit<'_>) {
        self.link.edit_registry(edit);
        self.goals.signal();
    }
}
