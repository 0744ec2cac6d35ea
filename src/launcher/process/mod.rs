//! The processes that start and reap children: the guard, and the launcher below it. Neither has a second thread.
//!
//! | file | its part |
//! |---|---|
//! | `guard` | waits for the launcher, and ends what it leaves behind |
//! | `serve` | the launcher's loop: requests, exits, reports |
//! | `children` | who was started, and what is to be done about those that ended |
//! | `exec` | makes a process and everything it sets for itself |
//! | `reap` | waits for processes |
//! | `tree` | who is whose descendant, read from `/proc` |
//! | `tag` | a mark that descendants of a child keep, whatever they do |
//! | `cgroup` | a cgroup for each child, where that is possible |
//! | `descriptors` | closes what is above the standard streams |
//! | `end` | ends all descendants |
//! | `signals` | catches signals |

mod cgroup;
mod children;
mod descriptors;
mod end;
mod exec;
mod guard;
mod reap;
mod serve;
mod signals;
pub(super) mod tag;
mod tree;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use rustix::process::Pid;

use descriptors::close_inherited;

use super::start::{GUARD, LAUNCHER, cgroup_use};

/// Is guard or launcher, by the arguments behind the mark; gives the exit status.
pub(super) fn run(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let is_from_server = socket_type(io::stdin().as_fd()) == Ok(SocketType::SEQPACKET);
    let role = arguments.next().unwrap_or_default();
    let cgroup = arguments.next().unwrap_or_default();
    if let Err(error) = close_inherited() {
        eprintln!("the launcher of children cannot close descriptors: {error}");
        return 1;
    }
    let ended = match role.to_str() {
        Some(GUARD) if is_from_server => guard::run(&cgroup),
        Some(LAUNCHER) if is_from_server => {
            let mut pid = || arguments.next().as_deref().and_then(pid_of);
            let (guard, server) = (pid(), pid());
            serve::run(&cgroup_use(&cgroup), guard, server)
        }
        _ => {
            eprintln!("a server starts this to have children; it does nothing by itself");
            return 2;
        }
    };
    match ended {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("the launcher of children ends: {error}");
            1
        }
    }
}

fn pid_of(argument: &OsStr) -> Option<Pid> {
    Pid::from_raw(argument.to_str()?.parse().ok()?)
}
