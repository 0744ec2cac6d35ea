//! The search for numbers that fit: from the defaults down to the smallest useful ones.

use super::demand::{Counts, MemoryDemand, connections_bytes, queue_depth_default};
use super::plan::{LIVE_DIVISOR, MemoryPlan};
use super::short::{MemoryShort, budget_holding, whole_mib};

/// A default pool is not shrunk below this, nor are other default shares.
const HANDLERS_MIN: u32 = 8;
const RING_BUFFERS_MIN: u32 = 32;
const ASSEMBLY_BUFFERS_MIN: u32 = 8;
const QUEUE_DEPTH_MIN: u32 = 8;

/// Numbers that fit the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryFit {
    /// Per shard.
    pub handlers: u32,
    /// Per shard.
    pub ring_buffers: u32,
    /// Per shard.
    pub assembly_buffers: u32,
    /// Per shard; as many waiting buffers.
    pub queue_depth: u32,
    /// Over all shards.
    pub connections: u32,
    /// The arithmetic.
    pub plan: MemoryPlan,
}

impl MemoryDemand {
    /// Divides the budget.
    ///
    /// Given numbers are kept. The others start at their defaults; ring and assembly buffers are halved first (the
    /// larger share first), down to half a ring buffer and a quarter of an assembly buffer per handler; then the pool
    /// is halved, with it the queue, and they start anew. Beside a given pool, the queue is halved as the buffers are.
    ///
    /// # Errors
    /// Fails when not even the smallest numbers fit.
    pub fn fit(&self) -> Result<MemoryFit, Box<MemoryShort>> {
        let mut pool = self.handlers.unwrap_or(self.clientele.handlers_default());
        loop {
            let (first, floor) = self.range(pool);
            let mut counts = first;
            loop {
                if let Some(fit) = self.try_fit(counts) {
                    return Ok(fit);
                }
                match self.less(counts, floor) {
                    Some(less) => counts = less,
                    None => break,
                }
            }
            if self.handlers.is_some() || pool <= HANDLERS_MIN {
                return Err(Box::new(self.short(floor)));
            }
            pool = (pool / 2).max(HANDLERS_MIN);
        }
    }

    /// The most and the fewest buffers that go with a pool of this size.
    fn range(&self, handlers: u32) -> (Counts, Counts) {
        let is_given = self.handlers.is_some();
        // A pool that the operator gave is worth more than buffers that nobody gave.
        let ring_floor = if is_given {
            RING_BUFFERS_MIN
        } else {
            (handlers / 2).max(RING_BUFFERS_MIN)
        };
        let assembly_floor = if is_given {
            ASSEMBLY_BUFFERS_MIN.min(handlers)
        } else {
            (handlers / 4).max(ASSEMBLY_BUFFERS_MIN)
        };
        let queue_depth = queue_depth_default(handlers);
        let queue_floor = if is_given {
            QUEUE_DEPTH_MIN.min(queue_depth)
        } else {
            queue_depth
        };
        let most = Counts {
            handlers,
            ring_buffers: self.ring_buffers.unwrap_or(self.clientele.ring_buffers_default()),
            assembly_buffers: self.assembly_buffers.unwrap_or(handlers),
            queue_depth: self.queue_depth.unwrap_or(queue_depth),
        };
        let fewest = Counts {
            handlers,
            ring_buffers: self.ring_buffers.unwrap_or(ring_floor),
            assembly_buffers: self.assembly_buffers.unwrap_or(assembly_floor),
            queue_depth: self.queue_depth.unwrap_or(queue_floor),
        };
        (most, fewest)
    }

    /// The next smaller candidate, if the floor allows one: the largest share that can still be halved is.
    fn less(&self, counts: Counts, floor: Counts) -> Option<Counts> {
        let shard = self.shard_memory(counts);
        let halved = |count: u32, floor: u32| (count / 2).max(floor);
        let ring = Counts {
            ring_buffers: halved(counts.ring_buffers, floor.ring_buffers),
            ..counts
        };
        let assembly = Counts {
            assembly_buffers: halved(counts.assembly_buffers, floor.assembly_buffers),
            ..counts
        };
        let queue = Counts {
            queue_depth: halved(counts.queue_depth, floor.queue_depth),
            ..counts
        };
        // Of equal shares the last is taken.
        [
            (shard.assembly_bytes, assembly),
            (shard.ring_bytes, ring),
            (shard.waiting_bytes, queue),
        ]
        .into_iter()
        .filter(|(_, less)| *less != counts)
        .max_by_key(|(bytes, _)| *bytes)
        .map(|(_, less)| less)
    }

    fn try_fit(&self, counts: Counts) -> Option<MemoryFit> {
        let per_shard = self.shard_memory(counts);
        let connections = self.connections();
        let shards = u64::from(self.shards);
        let fixed = self.fixed_bytes(&per_shard);
        let runtime = self.budget_bytes.checked_sub(fixed)?;
        if runtime < self.runtime_bytes_min() {
            return None;
        }
        Some(MemoryFit {
            handlers: counts.handlers,
            ring_buffers: counts.ring_buffers,
            assembly_buffers: counts.assembly_buffers,
            queue_depth: counts.queue_depth,
            connections,
            plan: MemoryPlan {
                budget_bytes: self.budget_bytes,
                process_bytes: self.process_bytes(),
                programs_bytes: self.programs_bytes(),
                connections_bytes: connections_bytes(connections),
                shards: self.shards,
                per_shard,
                runtime_bytes_per_shard: runtime / shards.max(1),
            },
        })
    }

    /// The smallest budget in whole MiB that shrinks nothing and leaves each shard this much for large bodies, for a
    /// given number of connections.
    pub fn budget_wanted_bytes(&self, heap_bytes_per_shard: u64) -> u64 {
        let (most, _) = self.range(self.handlers.unwrap_or(self.clientele.handlers_default()));
        let fixed = self.fixed_bytes(&self.shard_memory(most));
        // The rest of the run-time share is for live state.
        let per_shard = heap_bytes_per_shard
            .saturating_mul(LIVE_DIVISOR)
            .div_ceil(LIVE_DIVISOR - 1);
        let runtime = per_shard.saturating_mul(u64::from(self.shards));
        whole_mib(budget_holding(fixed).max(fixed.saturating_add(runtime)))
    }
}

impl MemoryFit {
    /// Whether the pool is smaller than its default because memory is short.
    pub fn is_pool_shrunk(&self, demand: &MemoryDemand) -> bool {
        demand.handlers.is_none() && self.handlers < demand.clientele.handlers_default()
    }

    /// Whether the queue is shorter than its default beside a given pool, because memory is short.
    pub fn is_queue_shrunk(&self, demand: &MemoryDemand) -> bool {
        demand.queue_depth.is_none() && self.queue_depth < queue_depth_default(self.handlers)
    }
}
