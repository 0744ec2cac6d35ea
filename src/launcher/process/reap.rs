//! Waiting for processes, with what they used.
#![allow(unsafe_code, reason = "no wrapper of wait4 tells what a process used")]

use std::io;
use std::time::Duration;

use crate::launcher::outcome::{ExitStatus, ResourceUse};

/// A process that ended and is no more.
#[derive(Debug)]
pub(super) struct Reaped {
    pub(super) pid: i32,
    pub(super) status: ExitStatus,
    pub(super) used: ResourceUse,
}

/// What waiting came to.
#[derive(Debug)]
pub(super) enum Waited {
    Reaped(Reaped),
    /// There are children, and all of them run.
    Running,
    /// There are none, so there are no descendants either.
    Childless,
}

/// Reaps a child that has ended, if there is one.
pub(super) fn try_reap() -> Waited {
    wait(libc::WNOHANG)
}

/// Reaps the next child that ends.
pub(super) fn reap() -> Waited {
    wait(0)
}

fn wait(options: libc::c_int) -> Waited {
    loop {
        let mut status = 0;
        let mut used = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are to values that live through the call; all zeroes is a valid rusage, whose fields
        // are integers, so it is one whether the kernel writes to it or not.
        let (pid, used) = unsafe {
            let pid = libc::wait4(-1, &mut status, options, used.as_mut_ptr());
            (pid, used.assume_init())
        };
        match pid {
            0 => return Waited::Running,
            pid if pid > 0 => {
                return Waited::Reaped(Reaped {
                    pid,
                    status: status_of(status),
                    used: use_of(&used),
                });
            }
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return Waited::Childless,
        }
    }
}

fn status_of(status: libc::c_int) -> ExitStatus {
    if libc::WIFEXITED(status) {
        ExitStatus::Code(libc::WEXITSTATUS(status))
    } else {
        ExitStatus::Signal(libc::WTERMSIG(status))
    }
}

fn use_of(used: &libc::rusage) -> ResourceUse {
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    ResourceUse {
        user: time(used.ru_utime),
        system: time(used.ru_stime),
        // In KiB.
        resident_bytes_max: u64::try_from(used.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    }
}
