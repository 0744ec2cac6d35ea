//! Waking a ring from other threads: an eventfd the ring reads.
//!
//! It carries no data and counts nothing: any number of wake-ups before the ring looks are one. Who
//! uses it decides when a wake-up is needed (a mailbox: when it stops being empty).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Wakes one ring; cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct RingWaker {
    event: Arc<std::fs::File>,
}

impl RingWaker {
    pub(super) fn new() -> io::Result<Self> {
        let event: OwnedFd = event_descriptor()?;
        Ok(RingWaker {
            event: Arc::new(event.into()),
        })
    }

    /// Makes the ring report [`Completion::Woken`](super::Completion::Woken). One system call.
    pub fn wake(&self) {
        // It fails only when 2^64 - 2 wake-ups are unread, and then the ring is being woken already.
        let _ = (&*self.event).write(&1u64.to_ne_bytes());
    }

    /// Whether `wake` was called since the last time; consumes the wake-up without blocking.
    pub(super) fn take(&self) -> bool {
        let mut count = [0; 8];
        is_readable(self.as_fd()) && (&*self.event).read(&mut count).is_ok()
    }
}

impl AsFd for RingWaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Not non-blocking: the ring's read would then fail at once instead of waiting.
#[allow(unsafe_code)]
fn event_descriptor() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: no pointers; the result is checked before it is owned.
    let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `raw` is a fresh descriptor nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[allow(unsafe_code)]
fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: `poll` is one valid entry for the whole call, which does not wait.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_wake_ups_is_one() {
        let waker = RingWaker::new().unwrap();
        assert!(!waker.take());
        waker.wake();
        waker.clone().wake();
        assert!(waker.take());
        assert!(!waker.take());
    }
}
