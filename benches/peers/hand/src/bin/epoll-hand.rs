//! By hand on bare epoll: level-triggered, no runtime, no timers.
//!
//! One thread, or one on each of the CPUs that are its arguments, with a listener of its own on the same port. It
//! prints `listening ADDRESS` once it serves.
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cpus: Vec<usize> = std::env::args()
        .skip(1)
        .map(|cpu| cpu.parse())
        .collect::<Result<_, _>>()?;
    let first = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = first.local_addr()?;
    for &cpu in cpus.iter().skip(1) {
        let mut server = Server::new(listen(address)?)?;
        std::thread::spawn(move || pin(cpu).and_then(|()| server.run()).expect("serves"));
    }
    println!("listening {address}");
    let mut server = Server::new(first)?;
    cpus.first().map_or(Ok(()), |&cpu| pin(cpu))?;
    Ok(server.run()?)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Keeps this thread on one CPU.
fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: all zeros is an empty set, which lives as long as the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    check(result).map(|_| ())
}

impl Server {
    fn new(listener: TcpListener) -> io::Result<Server> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let server = Server {
            // SAFETY: a fresh descriptor nobody else owns.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            listener,
            connections: Vec::new(),
            http: Http::default(),
            answer: Vec::new(),
        };
        server.watch(server.listener.as_raw_fd(), libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
        Ok(server)
    }

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
