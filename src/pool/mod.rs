//! The fixed-size resources of a shard (handlers, buffers, queue places) and the rules for leasing them.
//!
//! | file | what it bounds |
//! |---|---|
//! | `handlers` | work in flight |
//! | `queue` | work that waits for a handler |
//! | `credit` | permits to use handlers; stealing shares them between shards |
//! | `handover` | permits on their way to another shard's older waiter |
//! | `word`, `lock` | the memory in which shards share them |
//! | `assembly` | requests that arrive in pieces or wait |
//! | `heap`, `reserve` | heap bytes for what does not fit, and large buffers that are used again |
//! | `tool_limit`, `tool_limits` | calls of one tool in flight, over all shards |
//! | `drain_rate` | how long a refused client is told to wait |
//!
//! Everything here is made at start and bounded on purpose; a shard that runs out tells the client so, and never
//! grows.

mod assembly;
mod credit;
mod drain_rate;
mod fifo;
mod handlers;
mod handover;
mod heap;
mod lock;
mod queue;
mod reserve;
mod tool_limit;
mod tool_limits;
mod word;

pub use assembly::{Assembly, AssemblyPool, AssemblySizes, Purpose};
pub use credit::{Credit, PublishedLine, WaitingSet, choose_target, choose_waiter};
pub use drain_rate::DrainRate;
pub(crate) use handlers::touch;
pub use handlers::{HandlerKey, Pool, PoolFigures};
pub use handover::Handover;
pub use heap::{HeapBudget, HeapShare, OutOfMemory};
pub use lock::{Lock, LockTypes, StdLocks};
pub use queue::{WaitKey, WaitQueue};
pub use tool_limit::{Concurrency, Granted, PermitListener, ToolLimit, ToolPermit, ToolTicket, WaitPlace};
pub use tool_limits::ToolLimits;
pub use word::Word;
