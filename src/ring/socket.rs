//! The descriptors behind a connection: a connected socket, a pair of descriptors, one in and one out, or one end of a
//! pipe.
//!
//! A pair may be pipes, sockets, terminals, files or `/dev/null`, and other processes may hold them too: this module
//! changes none of their shared state, by no shutdown and no mode. Invariant: the ring waits for either end; a pipe or
//! terminal that is non-blocking for those others, which the ring would take as "do not wait", is opened anew.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use io_uring::{opcode, squeue, types};
use rustix::fs::{FileType, Mode, OFlags};
use socket2::SockRef;

use super::peer::{self, Peer};

/// An accepted connection, a pair of descriptors that stands for one, or one end of a pipe.
#[derive(Debug)]
pub struct Socket {
    input: OwnedFd,
    /// `None`: it is one descriptor, the input.
    output: Option<OwnedFd>,
    input_kind: Kind,
    output_kind: Kind,
}

/// Whether stdin and stdout were taken: a process has one client behind them.
static IS_STDIO_TAKEN: AtomicBool = AtomicBool::new(false);

/// Which operations an end knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Receive and send, over the internet's protocols.
    Socket,
    /// Receive and send, to a process of this machine.
    Unix,
    /// Read and write.
    File,
}

impl From<OwnedFd> for Socket {
    /// A connected socket.
    fn from(socket: OwnedFd) -> Self {
        Socket {
            input: socket,
            output: None,
            input_kind: Kind::Socket,
            output_kind: Kind::Socket,
        }
    }
}

impl Socket {
    /// A connected Unix socket.
    pub fn unix(socket: OwnedFd) -> Self {
        Socket {
            input_kind: Kind::Unix,
            output_kind: Kind::Unix,
            ..Socket::from(socket)
        }
    }

    /// Reads from one descriptor, writes to another; both may be of any kind, and the same.
    ///
    /// # Errors
    /// Fails with the system's error: a descriptor cannot be looked at, or is non-blocking and cannot be opened anew.
    pub fn pair(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let (input, input_kind) = waiting(input, OFlags::RDONLY)?;
        let (output, output_kind) = waiting(output, OFlags::WRONLY)?;
        widen(&output);
        Ok(Socket {
            input,
            output: Some(output),
            input_kind,
            output_kind,
        })
    }

    /// One end of a pipe, to be read from or to be written to: whichever it is for. The other operations fail.
    ///
    /// # Errors
    /// Fails like [`Socket::pair`].
    pub fn pipe_end(end: OwnedFd) -> io::Result<Self> {
        let access = rustix::fs::fcntl_getfl(&end)? & OFlags::ACCMODE;
        let (input, input_kind) = waiting(end, access)?;
        Ok(Socket {
            input,
            output: None,
            input_kind,
            output_kind: input_kind,
        })
    }

    /// Takes this process's stdin and stdout for the client behind them. From now on the rest of the process reads an
    /// empty stdin, and what it writes to stdout goes to stderr: a stray line cannot break the conversation, and
    /// dropping the pair ends the conversation.
    ///
    /// # Errors
    /// Fails like [`Socket::pair`], and when both were taken before.
    pub fn take_stdio() -> io::Result<Self> {
        /// A duplicate that is not one of the descriptors 0 to 2, even if one of those is closed.
        const DESCRIPTOR_MIN: i32 = 3;
        if IS_STDIO_TAKEN.swap(true, Ordering::Relaxed) {
            return Err(io::Error::other("they are taken already"));
        }
        let duplicate =
            |descriptor: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(descriptor, DESCRIPTOR_MIN);
        let stdin = duplicate(io::stdin().as_fd())?;
        let stdout = duplicate(io::stdout().as_fd())?;
        let pair = Self::pair(stdin, stdout)?;
        let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(&nothing)?;
        match rustix::stdio::dup2_stdout(io::stderr()) {
            Ok(()) => {}
            // The process has no stderr either.
            Err(_) => rustix::stdio::dup2_stdout(&nothing)?,
        }
        Ok(pair)
    }

    /// Receives into a buffer that the ring's group provides, of at most `bytes_max`.
    pub(super) fn receive_entry(&self, buffer_group: u16, bytes_max: u32, arrival: Arrival) -> squeue::Entry {
        let descriptor = types::Fd(self.input.as_raw_fd());
        // No address: the buffer comes from the group.
        let none = std::ptr::null_mut();
        let entry = match self.input_kind {
            Kind::Socket | Kind::Unix => opcode::Recv::new(descriptor, none, 0)
                .ioprio(match arrival {
                    Arrival::Later => POLL_FIRST,
                    Arrival::Now => 0,
                })
                .buf_group(buffer_group)
                .build(),
            Kind::File => opcode::Read::new(descriptor, none, bytes_max)
                .offset(CURRENT_POSITION)
                .buf_group(buffer_group)
                .build(),
        };
        entry.flags(squeue::Flags::BUFFER_SELECT)
    }

