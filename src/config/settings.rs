//! What the process was told to do: validated values, one small group per layer.
//!
//! Plain data. Whoever builds a layer hands it its own group and nothing else; nothing in here is read again from
//! a flag, a file or the environment. Invariant: a value that exists is within its bounds, and all of them fit
//! together (the memory plan adds up, every shard has a CPU).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::memory::MemoryPlan;
use super::placement::display_cpu_list;
use crate::units::{ByteSize, CpuId, Patience, ShardId};

/// Everything `weir serve` needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How clients come.
    pub transport: TransportKind,
    /// Where MCP is served over HTTP.
    pub listen: SocketAddr,
    /// Whether it may listen beside another process of this user. Its own shards always share the address.
    pub shares_port: bool,
    /// What is served there.
    pub endpoints: EndpointSettings,
    /// Health and metrics.
    pub admin: AdminSettings,
    /// Which shard runs on which CPU, in order of [`ShardId`]; never empty.
    pub shards: Vec<ShardPlace>,
    /// The executor of each shard.
    pub executor: ExecutorSettings,
    /// The handlers of each shard.
    pub pool: PoolSettings,
    /// Those who wait for a handler, at each shard.
    pub queue: QueueSettings,
    /// Whether shards serve each other's waiters.
    pub steal: StealSettings,
    /// How long a connection keeps its handler after an answer.
    pub linger: Linger,
    /// The data ring of each shard.
    pub ring: RingSettings,
    /// The buffers for requests that arrive in pieces, of each shard.
    pub assembly: AssemblySettings,
    /// What the memory budget is spent on, and what is left for run time.
    pub memory: MemoryPlan,
    /// Whether what is made at start is resident from then on, rather than from its first use.
    pub is_prefaulted: bool,
    /// Limits of HTTP messages.
    pub http: HttpLimits,
    /// Deadlines of connections and calls.
    pub timeouts: Timeouts,
    /// Connections that carry messages both ways.
    pub channels: ChannelSettings,
    /// Calls whose results are fetched later.
    pub tasks: TaskSettings,
    /// Connections of the whole process; past it the shards stop accepting.
    pub connections_max: u32,
    /// Connections from one address, over all shards; `None`: no cap of its own.
    pub connections_per_ip: Option<u32>,
    /// Which browsers' pages and which names clients may come with.
    pub access: AccessSettings,
    /// Session ids of the legacy era.
    pub session: SessionSettings,
    /// Threads for blocking tools.
    pub workers: WorkerSettings,
    /// What is served; never empty, nothing twice.
    pub toolsets: Vec<Toolset>,
    /// The `files` toolset.
    pub files: FilesSettings,
    /// How long a drain may take before what is left is cut off.
    pub drain_timeout: Duration,
    /// The report at exit.
    pub report: ReportFormat,
    /// Where it goes.
    pub report_stream: ReportStream,
    /// Logs on stderr.
    pub log: LogSettings,
    /// Which requests get a log record.
    pub access_log: AccessLog,
    /// WebSockets echo messages instead of serving them: for suites that judge the framing. No option; never so
    /// unless a program asks for it.
    #[doc(hidden)]
    pub echoes_websocket: bool,
}

impl Settings {
    /// Shards, handlers and memory in one line, for the start of the log.
    pub fn summary(&self) -> String {
        let mut cpus: Vec<CpuId> = self.shards.iter().map(|place| place.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        let cpus = match self.executor.is_pinned {
            true => format!("CPUs {}", display_cpu_list(&cpus)),
            false => "any CPU".to_owned(),
        };
        format!(
            "{} shards on {cpus}, {} handlers and a queue of {} each, {} workers, {} connections, memory {}",
            self.shards.len(),
            self.pool.handlers,
            self.queue.depth_max,
            self.workers.threads,
            self.connections_max,
            ByteSize(self.memory.budget_bytes).rounded()
        )
    }
}

/// How clients come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    /// Any number of them, over HTTP and what begins as HTTP.
    Http,
    /// One, which started this process and holds its stdin and stdout.
    Stdio,
}

/// What is served on the listening address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// The paths of MCP, undecoded, each without a slash behind it unless it is the root; never empty, nothing twice.
    pub paths: Vec<String>,
    /// Whether [`HEALTH_PATH`] and [`READINESS_PATH`] are there too.
    pub has_health: bool,
}

