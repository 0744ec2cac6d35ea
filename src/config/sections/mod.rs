//! All options, section by section in the order of the help text: one row each.

mod access;
mod channels;
mod children;
mod connections;
mod endpoints;
mod http;
mod machine;
mod output;
mod queue;
mod run;
mod session;
mod tasks;
mod timeouts;
mod tools;
mod toolsets;
mod workers;

pub use access::AccessSettings;
pub use channels::ChannelSettings;
pub use children::ChildOptions;
pub use connections::ConnectionOptions;
pub use endpoints::EndpointSettings;
pub use http::HttpLimits;
pub use machine::MachineOptions;
#[cfg(feature = "cli")]
pub use output::LogSettings;
pub use output::OutputOptions;
pub use queue::QueueOptions;
pub use run::RunOptions;
pub use session::SessionSettings;
pub use tasks::TaskSettings;
pub use timeouts::Timeouts;
pub use tools::ToolOptions;
pub use toolsets::ToolsetSettings;
pub use workers::WorkerOptions;
