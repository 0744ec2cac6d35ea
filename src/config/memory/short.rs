//! The refusal of a budget that is too small: the whole arithmetic, and what to lower.

use super::demand::{ConnectionsDemand, Counts, MemoryDemand, RUNTIME_DIVISOR, connections_bytes};
use super::plan::programs_term;
use crate::units::ByteSize;

/// The unit in which the need is shown, rounded up so that it can be typed and is enough.
const MIB: u64 = 1 << 20;

/// The budget is too small for the demand; the text is the arithmetic and what to lower.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory-max = {budget}, but at least {need} are needed: {arithmetic}; lower {lower}, or raise --memory-max"
)]
pub struct MemoryShort {
    /// The budget, for people.
    pub budget: String,
    /// A budget that would be enough; it can be typed.
    pub need: ByteSize,
    /// The arithmetic of the need.
    pub arithmetic: String,
    lower: String,
}

impl MemoryDemand {
    pub(super) fn short(&self, counts: Counts) -> MemoryShort {
        let size = |bytes: u64| ByteSize(bytes).rounded();
        let shard = self.shard_memory(counts);
        MemoryShort {
            budget: size(self.budget_bytes),
            need: ByteSize(whole_mib(budget_holding(self.fixed_bytes(&shard)))),
            arithmetic: format!(
                "process {} + {}connection table {} + {} x (executor {} + {} handlers of 2 x {} {} + {} ring buffers {} \
                 + {} assembly buffers {} + {} waiting buffers {}) + a quarter for run time",
                size(self.process_bytes()),
                programs_term(self.programs_bytes()),
                size(connections_bytes(self.connections())),
                self.shards,
                size(shard.executor_bytes),
                counts.handlers,
                ByteSize(self.buffer_bytes),
                size(shard.handlers_bytes),
                counts.ring_buffers,
                size(shard.ring_bytes),
                counts.assembly_buffers,
                size(shard.assembly_bytes),
                counts.queue_depth,
                size(shard.waiting_bytes),
            ),
            lower: self.what_to_lower(),
        }
    }

    /// Every given option that takes memory; the number of shards always does.
    fn what_to_lower(&self) -> String {
        let mut flags = Vec::new();
        let mut push = |is_given: bool, flag: &'static str| {
            if is_given {
                flags.push(flag);
            }
        };
        push(self.handlers.is_some(), "--pool-size");
        push(true, "--buffer-size");
        push(self.ring_buffers.is_some(), "--ring-buffers");
        push(self.assembly_buffers.is_some(), "--assembly-buffers");
        push(
            matches!(self.connections, ConnectionsDemand::Exactly(_)),
            "--connections-max",
        );
        push(self.queue_depth.is_some(), "--queue-depth");
        push(true, "--shards");
        flags.join(" or ")
    }
}

/// The smallest budget whose part that is not for run time holds this much.
pub(super) fn budget_holding(fixed_bytes: u64) -> u64 {
    let parts = RUNTIME_DIVISOR - 1;
    fixed_bytes.div_ceil(parts).saturating_mul(RUNTIME_DIVISOR)
}

/// Rounds up, so that it is enough.
pub(super) fn whole_mib(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(MIB).unwrap_or(u64::MAX)
}
