//! Validated settings from flags, environment and file, or from a program.
//!
//! [`Options`] is everything that can be asked, one row for each option in one of the `sections`: a row has the type,
//! the default and the place of its value (`kind`, `values` and `field` know the types, `text` what texts mean), and
//! what flags, files and help texts know of it (`spec`). A program sets the fields; the command collects texts
//! (`inputs`, from `environment` and `file`) and reads them (`read`). `settle` makes [`Settings`] of the options and of
//! what `host` found of the machine, with the arithmetic of `demand`, `placement` and `memory`; `notes` says what may
//! surprise, `effective` what every option came to. `startup` compares what the settings need with what the kernel
//! gives. `sizing` goes the other way, from clients to options. `children` has the settings of other programs to serve.
//! Only `host`, `ring_users`, `around` and `outside` ask the kernel anything.
//! Invariant: whoever holds [`Settings`] holds values that are in bounds and fit together.

mod access;
mod around;
mod children;
mod demand;
mod descriptors;
#[cfg(feature = "cli")]
mod effective;
#[cfg(feature = "cli")]
mod environment;
mod error;
mod field;
#[cfg(feature = "cli")]
mod file;
mod headroom;
mod host;
#[cfg(feature = "cli")]
mod inputs;
mod kind;
mod listen;
mod memory;
mod nearest;
mod notes;
mod options;
#[cfg(feature = "cli")]
mod outside;
mod placement;
#[cfg(feature = "cli")]
mod queueing;
#[cfg(feature = "cli")]
mod read;
#[cfg(feature = "cli")]
mod resolve;
#[cfg(feature = "cli")]
mod ring_users;
mod section;
mod sections;
mod settings;
mod settle;
#[cfg(feature = "cli")]
mod size_request;
mod sizes;
#[cfg(feature = "cli")]
mod sizing;
mod spec;
#[cfg(feature = "cli")]
mod startup;
mod text;
mod tools;
mod values;

pub use access::{HostRule, HostRuleError, Origin, OriginPort, OriginRule, OriginRuleError, RuleHost};
pub use around::{Around, read_regular_file};
pub use children::{
    AnonymousClients, ChildEra, ChildServer, EnvSource, LossPolicy, PoolMode, PoolSettings, RetryPolicy,
    Rlimit, Warmup, is_of_names, name_prefix, named_servers, uri_prefix,
};
pub use descriptors::DescriptorPlan;
pub use error::{ConfigError, FilePlace};
pub use headroom::{WHICH_ADVICE, with_headroom};
pub use host::{CpuQuota, Host, HostError, raise_soft_limits};
pub use kind::Kind;
pub use listen::{Account, ListenAddress, UnixMode, UnixName, UnixOwner, UnixUsers};
pub use memory::{
    Clientele, ConnectionsDemand, MemoryDemand, MemoryFit, MemoryPlan, MemoryShort, ShardMemory,
};
pub use options::Options;
pub use placement::{ShardPlace, display_cpu_list};
pub use sections::{
    AccessSettings, ChannelSettings, ChildOptions, ConnectionOptions, EndpointSettings, HttpLimits,
    MachineOptions, OutputOptions, QueueOptions, RunOptions, SessionSettings, TaskSettings, Timeouts,
    ToolOptions, ToolsetSettings, WorkerOptions,
};
pub use settings::{
    ChildSettings, HEALTH_PATH, READINESS_PATH, ReportStream, SSE_MESSAGES_PATH, SSE_PATH, Settings,
    WorkerSettings,
};
pub use settle::settle_program;
pub use sizes::{ExecutorSettings, RING_BUFFER_BYTES, RingOptions, ShardSizes};
pub use spec::{CONFIG, OptionSpec, Places, UsedBy, VARIABLE_PREFIX};
pub use tools::{KnownTool, ToolOverride, ToolOverrides};
pub use values::{
    AccessLog, AdminSettings, AllowList, CpuList, Linger, LogFormat, LogLevel, ReportFormat, ReportTarget,
    Toolset, TransportKind,
};

#[cfg(feature = "cli")]
pub use {
    children::joined,
    effective::Effective,
    inputs::{GivenTexts, Inputs, Source, nearest_option},
    queueing::Queue,
    resolve::{Resolved, resolve},
    ring_users::RingUser,
    sections::LogSettings,
    size_request::{SIZE_OPTIONS, SizeOption, SizeRequest},
    sizing::{SizeError, Sizing, size},
    startup::{Findings, Line, Needs, RingProblem, StartProblem, Verdict, evaluate},
};