/// Where a prober asks whether the process is well.
pub const HEALTH_PATH: &str = "/healthz";
/// Where a prober asks whether the server is serving.
pub const READINESS_PATH: &str = "/readyz";
/// Where clients of HTTP+SSE open their stream.
pub const SSE_PATH: &str = "/sse";
/// Where they POST their messages.
pub const SSE_MESSAGES_PATH: &str = "/messages";

/// Connections that carry messages both ways: WebSockets, stdin and stdout, event streams of HTTP+SSE (2024-11-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Whether there are WebSockets.
    pub websocket: bool,
    /// Silence after which a WebSocket is given up; a ping goes out at half of it.
    pub websocket_timeout: Duration,
    /// Messages of one connection that are not answered yet.
    pub in_flight_max: u32,
    /// Whether there is HTTP+SSE.
    pub sse_legacy: bool,
}

/// Tasks and how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskSettings {
    /// Over the process; 0: none at all.
    pub tasks_max: usize,
    /// Of one client.
    pub per_client_max: usize,
    /// For a task that asks for no time; at most `ttl_max`.
    pub ttl: Duration,
    /// The most a task gets, whatever it asks for.
    pub ttl_max: Duration,
}

/// One shard's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardPlace {
    /// Which shard.
    pub shard: ShardId,
    /// The CPU of its executor; several shards share one when there are more shards than CPUs.
    pub cpu: CpuId,
}

/// The listener for health and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminSettings {
    /// No such listener.
    Off,
    /// Listen here.
    On {
        /// Where.
        address: SocketAddr,
        /// Whether an operator asked for this address. If nobody did, a busy port is a warning, not an error.
        is_explicit: bool,
    },
}

/// The pool of handlers, per shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Handlers; at least 1.
    pub handlers: u32,
    /// Inbound buffer and response buffer of a handler, each.
    pub buffer_bytes: usize,
}

/// Work that waits for a handler, per shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// Requests that may wait, each with a waiting buffer of [`RING_BUFFER_BYTES`] set aside. 0: nobody waits,
    /// an exhausted pool refuses at once.
    pub depth_max: u32,
    /// How long a browser's request, that is one with an `Origin`, may wait.
    pub timeout: Duration,
    /// How long any other request may wait.
    pub timeout_agent: Duration,
}

/// Serving those who wait at other shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StealSettings {
    /// Whether it is done at all.
    pub is_on: bool,
    /// Handlers of a shard that others' clients may not take; at most the size of the pool.
    pub reserve: u32,
}

/// How long a connection keeps its handler after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// Not at all: the lease ends with the answer. Written `0s`.
    None,
    /// A moment for a quick next request, cut short when others wait.
    For(Duration),
    /// From a connection's first byte until it ends, or is silent for the read timeout; never taken back.
    Forever,
}

/// Size of a ring buffer: one page, a whole request of most clients.
pub const RING_BUFFER_BYTES: usize = 4096;

/// The data ring, per shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSettings {
    /// Ring buffers lent to the kernel; at least 1, at most 32768. Not always a power of two.
    pub buffers: u32,
    /// Size of each ring buffer.
    pub buffer_bytes: usize,
    /// Entries of the submission queue.
    pub submission_entries: u32,
    /// Entries of the completion queue.
    pub completion_entries: u32,
    /// How long a shard with nothing to do waits in its own ring before it parks in the executor's.
    pub busy_poll: Duration,
}

impl RingSettings {
    /// Queues for one client: every instance counts against one limit of locked memory.
    pub(super) const ONE_CLIENT: Self = Self {
        buffers: 64,
        buffer_bytes: RING_BUFFER_BYTES,
        submission_entries: 64,
        completion_entries: 256,
        busy_poll: Duration::from_micros(100),
    };
}

impl Default for RingSettings {
    /// A submission queue for one busy turn, and a completion queue for a burst of thousands of connections; when it
    /// overflows all the same, the kernel keeps the rest until it is asked.
    fn default() -> Self {
        Self {
            buffers: 1024,
            buffer_bytes: RING_BUFFER_BYTES,
            submission_entries: 1024,
            completion_entries: 8192,
            busy_poll: Duration::from_micros(100),
        }
    }
}

/// The executor of each shard: what it pins and how deep its own rings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutorSettings {
    /// Whether it stays on its shard's CPU. Not beside one client, whose neighbours would all be on the first one, nor
    /// under a quota of fewer CPUs than there are, unless an operator named them.
    pub is_pinned: bool,
    /// Memory the executor registers for direct file access, which Weir does not use: the least it accepts.
    pub io_memory_bytes: usize,
    /// Entries of each of the executor's own rings.
    pub ring_entries: usize,
}

