//! The server's side of the socket: a thread that reads reports, sends what did not fit, and starts the launcher again.
//!
//! A request goes out at once if nothing waits before it, else it waits its turn here. When the launcher dies, what had
//! not been sent waits for the next one; the children it had are reported as dead.
//! Invariant: a child is in `children` from its request until it is reported as exited or as not spawned.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::Pid;

use super::message::Report;
use super::outcome::{Exit, ExitReason, ExitStatus, ResourceUse, SpawnError, SpawnStage, TreeUsage};
use super::socket::{Datagram, Received, Sent, Socket};
use super::spec::{ChildId, LauncherOptions};
use super::start::Processes;

/// Spawn requests that may wait for a launcher that does not keep up, or is being started again.
pub(super) const WAITING_MAX: usize = 1024;
/// Pause before a launcher that died is started again; it doubles up to the second figure.
const RESTART_PAUSE: Duration = Duration::from_millis(20);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// A launcher that lived this long was no failure to start.
const HEALTHY_AGE: Duration = Duration::from_secs(10);

/// What becomes of children. All of it is called by one thread, which must not be blocked: a report about one child
/// comes after those that were made before it, about any child.
pub trait ChildEvents: Send + Sync {
    /// The child runs, or could not be started. The error holds a [`SpawnError`].
    fn spawned(&self, child: ChildId, result: io::Result<Pid>);

    /// The child's first process has ended; once, and only if it had been spawned. Others of its tree get SIGTERM then,
    /// and SIGKILL two seconds later, or at once if it was killed.
    fn exited(&self, child: ChildId, exit: Exit);

    /// The answer to [`usage`](super::Launcher::usage), for a child that still lives.
    fn usage(&self, child: ChildId, usage: TreeUsage) {
        let _ = (child, usage);
    }
}

/// How far a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its request waits here.
    Waiting,
    /// Its request is with the launcher.
    Sent,
    Running,
}

/// What waits to be sent.
#[derive(Debug)]
struct Outgoing {
    /// The child to spawn, if it is such a request.
    spawns: Option<u64>,
    datagram: Datagram,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while there is no launcher.
    socket: Option<Arc<Socket>>,
    outgoing: VecDeque<Outgoing>,
    children: BTreeMap<u64, Phase>,
    is_stopping: bool,
}

/// What callers and the thread share.
pub(super) struct Link {
    state: Mutex<State>,
    /// Wakes the thread.
    waker: OwnedFd,
    events: Arc<dyn ChildEvents>,
    options: LauncherOptions,
    /// Whether the first launcher keeps limits of processes; a later one has what that had.
    has_pids: OnceLock<bool>,
}

impl Link {
    /// Starts launcher and thread.
    pub(super) fn start(
        events: Arc<dyn ChildEvents>,
        options: LauncherOptions,
    ) -> io::Result<(Arc<Link>, thread::JoinHandle<()>)> {
        let link = Arc::new(Link {
            state: Mutex::default(),
            waker: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            events,
            options,
            has_pids: OnceLock::new(),
        });
        let processes = Processes::start(&link.options)?;
        link.has_pids.get_or_init(|| processes.has_pids);
        let of_thread = link.clone();
        let thread = thread::Builder::new()
            .name("weir-launcher".to_owned())
            .spawn(move || of_thread.run(processes))?;
        Ok((link, thread))
    }

