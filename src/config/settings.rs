//! The validated settings of the process, in one small group for each layer.
//!
//! Settings are plain data. A layer gets its own group and nothing else; nothing in here is read again from a flag, a
//! file or the environment. Groups that follow only from options are sections (see `sections`); those that also follow
//! from the machine are declared here. Invariant: a value that exists is within its bounds, and all of them fit
//! together (the memory plan adds up, every shard has a CPU).

use std::time::Duration;

use super::memory::MemoryPlan;
use super::placement::ShardPlace;
use super::sections::{
    AccessSettings, ChannelSettings, EndpointSettings, HttpLimits, SessionSettings, TaskSettings, Timeouts,
    ToolsetSettings,
};
use super::sizes::{ExecutorSettings, RingOptions, ShardSizes};
use super::values::{AccessLog, Linger, LogFormat, LogLevel, ReportFormat};
use crate::units::CpuId;

/// All settings of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The addresses, paths and transports of clients; health and metrics.
    pub endpoints: EndpointSettings,
    /// The CPU of each shard, in order of [`ShardId`](crate::units::ShardId); never empty.
    pub shards: Vec<ShardPlace>,
    /// The executor of each shard.
    pub executor: ExecutorSettings,
    /// The sizes of each shard's handlers, queue and buffers.
    pub sizes: ShardSizes,
    /// How long requests may wait for a handler.
    pub waits: Waits,
    /// Whether shards serve each other's waiters.
    pub steal: StealSettings,
    /// How long a connection keeps its handler after an answer.
    pub linger: Linger,
    /// The data ring of each shard.
    pub ring: RingOptions,
    /// How long an idle shard waits in its own ring before it parks in the executor's.
    pub busy_poll: Duration,
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
    /// Connections of the whole process; beyond that number the shards stop accepting.
    pub connections_max: u32,
    /// Connections from one address, over all shards; `None` means that there is no separate limit.
    pub connections_per_ip: Option<u32>,
    /// The origins of browser pages and the host names that are admitted.
    pub access: AccessSettings,
    /// Session ids of the legacy era.
    pub session: SessionSettings,
    /// Threads for blocking tools.
    pub workers: WorkerSettings,
    /// The toolsets of `weir serve`.
    pub toolsets: ToolsetSettings,
    /// How long a drain may take before remaining work is cut off.
    pub drain_timeout: Duration,
    /// The report at exit.
    pub report: ReportFormat,
    /// The stream that the report goes to.
    pub report_stream: ReportStream,
    /// Logs on stderr.
    pub log: LogSettings,
    /// Which requests get a log record.
    pub access_log: AccessLog,
    /// Whether WebSockets echo messages instead of serving them, for test suites that judge the framing. This is no
    /// option; only a program can ask for it.
    #[doc(hidden)]
    pub echoes_websocket: bool,
}

impl Settings {
    /// The CPUs of all shards, ascending, each once.
    pub(super) fn used_cpus(&self) -> Vec<CpuId> {
        let mut cpus: Vec<CpuId> = self.shards.iter().map(|place| place.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }
}

/// The path on which a prober asks whether the process is alive.
pub const HEALTH_PATH: &str = "/healthz";
/// The path on which a prober asks whether the server is ready.
pub const READINESS_PATH: &str = "/readyz";
/// The path on which clients of HTTP+SSE open their stream.
pub const SSE_PATH: &str = "/sse";
/// The path to which they POST their messages.
pub const SSE_MESSAGES_PATH: &str = "/messages";

/// How long requests may wait for a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long a request with an `Origin` may wait.
    pub browser: Duration,
    /// How long any other request may wait.
    pub agent: Duration,
}

/// Serving requests that wait at other shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StealSettings {
    /// Whether shards do it at all.
    pub is_on: bool,
    /// Handlers of a shard that clients of other shards may not take; at most the size of the pool.
    pub reserve: u32,
}

/// Threads for blocking tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The number of threads; at least 1.
    pub threads: usize,
    /// Calls that may wait for a thread, over all of them.
    pub queue_depth_max: usize,
    /// Additional threads, which take the place of those whose calls nobody waits for any more.
    pub abandoned_max: usize,
    /// The CPUs that the threads may use; if it is empty, they are not pinned, because the shards take all CPUs.
    pub cpus: Vec<CpuId>,
}

/// The stream that the report goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStream {
    /// The report goes beside the logs, which go to stderr.
    Stdout,
    /// Stdout belongs to a client, or may be taken for one.
    Stderr,
}

/// Logs on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important records that are written.
    pub level: LogLevel,
    /// The format of records.
    pub format: LogFormat,
}