impl Default for ExecutorSettings {
    /// The executor's own defaults would pin 30 MiB a shard for file access that Weir does not use.
    fn default() -> Self {
        Self {
            is_pinned: true,
            io_memory_bytes: 64 << 10,
            ring_entries: 128,
        }
    }
}

impl ExecutorSettings {
    /// Beside one client.
    pub(super) const ONE_CLIENT: Self = Self {
        is_pinned: false,
        io_memory_bytes: 64 << 10,
        ring_entries: 32,
    };
}

/// Buffers for requests that arrive in pieces, per shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblySettings {
    /// Buffers; at least 1.
    pub buffers: u32,
    /// Size of each; a larger request continues on the heap, within the memory plan.
    pub buffer_bytes: usize,
}

/// Limits of HTTP messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Request line and header fields together, with their line ends; past it 431 (or 414).
    pub head_bytes_max: usize,
    /// A body after its transfer coding is undone; past it 413.
    pub body_bytes_max: usize,
}

/// Deadlines of connections and calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From a head's first byte to its last.
    pub head: Duration,
    /// From a body's first expected byte to its last.
    pub body: Duration,
    /// Silence while bytes of a begun request are still owed; never while a call runs.
    pub read: Duration,
    /// Silence between requests of a kept connection.
    pub idle: Patience,
    /// No progress on bytes a client has yet to take.
    pub write: Duration,
    /// From a call's start to its answer, but for the time it waits for its client.
    pub call: Duration,
    /// From a call's question to its client's answer.
    pub ask: Duration,
    /// From a call's start to the stream that it is given while it has no answer.
    pub stream_after: Duration,
    /// Between signs of life on a stream with nothing else to send.
    pub keep_alive: Duration,
}

/// Which `Origin` and `Host` values are served. Loopback names and addresses always are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessSettings {
    /// Origins served besides loopback ones, as `scheme://host[:port]` in lower case.
    pub origins: AllowList,
    /// Authorities served besides loopback ones, as `host` (any port) or `host:port` in lower case.
    pub hosts: AllowList,
}

/// Names that are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowList {
    /// Whoever asks, written `*`.
    Any,
    /// These, compared whole.
    Only(Vec<String>),
}

impl Default for AllowList {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

/// Session ids of the legacy era.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// File with the sealing key; without one the key is random and ids end with the process.
    pub key_file: Option<PathBuf>,
    /// How long an id is good for.
    pub max_age: Duration,
    /// Whether a legacy request without an id is refused.
    pub is_required: bool,
}

/// Threads for blocking tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Threads; at least 1.
    pub threads: u32,
    /// Calls that may wait for a thread, over all of them.
    pub queue_depth_max: usize,
    /// The CPUs the threads may use; empty: they are not pinned, because the shards take all CPUs there are.
    pub cpus: Vec<CpuId>,
}

/// An embedded toolset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolset {
    /// A directory's files, read-only.
    Files,
    /// Tools for trials, tests and benchmarks.
    Demo,
}

impl Toolset {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Files, Self::Demo];

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Demo => "demo",
        }
    }
}

/// The `files` toolset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesSettings {
    /// The directory that is served. Whether it exists is known once it is opened.
    pub root: PathBuf,
    /// Text in one answer of `read_file`.
    pub read_bytes_max: usize,
    /// JSON for the results in one answer of `search`, `find_files` or `list_directory`.
    pub search_bytes_max: usize,
}

/// Where the report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStream {
    /// Beside the logs, which go to stderr.
    Stdout,
    /// Where stdout is a client's, or may be taken for one.
    Stderr,
}

/// The report at exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// Tables for people.
    Text,
    /// One JSON object on one line.
    Json,
    /// Nothing.
    None,
}

impl ReportFormat {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::None => "none",
        }
    }
}

/// Logs on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important record that is written.
    pub level: LogLevel,
    /// How records look.
    pub format: LogFormat,
}

/// Which requests get a log record of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    Off,
    /// Those that fail or are refused.
    Errors,
    /// Every one.
    All,
}

/// Importance of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing is written.
    Off,
    /// Something failed that should not have.
    Error,
    /// Something an operator should look at.
    Warn,
    /// Start, stop and the like.
    Info,
    /// What a developer of tools wants to see.
    Debug,
    /// Everything.
    Trace,
}

/// How log records look; each is one line either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
