//! The shares of the budget, as numbers of bytes and as a sentence.

use std::fmt;

use crate::units::ByteSize;

/// The division of the budget, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// `--memory-max`.
    pub budget_bytes: u64,
    /// Program, allocator, registry, admin thread, workers.
    pub process_bytes: u64,
    /// The launcher of other programs, their endpoints and lists; nothing without such programs.
    pub programs_bytes: u64,
    /// The table of connections, full.
    pub connections_bytes: u64,
    /// The number of shards.
    pub shards: u32,
    /// The bytes that each shard makes at start.
    pub per_shard: ShardMemory,
    /// The bytes that each shard may allocate while it runs.
    pub runtime_bytes_per_shard: u64,
}

/// The memory that one shard makes at start, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardMemory {
    /// Executor, rings, stack, timers, inbox.
    pub executor_bytes: u64,
    /// Both buffers and the state of every handler.
    pub handlers_bytes: u64,
    /// Ring buffers with their ring entries.
    pub ring_bytes: u64,
    /// Assembly buffers.
    pub assembly_bytes: u64,
    /// Places in the wait queue with their waiting buffers.
    pub waiting_bytes: u64,
}

/// The divisor for the part of the run-time share that is for live state: streams, sessions and their unsent messages,
/// and tasks.
pub(super) const LIVE_DIVISOR: u64 = 4;
/// The divisor for the part of live state that is for tasks and their results.
const TASKS_DIVISOR: u64 = 4;

impl MemoryPlan {
    /// Bytes that one shard may allocate for large bodies and outboxes.
    pub fn heap_bytes_per_shard(&self) -> u64 {
        self.runtime_bytes_per_shard - self.runtime_bytes_per_shard / LIVE_DIVISOR
    }

    /// Bytes of streams and sessions, over all shards.
    pub fn live_bytes(&self) -> u64 {
        self.shared_bytes() - self.task_bytes()
    }

    /// Bytes of tasks, over all shards.
    pub fn task_bytes(&self) -> u64 {
        self.shared_bytes() / TASKS_DIVISOR
    }

    /// Bytes that belong to no shard.
    fn shared_bytes(&self) -> u64 {
        let per_shard = self.runtime_bytes_per_shard / LIVE_DIVISOR;
        per_shard.saturating_mul(u64::from(self.shards))
    }
}

impl ShardMemory {
    /// All bytes.
    pub fn total_bytes(&self) -> u64 {
        self.executor_bytes
            .saturating_add(self.handlers_bytes)
            .saturating_add(self.ring_bytes)
            .saturating_add(self.assembly_bytes)
            .saturating_add(self.waiting_bytes)
    }
}

impl MemoryPlan {
    /// Bytes that are made at start, over all shards.
    pub fn fixed_bytes(&self) -> u64 {
        self.process_bytes
            .saturating_add(self.programs_bytes)
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
            "{} = process {} + {}connection table {} + {} x (executor {} + handlers {} + ring buffers {} + assembly {} \
             + waiting {} + run time {})",
            size(self.budget_bytes),
            size(self.process_bytes),
            programs_term(self.programs_bytes),
            size(self.connections_bytes),
            self.shards,
            size(shard.executor_bytes),
            size(shard.handlers_bytes),
            size(shard.ring_bytes),
            size(shard.assembly_bytes),
            size(shard.waiting_bytes),
            size(self.runtime_bytes_per_shard),
        )
    }
}

/// The term of a sum, where there are programs.
pub(super) fn programs_term(bytes: u64) -> String {
    if bytes == 0 {
        String::new()
    } else {
        format!("programs {} + ", ByteSize(bytes).rounded())
    }
}
