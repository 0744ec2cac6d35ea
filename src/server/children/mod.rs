//! The thread that owns other programs which are served: their processes and their pools.
//!
//! It has the launcher and a pool for each server, and decides when a child is started and on which shard, and when a
//! server is refused; the shards have the pipes, and talk to the children. It is no shard and has no executor: it waits
//! for mail, and for the next moment at which something is due.
//!
//! ```text
//!   launcher ── spawned, exited ──►┐                   ┌── spawn, SIGTERM, SIGKILL ──► launcher
//!   shards ─── ready, gone, load ─►┤ inbox ─► the thread ── adopt, exited, refuse ────► shards
//!   server ───────── drain, stop ─►┘                   └── lists ────────────────────► what is served
//! ```
//!
//! | file | its part |
//! |---|---|
//! | `supervising` | the decisions |
//! | `owning` | who gets which child, and who has lost one |
//! | `server`, `member` | the children of one server; one child |
//! | `starts` | what is started: the program as it was named, or what its wrapper starts |
//! | `death` | why a child died |
//! | `listing`, `said` | what children have, and whose that is |
//! | `subscriptions`, `watch` | the resources whose updates clients want to hear of |
//! | `era` | how children are spoken to |
//! | `flight` | what is kept of one that died |
//! | `inbox` | what the thread hears |
//! | `outside`, `real` | what it does, and to whom |
//! | `status` | what others may know |
//!
//! Clients are not let in before every server has been ready, or has failed once. A server without drain leaves nobody:
//! the launcher goes with the thread, and everything with the launcher.

mod death;
mod era;
mod flight;
mod inbox;
mod listing;
mod member;
mod outside;
mod owning;
mod real;
mod said;
mod server;
mod starts;
mod status;
mod subscriptions;
mod supervising;
#[cfg(test)]
mod tests;
mod watch;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::children::{ChildMesh, ChildrenParts, ClientRules, LocalLimits, ServerParts, Supervisor};
use crate::config::{
    AnonymousClients, EnvSource, ListenAddress, PoolMode, PoolSettings, RetryPolicy, Settings,
};
use crate::launcher::{ChildEvents, ChildSpec, Launcher};
use crate::registry::ServerIndex;
use crate::ring::Socket;
use crate::shard::Inbox;

use super::accounts::user_of;
use super::cause::Cause;
use super::link::Link;
use super::start_error::StartError;
use flight::FlightRecorder;
use inbox::{Mail, SupervisorInbox};
use outside::Outside;
use real::Real;
use server::{PoolSurroundings, ServerChildren};
pub(super) use status::ChildrenStatus;
use supervising::Supervising;
pub(super) use watch::{ChildWatch, OwnUri};

/// How soon a start notices that it is cut short.
const CUT_SHORT_LOOK: Duration = Duration::from_millis(20);
/// Words that are taken before the thread looks at what is due.
const WORDS_PER_TURN: usize = 256;

/// The launcher, before there are shards.
pub(super) struct Launched {
    launcher: Launcher,
    inbox: Arc<SupervisorInbox>,
    from: Receiver<Mail>,
    specs: Vec<ChildSpec>,
    recorder: Option<FlightRecorder>,
}

