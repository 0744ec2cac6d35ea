//! Which connections are ready: epoll, waiting with the clock's own precision.
//!
//! Edge-triggered for both directions, so that one registration serves a connection's life; closing the socket
//! ends it. Knows connections by their index only.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use socket2::Socket;

/// Taken at a time. Few, so that requests go out when they are due, not behind a crowd of answers.
const EVENTS: usize = 64;

/// A set of sockets and what happened to them last.
pub(crate) struct Poll {
    epoll: OwnedFd,
    ready: Vec<usize>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Poll {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            ready: Vec::with_capacity(EVENTS),
        })
    }

    pub(crate) fn watch(&self, socket: &Socket, index: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), flags)?;
        Ok(())
    }

    /// Has the next wait say what is ready on a socket although nothing new came: its owner left some of it.
    pub(crate) fn again(&self, socket: &Socket, index: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::modify(&self.epoll, socket, EventData::new_u64(index as u64), flags)?;
        Ok(())
    }

    /// Waits until something is ready, a signal comes, or `patience` is over; how many are ready.
    pub(crate) fn wait(&mut self, patience: Duration) -> io::Result<usize> {
        let timeout = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: patience.subsec_nanos().into(),
        };
        self.ready.clear();
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
        match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Ok((events, _)) => self
                .ready
                .extend(events.iter().map(|event| event.data.u64() as usize)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.ready.len())
    }

    /// Index of the connection that event `number` of the last wait is about.
    pub(crate) fn index(&self, number: usize) -> usize {
        self.ready[number]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_wait_of_microseconds_is_no_millisecond() {
        let mut poll = Poll::new().expect("epoll");
        // The shortest of many, since a busy machine prolongs some.
        let shortest = (0..50).map(|_| {
            let begun = Instant::now();
            poll.wait(Duration::from_micros(100)).expect("a wait");
            begun.elapsed()
        });
        let shortest = shortest.min().unwrap_or_default();
        assert!(shortest >= Duration::from_micros(100), "{shortest:?}");
        assert!(shortest < Duration::from_micros(800), "{shortest:?}");
    }
}
