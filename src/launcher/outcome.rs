//! What became of a child.

use std::fmt;
use std::io;
use std::time::Duration;

/// The end of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// How its first process ended.
    pub status: ExitStatus,
    /// What that process, and those it waited for, used.
    pub used: ResourceUse,
    /// Whose doing it was.
    pub reason: ExitReason,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The launcher died with it, so nobody knows.
    Unknown,
}

/// Whose doing an exit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// The child's own, or that of somebody who is not this server.
    Itself,
    /// It was asked to end ([`terminate`](super::Launcher::terminate)).
    Terminated,
    /// It was killed ([`kill`](super::Launcher::kill)).
    Killed,
    /// Its processes had more resident bytes than `rss_max`.
    Memory {
        /// The bytes that were found, 0 where the kernel kept the limit.
        resident_bytes: u64,
    },
    /// The launcher died, and its children with it.
    LauncherEnded,
}

/// What an ended process used, and those it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceUse {
    /// CPU time in its own code.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The most resident bytes that one process had at once.
    pub resident_bytes_max: u64,
}

/// What the tree of a child uses now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeUsage {
    /// Resident bytes; what processes share counts for each.
    pub resident_bytes: u64,
    /// CPU time of those that live and those they waited for.
    pub cpu: Duration,
    /// The number of processes.
    pub processes_total: u32,
    /// Its processes, the first one first, 256 at most.
    pub processes: Vec<ProcessUsage>,
}

/// One process of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Its number.
    pub pid: i32,
    /// The number of its parent.
    pub parent: i32,
    /// Its resident bytes.
    pub resident_bytes: u64,
    /// Its CPU time.
    pub cpu: Duration,
}

/// Why a child did not start. The error of [`spawned`](super::ChildEvents::spawned) holds one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed.
    pub stage: SpawnStage,
    /// The number of the system's error.
    pub errno: i32,
}

macro_rules! stages {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// What fails when a child does not start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum SpawnStage {
            $($(#[doc = $doc])* $name,)*
        }

        impl SpawnStage {
            const ALL: &'static [(SpawnStage, &'static str)] = &[$((SpawnStage::$name, $text),)*];
        }
    };
}

stages! {
    /// The launcher died before it answered.
    Launcher = "the launcher ended",
    /// The request was not understood, or came without its pipes.
    Request = "the launcher did not understand the request",
    /// A session of its own.
    Session = "cannot make a session",
    /// Its cgroup, or the limits there.
    Cgroup = "cannot make a cgroup",
    /// A resource limit.
    Limits = "cannot set a resource limit",
    /// Its CPUs.
    Cpus = "cannot choose the CPUs",
    /// The user or group it is to run as.
    User = "cannot become the user",
    /// The directory it is to start in.
    Directory = "cannot enter the directory",
    /// What it may read, write and connect to.
    Access = "cannot bound what it may read, write or connect to",
    /// `no_new_privs`, the parent-death signal, or the closing of descriptors.
    Confinement = "cannot confine the process",
    /// The process itself, or the program: not found, not executable, or the arguments are too long.
    Program = "cannot start the program",
}

impl SpawnStage {
    /// A number, for [`from_index`](Self::from_index).
    pub(super) fn index(self) -> u8 {
        self as u8
    }

    /// The stage of a number from [`index`](Self::index).
    pub(super) fn from_index(index: u8) -> Option<SpawnStage> {
        Self::ALL.get(usize::from(index)).map(|(stage, _)| *stage)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = SpawnStage::ALL[usize::from(self.stage.index())].1;
        write!(f, "{text}: {}", io::Error::from_raw_os_error(self.errno))
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> io::Error {
        io::Error::new(io::Error::from_raw_os_error(error.errno).kind(), error)
    }
}
