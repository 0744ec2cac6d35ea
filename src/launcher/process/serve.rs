//! The launcher's loop: it takes requests, reaps, looks, and reports, and waits for whatever comes next.
//!
//! All it does between two waits is short. When the socket ends, or the guard, it ends everything and itself.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getpid, getppid, set_child_subreaper, set_parent_process_death_signal};
use rustix::stdio::dup2_stdin;

use super::cgroup::{Cgroup, Cgroups};
use super::children::{Children, Managed};
use super::end::end_descendants;
use super::exec::{Common, Ends};
use super::reap::{Waited, try_reap};
use super::signals::Signals;
use super::tree::Tree;
use crate::launcher::message::{Report, Request};
use crate::launcher::outcome::{ExitReason, SpawnError, SpawnStage};
use crate::launcher::socket::{Datagram, Received, Sent, Socket, bytes_of};
use crate::launcher::spec::{CgroupUse, ChildSpec};

/// Requests taken before exits are looked at.
const REQUESTS_A_TURN: usize = 64;
/// Reports that wait for the server, above which no request is taken.
const REPORTS_MAX: usize = 1024;
/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Is the launcher, on this process's stdin, until the server or the guard ends.
pub(super) fn run(cgroup: &CgroupUse, guard: Option<Pid>, server: Option<Pid>) -> io::Result<()> {
    rustix::thread::set_name(c"weir-launcher")?;
    let signals = Signals::catch()?;
    set_child_subreaper(Some(getpid()))?;
    set_parent_process_death_signal(Some(Signal::HUP))?;
    let socket = Socket::new(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?);
    dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let own = [server, guard, Some(getpid())];
    let common = Common::new();
    let mut serving = Serving {
        children: Children::new(common.has_tags()),
        cgroups: Cgroups::find(cgroup, server, &own),
        common,
        socket,
        signals,
        guard,
        reports: VecDeque::new(),
        asked: Vec::new(),
        sweep_at: None,
        look_at: None,
    };
    serving.serve();
    serving.children.kill_all();
    drop(serving.socket);
    end_descendants(&serving.signals);
    serving.children.remove_cgroups();
    Ok(())
}

struct Serving {
    common: Common,
    children: Children,
    cgroups: Option<Cgroups>,
    socket: Socket,
    signals: Signals,
    guard: Option<Pid>,
    /// Reports to send.
    reports: VecDeque<Datagram>,
    /// Children whose use was asked for.
    asked: Vec<u64>,
    /// When to look for what is left of ended children.
    sweep_at: Option<Instant>,
    /// When to look at memory.
    look_at: Option<Instant>,
}

impl Serving {
    fn serve(&mut self) {
        let cgroup = self.cgroups.as_ref().map(|cgroups| cgroups.base().to_path_buf());
        let has_pids = self.cgroups.as_ref().is_some_and(Cgroups::has_pids);
        self.report(&Report::Ready { cgroup, has_pids });
        loop {
            if !self.flush() || getppid() != self.guard {
                return;
            }
            self.wait();
            if !self.take_requests() {
                return;
            }
            self.reap();
            self.look();
        }
    }

