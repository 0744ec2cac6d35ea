//! The validated settings of the process, in one small group for each layer.
//!
//! Settings are plain data. A layer gets its own group and nothing else; nothing in here is read again from a flag, a
//! file or the environment. Most groups are sections (see `sections`), in which every number is decided that an option
//! leaves open; what follows from the machine as well has a group beside them. Invariant: a value that exists is within
//! its bounds, and all of them fit together (the memory plan adds up, every shard has a CPU).

use std::path::PathBuf;

use super::children::ChildServer;
use super::memory::MemoryPlan;
use super::placement::ShardPlace;
use super::sections::{
    AccessSettings, ChannelSettings, ConnectionOptions, EndpointSettings, HttpLimits, MachineOptions,
    OutputOptions, QueueOptions, RunOptions, SessionSettings, TaskSettings, Timeouts, ToolOptions,
    ToolsetSettings, WorkerOptions,
};
use super::sizes::{ExecutorSettings, RingOptions, ShardSizes};
use crate::units::CpuId;

/// All settings of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The addresses, paths and transports of clients; health and metrics.
    pub endpoints: EndpointSettings,
    /// CPUs, memory, and the division of memory, as far as they are options.
    pub machine: MachineOptions,
    /// The CPU of each shard, in order of [`ShardId`](crate::units::ShardId); never empty.
    pub shards: Vec<ShardPlace>,
    /// The executor of each shard.
    pub executor: ExecutorSettings,
    /// The sizes of each shard's handlers, queue and buffers.
    pub sizes: ShardSizes,
    /// Waiting for a handler, and keeping one.
    pub queue: QueueOptions,
    /// The data ring of each shard.
    pub ring: RingOptions,
    /// How shards wait, and how long a drain may take.
    pub run: RunOptions,
    /// The division of the memory budget, and what is left for run time.
    pub memory: MemoryPlan,
    /// Limits of HTTP messages.
    pub http: HttpLimits,
    /// Deadlines of connections and calls.
    pub timeouts: Timeouts,
    /// Connections that carry messages both ways.
    pub channels: ChannelSettings,
    /// Calls whose results are fetched later.
    pub tasks: TaskSettings,
    /// How many connections there may be; beyond the process's number the shards stop accepting.
    pub connections: ConnectionOptions,
    /// The origins of browser pages and the host names that are admitted.
    pub access: AccessSettings,
    /// Session ids of the legacy era.
    pub session: SessionSettings,
    /// Threads for blocking tools.
    pub workers: WorkerSettings,
    /// The toolsets of `weir serve`.
    pub toolsets: ToolsetSettings,
    /// Single tools.
    pub tools: ToolOptions,
    /// Other programs to serve.
    pub children: ChildSettings,
    /// The report at exit, and the log.
    pub output: OutputOptions,
    /// The stream that the report goes to.
    pub report_stream: ReportStream,
    /// Whether WebSockets echo messages instead of serving them, for test suites that judge the framing. This is no
    /// option; only a program can ask for it.
    #[doc(hidden)]
    pub echoes_websocket: bool,
}

/// The path on which a prober asks whether the process is alive.
pub const HEALTH_PATH: &str = "/healthz";
/// The path on which a prober asks whether the server is ready.
pub const READINESS_PATH: &str = "/readyz";
/// The path on which clients of HTTP+SSE open their stream.
pub const SSE_PATH: &str = "/sse";
/// The path to which they POST their messages.
pub const SSE_MESSAGES_PATH: &str = "/messages";

/// Threads for blocking tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The number of threads, and other options.
    pub options: WorkerOptions,
    /// Calls that may wait for a thread, over all of them.
    pub queue_depth_max: usize,
    /// Additional threads, which take the place of those whose calls nobody waits for any more.
    pub abandoned_max: usize,
    /// The CPUs that the threads may use; if it is empty, they are not pinned, because the shards take all CPUs.
    pub cpus: Vec<CpuId>,
}

/// Other programs to serve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChildSettings {
    /// The programs.
    pub servers: Vec<ChildServer>,
    /// The CPUs that they may use; if it is empty, all that this process may.
    pub cpus: Vec<CpuId>,
    /// The number of CPUs that they may use.
    pub cpu_count: u32,
    /// Children that are started at one time.
    pub starts_max: u32,
    /// Where to keep the last words of children that died.
    pub flight_recorder: Option<PathBuf>,
}

/// The stream that the report goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStream {
    /// The report goes beside the logs, which go to stderr.
    Stdout,
    /// Stdout belongs to a client, or may be taken for one.
    Stderr,
}
