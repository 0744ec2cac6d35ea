//! What the process was told to do: validated values, one small group per layer.
//!
//! Plain data. Whoever builds a layer hands it its own group and nothing else; nothing in here is read again from
//! a flag, a file or the environment. Groups that follow from options alone are sections (see `sections`); those that
//! also follow from the machine are declared here. Invariant: a value that exists is within its bounds, and all of them
//! fit together (the memory plan adds up, every shard has a CPU).

use std::time::Duration;

use super::memory::MemoryPlan;
use super::placement::{ShardPlace, display_cpu_list};
use super::sections::{
    AccessSettings, ChannelSettings, EndpointSettings, HttpLimits, SessionSettings, TaskSettings, Timeouts,
    ToolsetSettings,
};
use super::sizes::{ExecutorSettings, RingOptions, ShardSizes};
use super::values::{AccessLog, Linger, LogFormat, LogLevel, ReportFormat};
use crate::units::{ByteSize, CpuId};

/// Everything a server needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where and how clients come; health and metrics.
    pub endpoints: EndpointSettings,
    /// Which shard runs on which CPU, in order of [`ShardId`](crate::units::ShardId); never empty.
    pub shards: Vec<ShardPlace>,
    /// The executor of each shard.
    pub executor: ExecutorSettings,
    /// What each shard makes at start: handlers, queue, buffers.
    pub sizes: ShardSizes,
    /// How long requests may wait for a handler.
    pub waits: Waits,
    /// Whether shards serve each other's waiters.
    pub steal: StealSettings,
    /// How long a connection keeps its handler after an answer.
    pub linger: Linger,
    /// The data ring of each shard.
    pub ring: RingOptions,
    /// How long a shard with nothing to do waits in its own ring before it parks in the executor's.
    pub busy_poll: Duration,
    /// What the memory budget is spent on, and what is left for run time.
    pub memory: MemoryPlan,
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
    /// What `weir serve` serves.
    pub toolsets: ToolsetSettings,
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
        let cpus = if self.executor.is_pinned {
            format!("CPUs {}", display_cpu_list(&self.used_cpus()))
        } else {
            "any CPU".to_owned()
        };
        format!(
            "{} shards on {cpus}, {} handlers and a queue of {} each, {} workers, {} connections, memory {}",
            self.shards.len(),
            self.sizes.handlers,
            self.sizes.queue_depth_max,
            self.workers.threads,
            self.connections_max,
            ByteSize(self.memory.budget_bytes).rounded()
        )
    }

    /// The CPUs of all shards, ascending, each once.
    pub(super) fn used_cpus(&self) -> Vec<CpuId> {
        let mut cpus: Vec<CpuId> = self.shards.iter().map(|place| place.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }
}

/// Where a prober asks whether the process is well.
pub const HEALTH_PATH: &str = "/healthz";
/// Where a prober asks whether the server is serving.
pub const READINESS_PATH: &str = "/readyz";
/// Where clients of HTTP+SSE open their stream.
pub const SSE_PATH: &str = "/sse";
/// Where they POST their messages.
pub const SSE_MESSAGES_PATH: &str = "/messages";

/// How long requests may wait for a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// A request with an `Origin`.
    pub browser: Duration,
    /// Any other.
    pub agent: Duration,
}

/// Serving those who wait at other shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StealSettings {
    /// Whether it is done at all.
    pub is_on: bool,
    /// Handlers of a shard that others' clients may not take; at most the size of the pool.
    pub reserve: u32,
}

/// Threads for blocking tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Threads; at least 1.
    pub threads: usize,
    /// Calls that may wait for a thread, over all of them.
    pub queue_depth_max: usize,
    /// Threads more that take the place of those whose calls nobody waits for any more.
    pub abandoned_max: usize,
    /// The CPUs the threads may use; empty: they are not pinned, because the shards take all CPUs there are.
    pub cpus: Vec<CpuId>,
}

/// Where the report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStream {
    /// Beside the logs, which go to stderr.
    Stdout,
    /// Where stdout is a client's, or may be taken for one.
    Stderr,
}

/// Logs on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important record that is written.
    pub level: LogLevel,
    /// How records look.
    pub format: LogFormat,
}