impl Launched {
    /// Starts the launcher if there are programs to serve. Call it before threads are pinned: a child may use the CPUs
    /// that this thread may.
    pub(super) fn start(settings: &Settings) -> Result<Option<Launched>, StartError> {
        let servers = &settings.children.servers;
        if servers.is_empty() {
            return Ok(None);
        }
        let cpus = settings.children.cpus.iter();
        let cpus: Vec<u32> = cpus.filter_map(|cpu| u32::try_from(cpu.0).ok()).collect();
        let specs: Result<Vec<ChildSpec>, StartError> = servers
            .iter()
            .map(|server| {
                let user = user_of(server).map_err(|error| StartError::Children(Cause::new(error)))?;
                let mut spec = server.spec(std::env::vars_os(), user);
                spec.limits.cpus.clone_from(&cpus);
                let checked = spec.limits.access.check();
                checked
                    .map_err(|why| failed(io::Error::other(format!("server `{}`: {why}", server.name))))?;
                Ok(spec)
            })
            .collect();
        let specs = specs?;
        let recorder = settings.children.flight_recorder.as_deref();
        let recorder = recorder.map(FlightRecorder::open).transpose().map_err(failed)?;
        let (inbox, from) = SupervisorInbox::new();
        let inbox = Arc::new(inbox);
        let events: Arc<dyn ChildEvents> = Arc::<SupervisorInbox>::clone(&inbox);
        let launcher = Launcher::start(events).map_err(failed)?;
        let limited = servers.iter().filter(|server| server.pool.pids_max.is_some());
        for server in limited.filter(|_| !launcher.keeps_process_limits()) {
            tracing::warn!(server = %server.name, "`pids_max` is not kept: no cgroup is delegated to this server");
        }
        Ok(Some(Launched {
            launcher,
            inbox,
            from,
            specs,
            recorder,
        }))
    }

    /// What makes the watches of its servers' resources.
    pub(super) fn watching(&self) -> Watching {
        Watching {
            inbox: SupervisorInbox::clone(&self.inbox),
            servers: u16::try_from(self.specs.len()).unwrap_or(u16::MAX),
        }
    }

    /// What the shards are given.
    pub(super) fn parts(&self, settings: &Settings) -> ChildrenParts {
        let servers = settings.children.servers.iter().map(|server| ServerParts {
            name: server.name.clone(),
            is_attributed: server.pool.is_attributed(),
            is_repeating: server.pool.retry == RetryPolicy::ReadOnly,
            limits: LocalLimits {
                queue_depth_max: server.pool.queue_depth.unwrap_or(settings.sizes.queue_depth_max),
                queue_timeout: server.pool.queue_timeout.unwrap_or(settings.queue.timeout),
            },
            clients: client_rules(&server.pool, &settings.endpoints.listen),
        });
        let servers: Vec<ServerParts> = servers.collect();
        ChildrenParts {
            mesh: ChildMesh::new(servers.len(), settings.shards.len()),
            servers,
            supervisor: Arc::<SupervisorInbox>::clone(&self.inbox) as Arc<dyn Supervisor>,
        }
    }

    /// Starts the thread, and with it the first children. `inboxes` are the shards'.
    pub(super) fn supervise(
        self,
        settings: &Settings,
        inboxes: Vec<Inbox<Socket>>,
        link: Arc<Link>,
    ) -> Result<(Children, Opening), StartError> {
        let now = Instant::now();
        let shards = u16::try_from(inboxes.len()).unwrap_or(u16::MAX);
        let around = PoolSurroundings {
            shards,
            cpus: settings.children.cpu_count,
            write_timeout: settings.timeouts.write,
            ask_timeout: settings.timeouts.ask,
            is_recorded: settings.children.flight_recorder.is_some(),
        };
        let servers = (0..).zip(&settings.children.servers).zip(self.specs);
        let servers = servers.map(|((index, server), spec)| {
            ServerChildren::new(ServerIndex(index), server, spec, &around, now)
        });
        let (opened, is_open) = mpsc::sync_channel(1);
        let to = Arc::clone(&self.inbox);
        link.on_session_end(move |session| to.send(Mail::SessionEnded(session)));
        let outside = Real {
            launcher: self.launcher,
            inboxes,
            link,
            clients: servers_clients(settings),
            recorder: self.recorder,
            opened,
            is_open: false,
        };
        let supervising = Supervising::new(outside, shards, settings.children.starts_max, servers.collect());
        let status = Arc::<ChildrenStatus>::default();
        let (shown, from) = (Arc::clone(&status), self.from);
        let thread = thread::Builder::new()
            .name("weir-children".to_owned())
            .spawn(move || run(supervising, &from, &shown))
            .map_err(failed)?;
        let children = Children {
            inbox: self.inbox,
            thread: Some(thread),
            status,
        };
        Ok((children, Opening(is_open)))
    }
}

