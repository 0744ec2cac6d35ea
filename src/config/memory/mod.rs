//! One memory budget, divided at start: arithmetic only.
//!
//! Shares that are made at start (handlers, ring, assembly and waiting buffers, the connection table, the executors)
//! are counted here; the rest is the run-time share, which each shard counts for itself (heap bodies, outboxes,
//! streams, sessions). This does not read the machine's limits (see `host`) and allocates none of what it counts.
//!
//! `demand` has the demand with the cost of each part, `fit` the search for numbers that fit, `plan` the shares, and
//! `short` the refusal. Invariant: the shares of a plan add up to no more than its budget.

mod demand;
mod fit;
mod plan;
mod short;
#[cfg(test)]
mod tests;

#[cfg(feature = "cli")]
pub(super) use demand::queue_depth_default;
pub use demand::{Clientele, ConnectionsDemand, MemoryDemand};
pub use fit::MemoryFit;
pub use plan::{MemoryPlan, ShardMemory};
pub use short::MemoryShort;
