//! HTTP or WebSocket load from one thread on epoll: a closed loop, or an open one with `--phase`.
//!
//! In the closed loop every connection has one request outstanding, always, which shows what a server can do. In the
//! open loop requests are due by a schedule whatever the server does, and a latency begins when its request was due,
//! which shows what clients see under overload. The program prints one JSON document, counts every outcome, and judges
//! nothing.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(unsafe_code, reason = "epoll and socket options have no safe wrapper here")]

mod address;
mod closed;
mod connection;
mod life_cycle;
mod numbers;
mod open;
mod poll;
mod records;
mod response;
mod schedule;
mod tally;
mod websocket;

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Parser;

use address::Address;
use connection::Source;
use schedule::{Phase, Spread};

const RECEIVE_BYTES: usize = 64 << 10;

/// Keeps a server busy and measures it.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens: an address and port, or `unix:PATH` (`unix:@NAME` without a file).
    #[arg(long)]
    address: Address,
    /// Path of the requests.
    #[arg(long, default_value = "/mcp")]
    path: String,
    /// Connections; in the open loop those made before it begins.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Ports of 127.0.0.1 the first connections come from, in order.
    #[arg(long, value_delimiter = ',')]
    source_ports: Vec<u16>,
    /// Closed loop: seconds measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Closed loop: seconds before.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Closed loop: a new connection for every request.
    #[arg(long, conflicts_with = "phase")]
    churn: bool,
    /// Closed loop: over WebSocket; no header goes with a request then.
    #[arg(long, conflicts_with_all = ["phase", "churn", "source_ports", "header"])]
    websocket: bool,
    /// Closed loop: instead of one request, the life of a legacy session: `initialize`, `notifications/initialized`, an
    /// echo and DELETE, which count as one.
    #[arg(long, conflicts_with_all = ["phase", "churn", "websocket", "body", "header"])]
    life_cycle: bool,
    /// Closed loop: every request has an id of its own, counted from the ten digits behind `"id":` in the body.
    #[arg(long, requires = "body", conflicts_with_all = ["phase", "life_cycle", "websocket"])]
    unique_ids: bool,
    /// Open loop: requests per second and seconds, as in 800:10; one after the other when repeated.
    #[arg(long)]
    phase: Vec<Phase>,
    /// Open loop: how requests are spread within a phase.
    #[arg(long, default_value = "poisson")]
    spread: Spread,
    /// Open loop: decides the Poisson process.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Open loop: most connections; when all wait for an answer, requests wait here.
    #[arg(long, default_value_t = 8192)]
    connections_max: usize,
    /// Open loop: seconds after the last phase in which answers still count.
    #[arg(long, default_value_t = 10.0)]
    patience: f64,
    /// Open loop: length of the windows reported besides the phases.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    window_millis: u64,
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

impl Arguments {
    /// The source of connection `index` when it is first made.
    fn source(&self, index: usize) -> Source {
        self.source_ports
            .get(index)
            .map_or(Source::Any, |port| Source::Port(*port))
    }
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
    let request = if arguments.websocket {
        websocket::frame(&body)
    } else {
        request(&arguments, &body)
    };
    let report = if arguments.phase.is_empty() {
        closed::run(&arguments, request)?
    } else {
        open::run(&arguments, request)?
    };
    println!("{report}");
    Ok(())
}

fn request(arguments: &Arguments, body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n",
        arguments.path,
        arguments.address.host(),
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
