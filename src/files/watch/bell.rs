//! Wakes the watching thread for what no event of the kernel tells it.
//!
//! Rung after the change to what the thread looks at, and hushed before it looks: no ring is missed, and any number of
//! them before a look are one. Ringing never waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(super) fn ring(&self) {
        // Fails only if it has rung 2^64 - 2 times unheard: it rings still.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Rings no more, until the next time.
    pub(super) fn hush(&self) {
        // Fails only if it did not ring.
        let _ = rustix::io::read(&self.0, &mut [0_u8; size_of::<u64>()]);
    }
}

/// Readable while it rings.
impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
