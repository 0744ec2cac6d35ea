//! By hand on bare epoll: one thread, level-triggered, no runtime, no timers.
//!
//! It prints `listening ADDRESS` once it serves.
#![allow(unsafe_code, reason = "epoll has no safe wrapper here")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use hand::http::Http;
use socket2::{Domain, Socket, Type};

const EVENTS: usize = 256;
const RECEIVE_BYTES: usize = 128 << 10;
const BACKLOG: i32 = 4096;

struct Connection {
    socket: TcpStream,
    /// The beginning of a request whose end has not come.
    assembly: Vec<u8>,
    /// The rest of an answer that the socket did not take.
    outbox: Vec<u8>,
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    http: Http,
    answer: Vec<u8>,
}

fn main() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    println!("listening {}", listener.local_addr()?);
    // SAFETY: no pointers; the result is checked before it is owned.
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    let mut server = Server {
        // SAFETY: a fresh descriptor nobody else owns.
        epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
        listener,
        connections: Vec::new(),
        http: Http::default(),
        answer: Vec::new(),
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
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            };
            for event in &events[..ready as usize] {
                let descriptor = event.u64 as RawFd;
                if descriptor == self.listener.as_raw_fd() {
                    self.accept()?;
                } else if self.advance(descriptor, &mut buffer).is_err() {
                    // Dropping the connection closes it, which also ends the watch.
                    self.connections[descriptor as usize] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let descriptor = socket.as_raw_fd();
            self.watch(descriptor, libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
            let slot = descriptor as usize;
            if self.connections.len() <= slot {
                self.connections.resize_with(slot + 1, || None);
            }
            self.connections[slot] = Some(Connection {
                socket,
                assembly: Vec::new(),
                outbox: Vec::new(),
            });
        }
        Ok(())
    }

    /// Goes on with a connection that is ready. Any error ends it.
    fn advance(&mut self, descriptor: RawFd, buffer: &mut [u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connections[descriptor as usize] else {
            return Ok(());
        };
        if !connection.outbox.is_empty() {
            let sent = write(&mut connection.socket, &connection.outbox)?;
            connection.outbox.drain(..sent);
            if connection.outbox.is_empty() {
                connection.outbox = Vec::new();
                self.watch(descriptor, libc::EPOLL_CTL_MOD, libc::EPOLLIN)?;
            }
            return Ok(());
        }
        let received = match connection.socket.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            other => other?,
        };
        self.answer.clear();
        connection.answer(&buffer[..received], &mut self.http, &mut self.answer)?;
        if self.answer.is_empty() {
            return Ok(());
        }
        let sent = write(&mut connection.socket, &self.answer)?;
        if sent < self.answer.len() {
            connection.outbox.extend_from_slice(&self.answer[sent..]);
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

impl Connection {
    /// Answers what is whole with these bytes, and keeps the rest.
    fn answer(&mut self, bytes: &[u8], http: &mut Http, answer: &mut Vec<u8>) -> io::Result<()> {
        let is_first = self.assembly.is_empty();
        if !is_first {
            self.assembly.extend_from_slice(bytes);
        }
        let all = if is_first { bytes } else { &self.assembly };
        let used = http.serve(all, answer).ok_or(ErrorKind::InvalidData)?;
        if is_first {
            self.assembly.extend_from_slice(&bytes[used..]);
        } else {
            self.assembly.drain(..used);
        }
        if self.assembly.is_empty() {
            self.assembly = Vec::new();
        }
        Ok(())
    }
}

/// Bytes that the socket took.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match socket.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
