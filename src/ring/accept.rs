//! The listening sockets of a ring, and their watches.
//!
//! A ring has several listeners when a server listens on several addresses. They are watched together and reported
//! together: whoever accepts takes from whichever has a connection, each in its turn. Watches that have not told
//! anything stay armed when another one has.
//!
//! An internet listener belongs to one shard, since the kernel spreads connections over sockets (`SO_REUSEPORT`). There
//! is no such thing for Unix sockets, so all shards watch the same one. Their watches are exclusive and one-shot: a new
//! connection wakes the one shard that has waited longest, which goes to the end of the line when it watches again.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use socket2::{Domain, SockRef};

use super::listener;
use super::socket::Socket;

/// One of the watches that a connection wakes (`EPOLLEXCLUSIVE` of `linux/eventpoll.h`, epoll_ctl(2); io_uring takes
/// it, too).
const EXCLUSIVE: u32 = 1 << 28;

/// The listeners, and where their watches stand.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// The one that is asked first for the next connection.
    next: usize,
    /// Whether the next connection is to be reported.
    is_watching: bool,
    is_stopping: bool,
    /// Cancels that the kernel has not answered.
    cancels: usize,
}

#[derive(Debug)]
struct Listener {
    socket: Arc<OwnedFd>,
    is_unix: bool,
    is_armed: bool,
    /// Whether a connection may wait in it.
    may_have_one: bool,
}

impl Listeners {
    /// Adds a listening socket.
    pub(super) fn add(&mut self, socket: Arc<OwnedFd>) {
        let is_unix = SockRef::from(&socket)
            .domain()
            .is_ok_and(|domain| domain == Domain::UNIX);
        self.all.push(Listener {
            socket,
            is_unix,
            is_armed: false,
            may_have_one: true,
        });
    }

    /// Begins to watch for the next connection. Returns the listeners that are to be armed for it.
    pub(super) fn watch(&mut self) -> impl Iterator<Item = (u32, squeue::Entry)> + use<'_> {
        assert!(!self.is_watching, "the listeners are watched twice");
        assert!(!self.all.is_empty(), "a listener is set before it is watched");
        self.is_watching = true;
        let unarmed = (0..)
            .zip(&mut self.all)
            .filter(|(_, listener)| !listener.is_armed);
        unarmed.map(|(index, listener)| {
            listener.is_armed = true;
            (index, listener.poll_entry())
        })
    }

    /// Begins to stop watching. Returns the listeners whose watches are to be cancelled.
    pub(super) fn unwatch(&mut self) -> impl Iterator<Item = u32> + use<'_> {
        assert!(!self.is_stopping, "the watch is cancelled twice");
        self.is_watching = false;
        self.is_stopping = true;
        self.cancels = self.all.iter().filter(|listener| listener.is_armed).count();
        let armed = (0..).zip(&mut self.all).filter(|(_, listener)| listener.is_armed);
        armed.map(|(index, _)| index)
    }

    /// The kernel has answered a cancel.
    pub(super) fn on_cancelled(&mut self) {
        self.cancels -= 1;
    }

    /// A listener's watch is over. Whether that is to be reported.
    pub(super) fn on_watch_over(&mut self, index: u32) -> bool {
        if let Some(listener) = self.all.get_mut(index as usize) {
            listener.is_armed = false;
            listener.may_have_one = true;
        }
        std::mem::take(&mut self.is_watching)
    }

    /// Whether it is time to report that nothing is watched any more.
    pub(super) fn is_stop_due(&self) -> bool {
        self.is_stopping && self.cancels == 0 && !self.all.iter().any(|listener| listener.is_armed)
    }

    /// Reports that, once. From now on connections may be waiting anywhere.
    pub(super) fn on_stopped(&mut self) {
        self.is_stopping = false;
        for listener in &mut self.all {
            listener.may_have_one = true;
        }
    }

    /// Takes a connection that waits.
    pub(super) fn accept(&mut self) -> io::Result<Option<Socket>> {
        let count = self.all.len();
        for _ in 0..count {
            let listener = &mut self.all[self.next];
            self.next = (self.next + 1) % count;
            if listener.may_have_one {
                match listener::accept_now(&listener.socket)? {
                    Some(accepted) if listener.is_unix => return Ok(Some(Socket::unix(accepted))),
                    Some(accepted) => return Ok(Some(accepted.into())),
                    None => listener.may_have_one = false,
                }
            }
        }
        Ok(None)
    }

    /// Makes Unix sockets refuse new connections; those that wait can still be taken. Internet sockets have other ways
    /// (see `steering`).
    pub(super) fn refuse_on_unix(&self) {
        for listener in self.all.iter().filter(|listener| listener.is_unix) {
            // It fails only on what listens no more.
            let _ = SockRef::from(&listener.socket).shutdown(Shutdown::Read);
        }
    }

    /// Lets go of the sockets, none of which is watched.
    pub(super) fn clear(&mut self) {
        assert!(
            !self.all.iter().any(|listener| listener.is_armed),
            "a listener is taken while it is watched"
        );
        self.all.clear();
        self.next = 0;
    }
}

impl Listener {
    fn poll_entry(&self) -> squeue::Entry {
        let events = if self.is_unix {
            libc::POLLIN as u32 | EXCLUSIVE
        } else {
            libc::POLLIN as u32
        };
        opcode::PollAdd::new(Fd(self.socket.as_raw_fd()), events).build()
    }
}
