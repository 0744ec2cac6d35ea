//! Every signal is caught: none ends the process, and children begin with default dispositions, because exec keeps
//! what is ignored and resets what is caught.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{FORBIDDEN, SIGCHLD, SIGHUP};
use signal_hook::{flag, low_level};

/// The last real-time signal.
const SIGNAL_MAX: i32 = 64;

/// Says that a child ended (SIGCHLD) or the parent did (SIGHUP).
#[derive(Debug)]
pub(super) struct Signals {
    came: UnixStream,
}

impl Signals {
    /// Catches all that can be caught.
    pub(super) fn catch() -> io::Result<Signals> {
        let (came, theirs) = UnixStream::pair()?;
        came.set_nonblocking(true)?;
        low_level::pipe::register(SIGCHLD, theirs.try_clone()?)?;
        low_level::pipe::register(SIGHUP, theirs)?;
        let ignored = Arc::new(AtomicBool::new(false));
        for signal in (1..=SIGNAL_MAX).filter(|signal| !FORBIDDEN.contains(signal)) {
            if signal != SIGCHLD && signal != SIGHUP {
                // The C library keeps a few for itself.
                let _ = flag::register(signal, ignored.clone());
            }
        }
        Ok(Signals { came })
    }

    /// Forgets what came so far.
    pub(super) fn clear(&self) {
        let mut bytes = [0; 64];
        while rustix::io::read(&self.came, &mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }

    /// Waits until one comes, or this time is over.
    pub(super) fn wait(&self, time: std::time::Duration) {
        let timeout = Timespec::try_from(time).ok();
        // A signal that interrupts it has come.
        let _ = poll(&mut [PollFd::new(&self.came, PollFlags::IN)], timeout.as_ref());
        self.clear();
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.came.as_fd()
    }
}