/// How the clients of each server are told apart, if its children are not everybody's.
fn servers_clients(settings: &Settings) -> Vec<Option<Arc<ClientRules>>> {
    let listen = &settings.endpoints.listen;
    let servers = settings.children.servers.iter();
    servers
        .map(|server| client_rules(&server.pool, listen).map(Arc::new))
        .collect()
}

/// How clients are told apart, for a server whose children are not everybody's.
fn client_rules(pool: &PoolSettings, listen: &[ListenAddress]) -> Option<ClientRules> {
    let is_here = |address: &ListenAddress| address.internet().is_none_or(|at| at.ip().is_loopback());
    let are_strangers_one = match pool.anonymous {
        Some(anonymous) => anonymous == AnonymousClients::One,
        // Those of this machine are most likely one person's.
        None => listen.iter().all(is_here),
    };
    (pool.mode != PoolMode::Shared).then(|| ClientRules {
        is_by_call: pool.mode == PoolMode::Call,
        are_strangers_one,
        key_header: pool.key_header.clone(),
        env_from: pool
            .env_from
            .iter()
            .map(|(name, EnvSource::Header(header))| (name.clone(), header.clone()))
            .collect(),
    })
}

fn failed(error: io::Error) -> StartError {
    StartError::Children(Cause::new(error))
}

/// Makes what watches the resources of servers.
#[derive(Clone)]
pub(super) struct Watching {
    inbox: SupervisorInbox,
    servers: u16,
}

impl Watching {
    /// What watches each server for an endpoint that has these names.
    pub(super) fn of(&self, own_uri: &OwnUri) -> Vec<Arc<ChildWatch>> {
        let watch = |server| ChildWatch::new(ServerIndex(server), self.inbox.clone(), Arc::clone(own_uri));
        (0..self.servers).map(|server| Arc::new(watch(server))).collect()
    }
}

/// Hears once that clients can come: every server has been ready, or has failed once.
pub(super) struct Opening(Receiver<()>);

impl Opening {
    /// Waits for it.
    ///
    /// # Errors
    /// It was cut short, or the thread has ended.
    pub(super) fn wait(&self, is_cut_short: &mut dyn FnMut() -> bool) -> Result<(), StartError> {
        loop {
            if is_cut_short() {
                return Err(StartError::CutShort);
            }
            match self.0.recv_timeout(CUT_SHORT_LOOK) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(failed(io::Error::other("the thread of the children has ended")));
                }
            }
        }
    }
}

/// The thread, from outside. When this is dropped, everything that it started is killed.
pub(super) struct Children {
    inbox: Arc<SupervisorInbox>,
    thread: Option<JoinHandle<()>>,
    status: Arc<ChildrenStatus>,
}

impl Children {
    /// What others may know.
    pub(super) fn status(&self) -> &Arc<ChildrenStatus> {
        &self.status
    }

    /// From now on no child is started; the shards end those that there are.
    pub(super) fn drain(&self) {
        self.inbox.send(Mail::Drain);
    }

    /// Whether the thread has ended though it should not have.
    pub(super) fn is_broken(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.inbox.send(Mail::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the children panicked");
        }
    }
}

/// The thread's life: until it is told to stop.
fn run<O: Outside>(mut supervising: Supervising<O>, from: &Receiver<Mail>, status: &ChildrenStatus) {
    loop {
        let now = Instant::now();
        let due = supervising.advance(now);
        let (figures, not_ready) = supervising.status(now);
        status.show(figures, not_ready);
        let mut word = match from.recv_timeout(due.saturating_duration_since(now)) {
            Ok(word) => Some(word),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut words = 0;
        while let Some(mail) = word {
            if matches!(mail, Mail::Stop) {
                return;
            }
            supervising.handle(mail, Instant::now());
            words += 1;
            word = (words < WORDS_PER_TURN).then(|| from.try_recv().ok()).flatten();
        }
    }
}
