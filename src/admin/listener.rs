//! The admin thread: one poll(2) over the listener and a few connections.
//!
//! A connection is read until its head is complete, answered, and closed; each step has a deadline of its own that no
//! trickle extends. When all places are taken, a new connection takes the place of the oldest, so that slow clients
//! cost each other their places and never keep a prober out. The thread blocks in poll and nowhere else. This module
//! does not know what is answered.
//!
//! ```text
//! Reading ──head complete──► Writing ──all sent──► Closing ──peer closed──► (gone)
//!    └──bad or late head───────▲                      deadline in any state ──► (gone)
//! ```

#![allow(
    clippy::disallowed_methods,
    reason = "blocking calls and clocks are banned on shards; this thread is not one"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::answer::{answer, refuse, refuse_slow};
use super::view::AdminView;
use crate::ring::AcceptOutage;
use crate::transport::http::admission::HostRules;
use crate::wire::http1::{HeadLimits, HeadScanner};

/// How long accepting rests after it failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The name of this listener in log lines about failing accepts.
const LISTENER: &str = "admin";
/// Bytes read at a time.
const READ_BYTES: usize = 2048;

/// Bounds on what clients may use.
#[derive(Debug, Clone, Copy)]
pub struct AdminLimits {
    /// Connections at once; the oldest makes way for the next.
    pub connections_max: usize,
    /// From accept to a complete head.
    pub read: Duration,
    /// How long sending the whole answer may take.
    pub write: Duration,
    /// How long the client may take to close behind an answer.
    pub close: Duration,
    /// How long a connection keeps its place when others want it.
    pub place: Duration,
    /// A request's head.
    pub head: HeadLimits,
}

impl Default for AdminLimits {
    fn default() -> Self {
        Self {
            connections_max: 64,
            read: Duration::from_secs(2),
            write: Duration::from_secs(5),
            close: Duration::from_secs(1),
            place: Duration::from_millis(2),
            head: HeadLimits {
                head_bytes_max: 8 << 10,
                ..HeadLimits::default()
            },
        }
    }
}

/// The state of the thread.
pub(super) struct Server {
    listener: TcpListener,
    /// Readable once the handle is gone.
    stopped: UnixStream,
    /// The connections, the oldest first.
    connections: Vec<ClientConnection>,
    accept_resumes: Option<Instant>,
    outage: AcceptOutage,
    context: Context,
}

/// What a connection needs to be served.
struct Context {
    view: Arc<AdminView>,
    hosts: HostRules,
    limits: AdminLimits,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        stopped: UnixStream,
        view: Arc<AdminView>,
        hosts: HostRules,
        limits: AdminLimits,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            stopped,
            connections: Vec::new(),
            accept_resumes: None,
            outage: AcceptOutage::default(),
            context: Context { view, hosts, limits },
        })
    }

    /// Serves until the handle is dropped.
    pub(super) fn run(mut self) {
        loop {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "the admin listener gave up: poll failed");
                    return;
                }
            };
            if ready.is_stopped {
                return;
            }
            let now = Instant::now();
            self.outage.tell_end(LISTENER, now);
            self.serve(&ready.connections, now);
            if ready.has_newcomers {
                self.accept(now);
            }
        }
    }

    /// Sleeps until something can be done, or is due.
    fn wait(&self) -> io::Result<Ready> {
        let now = Instant::now();
        let mut events = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        events.extend(self.connections.iter().map(ClientConnection::interest));
        let is_accepting = self.accepts_at(now).is_none();
        if is_accepting {
            events.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        let timeout = self.next_due(now).map(|due| due.saturating_duration_since(now));
        // A timeout that does not fit is too far away to matter.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut events, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = events.iter().map(|event| !event.revents().is_empty());
        Ok(Ready {
            is_stopped: ready.next().unwrap_or(true),
            connections: ready.by_ref().take(self.connections.len()).collect(),
            has_newcomers: ready.next().unwrap_or(false),
        })
    }

    /// When accepting goes on; `None` when it may now.
    fn accepts_at(&self, now: Instant) -> Option<Instant> {
        let limits = &self.context.limits;
        let crowded = self
            .connections
            .first()
            .filter(|_| self.connections.len() >= limits.connections_max)
            .map(|oldest| oldest.accepted + limits.place);
        let resumes = [self.accept_resumes, crowded].into_iter().flatten().max();
        resumes.filter(|resumes| *resumes > now)
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        let deadlines = self.connections.iter().map(|connection| connection.deadline);
        deadlines
            .chain(self.accepts_at(now))
            .chain(self.outage.ends_at())
            .min()
    }

    /// Serves the connections that are ready, and drops the ones that are done or late.
    fn serve(&mut self, ready: &[bool], now: Instant) {
        let mut ready = ready.iter();
        let context = &self.context;
        self.connections.retain_mut(|connection| {
            let is_ready = ready.next().copied().unwrap_or(false);
            let goes_on = !is_ready || connection.step(context, now);
            goes_on && (now < connection.deadline || connection.on_deadline(context, now))
        });
    }

    /// Accepts waiting connections, at most as many as there are places, so that a flood does not starve the present
    /// ones.
    fn accept(&mut self, now: Instant) {
        for _ in 0..self.context.limits.connections_max {
            if self.accepts_at(now).is_some() {
                return;
            }
            let mut connection = match self.listener.accept() {
                Ok((stream, _)) => match ClientConnection::new(stream, now, &self.context.limits) {
                    Ok(connection) => connection,
                    Err(_) => continue,
                },
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    // The client has left again.
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    _ => {
                        self.outage.on_failure(LISTENER, &error, now);
                        self.accept_resumes = Some(now + ACCEPT_PAUSE);
                        return;
                    }
                },
            };
            // Its request has usually come already, and then the connection needs no place.
            if connection.step(&self.context, now) {
                if self.connections.len() >= self.context.limits.connections_max {
                    self.connections.remove(0);
                }
                self.connections.push(connection);
            }
        }
    }
}

