//! What a shard has a fixed number of: handlers for work in flight, assembly buffers for requests that
//! arrive in pieces, and a budget of heap bytes for what does not fit either.
//!
//! Everything here is made at start and bounded on purpose; running out is an answer to the client, never a
//! reason to grow.

mod assembly;
mod handlers;

pub use assembly::{Assembly, AssemblyPool, HeapBudget, OutOfMemory};
pub use handlers::{HandlerKey, Pool, PoolFigures};