    /// Sends a request, or has it sent. A spawn request is refused when too many wait.
    pub(super) fn send(&self, spawns: Option<u64>, datagram: Datagram) -> io::Result<()> {
        let mut state = self.state();
        if spawns.is_some() && state.outgoing.len() >= WAITING_MAX {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "too many children wait to be started",
            ));
        }
        if let Some(child) = spawns {
            state.children.insert(child, Phase::Waiting);
        }
        let was_waiting = !state.outgoing.is_empty();
        state.outgoing.push_back(Outgoing { spawns, datagram });
        if !was_waiting && state.flush() {
            return Ok(());
        }
        drop(state);
        self.wake();
        Ok(())
    }

    /// Whether limits of processes are kept.
    pub(super) fn has_pids(&self) -> bool {
        self.has_pids.get().copied().unwrap_or(false)
    }

    /// Ends the thread, the launcher, and all children.
    pub(super) fn stop(&self) {
        self.state().is_stopping = true;
        self.wake();
    }

    fn wake(&self) {
        // A counter that is full wakes as well.
        let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
    }

    /// No caller panics while it holds the state, and if one did, each change is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn run(&self, mut processes: Processes) {
        let mut pause = RESTART_PAUSE;
        loop {
            let begun = Instant::now();
            let is_stopping = self.serve(processes);
            if is_stopping {
                return;
            }
            if begun.elapsed() > HEALTHY_AGE {
                pause = RESTART_PAUSE;
            }
            processes = loop {
                if self.is_stopping_within(pause) {
                    return;
                }
                pause = (pause * 2).min(RESTART_PAUSE_MAX);
                match Processes::start(&self.options) {
                    Ok(processes) => break processes,
                    Err(error) => tracing::error!(%error, "the launcher cannot be started again"),
                }
            };
        }
    }

    /// Serves one launcher until it ends, or until this is to stop, which is `true`.
    fn serve(&self, processes: Processes) -> bool {
        if let Some(cgroup) = &processes.cgroup {
            tracing::info!(path = %cgroup.display(), "children get cgroups");
        }
        let Processes {
            guard,
            socket,
            cgroup,
            has_pids,
        } = processes;
        let socket = Arc::new(socket);
        self.state().socket = Some(socket.clone());
        let is_stopping = self.pump(&socket);
        self.state().socket = None;
        // Callers hold the socket only while they hold the state, so this is the last.
        let Some(socket) = Arc::into_inner(socket) else {
            return is_stopping;
        };
        Processes {
            guard,
            socket,
            cgroup,
            has_pids,
        }
        .wait();
        if !is_stopping {
            tracing::error!("the launcher has ended, and all children with it; it is started again");
            self.report_deaths();
        }
        is_stopping
    }

    /// Reads and writes until the launcher's end is closed, or until this is to stop, which is `true`.
    fn pump(&self, socket: &Socket) -> bool {
        loop {
            let is_waiting = {
                let mut state = self.state();
                if state.is_stopping {
                    return true;
                }
                !state.flush()
            };
            let events = if is_waiting {
                PollFlags::IN | PollFlags::OUT
            } else {
                PollFlags::IN
            };
            let mut waited = [
                PollFd::new(socket, events),
                PollFd::new(&self.waker, PollFlags::IN),
            ];
            if rustix::io::retry_on_intr(|| poll(&mut waited, None)).is_err() {
                // Only for want of memory.
                thread::sleep(RESTART_PAUSE);
            }
            self.drain_waker();
            loop {
                match socket.receive() {
                    Received::Datagram(datagram) => self.report(&datagram.bytes),
                    Received::Nothing => break,
                    Received::End => return false,
                }
            }
        }
    }

    /// Whether this is to stop, or is told to in this time.
    fn is_stopping_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            if self.state().is_stopping {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let timeout = rustix::event::Timespec::try_from(left).ok();
            let mut waited = [PollFd::new(&self.waker, PollFlags::IN)];
            let _ = poll(&mut waited, timeout.as_ref());
            self.drain_waker();
        }
    }

    fn drain_waker(&self) {
        let _ = rustix::io::read(&self.waker, &mut [0; 8]);
    }

    fn report(&self, bytes: &[u8]) {
        match Report::decode(bytes) {
            Some(Report::Spawned { child, result }) => {
                {
                    let mut state = self.state();
                    if result.is_ok() {
                        state.children.insert(child, Phase::Running);
                    } else {
                        state.children.remove(&child);
                    }
                }
                self.events.spawned(ChildId(child), pid_of(result));
            }
            Some(Report::Exited { child, exit }) => {
                self.state().children.remove(&child);
                self.events.exited(ChildId(child), exit);
            }
            Some(Report::Usage { child, usage }) => self.events.usage(ChildId(child), usage),
            Some(Report::Ready { .. }) => {}
            None => tracing::error!(length = bytes.len(), "the launcher sent what is no report"),
        }
    }

    /// Tells of every child that was with the launcher.
    fn report_deaths(&self) {
        let children = {
            let mut state = self.state();
            let (waiting, lost) = mem::take(&mut state.children)
                .into_iter()
                .partition(|(_, phase)| *phase == Phase::Waiting);
            state.children = waiting;
            lost
        };
        let lost: BTreeMap<u64, Phase> = children;
        for (child, phase) in lost {
            if phase == Phase::Sent {
                self.events.spawned(ChildId(child), Err(LOST.into()));
            } else {
                self.events.exited(ChildId(child), lost_exit());
            }
        }
    }
}

/// The error of a child whose request the launcher took with it.
const LOST: SpawnError = SpawnError {
    stage: SpawnStage::Launcher,
    errno: libc::ECONNRESET,
};

fn lost_exit() -> Exit {
    Exit {
        status: ExitStatus::Unknown,
        used: ResourceUse::default(),
        reason: ExitReason::LauncherEnded,
    }
}

fn pid_of(result: Result<i32, SpawnError>) -> io::Result<Pid> {
    let pid = result?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("the launcher sent what is no process"))
}

impl State {
    /// Sends what waits; `false` if some of it still does.
    fn flush(&mut self) -> bool {
        while let Some(Outgoing { spawns, datagram }) = self.outgoing.pop_front() {
            let sent = match &self.socket {
                Some(socket) => socket.send(datagram),
                None => Sent::Broken(datagram),
            };
            match sent {
                Sent::Whole => {
                    if let Some(child) = spawns {
                        self.children.insert(child, Phase::Sent);
                    }
                }
                Sent::Full(datagram) | Sent::Broken(datagram) => {
                    self.outgoing.push_front(Outgoing { spawns, datagram });
                    return false;
                }
            }
        }
        true
    }
}