/// What poll found.
struct Ready {
    is_stopped: bool,
    /// As long as the connections.
    connections: Vec<bool>,
    has_newcomers: bool,
}

struct ClientConnection {
    stream: TcpStream,
    accepted: Instant,
    deadline: Instant,
    state: State,
}

enum State {
    Reading { head: Vec<u8>, scanner: HeadScanner },
    Writing { answer: Vec<u8>, sent_bytes: usize },
    Closing { read_bytes: usize },
}

/// Whether a state has done what it can for now, or the next one may begin.
enum Step {
    Blocked,
    Next(State),
    Gone,
}

impl ClientConnection {
    fn new(stream: TcpStream, now: Instant, limits: &AdminLimits) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            accepted: now,
            deadline: now + limits.read,
            state: State::Reading {
                head: Vec::new(),
                scanner: HeadScanner::default(),
            },
        })
    }

    fn interest(&self) -> PollFd<'_> {
        let events = match self.state {
            State::Writing { .. } => PollFlags::OUT,
            State::Reading { .. } | State::Closing { .. } => PollFlags::IN,
        };
        PollFd::new(&self.stream, events)
    }

    /// Goes on until the socket blocks; false when the connection is done.
    fn step(&mut self, context: &Context, now: Instant) -> bool {
        loop {
            let step = match &mut self.state {
                State::Reading { head, scanner } => read_head(&mut self.stream, head, scanner, context),
                State::Writing { answer, sent_bytes } => write_answer(&mut self.stream, answer, sent_bytes),
                State::Closing { read_bytes } => read_rest(&mut self.stream, read_bytes, &context.limits),
            };
            match step {
                Step::Blocked => return true,
                Step::Gone => return false,
                Step::Next(state) => self.enter(state, context, now),
            }
        }
    }

    fn enter(&mut self, state: State, context: &Context, now: Instant) {
        let limits = &context.limits;
        self.deadline = now
            + match state {
                State::Reading { .. } => limits.read,
                State::Writing { .. } => limits.write,
                State::Closing { .. } => limits.close,
            };
        self.state = state;
    }

    /// Answers a late head with an error; every other late connection just ends. False when the connection is done.
    fn on_deadline(&mut self, context: &Context, now: Instant) -> bool {
        match &self.state {
            State::Reading { head, .. } if !head.is_empty() => {
                self.enter(State::writing(refuse_slow()), context, now);
                self.step(context, now)
            }
            _ => false,
        }
    }
}

impl State {
    fn writing(answer: Vec<u8>) -> Self {
        Self::Writing {
            answer,
            sent_bytes: 0,
        }
    }
}

fn read_head(
    stream: &mut TcpStream,
    head: &mut Vec<u8>,
    scanner: &mut HeadScanner,
    context: &Context,
) -> Step {
    let limits = &context.limits.head;
    let mut buffer = [0; READ_BYTES];
    loop {
        match read(stream, &mut buffer) {
            ReadResult::Blocked => return Step::Blocked,
            ReadResult::Ended => return Step::Gone,
            ReadResult::Bytes(bytes) => head.extend_from_slice(bytes),
        }
        // The scanner refuses past its limits, so `head` is at most one read longer than they allow.
        match scanner.scan(head, limits) {
            Ok(None) => {}
            Ok(Some(head_bytes)) => {
                let head = head.get(..head_bytes).unwrap_or_default();
                let answer = answer(head, limits, &context.view, &context.hosts);
                return Step::Next(State::writing(answer));
            }
            Err(error) => return Step::Next(State::writing(refuse(error))),
        }
    }
}