    /// Receives into `memory`, which must live until the entry's completion.
    pub(super) fn fill_entry(&self, memory: &mut [MaybeUninit<u8>]) -> squeue::Entry {
        let descriptor = types::Fd(self.input.as_raw_fd());
        let length = u32::try_from(memory.len()).unwrap_or(u32::MAX);
        let address = memory.as_mut_ptr().cast();
        match self.input_kind {
            Kind::Socket | Kind::Unix => opcode::Recv::new(descriptor, address, length).build(),
            Kind::File => opcode::Read::new(descriptor, address, length)
                .offset(CURRENT_POSITION)
                .build(),
        }
    }

    /// Sends `bytes`, which must live until the entry's completion. `flags` are those of `send(2)`; an end that is no
    /// socket takes what it has room for, once it has any.
    pub(super) fn send_entry(&self, bytes: &[u8], flags: i32) -> squeue::Entry {
        let descriptor = types::Fd(self.output().as_raw_fd());
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        match self.output_kind {
            Kind::Socket | Kind::Unix => opcode::Send::new(descriptor, bytes.as_ptr(), length)
                .flags(flags)
                .build(),
            Kind::File => opcode::Write::new(descriptor, bytes.as_ptr(), length)
                .offset(CURRENT_POSITION)
                .build(),
        }
    }

    /// Sends what a socket takes of `bytes` now, with `flags` that say not to wait. `None` if that cannot be known: it
    /// is no socket.
    pub(super) fn try_send(&self, bytes: &[u8], flags: i32) -> Option<io::Result<usize>> {
        match self.output_kind {
            Kind::Socket | Kind::Unix => Some(SockRef::from(&self.output()).send_with_flags(bytes, flags)),
            Kind::File => None,
        }
    }

    /// The end that is read from, where hang-ups show.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// The end that is written to.
    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_ref().unwrap_or(&self.input).as_fd()
    }

    /// Shuts a connection down. For a pair, whose ends other processes hold too, and for a pipe it returns what to
    /// cancel instead.
    pub(super) fn shut_down(&self, how: Shutdown) -> [Option<BorrowedFd<'_>>; 2] {
        if let Some(socket) = self.connected() {
            // It fails only on a connection that is gone already.
            let _ = socket.shutdown(how);
            [None, None]
        } else if how == Shutdown::Both {
            [Some(self.input()), self.output.as_ref().map(AsFd::as_fd)]
        } else {
            [None, None]
        }
    }

    /// The descriptor to close behind everything queued. A pair's input is closed at once: nothing names it any more.
    pub(super) fn into_last(self) -> OwnedFd {
        self.output.unwrap_or(self.input)
    }

    /// Whether it is a Unix socket.
    pub fn is_unix(&self) -> bool {
        self.input_kind == Kind::Unix
    }

    /// Who is at the other end of a connection.
    pub(super) fn peer(&self) -> io::Result<Peer> {
        if self.is_unix() {
            return peer::credentials(&self.input).map(Peer::Process);
        }
        let address = self.connected().map(|socket| socket.peer_addr()).transpose()?;
        address
            .and_then(|address| address.as_socket())
            .map(Peer::Internet)
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    pub(super) fn connected(&self) -> Option<SockRef<'_>> {
        let is_socket = self.output.is_none() && self.input_kind != Kind::File;
        is_socket.then(|| SockRef::from(&self.input))
    }
}

/// When the bytes of a receive are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// At some time.
    Later,
    /// They are there.
    Now,
}

/// `IORING_RECVSEND_POLL_FIRST` of `linux/io_uring.h`: wait for readiness before taking a buffer. A
/// connection is mostly idle when its receive is armed, so trying first would be wasted.
const POLL_FIRST: u16 = 1;

/// An offset of -1 means the file's own position, as for `read(2)` and `write(2)`.
const CURRENT_POSITION: u64 = u64::MAX;

/// Makes room in a pipe for a few large answers, so that its reader and its writer take turns less often. What a user
/// without privileges may have in all pipes (`pipe-user-pages-soft`, 64 MiB) is enough for 256 of this size; whoever
/// has less keeps the pipe as it is, and so does what is no pipe.
fn widen(output: &OwnedFd) {
    const PIPE_BYTES: usize = 256 << 10;
    if rustix::pipe::fcntl_getpipe_size(output).is_ok_and(|bytes| bytes < PIPE_BYTES) {
        let _ = rustix::pipe::fcntl_setpipe_size(output, PIPE_BYTES);
    }
}

/// A descriptor the ring waits for, and how it is used.
fn waiting(descriptor: OwnedFd, access: OFlags) -> io::Result<(OwnedFd, Kind)> {
    let status = rustix::fs::fstat(&descriptor)?;
    let kind = match FileType::from_raw_mode(status.st_mode) {
        // The ring's operations on sockets wait whatever the mode says.
        FileType::Socket => return Ok((descriptor, Kind::Socket)),
        // These never make a reader or writer wait.
        FileType::RegularFile => return Ok((descriptor, Kind::File)),
        _ => Kind::File,
    };
    let flags = rustix::fs::fcntl_getfl(&descriptor)?;
    if !flags.contains(OFlags::NONBLOCK) {
        return Ok((descriptor, kind));
    }
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    // It is opened non-blocking at first, so that a pipe that nobody reads any more is an error and not a wait.
    let opening = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = rustix::fs::open(path, opening, Mode::empty())?;
    rustix::fs::fcntl_setfl(&own, flags.difference(OFlags::NONBLOCK))?;
    Ok((own, kind))
}
