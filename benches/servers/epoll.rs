//! The yardstick: a hand-written epoll server with the same answer.
//!
//! One thread, level-triggered, no timers, no framework: the best case of the kernel's readiness interface.
#![allow(unsafe_code, reason = "epoll has no safe wrapper here")]
#![allow(clippy::disallowed_methods, reason = "no shard runs here")]

#[path = "http.rs"]
mod http;

use clap::Parser;
use http::Front;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use weir::internals::ring::listener::{ListenerOptions, accept_now, listen, local_address};

const EVENTS: usize = 256;
const RECEIVE_BYTES: usize = 16 << 10;

/// Serves one fixed answer from epoll.
#[derive(Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// CPU to run on.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
}

struct Connection {
    socket: File,
    assembly: Vec<u8>,
    /// The rest of an answer that the socket did not take.
    outbox: Vec<u8>,
}

struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    answer: Vec<u8>,
    response: Vec<u8>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    core_affinity::set_for_current(core_affinity::CoreId { id: arguments.cpu });
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = listen(address, ListenerOptions::default())?;
    println!("listening {}", local_address(&listener)?);
    // SAFETY: no pointers; the result is checked before it is owned.
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    let mut server = Server {
        // SAFETY: a fresh descriptor nobody else owns.
        epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
        listener,
        connections: Vec::new(),
        answer: http::answer(),
        response: Vec::new(),
    };
    server.watch(server.listener.as_raw_fd(), libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
    server.run()
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut buffer = vec![0; RECEIVE_BYTES];
        loop {
            // SAFETY: `events` has room for the count given.
            let ready =
                unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as i32, -1) };
            let ready = match check(ready) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            for event in &events[..ready as usize] {
                let descriptor = event.u64 as RawFd;
                if descriptor == self.listener.as_raw_fd() {
                    self.accept()?;
                } else if self.serve(descriptor, &mut buffer).is_err() {
                    // Dropping the connection closes it, which also ends the watch.
                    self.connections[descriptor as usize] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(socket) = accept_now(&self.listener)? {
            let descriptor = socket.as_raw_fd();
            socket2::SockRef::from(&socket).set_nonblocking(true)?;
            self.watch(descriptor, libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
            let slot = descriptor as usize;
            if self.connections.len() <= slot {
                self.connections.resize_with(slot + 1, || None);
            }
            self.connections[slot] = Some(Connection {
                socket: socket.into(),
                assembly: Vec::new(),
                outbox: Vec::new(),
            });
        }
        Ok(())
    }

    /// Any error ends the connection.
    fn serve(&mut self, descriptor: RawFd, buffer: &mut [u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connections[descriptor as usize] else {
            return Ok(());
        };
        if !connection.outbox.is_empty() {
            let sent = connection.socket.write(&connection.outbox)?;
            connection.outbox.drain(..sent);
            if connection.outbox.is_empty() {
                self.watch(descriptor, libc::EPOLL_CTL_MOD, libc::EPOLLIN)?;
            }
            return Ok(());
        }
        let received = match connection.socket.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = &buffer[..received];
        let is_whole = connection.assembly.is_empty();
        if !is_whole {
            connection.assembly.extend_from_slice(bytes);
        }
        let all = if is_whole { bytes } else { &connection.assembly };
        self.response.clear();
        let mut used = 0;
        while used < all.len() {
            match http::front(&all[used..]) {
                Front::Request(length) => {
                    self.response.extend_from_slice(&self.answer);
                    used += length;
                }
                Front::Incomplete => break,
                Front::Invalid => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        if is_whole {
            connection.assembly.extend_from_slice(&bytes[used..]);
        } else {
            connection.assembly.drain(..used);
        }
        if self.response.is_empty() {
            return Ok(());
        }
        let sent = match connection.socket.write(&self.response) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        if sent < self.response.len() {
            connection.outbox.extend_from_slice(&self.response[sent..]);
            self.watch(descriptor, libc::EPOLL_CTL_MOD, libc::EPOLLOUT)?;
        }
        Ok(())
    }

    fn watch(&self, descriptor: RawFd, operation: i32, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: descriptor as u64,
        };
        // SAFETY: `event` lives through the call; both descriptors are open.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, descriptor, &mut event) })?;
        Ok(())
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
