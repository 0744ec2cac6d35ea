//! One memory budget, shared out at start: arithmetic only.
//!
//! Shares that are made at start (handlers, ring buffers, assembly buffers, the connection table, the executors) are
//! counted here; what is left is the run-time share, which each shard counts for itself (heap bodies, outboxes,
//! streams, sessions). Does not read the machine's limits (see `host`) and allocates none of what it counts.
//! Invariant: the shares of a plan add up to no more than its budget.

use std::fmt;

use crate::units::ByteSize;

/// How the budget is spent. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// `--memory-max`.
    pub budget_bytes: u64,
    /// Program, allocator, registry, admin thread, workers.
    pub process_bytes: u64,
    /// The table of connections, full.
    pub connections_bytes: u64,
    /// How many shards there are.
    pub shards: u32,
    /// What each shard makes at start.
    pub per_shard: ShardMemory,
    /// What each shard may allocate while it runs.
    pub runtime_bytes_per_shard: u64,
}

/// What one shard makes at start. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardMemory {
    /// Executor, rings, stack, timers, mailbox.
    pub executor_bytes: u64,
    /// Both buffers and the state of every handler.
    pub handlers_bytes: u64,
    /// Ring buffers with their ring entries.
    pub ring_bytes: u64,
    /// Assembly buffers.
    pub assembly_bytes: u64,
}

impl ShardMemory {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.executor_bytes
            .saturating_add(self.handlers_bytes)
            .saturating_add(self.ring_bytes)
            .saturating_add(self.assembly_bytes)
    }
}

impl MemoryPlan {
    /// What is made at start, over all shards.
    pub fn fixed_bytes(&self) -> u64 {
        self.process_bytes
            .saturating_add(self.connections_bytes)
            .saturating_add(
                self.per_shard
                    .total_bytes()
                    .saturating_mul(u64::from(self.shards)),
            )
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: u64| ByteSize(bytes).rounded();
        let shard = &self.per_shard;
        write!(
            f,
            "{} = process {} + connection table {} + {} x (executor {} + handlers {} + ring buffers {} + assembly {} \
             + run time {})",
            size(self.budget_bytes),
            size(self.process_bytes),
            size(self.connections_bytes),
            self.shards,
            size(shard.executor_bytes),
            size(shard.handlers_bytes),
            size(shard.ring_bytes),
            size(shard.assembly_bytes),
            size(self.runtime_bytes_per_shard),
        )
    }
}
