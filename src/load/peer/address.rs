//! Where a server is: an address of the internet, a Unix socket, or a program that is started for every client.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Loopback source addresses that are used in turn by clients that connect often, so that ports do not run out.
const SOURCES: u32 = 200;
/// A process ends a little after its output does.
const EXIT_LOOK: Duration = Duration::from_millis(10);
const EXIT_LOOKS: u32 = 20;

/// Where a server listens, or how it is started.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Address {
    Internet(SocketAddr),
    /// The path of a socket, or `@` and a name without a file.
    Unix(String),
    /// A program and its arguments. Each connection is a process of its own, on whose stdin and stdout it speaks.
    Program(Vec<String>),
}

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

/// A socket that does not block, and the process at its other end if it was started for it.
pub(crate) struct Line {
    pub(crate) socket: Socket,
    process: Option<Process>,
}

impl Line {
    /// How its process ended, if there is one and it ended by itself; waited for a moment.
    pub(crate) fn exit(&mut self) -> Option<ExitStatus> {
        let child = &mut self.process.as_mut()?.0;
        for _ in 0..EXIT_LOOKS {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            thread::sleep(EXIT_LOOK);
        }
        None
    }

    /// Bytes that were sent and that the other end's kernel has not acknowledged, as far as this one says.
    #[allow(unsafe_code, reason = "the request has no safe wrapper here")]
    pub(crate) fn unacknowledged(&self) -> usize {
        let mut count: libc::c_int = 0;
        // SAFETY: this request writes one int, which lives through the call.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        if result < 0 {
            return 0;
        }
        usize::try_from(count).unwrap_or_default()
    }
}

/// Ends the process when nobody needs it any more.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for, so that none is left behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Address {
    /// Begins to connect. Over TCP the first writability says that it is done; anything else is done at once.
    pub(crate) fn connect(&self, source: Source) -> io::Result<Line> {
        match self {
            Address::Internet(address) => Ok(Line {
                socket: connect_from(*address, source)?,
                process: None,
            }),
            Address::Unix(name) => {
                let name = name
                    .strip_prefix('@')
                    .map_or_else(|| name.clone(), |name| format!("\0{name}"));
                let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
                socket.connect(&SockAddr::unix(name)?)?;
                socket.set_nonblocking(true)?;
                Ok(Line {
                    socket,
                    process: None,
                })
            }
            Address::Program(words) => start(words),
        }
    }
}

/// A pair of sockets serves as the program's stdin and stdout, so that all connections are sockets here.
fn start(words: &[String]) -> io::Result<Line> {
    let [program, arguments @ ..] = words else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (own, other) = UnixStream::pair()?;
    own.set_nonblocking(true)?;
    let output = OwnedFd::from(other.try_clone()?);
    let process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(other)))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program} cannot be started: {error}")))?;
    Ok(Line {
        socket: Socket::from(OwnedFd::from(own)),
        process: Some(Process(process)),
    })
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
#[allow(unsafe_code, reason = "the socket option has no safe wrapper here")]
fn bind_address_no_port(socket: &Socket) -> io::Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the option's value is an int that lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
