//! The launcher's parent. It waits, so that what a dead launcher leaves behind comes to somebody who ends it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{getpid, getppid, set_child_subreaper, setsid};
use rustix::stdio::dup2_stdin;

use super::end::end_descendants;
use super::reap::{Waited, reap};
use super::signals::Signals;
use crate::launcher::start::{LAUNCHER, MARK};

/// Starts the launcher on this process's stdin, and ends when nobody is left below it.
pub(super) fn run(cgroup: &OsStr) -> io::Result<()> {
    rustix::thread::set_name(c"weir-guard")?;
    // A terminal's signals are the server's affair. It fails if this process leads a session already.
    let _ = setsid();
    let signals = Signals::catch()?;
    set_child_subreaper(Some(getpid()))?;
    let server = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let launcher = Command::new("/proc/self/exe")
        .arg0("weir-launcher")
        .args([MARK, LAUNCHER])
        .arg(cgroup)
        .args([getpid().as_raw_nonzero().get().to_string(), server.to_string()])
        .stdin(Stdio::inherit())
        .spawn()?;
    // The socket must end with the launcher.
    dup2_stdin(File::open("/dev/null")?)?;
    let launcher = i32::try_from(launcher.id()).unwrap_or(0);
    loop {
        match reap() {
            Waited::Reaped(reaped) if reaped.pid != launcher => {}
            _ => break,
        }
    }
    end_descendants(&signals);
    Ok(())
}