    /// Waits for a request, an exit, room for reports, or the next time to look.
    fn wait(&self) {
        let now = Instant::now();
        let next = [self.sweep_at, self.look_at].into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(now));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, self.reports.len() < REPORTS_MAX);
        events.set(PollFlags::OUT, !self.reports.is_empty());
        let mut waited = [
            PollFd::new(&self.socket, events),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        // A signal that interrupts it has come.
        let _ = poll(&mut waited, timeout.as_ref());
        self.signals.clear();
    }

    /// Takes what was asked; `false` when the server's end is closed.
    fn take_requests(&mut self) -> bool {
        for _ in 0..REQUESTS_A_TURN {
            if self.reports.len() >= REPORTS_MAX {
                break;
            }
            match self.socket.receive() {
                Received::Datagram(datagram) => self.handle(datagram),
                Received::Nothing => break,
                Received::End => return false,
            }
        }
        true
    }

    fn handle(&mut self, datagram: Datagram) {
        let Datagram {
            mut bytes,
            mut descriptors,
        } = datagram;
        if Request::decode(&bytes) == Some(Request::SpawnFromFile) {
            let file = descriptors.pop();
            bytes = file.and_then(|file| bytes_of(file).ok()).unwrap_or_default();
        }
        match Request::decode(&bytes) {
            Some(Request::Spawn { child, spec }) => {
                let result = ends(descriptors).and_then(|ends| self.spawn(child, *spec, ends));
                self.report(&Report::Spawned { child, result });
            }
            Some(Request::Terminate { child }) => self.children.terminate(child),
            Some(Request::Kill { child }) => {
                if self.children.kill(child, ExitReason::Killed) {
                    self.sweep_at = Some(Instant::now());
                }
            }
            Some(Request::Usage { child }) => self.asked.push(child),
            Some(Request::SpawnFromFile) | None => eprintln!("a request is not understood"),
        }
    }

    fn spawn(&mut self, child: u64, spec: ChildSpec, ends: Ends) -> Result<i32, SpawnError> {
        let failed = |error: io::Error| SpawnError {
            stage: SpawnStage::Cgroup,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        };
        let rss_max = spec.limits.rss_max;
        let cgroups = self.cgroups.as_ref();
        let cgroup = cgroups
            .map(|cgroups| cgroups.create(child, &spec.limits))
            .transpose()
            .map_err(failed)?;
        let entrance = cgroup.as_ref().map(Cgroup::entrance).transpose().map_err(failed);
        let started = entrance.and_then(|entrance| self.common.start(child, spec, ends, entrance));
        let pid = started.inspect_err(|_| {
            if let Some(cgroup) = &cgroup {
                cgroup.remove();
            }
        })?;
        if let Some(leader) = Pid::from_raw(pid) {
            self.children.insert(child, Managed::new(leader, rss_max, cgroup));
        }
        if self.look_at.is_none() && self.children.has_memory_limits() {
            self.look_at = Some(Instant::now() + LOOK_INTERVAL);
        }
        Ok(pid)
    }

    /// Reaps all that has ended.
    fn reap(&mut self) {
        while let Waited::Reaped(reaped) = try_reap() {
            if let Some((child, exit)) = self.children.reaped(&reaped) {
                self.report(&Report::Exited { child, exit });
            }
            if self.children.has_ended() {
                self.sweep_at = Some(Instant::now());
            }
        }
    }

    /// Looks at the processes, if there is a reason to.
    fn look(&mut self) {
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (is_sweep_due, is_look_due) = (is_due(self.sweep_at), is_due(self.look_at));
        if !is_sweep_due && !is_look_due && self.asked.is_empty() {
            return;
        }
        let members = match Tree::read() {
            Ok(tree) => tree.members(&self.children),
            Err(error) => {
                eprintln!("cannot read /proc: {error}");
                self.sweep_at = self.sweep_at.map(|_| now + LOOK_INTERVAL);
                self.look_at = self.look_at.map(|_| now + LOOK_INTERVAL);
                self.asked.clear();
                return;
            }
        };
        for child in std::mem::take(&mut self.asked) {
            if let Some(usage) = self.children.usage(child, &members) {
                self.report(&Report::Usage { child, usage });
            }
        }
        let mut has_killed = false;
        if is_look_due {
            has_killed = self.children.keep_memory(&members);
            self.look_at = self.children.has_memory_limits().then(|| now + LOOK_INTERVAL);
        }
        if is_sweep_due || has_killed {
            self.sweep_at = self.children.sweep(&members, now);
        }
    }

    fn report(&mut self, report: &Report) {
        self.reports.push_back(Datagram {
            bytes: report.encode(),
            descriptors: Vec::new(),
        });
    }

    /// Sends what there is room for; `false` when nobody reads any more.
    fn flush(&mut self) -> bool {
        while let Some(datagram) = self.reports.pop_front() {
            match self.socket.send(datagram) {
                Sent::Whole => {}
                Sent::Full(datagram) => {
                    self.reports.push_front(datagram);
                    break;
                }
                Sent::Broken(_) => return false,
            }
        }
        true
    }
}

/// The three pipe ends that came with a request.
fn ends(descriptors: Vec<std::os::fd::OwnedFd>) -> Result<Ends, SpawnError> {
    let ends = <[std::os::fd::OwnedFd; 3]>::try_from(descriptors).map_err(|_| SpawnError {
        stage: SpawnStage::Request,
        errno: libc::EBADF,
    })?;
    let [stdin, stdout, stderr] = ends;
    Ok(Ends {
        stdin,
        stdout,
        stderr,
    })
}
