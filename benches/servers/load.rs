//! Closed-loop HTTP load: every connection has one request outstanding, always.
//!
//! One thread on epoll. It prints one JSON line: requests per second, latencies in microseconds, errors,
//! and with `--pid` the server's CPU time per request. A request still unanswered when the window ends
//! counts with its age, so that a stall cannot hide in a closed loop.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(unsafe_code)]

use clap::Parser;
use hdrhistogram::Histogram;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EVENTS: usize = 1024;
const RECEIVE_BYTES: usize = 64 << 10;
/// How often the clock is looked at when nothing happens.
const POLL_MILLIS: i32 = 5;
/// Loopback source addresses used in turn under churn, so that ports do not run out.
const SOURCES: u32 = 200;

/// Keeps a server busy and measures it.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// Path of the requests.
    #[arg(long, default_value = "/mcp")]
    path: String,
    /// Connections, each with one request outstanding.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// A new connection for every request.
    #[arg(long)]
    churn: bool,
    /// File with the body of each POST.
    #[arg(long)]
    body: Option<PathBuf>,
    /// A further header line, `name: value`; may be repeated.
    #[arg(long)]
    header: Vec<String>,
    /// Process whose CPU time is measured.
    #[arg(long)]
    pid: Option<u32>,
    /// CPU to run on.
    #[arg(long)]
    cpu: Option<usize>,
    /// A word to carry into the output.
    #[arg(long, default_value = "")]
    label: String,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    if let Some(id) = arguments.cpu {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
    let body = match &arguments.body {
        Some(file) => fs::read(file)?,
        None => {
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#
                .to_vec()
        }
    };
    let request = request(&arguments, &body);
    let mut load = Load::new(arguments.address, request, arguments.churn)?;
    for _ in 0..arguments.connections {
        load.add_connection()?;
    }
    load.run_until(Instant::now() + Duration::from_secs_f64(arguments.warm_up))?;
    load.results = Results::new();
    let cpu_before = arguments.pid.map(cpu_nanos).transpose()?;
    let started = Instant::now();
    load.run_until(started + Duration::from_secs_f64(arguments.seconds))?;
    let elapsed = started.elapsed();
    let cpu_after = arguments.pid.map(cpu_nanos).transpose()?;
    load.count_outstanding(started);
    let cpu_nanos = cpu_before.zip(cpu_after).map(|(before, after)| after - before);
    println!("{}", load.results.report(&arguments, elapsed, cpu_nanos));
    Ok(())
}

fn request(arguments: &Arguments, body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n",
        arguments.path,
        arguments.address,
        body.len()
    );
    for header in &arguments.header {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    request
}

struct Load {
    address: SocketAddr,
    request: Vec<u8>,
    is_churning: bool,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    opened: u32,
    results: Results,
}

struct Connection {
    socket: TcpStream,
    /// When the request, or under churn the connection, was begun.
    begun: Instant,
    written: usize,
    received: Vec<u8>,
}

/// What became of a connection after an event.
enum Progress {
    Waiting,
    Answered,
    Broken,
}

