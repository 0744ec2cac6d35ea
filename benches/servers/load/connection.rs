//! One client connection: begins to connect, sends a request, reads its answer; never blocks.
//!
//! It has one request at a time. Its owner measures the time; the connection only reports what came.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::address::Address;
use crate::poll::check;
use crate::response::{self, Front, Outcome};
use crate::websocket;

/// Loopback source addresses used in turn under churn, so that ports do not run out.
const SOURCES: u32 = 200;

/// The source of a connection.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The kernel chooses.
    Any,
    /// One of many loopback addresses, chosen by this number; the kernel chooses the port.
    Loopback(u32),
    /// This port of 127.0.0.1. With the server's address it decides which of several listeners takes the
    /// connection. Closing resets, so that the port is free again at once.
    Port(u16),
}

pub(crate) struct Connection {
    pub(crate) socket: Socket,
    written: usize,
    received: Vec<u8>,
    is_asking: bool,
    /// Finds an answer in the bytes received.
    front: fn(&[u8]) -> Front,
}

/// The state of a connection after an event.
pub(crate) enum Progress {
    Waiting,
    Answered {
        outcome: Outcome,
        is_last: bool,
    },
    /// The connection is of no further use; `Outcome::Reset` or `Outcome::Malformed`.
    Broken(Outcome),
}

impl Connection {
    /// Starts connecting; the first writability says it is done.
    pub(crate) fn open(address: &Address, source: Source) -> io::Result<Self> {
        Ok(Connection {
            socket: connect(address, source)?,
            written: 0,
            received: Vec::new(),
            is_asking: false,
            front: response::front,
        })
    }

    /// An open WebSocket.
    pub(crate) fn open_websocket(address: &Address, path: &str) -> io::Result<Self> {
        Ok(Connection {
            socket: websocket::open(address, path)?,
            written: 0,
            received: Vec::new(),
            is_asking: false,
            front: websocket::front,
        })
    }

    /// Begins a request. What cannot be written yet, because the connection is still being made or the socket
    /// is full, goes out at the next event.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Progress {
        debug_assert!(!self.is_asking, "one request at a time");
        self.is_asking = true;
        self.written = 0;
        self.received.clear();
        match self.write(request) {
            Ok(()) => Progress::Waiting,
            Err(_) => Progress::Broken(Outcome::Reset),
        }
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// The bytes of the last answer.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.received
    }

    /// Whether the handshake is over.
    pub(crate) fn is_connected(&self) -> bool {
        self.socket.peer_addr().is_ok()
    }

    /// Goes on after an event.
    pub(crate) fn progress(&mut self, request: &[u8], buffer: &mut [u8]) -> Progress {
        if self.is_asking && self.write(request).is_err() {
            return Progress::Broken(Outcome::Reset);
        }
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Progress::Broken(Outcome::Reset),
                Ok(_) if !self.is_asking => return Progress::Broken(Outcome::Malformed),
                Ok(received) => {
                    self.received.extend_from_slice(&buffer[..received]);
                    match (self.front)(&self.received) {
                        Front::Incomplete => {}
                        Front::Response {
                            bytes,
                            outcome,
                            is_last,
                        } if bytes == self.received.len() => {
                            self.is_asking = false;
                            return Progress::Answered { outcome, is_last };
                        }
                        Front::Response { .. } | Front::Malformed => {
                            return Progress::Broken(Outcome::Malformed);
                        }
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                    ) =>
                {
                    return Progress::Waiting;
                }
                Err(_) => return Progress::Broken(Outcome::Reset),
            }
        }
    }

    fn write(&mut self, request: &[u8]) -> io::Result<()> {
        while self.written < request.len() {
            match self.socket.write(&request[self.written..]) {
                Ok(written) => self.written += written,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                    ) =>
                {
                    // It is still connecting, or full: the next edge continues.
                    return match SockRef::from(&self.socket).take_error()? {
                        None => Ok(()),
                        Some(error) => Err(error),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn connect(address: &Address, source: Source) -> io::Result<Socket> {
    match address {
        Address::Internet(address) => connect_from(*address, source),
        Address::Unix(_) => {
            let socket = address.connect()?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        }
    }
}

fn connect_from(address: SocketAddr, source: Source) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    match source {
        Source::Loopback(number) if address.ip().is_loopback() && address.is_ipv4() => {
            let source = u32::from(Ipv4Addr::LOCALHOST) + 1 + number % SOURCES;
            bind_address_no_port(&socket)?;
            socket.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::from(source), 0)))?;
        }
        Source::Any | Source::Loopback(_) => {}
        Source::Port(port) => {
            socket.set_reuse_address(true)?;
            socket.set_linger(Some(Duration::ZERO))?;
            socket.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?;
        }
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Lets the port be chosen at connect, per destination, instead of at bind.
fn bind_address_no_port(socket: &Socket) -> io::Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the option's value is an int that lives through the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        )
    })?;
    Ok(())
}
