//! Validated settings from flags, environment and file.
//!
//! `options` is the one table; `inputs` collects texts and their sources, from `environment` and `file`; `values` reads one option at a time;
//! `access` says who may be let in; `independent` holds those that stand alone, `demand` those that ask for a part of
//! the machine that `host` found;
//! `resolve` puts them together, using the arithmetic of `placement` and `memory`, and `effective` shows what came
//! of it; `startup` compares what the settings need with what the kernel gives. `sizing` goes the other way, from
//! clients to options. Only `host` and `ring_users` ask the kernel
//! anything.
//! Invariant: whoever holds [`Settings`] holds values that are in bounds and fit together.

mod access;
mod demand;
mod descriptors;
mod effective;
mod environment;
mod error;
#[cfg(feature = "cli")]
mod file;
mod host;
mod independent;
mod inputs;
mod memory;
mod options;
mod placement;
mod resolve;
mod ring_users;
mod settings;
mod size_request;
mod sizing;
mod startup;
mod values;

pub use access::{HostRule, HostRuleError, Origin, OriginPort, OriginRule, OriginRuleError, RuleHost};
pub use descriptors::DescriptorPlan;
pub use effective::Effective;
pub use environment::{CONFIG_NAME, config_variable, is_variable};
pub use error::{ConfigError, FilePlace};
pub use host::{CpuQuota, Host, HostError, raise_soft_limits};
pub use independent::FOR_LISTENERS;
pub use inputs::{Given, Inputs, Source};
pub use memory::{
    Clientele, ConnectionsDemand, MemoryDemand, MemoryFit, MemoryPlan, MemoryShort, ShardMemory,
};
pub use options::{Fallback, Key, Kind, OPTIONS, OptionSpec, VARIABLE_PREFIX, nearest_option};
pub use placement::display_cpu_list;
pub use resolve::{Resolved, resolve};
pub use ring_users::RingUser;
pub use settings::{
    AccessLog, AccessSettings, AdminSettings, AllowList, AssemblySettings, ChannelSettings, EndpointSettings,
    ExecutorSettings, FilesSettings, HEALTH_PATH, HttpLimits, Linger, LogFormat, LogLevel, LogSettings,
    PoolSettings, QueueSettings, READINESS_PATH, RING_BUFFER_BYTES, ReportFormat, ReportStream, RingSettings,
    SSE_MESSAGES_PATH, SSE_PATH, SessionSettings, Settings, ShardPlace, StealSettings, TaskSettings,
    Timeouts, Toolset, TransportKind, WorkerSettings,
};
pub use size_request::{SIZE_OPTIONS, SizeOption, SizeRequest};
pub use sizing::{SizeError, Sizing, size, with_headroom};
pub use startup::{Findings, Line, Needs, RingProblem, StartProblem, Verdict, evaluate};
