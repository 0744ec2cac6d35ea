//! Load on children over their pipes, without anything between: what a front of them can reach at best.
//!
//! `pipes --children 2 --in-flight 64 -- node server.js stdio` starts so many copies of an MCP server, begins the
//! legacy era with each, and keeps so many calls of `echo` under way, as many with each child. Answers of one read are
//! followed by the next calls in one write. One thread; the program prints one JSON document.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

const RECEIVE_BYTES: usize = 64 << 10;
/// Longer ones count as this.
const LATENCY_NANOS_MAX: u64 = 600_000_000_000;
/// How often the clock is read when nothing happens.
const POLL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// Keeps children busy and measures them.
#[derive(Parser)]
struct Arguments {
    /// Copies of the server.
    #[arg(long, default_value_t = 1)]
    children: usize,
    /// Calls under way at all children together.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Seconds measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// The text that is echoed.
    #[arg(long, default_value = "hello")]
    message: String,
    /// The server and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// A child, and when each of its calls was made.
struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    begun: HashMap<u64, Instant>,
    next_id: u64,
    line: Vec<u8>,
    calls: Vec<u8>,
}

/// What was measured.
struct Tally {
    latencies: Histogram<u64>,
    answered: u64,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let mut peers = Vec::new();
    for _ in 0..arguments.children {
        peers.push(Peer::start(&arguments.command)?);
    }
    for number in 0..arguments.in_flight {
        let at = number % peers.len();
        peers[at].call(&arguments.message);
    }
    for peer in &mut peers {
        peer.flush()?;
    }
    run(&mut peers, &arguments.message, arguments.warm_up)?;
    let before = cpu_nanos(&peers)?;
    let begun = Instant::now();
    let tally = run(&mut peers, &arguments.message, arguments.seconds)?;
    let elapsed = begun.elapsed();
    let after = cpu_nanos(&peers)?;
    let micros = |at: usize| (after[at] - before[at]) as f64 / 1e3 / tally.answered.max(1) as f64;
    let quantile = |quantile| tally.latencies.value_at_quantile(quantile) as f64 / 1e3;
    let report = json!({
        "requests_per_second": tally.answered as f64 / elapsed.as_secs_f64(),
        "answered": tally.answered,
        "p50_micros": quantile(0.5),
        "p99_micros": quantile(0.99),
        "own_cpu_micros_per_request": micros(0),
        "children_cpu_micros_per_request": micros(1),
    });
    println!("{report}");
    for peer in peers {
        drop(peer.input);
        let mut process = peer.process;
        process.wait()?;
    }
    Ok(())
}

/// Calls for so long.
fn run(peers: &mut [Peer], message: &str, seconds: f64) -> io::Result<Tally> {
    let mut tally = Tally {
        latencies: Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3).map_err(io::Error::other)?,
        answered: 0,
    };
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        let ready: Vec<bool> = {
            let outputs = peers.iter().map(|peer| peer.output.get_ref());
            let mut polled: Vec<_> = outputs.map(|output| PollFd::new(output, PollFlags::IN)).collect();
            poll(&mut polled, Some(&POLL))?;
            polled.iter().map(|polled| !polled.revents().is_empty()).collect()
        };
        for (peer, _) in peers.iter_mut().zip(ready).filter(|(_, is_ready)| *is_ready) {
            peer.take_answers(message, &mut tally)?;
        }
    }
    Ok(tally)
}

impl Peer {
    /// Starts a child and begins the legacy era.
    fn start(command: &[String]) -> io::Result<Peer> {
        let mut process = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (input, output) = process
            .stdin
            .take()
            .zip(process.stdout.take())
            .ok_or(ErrorKind::BrokenPipe)?;
        let mut peer = Peer {
            process,
            input,
            output: BufReader::with_capacity(RECEIVE_BYTES, output),
            begun: HashMap::new(),
            next_id: 1,
            line: Vec::new(),
            calls: Vec::new(),
        };
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "pipes", "version": "1"},
        });
        peer.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))?;
        while peer.next_line()? != Some(0) {}
        peer.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(peer)
    }

    fn say(&mut self, message: &Value) -> io::Result<()> {
        self.input.write_all(format!("{message}\n").as_bytes())
    }

    /// Reads a line; returns the id of what was answered, unless it is something else.
    fn next_line(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        if self.output.read_until(b'\n', &mut self.line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let is_answer = memchr::memmem::find(&self.line, b"\"result\":").is_some();
        let at = memchr::memmem::rfind(&self.line, b"\"id\":").filter(|_| is_answer);
        Ok(at.map(|at| {
            let digits = self.line[at + 5..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0'))
        }))
    }

    /// Notes a call, which is written with the next flush.
    fn call(&mut self, message: &str) {
        let id = self.next_id;
        self.next_id += 1;
        self.begun.insert(id, Instant::now());
        let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","#);
        self.calls.extend_from_slice(start.as_bytes());
        self.calls
            .extend_from_slice(format!("\"arguments\":{{\"message\":{}}}}}}}\n", json!(message)).as_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.write_all(&self.calls)?;
        self.calls.clear();
        Ok(())
    }

    /// Takes what one read brings, each answer followed by another call.
    fn take_answers(&mut self, message: &str, tally: &mut Tally) -> io::Result<()> {
        loop {
            let id = self.next_line()?;
            if let Some(begun) = id.and_then(|id| self.begun.remove(&id)) {
                let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                tally.latencies.saturating_record(nanos);
                tally.answered += 1;
                self.call(message);
            }
            if memchr::memchr(b'\n', self.output.buffer()).is_none() {
                return self.flush();
            }
        }
    }
}

/// CPU time of this process, and of the children together.
fn cpu_nanos(peers: &[Peer]) -> io::Result<[u64; 2]> {
    let children: io::Result<Vec<u64>> = peers.iter().map(|peer| cpu_nanos_of(peer.process.id())).collect();
    Ok([cpu_nanos_of(std::process::id())?, children?.iter().sum()])
}

/// CPU time of all live threads, from the scheduler's own accounting.
fn cpu_nanos_of(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let mut text = String::new();
        fs::File::open(task?.path().join("schedstat"))?.read_to_string(&mut text)?;
        let nanos = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        total += nanos.ok_or(ErrorKind::InvalidData)?;
    }
    Ok(total)
}
