//! Waking a ring from other threads: an eventfd the ring reads.
//!
//! A wake-up carries no data and is not counted: any number of them before the ring looks are one. The caller decides
//! when a wake-up is needed (for an inbox: when it stops being empty).
//!
//! Where the executor waits for an eventfd that the kernel signals for the ring, the waker signals that one itself:
//! from within the wake-up of an eventfd the kernel does so only after a grace period of RCU, which takes many
//! milliseconds.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes one ring; cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct RingWaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    event: File,
    /// The eventfd for which the executor waits instead of the ring.
    notice: Option<File>,
    is_awaited: AtomicBool,
}

impl RingWaker {
    /// `notice` is non-blocking.
    pub(super) fn new(notice: Option<OwnedFd>) -> io::Result<Self> {
        let event: OwnedFd = event_descriptor()?;
        Ok(RingWaker(Arc::new(Shared {
            event: event.into(),
            notice: notice.map(File::from),
            is_awaited: AtomicBool::new(false),
        })))
    }

    /// Makes the ring report [`Completion::Woken`](super::Completion::Woken). One system call, two while the executor
    /// waits.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // The write fails only when 2^64 - 2 wake-ups are unread, and then the ring is being woken already.
        let _ = (&self.0.event).write(&one);
        // An executor that begins to wait announces it and then looks for work, which is there by now.
        if self.is_awaited()
            && let Some(mut notice) = self.0.notice.as_ref()
        {
            let _ = notice.write(&one);
        }
    }

    /// Whether the executor waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.is_awaited.load(Ordering::SeqCst)
    }

    /// Notes that the executor is about to wait for the notice, if there is one, and clears earlier signals.
    pub(super) fn begin_waiting(&self) -> Option<BorrowedFd<'_>> {
        self.0.is_awaited.store(true, Ordering::SeqCst);
        let mut notice = self.0.notice.as_ref()?;
        // There may be nothing to take.
        let _ = notice.read(&mut [0; 8]);
        Some(notice.as_fd())
    }

    /// Notes that the executor waits no longer, and returns whether it did.
    pub(super) fn end_waiting(&self) -> bool {
        self.0.is_awaited.swap(false, Ordering::SeqCst)
    }

    /// Whether `wake` was called since the last time; consumes the wake-up without blocking.
    #[cfg(any(test, feature = "internals", feature = "testing"))]
    pub(super) fn take(&self) -> bool {
        let mut count = [0; 8];
        is_readable(self.as_fd()) && (&self.0.event).read(&mut count).is_ok()
    }
}

impl AsFd for RingWaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

/// It is blocking, because the ring's read of a non-blocking one would fail at once instead of waiting.
#[allow(unsafe_code, reason = "a system call that takes and returns plain integers")]
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

#[cfg(any(test, feature = "internals", feature = "testing"))]
#[allow(unsafe_code, reason = "a system call on one entry that lives through it")]
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
        let waker = RingWaker::new(None).unwrap();
        assert!(!waker.take());
        waker.wake();
        waker.clone().wake();
        assert!(waker.take());
        assert!(!waker.take());
    }
}