fn write_answer(stream: &mut TcpStream, answer: &[u8], sent_bytes: &mut usize) -> Step {
    loop {
        let rest = answer.get(*sent_bytes..).unwrap_or_default();
        if rest.is_empty() {
            // A close with bytes unread would be a reset, which can overtake the answer.
            return match stream.shutdown(Shutdown::Write) {
                Ok(()) => Step::Next(State::Closing { read_bytes: 0 }),
                Err(_) => Step::Gone,
            };
        }
        match stream.write(rest) {
            Ok(0) => return Step::Gone,
            Ok(bytes) => *sent_bytes += bytes,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Step::Blocked,
                ErrorKind::Interrupted => {}
                _ => return Step::Gone,
            },
        }
    }
}

/// Drops what the client still sends, up to as much as a head may have.
fn read_rest(stream: &mut TcpStream, read_bytes: &mut usize, limits: &AdminLimits) -> Step {
    let mut buffer = [0; READ_BYTES];
    while *read_bytes < limits.head.head_bytes_max {
        match read(stream, &mut buffer) {
            ReadResult::Blocked => return Step::Blocked,
            ReadResult::Ended => return Step::Gone,
            ReadResult::Bytes(bytes) => *read_bytes += bytes.len(),
        }
    }
    Step::Gone
}

/// One read's result.
enum ReadResult<'b> {
    Bytes(&'b [u8]),
    Blocked,
    /// The peer closed or reset.
    Ended,
}

fn read<'b>(stream: &mut TcpStream, buffer: &'b mut [u8]) -> ReadResult<'b> {
    loop {
        return match stream.read(buffer) {
            Ok(0) => ReadResult::Ended,
            Ok(bytes) => ReadResult::Bytes(&buffer[..bytes]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => ReadResult::Blocked,
                ErrorKind::Interrupted => continue,
                _ => ReadResult::Ended,
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A server that does not run, and the end that keeps it from stopping.
    fn server() -> (Server, UnixStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        let hosts = HostRules::new(["*"]).unwrap();
        let view = Arc::new(AdminView::new(Arc::default(), String::new));
        let limits = AdminLimits::default();
        (Server::new(listener, stopped, view, hosts, limits).unwrap(), stop)
    }

    #[test]
    fn with_nobody_there_it_sleeps_without_a_timeout() {
        let (server, _stop) = server();
        assert_eq!(server.next_due(Instant::now()), None);
    }

    #[test]
    fn after_a_failed_accept_it_sleeps_until_accepting_goes_on() {
        let (mut server, _stop) = server();
        let now = Instant::now();
        server.accept_resumes = Some(now + ACCEPT_PAUSE);
        assert_eq!(server.next_due(now), Some(now + ACCEPT_PAUSE));
        assert_eq!(server.accepts_at(now + ACCEPT_PAUSE), None);
        assert_eq!(server.next_due(now + ACCEPT_PAUSE), None);
    }

    #[test]
    fn when_crowded_the_oldest_keeps_its_place_a_moment_and_then_makes_way() {
        let (mut server, _stop) = server();
        let limits = AdminLimits::default();
        let address = server.listener.local_addr().unwrap();
        let silent = |_| TcpStream::connect(address).unwrap();
        let clients: Vec<TcpStream> = (0..=limits.connections_max).map(silent).collect();
        let start = Instant::now();
        // The last ones may still be on their way through the kernel.
        while server.accepts_at(start).is_none() {
            server.accept(start);
        }
        assert_eq!(server.connections.len(), limits.connections_max);
        assert_eq!(server.accepts_at(start), Some(start + limits.place));
        let later = start + limits.place;
        while server
            .connections
            .iter()
            .all(|connection| connection.accepted == start)
        {
            server.accept(later);
        }
        assert_eq!(server.connections.len(), limits.connections_max);
        let accepted: Vec<Instant> = server
            .connections
            .iter()
            .map(|connection| connection.accepted)
            .collect();
        assert_eq!(accepted.iter().filter(|accepted| **accepted == later).count(), 1);
        assert!(accepted.is_sorted());
        drop(clients);
    }
}
