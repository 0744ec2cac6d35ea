//! What a shard has a fixed number of, and who may use it when.
//!
//! | file | what it bounds |
//! |---|---|
//! | `handlers` | work in flight |
//! | `queue` | work that waits for a handler |
//! | `credit` | permits to use handlers, the one part that shards share: stealing |
//! | `word` | the memory they share it in |
//! | `assembly` | requests that arrive in pieces or wait, and heap bytes for what does not fit |
//! | `drain_rate` | what a refused client is told to wait |
//!
//! Everything here is made at start and bounded on purpose; running out is an answer to the client, never a
//! reason to grow.

mod assembly;
mod credit;
mod drain_rate;
mod fifo;
mod handlers;
mod queue;
mod word;

pub use assembly::{Assembly, AssemblyPool, AssemblySizes, HeapBudget, OutOfMemory, Purpose};
pub use credit::{Credit, PublishedLine, WaitingSet, choose_target, choose_waiter};
pub use drain_rate::DrainRate;
pub(crate) use handlers::touch;
pub use handlers::{HandlerKey, Pool, PoolFigures};
pub use queue::{WaitKey, WaitQueue};
pub use word::Word;
