//! Tools: written once as Rust functions, described by JSON Schema, started per call.
//!
//! A [`Registry`] is built before the first shard starts, is shared by all of them and never changes. Each shard
//! takes its own [`ShardRegistry`], which keeps the reusable slots that running calls live in. Schemas are compiled
//! when a tool is added; a call's arguments are checked on the parsed tape and become the tool's typed arguments
//! without another tree between.
//!
//! It does not know JSON-RPC, eras or executors: the caller finds the tool, polls the future or runs the blocking
//! call, and writes the answer.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir::registry::{BlockingContext, CallContext, Registry, Tool, ToolError};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Echo {
//!     message: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Count {
//!     /// How far to count.
//!     #[schemars(range(max = 1_000_000))]
//!     limit: u64,
//! }
//!
//! let mut tools = Registry::builder();
//! // Asynchronous: lives on its shard, so the future need not be `Send`.
//! tools.add(
//!     Tool::new("echo")
//!         .title("Echo")
//!         .description("Answers with the message it was given.")
//!         .read_only()
//!         .idempotent()
//!         .run(|_: CallContext, args: Echo| async move { Ok(args.message) }),
//! )?;
//! // Blocking: runs on the worker pool and looks out for cancellation.
//! tools.add(Tool::new("count").run_blocking(|ctx: &BlockingContext, args: Count| {
//!     for _ in 0..args.limit {
//!         if ctx.is_cancelled() {
//!             return Err(ToolError::Cancelled);
//!         }
//!     }
//!     Ok(format!("counted to {}", args.limit))
//! }))?;
//! let registry = tools.build();
//! assert_eq!(registry.tools().count(), 2);
//! # Ok::<(), weir::registry::RegistryError>(())
//! ```

mod arguments;
mod blocking;
mod builder;
mod call;
mod catalog;
mod complexity;
mod context;
mod deserialize;
mod handler;
mod info;
mod operation;
mod outcome;
mod output;
#[cfg(test)]
mod random;
mod schema;
mod shard;
#[cfg(test)]
pub(crate) mod specification;
mod tape;
mod violations;

pub use blocking::BlockingCall;
pub use builder::{Derived, Given, Tool, ToolBuilder};
pub use call::{CallFuture, Started};
pub use catalog::{Registry, RegistryBuilder, RegistryError};
pub use context::{BlockingContext, CallContext, Cancellation};
pub use info::{Annotations, Execution, ToolIndex, ToolInfo};
pub use operation::Operation;
pub use outcome::{Outcome, Output};
pub use output::{
    Audience, Content, ContentAnnotations, ContentBlock, IntoOutput, NoArguments, ResourceContents,
    Structured, ToolError, ToolOutput,
};
pub use schema::SchemaError;
pub use shard::{ShardRegistry, StartError};
pub use violations::{Violation, Violations};
