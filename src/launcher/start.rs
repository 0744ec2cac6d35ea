//! Starting this program once more, as guard and launcher.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use super::message::Report;
use super::socket::{Received, Socket};
use super::spec::{CgroupUse, LauncherOptions};

/// The first argument of a program that was started to be the launcher.
pub(super) const MARK: &str = "__weir-launcher";
/// The second one of the guard, which is started by the server.
pub(super) const GUARD: &str = "guard";
/// The second one of the launcher itself, which is started by the guard.
pub(super) const LAUNCHER: &str = "launcher";
/// Time in which the launcher has said that it runs. A start takes a few milliseconds.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which guard and launcher have ended everything and themselves, once their socket is closed.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether this program's `main` begins with [`launcher`](super::launcher): started again without, it would be a second
/// server.
pub(super) static IS_LAUNCHER_CALLED: AtomicBool = AtomicBool::new(false);

/// A guard and the launcher below it.
#[derive(Debug)]
pub(super) struct Processes {
    pub(super) guard: Child,
    pub(super) socket: Socket,
    /// The cgroup under which children get theirs.
    pub(super) cgroup: Option<PathBuf>,
    /// Whether limits of processes are kept.
    pub(super) has_pids: bool,
}

impl Processes {
    /// Starts both, and waits until the launcher has said that it runs.
    pub(super) fn start(options: &LauncherOptions) -> io::Result<Processes> {
        let (socket, theirs) = Socket::pair()?;
        let mut guard = command(options)?
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start the launcher: {error}")))?;
        match wait_until_ready(&socket) {
            Ok((cgroup, has_pids)) => Ok(Processes {
                guard,
                socket,
                cgroup,
                has_pids,
            }),
            Err(error) => {
                drop(socket);
                // It is no launcher of ours, or hangs.
                let _ = guard.kill();
                let _ = guard.wait();
                Err(error)
            }
        }
    }

    /// Waits until nobody is left. The socket must be at its end, or closed by this.
    pub(super) fn wait(self) {
        let Processes {
            mut guard, socket, ..
        } = self;
        drop(socket);
        if !is_over_within(&guard, END_TIMEOUT) {
            // Some process cannot be killed, because the kernel holds it. The guard waits for it; we do not.
            tracing::warn!("processes of children do not end; they are left behind");
            return;
        }
        let _ = guard.wait();
    }
}

/// The program, as guard.
fn command(options: &LauncherOptions) -> io::Result<Command> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None if IS_LAUNCHER_CALLED.load(Ordering::Acquire) => PathBuf::from("/proc/self/exe"),
        None => {
            return Err(io::Error::other(
                "this program cannot start other programs, because its `main` does not begin with `weir::launcher()`",
            ));
        }
    };
    let mut command = Command::new(program);
    let cgroup = cgroup_argument(&options.cgroup);
    // stdout may carry the messages of a client. With these settings, and no hooks, it is no fork that starts it.
    command
        .arg0("weir-launcher")
        .args([MARK, GUARD])
        .arg(cgroup)
        .stdout(Stdio::null());
    Ok(command)
}

/// The choice of cgroups, as an argument.
fn cgroup_argument(cgroup: &CgroupUse) -> OsString {
    match cgroup {
        CgroupUse::Auto => "auto".into(),
        CgroupUse::Off => "off".into(),
        CgroupUse::At(path) => Path::new(".").join(path).into(),
    }
}

/// The choice of [`cgroup_argument`].
pub(super) fn cgroup_use(argument: &OsStr) -> CgroupUse {
    match argument.to_str() {
        Some("auto") => CgroupUse::Auto,
        Some("off") => CgroupUse::Off,
        _ => CgroupUse::At(argument.into()),
    }
}

/// What the launcher says of its cgroups.
fn wait_until_ready(socket: &Socket) -> io::Result<(Option<PathBuf>, bool)> {
    let timeout = Timespec::try_from(READY_TIMEOUT).map_err(io::Error::other)?;
    let mut waited = [PollFd::new(socket, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut waited, Some(&timeout)))?;
    match socket.receive() {
        Received::Datagram(datagram) => match Report::decode(&datagram.bytes) {
            Some(Report::Ready { cgroup, has_pids }) => Ok((cgroup, has_pids)),
            _ => Err(io::Error::other("what was started as launcher is none")),
        },
        Received::Nothing => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the launcher does not answer",
        )),
        Received::End => Err(io::Error::other("the launcher ended at once")),
    }
}

/// Whether the process ends in this time. Without a descriptor of it, nobody waits.
fn is_over_within(process: &Child, time: Duration) -> bool {
    let pid = i32::try_from(process.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let Some(Ok(descriptor)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return true;
    };
    let descriptor: OwnedFd = descriptor;
    let Ok(timeout) = Timespec::try_from(time) else {
        return true;
    };
    let mut waited = [PollFd::new(&descriptor, PollFlags::IN)];
    !matches!(
        rustix::io::retry_on_intr(|| poll(&mut waited, Some(&timeout))),
        Ok(0)
    )
}
