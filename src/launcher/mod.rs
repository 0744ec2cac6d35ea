//! Starting, signalling and reaping other programs, from a small process of its own.
//!
//! A server of 1 GiB that forks blocks its thread for 30 ms, and every other thread that faults meanwhile; what spawns
//! without a fork cannot set what a child needs; and the parent-death signal fires when the forking *thread* ends. So
//! the program starts itself once more, before it is large: [`launcher`] is the first line of its `main`.
//!
//! ```text
//!   server ──starts──> guard ──starts──> launcher ──starts──> children, each with a session of its own
//!      └───────── a socket pair: requests with pipe ends, reports ──────┘
//! ```
//!
//! | dies | what happens |
//! |---|---|
//! | the server | the launcher's socket ends: it kills every descendant, until nobody is left, and ends |
//! | the launcher | its children die by the parent-death signal; their descendants come to the guard, which kills them and ends; the server reports every child as dead and starts both anew |
//! | the guard | the launcher is told by its own parent-death signal, and ends as if the server had died |
//! | server and launcher | the guard is left, and kills what is left |
//! | all three at once | direct children die by the signal; a descendant that ignores the end of its input stays |
//!
//! | file | its part |
//! |---|---|
//! | `spec` | what to start: program, environment, limits, and the ends of its pipes |
//! | `access` | what it may read, write and connect to |
//! | `outcome` | what became of it: spawn errors, exits, use of a tree |
//! | `lookup` | the file that a name starts |
//! | `message`, `codec` | requests and reports as datagrams |
//! | `socket` | datagrams with descriptors |
//! | `handle` | the server's side, called by anybody: it makes pipes and sends a datagram |
//! | `link` | the server's side, a thread: it reads reports, and starts the launcher again |
//! | `start` | starting this program once more |
//! | `behind` | the process behind a wrapper, as something to start without it |
//! | `process` | the other side: guard and launcher |
//!
//! It knows nothing of MCP, of shards, or of who is started and why.
//! Invariant: a child that was spawned is reported as exited once, whatever dies.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it crosses threads and processes; no shard waits for it"
)]

mod access;
mod behind;
mod codec;
mod handle;
mod link;
mod lookup;
mod message;
mod outcome;
mod process;
mod socket;
mod spec;
mod start;

use std::ffi::OsStr;
use std::sync::atomic::Ordering;

pub use behind::{Behind, PipeNumbers, behind};
pub use handle::Launcher;
pub use link::ChildEvents;
pub use outcome::{
    Exit, ExitReason, ExitStatus, ProcessUsage, ResourceUse, SpawnError, SpawnStage, TreeUsage,
};
pub use rustix::process::{Pid, Resource};
pub use spec::{
    Access, CgroupUse, ChildId, ChildPipes, ChildSpec, LauncherOptions, Limits, ResourceLimit, User,
    resource_named,
};

/// Makes this process the launcher of children if a server of this program started it as that; returns otherwise.
///
/// A program whose server has children (other programs that it starts and serves) calls this on the first line of its
/// `main`, before it reads arguments, starts a thread or opens a file: the server starts the program once more, and
/// that copy, small and of one thread, starts and reaps the children. It never returns in the copy. A program that does
/// not call this can have no children: the server says so when it starts.
///
/// ```no_run
/// weir::launcher();
/// // Everything else that `main` does.
/// ```
pub fn launcher() {
    start::IS_LAUNCHER_CALLED.store(true, Ordering::Release);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() == Some(OsStr::new(start::MARK)) {
        std::process::exit(process::run(arguments));
    }
}
