//! Validated settings from flags, environment and file.

mod memory;
mod settings;

pub use memory::{MemoryPlan, ShardMemory};
pub use settings::{
    AccessSettings, AdminSettings, AllowList, AssemblySettings, FilesSettings, HttpLimits, LogFormat,
    LogLevel, LogSettings, PoolSettings, ReportFormat, RingSettings, SessionSettings, Settings, ShardPlace,
    Timeouts, Toolset, WorkerSettings,
};
