//! What to start, and what it may use.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::Resource;

/// A program to start, and what it gets.
///
/// Whatever is asked, a child has: a session and process group of its own, SIGKILL as parent-death signal, an empty
/// signal mask and default dispositions, `no_new_privs`, 500 more than the server in `oom_score_adj`, no core dumps, a
/// soft limit of 1,024 descriptors (the server raises its own), and no descriptor above 2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildSpec {
    /// A path, or a name that is looked up in the `PATH` of [`env`](Self::env). A relative path begins at
    /// [`cwd`](Self::cwd).
    pub program: OsString,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// The whole environment: nothing is inherited. Of a name that is given twice the last value counts.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts; `None` is the directory of the server.
    pub cwd: Option<PathBuf>,
    /// Limits, and whom it runs as.
    pub limits: Limits,
}

/// What a child may use, and whom it runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Permissions that files it makes do not get; `None` is the server's.
    pub umask: Option<u32>,
    /// Limits of one process (`setrlimit`); of a resource named twice the last counts.
    pub rlimits: Vec<ResourceLimit>,
    /// Resident bytes of the whole tree, above which it is killed. With a cgroup the kernel keeps it, at once; without,
    /// the launcher looks once a second.
    pub rss_max: Option<u64>,
    /// Processes of the whole tree. Only a cgroup can keep it; without one it is not kept.
    pub pids_max: Option<u64>,
    /// Whom it runs as; `None` is who the server is.
    pub user: Option<User>,
    /// What it may read, write and connect to.
    pub access: Access,
    /// The numbers of the CPUs it may use; none means all that the server could use when it started.
    pub cpus: Vec<u32>,
}

/// What a child may read, write and connect to, with all that it starts; `None` is no bound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Files and directories to read and to execute, besides those that every program needs.
    pub read: Option<Vec<PathBuf>>,
    /// Files and directories to write, and to read.
    pub write: Option<Vec<PathBuf>>,
    /// Ports to connect to over TCP.
    pub tcp: Option<Vec<u16>>,
}

/// One resource limit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The resource, in the unit of `setrlimit(2)`.
    pub resource: Resource,
    /// What the process gets; it may raise it up to `hard`. `None` is unlimited.
    pub soft: Option<u64>,
    /// What it may at most have. `None` is unlimited.
    pub hard: Option<u64>,
}

/// Whom a child runs as. Only a privileged server can choose somebody else; supplementary groups are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

/// The server's ends of a child's three pipes: close-on-exec, and blocking, because a ring waits for a blocking
/// descriptor by itself and gives `EAGAIN` for others. A pipe that is dropped is closed, as the child sees.
#[derive(Debug)]
pub struct ChildPipes {
    /// Writes to the child.
    pub stdin: OwnedFd,
    /// Reads its answers.
    pub stdout: OwnedFd,
    /// Reads its complaints.
    pub stderr: OwnedFd,
}

/// A child of this process, never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(pub(super) u64);

impl ChildId {
    /// An identifier for tests and fakes, which no launcher gives.
    #[cfg(any(test, feature = "internals"))]
    pub fn made_up(number: u64) -> ChildId {
        ChildId(number)
    }

    /// The number.
    #[cfg(test)]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the launcher is started.
#[derive(Debug, Clone, Default)]
pub struct LauncherOptions {
    /// The program to start as launcher, which calls [`launcher`](super::launcher) first; `None` is this one.
    pub program: Option<PathBuf>,
    /// Whether children get cgroups.
    pub cgroup: CgroupUse,
}

/// Whether children get a cgroup (version 2) each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CgroupUse {
    /// Below the server's own cgroup, if it was delegated to it and has the memory controller.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Below this directory, with whatever controllers are on there.
    At(PathBuf),
}

/// The resources and their names, as `setrlimit(2)` has them.
const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// The resource of a name in lower case, such as `nofile`.
pub fn resource_named(name: &str) -> Option<Resource> {
    let found = RESOURCES.iter().find(|(known, _)| *known == name);
    found.map(|(_, resource)| *resource)
}

/// The names that `/proc/PID/limits` has for these resources, in the same order.
const PROC_NAMES: [&str; 16] = [
    "Max address space",
    "Max core file size",
    "Max cpu time",
    "Max data size",
    "Max file size",
    "Max file locks",
    "Max locked memory",
    "Max msgqueue size",
    "Max nice priority",
    "Max open files",
    "Max processes",
    "Max resident set",
    "Max realtime priority",
    "Max realtime timeout",
    "Max pending signals",
    "Max stack size",
];

/// The resource of a name in `/proc/PID/limits`.
pub(super) fn resource_of_proc(name: &str) -> Option<Resource> {
    let at = PROC_NAMES.iter().position(|known| *known == name)?;
    Some(RESOURCES.get(at)?.1)
}

/// A number for a resource, for [`resource_at`].
pub(super) fn resource_index(resource: Resource) -> u8 {
    let at = RESOURCES.iter().position(|(_, known)| *known == resource);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

/// The resource of a number from [`resource_index`].
pub(super) fn resource_at(index: u8) -> Option<Resource> {
    RESOURCES.get(usize::from(index)).map(|(_, resource)| *resource)
}