impl Load {
    fn new(address: SocketAddr, request: Vec<u8>, is_churning: bool) -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Load {
            address,
            request,
            is_churning,
            // SAFETY: a fresh descriptor nobody else owns.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            connections: Vec::new(),
            opened: 0,
            results: Results::new(),
        })
    }

    fn add_connection(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let socket = self.connect()?;
        self.connections.push(Connection {
            socket,
            begun,
            written: 0,
            received: Vec::new(),
        });
        self.watch(self.connections.len() - 1)?;
        Ok(())
    }

    /// Starts connecting; the first writability says it is done.
    fn connect(&mut self) -> io::Result<TcpStream> {
        let socket = Socket::new(
            Domain::for_address(self.address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        if self.is_churning && self.address.ip().is_loopback() && self.address.is_ipv4() {
            let source = u32::from(Ipv4Addr::LOCALHOST) + 1 + self.opened % SOURCES;
            let source = SocketAddrV4::new(Ipv4Addr::from(source), 0);
            bind_address_no_port(&socket)?;
            socket.bind(&SockAddr::from(source))?;
        }
        self.opened = self.opened.wrapping_add(1);
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket.into()),
        }
    }

    /// Edge-triggered for both directions, so that one registration serves a connection's life.
    fn watch(&self, index: usize) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
            u64: index as u64,
        };
        let socket = self.connections[index].socket.as_raw_fd();
        // SAFETY: `event` lives through the call; both descriptors are open.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket, &mut event) })?;
        Ok(())
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut buffer = vec![0; RECEIVE_BYTES];
        while Instant::now() < end {
            // SAFETY: `events` has room for the count given.
            let ready = unsafe {
                libc::epoll_wait(
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    EVENTS as i32,
                    POLL_MILLIS,
                )
            };
            let ready = match check(ready) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            for event in &events[..ready as usize] {
                self.advance(event.u64 as usize, &mut buffer)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        match self.connections[index].progress(&self.request, buffer) {
            Progress::Waiting => Ok(()),
            Progress::Answered => {
                self.results.record(self.connections[index].begun.elapsed());
                if self.is_churning {
                    return self.reconnect(index);
                }
                let connection = &mut self.connections[index];
                connection.begun = Instant::now();
                connection.written = 0;
                connection.received.clear();
                match connection.write(&self.request) {
                    Ok(()) => Ok(()),
                    Err(_) => self.fail(index),
                }
            }
            Progress::Broken => self.fail(index),
        }
    }

    fn fail(&mut self, index: usize) -> io::Result<()> {
        self.results.errors += 1;
        self.reconnect(index)
    }

    fn reconnect(&mut self, index: usize) -> io::Result<()> {
        let begun = Instant::now();
        let socket = self.connect()?;
        // Dropping the old socket closes it and ends its watch.
        self.connections[index] = Connection {
            socket,
            begun,
            written: 0,
            received: Vec::new(),
        };
        self.watch(index)
    }

    /// Requests without an answer at the end: only ages that would be remarkable.
    fn count_outstanding(&mut self, started: Instant) {
        for connection in &self.connections {
            let age = connection.begun.max(started).elapsed();
            if age > LATE {
                self.results.record(age);
                self.results.unanswered += 1;
            }
        }
    }
}

impl Connection {
    fn progress(&mut self, request: &[u8], buffer: &mut [u8]) -> Progress {
        if self.write(request).is_err() {
            return Progress::Broken;
        }
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Progress::Broken,
                Ok(received) => {
                    self.received.extend_from_slice(&buffer[..received]);
                    match response_bytes(&self.received) {
                        Some(whole) if whole == self.received.len() => return Progress::Answered,
                        Some(whole) if whole < self.received.len() => return Progress::Broken,
                        _ => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waiting,
                Err(_) => return Progress::Broken,
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
                    // Still connecting, or full: the next edge continues.
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

/// Length of the whole response, once its head is there. Anything but 200 is an error, as length 0.
fn response_bytes(received: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(received, b"\r\n\r\n")? + 4;
    if !received.starts_with(b"HTTP/1.1 200 ") {
        return Some(0);
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    if response.parse(received).is_err() {
        return Some(0);
    }
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    Some(length.map_or(0, |length| head + length))
}

/// An answer later than this is counted by itself.
const LATE: Duration = Duration::from_millis(50);

/// Longer ones count as this.
const LATENCY_NANOS_MAX: u64 = 600_000_000_000;

struct Results {
    latencies: Histogram<u64>,
    errors: u64,
    late: u64,
    unanswered: u64,
}

impl Results {
    fn new() -> Self {
        Results {
            latencies: Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3).expect("possible bounds"),
            errors: 0,
            late: 0,
            unanswered: 0,
        }
    }

    fn record(&mut self, latency: Duration) {
        self.latencies.saturating_record(latency.as_nanos() as u64);
        self.late += u64::from(latency > LATE);
    }

    fn report(&self, arguments: &Arguments, elapsed: Duration, cpu_nanos: Option<u64>) -> serde_json::Value {
        let requests = self.latencies.len();
        let micros = |nanos: u64| nanos as f64 / 1e3;
        serde_json::json!({
            "label": arguments.label,
            "connections": arguments.connections,
            "churn": arguments.churn,
            "seconds": elapsed.as_secs_f64(),
            "requests": requests,
            "requests_per_second": requests as f64 / elapsed.as_secs_f64(),
            "p50_micros": micros(self.latencies.value_at_quantile(0.5)),
            "p99_micros": micros(self.latencies.value_at_quantile(0.99)),
            "p999_micros": micros(self.latencies.value_at_quantile(0.999)),
            "max_micros": micros(self.latencies.max()),
            "late": self.late,
            "unanswered": self.unanswered,
            "errors": self.errors,
            "server_cpu_micros_per_request":
                cpu_nanos.map(|nanos| micros(nanos) / requests.max(1) as f64),
        })
    }
}

/// CPU time of all live threads, from the scheduler's own accounting.
fn cpu_nanos(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        total += nanos.ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(total)
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

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
