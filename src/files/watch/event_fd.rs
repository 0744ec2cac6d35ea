//! Wakes the watching thread for changes that no event of the kernel announces.
//!
//! A thread signals after it has changed what the watching thread looks at, and the watching thread clears the signal
//! before it looks: no signal is missed, and any number of them before a look are one. Signalling never waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn new() -> io::Result<EventFd> {
        Ok(EventFd(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    pub(super) fn signal(&self) {
        // This fails only after 2^64 - 2 signals that were not cleared, and then it is signalled already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Takes the signal back, until the next one.
    pub(super) fn clear(&self) {
        // This fails only if there was no signal.
        let _ = rustix::io::read(&self.0, &mut [0_u8; size_of::<u64>()]);
    }
}

/// Readable while it is signalled.
impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
