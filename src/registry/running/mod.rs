//! Running registered functions: their contexts, their calls on a shard or a worker, and their results.
//!
//! Nothing here knows what a function is registered as.

pub(super) mod async_function;
pub(super) mod async_handler;
pub(super) mod blocking_call;
pub(super) mod blocking_context;
pub(super) mod blocking_function;
mod blocking_handler;
pub(super) mod call;
mod call_guard;
pub(super) mod cancellation;
pub(super) mod collect_budget;
pub(super) mod completion;
pub(super) mod contents;
pub(super) mod context;
pub(super) mod ending;
pub(super) mod function_result;
pub(super) mod guard;
pub(super) mod handler;
pub(super) mod messages;
pub(super) mod outcome;
pub(super) mod output;
pub(super) mod readied_call;
#[cfg(feature = "files")]
pub(super) mod readied_handler;
pub(super) mod resource_page;
#[cfg(feature = "tokio")]
mod spawned_call;
#[cfg(feature = "tokio")]
mod spawned_handler;
pub(super) mod spawner;
pub(super) mod started;
pub(super) mod states;
pub(super) mod streamed;
#[cfg(feature = "tokio")]
pub(super) mod tokio_function;
