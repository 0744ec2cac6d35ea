//! Which connections are ready: epoll, waiting with the clock's own precision.
//!
//! Edge-triggered for both directions, so that one registration serves a connection's life; closing the socket
//! ends it. Knows connections by their index only.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::Socket;

/// Taken at a time. Few, so that an open loop's requests go out when they are due, not behind a crowd of answers.
const EVENTS: usize = 64;

/// A set of sockets and what happened to them last.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Poll {
            // SAFETY: a fresh descriptor nobody else owns.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
            ready: 0,
        })
    }

    pub(crate) fn watch(&self, socket: &Socket, index: usize) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
            u64: index as u64,
        };
        let (epoll, socket) = (self.epoll.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: `event` lives through the call; both descriptors are open.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket, &mut event) })?;
        Ok(())
    }

    /// Waits until something is ready, a signal comes, or `patience` is over; how many are ready.
    pub(crate) fn wait(&mut self, patience: Duration) -> io::Result<usize> {
        let timeout = libc::timespec {
            tv_sec: patience.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(patience.subsec_nanos()),
        };
        // SAFETY: `events` has room for the count given, `timeout` lives through the call, no signal mask.
        let ready = unsafe {
            libc::epoll_pwait2(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as i32,
                &raw const timeout,
                std::ptr::null(),
            )
        };
        self.ready = match check(ready) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => other? as usize,
        };
        Ok(self.ready)
    }

    /// Index of the connection that event `number` of the last wait is about.
    pub(crate) fn index(&self, number: usize) -> usize {
        debug_assert!(number < self.ready);
        self.events[number].u64 as usize
    }
}

/// A system call's result, its failure as an error.
pub(crate) fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
