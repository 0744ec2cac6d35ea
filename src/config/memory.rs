//! One memory budget, shared out at start: arithmetic only.
//!
//! Shares that are made at start (handlers, ring, assembly and waiting buffers, the connection table, the executors)
//! are counted here; what is left is the run-time share, which each shard counts for itself (heap bodies, outboxes,
//! streams, sessions). Does not read the machine's limits (see `host`) and allocates none of what it counts.
//! Invariant: the shares of a plan add up to no more than its budget.

use std::fmt;

use super::sizes::{RING_BUFFER_BYTES, RingOptions};
use crate::units::ByteSize;

/// Program, allocator, registry and admin thread: a bare executor process is 5 MiB resident (measured), rounded up.
const PROCESS_BYTES: u64 = 6 << 20;
/// A worker's touched stack and the buffers of one file or search: an estimate.
const WORKER_BYTES: u64 = 128 << 10;
/// An executor and its helper thread, 180 KiB (measured), the rings in the kernel, 264 KiB (measured), and about
/// 320 KiB for timers, inbox and decode scratch (an estimate).
const EXECUTOR_BYTES: u64 = 768 << 10;
/// What a handler keeps besides its buffers.
const HANDLER_STATE_BYTES: u64 = 1 << 10;
/// The kernel's entry for a provided buffer.
const RING_ENTRY_BYTES: u64 = 16;
/// What a place in the wait queue keeps besides its buffer: links, deadline, connection.
const WAITING_ENTRY_BYTES: u64 = 64;
/// The most an idle connection may cost.
const CONNECTION_BYTES: u64 = 1 << 10;

/// Of the budget, at least this share stays for run time.
const RUNTIME_DIVISOR: u64 = 4;
/// Of the budget, the connection table may take at most this share, unless connections were asked for.
const CONNECTIONS_DIVISOR: u64 = 8;

/// What is needed is shown in this unit, rounded up so that it can be typed and is enough.
const MIB: u64 = 1 << 20;

/// A default pool is not shrunk below this, nor are other default shares.
const HANDLERS_MIN: u32 = 8;
const RING_BUFFERS_MIN: u32 = 32;
const ASSEMBLY_BUFFERS_MIN: u32 = 8;
const QUEUE_DEPTH_MIN: u32 = 8;
/// Waiters per handler if nothing else is said: two calls' time.
const WAITERS_PER_HANDLER: u32 = 2;
/// Places of the shortest default queue: even beside a handful of handlers a burst of clients can wait.
const QUEUE_DEPTH_DEFAULT_MIN: u32 = 32;

/// Whom the defaults are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clientele {
    /// Whoever connects.
    Many,
    /// The one that started this process, beside others of its kind.
    One,
}

impl Clientele {
    fn handlers_default(self) -> u32 {
        match self {
            Self::Many => 256,
            Self::One => 32,
        }
    }

    fn ring_buffers_default(self) -> u32 {
        match self {
            Self::Many => RingOptions::default().buffers.into(),
            Self::One => RingOptions::ONE_CLIENT.buffers.into(),
        }
    }
}

/// What was asked for; `None` leaves the number to the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryDemand {
    /// `--memory-max`.
    pub budget_bytes: u64,
    /// How many shards.
    pub shards: u32,
    /// How many worker threads.
    pub workers: u32,
    /// Whom the defaults are for.
    pub clientele: Clientele,
    /// How many connections.
    pub connections: ConnectionsDemand,
    /// `--pool-size`.
    pub handlers: Option<u32>,
    /// `--buffer-size`.
    pub buffer_bytes: u64,
    /// `--ring-buffers`.
    pub ring_buffers: Option<u32>,
    /// `--assembly-buffers`.
    pub assembly_buffers: Option<u32>,
    /// `--queue-depth`.
    pub queue_depth: Option<u32>,
}

/// How many connections the table must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionsDemand {
    /// As many as were asked for.
    Exactly(u32),
    /// As many as memory lets, up to what the descriptor limit lets.
    UpTo(u32),
}

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

/// Of what is left for run time, the part that is for live state: streams, sessions and what they have to send, and
/// tasks.
const LIVE_DIVISOR: u64 = 4;
/// Of the part for live state, the part that is for tasks and what they ended with.
const TASKS_DIVISOR: u64 = 4;

impl MemoryPlan {
    /// What one shard may allocate for large bodies and outboxes, bytes.
    pub fn heap_bytes_per_shard(&self) -> u64 {
        self.runtime_bytes_per_shard - self.runtime_bytes_per_shard / LIVE_DIVISOR
    }

    /// What streams and sessions may take, over all shards, bytes.
    pub fn live_bytes(&self) -> u64 {
        self.shared_bytes() - self.task_bytes()
    }

    /// What tasks may take, over all shards, bytes.
    pub fn task_bytes(&self) -> u64 {
        self.shared_bytes() / TASKS_DIVISOR
    }

    /// What belongs to no shard.
    fn shared_bytes(&self) -> u64 {
        let per_shard = self.runtime_bytes_per_shard / LIVE_DIVISOR;
        per_shard.saturating_mul(u64::from(self.shards))
    }
}

impl ShardMemory {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.executor_bytes
            .saturating_add(self.handlers_bytes)
            .saturating_add(self.ring_bytes)
            .saturating_add(self.assembly_bytes)
            .saturating_add(self.waiting_bytes)
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

/// The budget is too small for what was asked; the text is the arithmetic and what to lower.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory-max = {budget}, but at least {need} are needed: {arithmetic}; lower {lower}, or raise --memory-max"
)]
pub struct MemoryShort {
    /// What there is, for people.
    pub budget: String,
    /// What would be enough; can be typed.
    pub need: ByteSize,
    /// How the need comes about.
    pub arithmetic: String,
    lower: String,
}

/// Candidate numbers of a shard's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    handlers: u32,
    ring_buffers: u32,
    assembly_buffers: u32,
    queue_depth: u32,
}

impl MemoryDemand {
    /// Shares out the budget.
    ///
    /// Numbers that were asked for are kept. The others start at their defaults; ring and assembly buffers are halved
    /// first (the larger share first), down to half a ring buffer and a quarter of an assembly buffer per handler;
    /// then the pool is halved, with it the queue, and they start anew. Beside a pool that was asked for, the queue
    /// is halved as the buffers are.
    ///
    /// # Errors
    /// When not even the smallest numbers fit.
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
        // A pool somebody asked for is worth more than buffers nobody did.
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
                connections_bytes: connections_bytes(connections),
                shards: self.shards,
                per_shard,
                runtime_bytes_per_shard: runtime / shards.max(1),
            },
        })
    }

    fn shard_memory(&self, counts: Counts) -> ShardMemory {
        let handler_bytes = self
            .buffer_bytes
            .saturating_mul(2)
            .saturating_add(HANDLER_STATE_BYTES);
        ShardMemory {
            executor_bytes: EXECUTOR_BYTES,
            handlers_bytes: handler_bytes.saturating_mul(u64::from(counts.handlers)),
            ring_bytes: (RING_BUFFER_BYTES as u64 + RING_ENTRY_BYTES)
                .saturating_mul(u64::from(counts.ring_buffers)),
            assembly_bytes: self
                .buffer_bytes
                .saturating_mul(u64::from(counts.assembly_buffers)),
            waiting_bytes: (RING_BUFFER_BYTES as u64 + WAITING_ENTRY_BYTES)
                .saturating_mul(u64::from(counts.queue_depth)),
        }
    }

    fn fixed_bytes(&self, per_shard: &ShardMemory) -> u64 {
        self.process_bytes()
            .saturating_add(connections_bytes(self.connections()))
            .saturating_add(per_shard.total_bytes().saturating_mul(u64::from(self.shards)))
    }

    fn process_bytes(&self) -> u64 {
        PROCESS_BYTES.saturating_add(WORKER_BYTES.saturating_mul(u64::from(self.workers)))
    }

    fn runtime_bytes_min(&self) -> u64 {
        self.budget_bytes / RUNTIME_DIVISOR
    }

    fn connections(&self) -> u32 {
        match self.connections {
            ConnectionsDemand::Exactly(connections) => connections,
            ConnectionsDemand::UpTo(most) => {
                let affordable = self.budget_bytes / CONNECTIONS_DIVISOR / CONNECTION_BYTES;
                most.min(u32::try_from(affordable).unwrap_or(u32::MAX)).max(1)
            }
        }
    }

    /// The smallest budget in whole MiB that shrinks nothing and leaves each shard this much for large bodies, for a
    /// number of connections that was asked for.
    pub fn budget_wanted_bytes(&self, heap_bytes_per_shard: u64) -> u64 {
        let (most, _) = self.range(self.handlers.unwrap_or(self.clientele.handlers_default()));
        let fixed = self.fixed_bytes(&self.shard_memory(most));
        // The rest of what is for run time is for live state.
        let per_shard = heap_bytes_per_shard
            .saturating_mul(LIVE_DIVISOR)
            .div_ceil(LIVE_DIVISOR - 1);
        let runtime = per_shard.saturating_mul(u64::from(self.shards));
        whole_mib(budget_holding(fixed).max(fixed.saturating_add(runtime)))
    }

    fn short(&self, counts: Counts) -> MemoryShort {
        let size = |bytes: u64| ByteSize(bytes).rounded();
        let shard = self.shard_memory(counts);
        MemoryShort {
            budget: size(self.budget_bytes),
            need: ByteSize(whole_mib(budget_holding(self.fixed_bytes(&shard)))),
            arithmetic: format!(
                "process {} + connection table {} + {} x (executor {} + {} handlers of 2 x {} {} + {} ring buffers {} \
                 + {} assembly buffers {} + {} waiting buffers {}) + a quarter for run time",
                size(self.process_bytes()),
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

    /// Everything that was asked for and takes memory; the number of shards always does.
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

impl MemoryFit {
    /// Whether the pool is smaller than its default because memory asked.
    pub fn is_pool_shrunk(&self, demand: &MemoryDemand) -> bool {
        demand.handlers.is_none() && self.handlers < demand.clientele.handlers_default()
    }

    /// Whether the queue is shorter than its default beside a pool that was asked for, because memory asked.
    pub fn is_queue_shrunk(&self, demand: &MemoryDemand) -> bool {
        demand.queue_depth.is_none() && self.queue_depth < queue_depth_default(self.handlers)
    }
}

/// The smallest budget whose part that is not for run time holds this much.
fn budget_holding(fixed_bytes: u64) -> u64 {
    let parts = RUNTIME_DIVISOR - 1;
    fixed_bytes.div_ceil(parts).saturating_mul(RUNTIME_DIVISOR)
}

/// Rounded up, so that it is enough.
fn whole_mib(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(MIB).unwrap_or(u64::MAX)
}

/// How many may wait for one of `handlers` if nothing else is said.
pub(super) fn queue_depth_default(handlers: u32) -> u32 {
    handlers
        .saturating_mul(WAITERS_PER_HANDLER)
        .max(QUEUE_DEPTH_DEFAULT_MIN)
}

fn connections_bytes(connections: u32) -> u64 {
    u64::from(connections) * CONNECTION_BYTES
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: u64| ByteSize(bytes).rounded();
        let shard = &self.per_shard;
        write!(
            f,
            "{} = process {} + connection table {} + {} x (executor {} + handlers {} + ring buffers {} + assembly {} \
             + waiting {} + run time {})",
            size(self.budget_bytes),
            size(self.process_bytes),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(budget_bytes: u64, shards: u32) -> MemoryDemand {
        MemoryDemand {
            clientele: Clientele::Many,
            budget_bytes,
            shards,
            workers: shards,
            connections: ConnectionsDemand::UpTo(20_000),
            handlers: None,
            buffer_bytes: 16 << 10,
            ring_buffers: None,
            assembly_buffers: None,
            queue_depth: None,
        }
    }

    /// The sum, written out once more.
    fn spent(fit: &MemoryFit, demand: &MemoryDemand) -> u64 {
        let shard = EXECUTOR_BYTES
            + u64::from(fit.handlers) * (2 * demand.buffer_bytes + 1024)
            + u64::from(fit.ring_buffers) * (4096 + 16)
            + u64::from(fit.assembly_buffers) * demand.buffer_bytes
            + u64::from(fit.queue_depth) * (4096 + 64);
        PROCESS_BYTES
            + u64::from(demand.workers) * WORKER_BYTES
            + u64::from(fit.connections) * 1024
            + u64::from(demand.shards) * (shard + fit.plan.runtime_bytes_per_shard)
    }

    fn assert_sound(demand: &MemoryDemand) -> MemoryFit {
        let fit = demand.fit().unwrap_or_else(|short| panic!("{demand:?}: {short}"));
        let spent = spent(&fit, demand);
        assert!(spent <= demand.budget_bytes, "{demand:?} {fit:?}");
        assert!(
            demand.budget_bytes - spent < u64::from(demand.shards),
            "nothing is left lying about"
        );
        assert!(
            fit.plan.runtime_bytes_per_shard >= demand.budget_bytes / 4 / u64::from(demand.shards),
            "{fit:?}"
        );
        for (given, got) in [
            (demand.handlers, fit.handlers),
            (demand.ring_buffers, fit.ring_buffers),
            (demand.assembly_buffers, fit.assembly_buffers),
            (demand.queue_depth, fit.queue_depth),
        ] {
            assert!(given.is_none_or(|given| given == got), "{demand:?} {fit:?}");
        }
        fit
    }

    #[test]
    fn with_room_the_defaults_are_whole() {
        let fit = assert_sound(&demand(1024 * MIB, 4));
        assert_eq!(
            (fit.handlers, fit.ring_buffers, fit.assembly_buffers),
            (256, 1024, 256)
        );
        assert_eq!(fit.connections, 20_000);
        assert!(!fit.is_pool_shrunk(&demand(1024 * MIB, 4)));
    }

    #[test]
    fn what_is_for_run_time_is_shared_out_whole() {
        let plan = assert_sound(&demand(1024 * MIB, 3)).plan;
        let heap = 3 * plan.heap_bytes_per_shard();
        assert_eq!(
            heap + plan.live_bytes() + plan.task_bytes(),
            3 * plan.runtime_bytes_per_shard
        );
        assert!(plan.task_bytes() > 0 && plan.task_bytes() <= plan.live_bytes());
    }

    #[test]
    fn the_defaults_fit_half_of_a_64_mib_cgroup() {
        let counts = |shards| {
            let fit = assert_sound(&demand(32 * MIB, shards));
            assert_eq!(fit.connections, 4096);
            assert_eq!(fit.queue_depth, 2 * fit.handlers, "the queue follows the pool");
            (fit.handlers, fit.ring_buffers, fit.assembly_buffers)
        };
        assert_eq!(counts(1), (256, 256, 64));
        assert_eq!(counts(2), (128, 64, 32));
        assert_eq!(counts(4), (32, 128, 32));
    }

    #[test]
    fn what_was_asked_for_is_kept_or_refused() {
        let asked = |handlers, ring_buffers, assembly_buffers| MemoryDemand {
            handlers,
            ring_buffers,
            assembly_buffers,
            ..demand(32 * MIB, 1)
        };
        for given in [
            (Some(1), None, None),
            (Some(300), None, None),
            (None, Some(2048), None),
            (None, None, Some(512)),
            (Some(8), Some(16), Some(2)),
        ] {
            assert_sound(&asked(given.0, given.1, given.2));
        }
        for refused in [
            (Some(1000), None, None),
            (None, Some(32_768), None),
            (None, None, Some(65_535)),
            (Some(65_535), Some(32_768), Some(65_535)),
        ] {
            asked(refused.0, refused.1, refused.2).fit().unwrap_err();
        }
    }

    #[test]
    fn a_pool_fits_up_to_the_last_byte_and_not_one_further() {
        let exact = |budget_bytes| MemoryDemand {
            handlers: Some(100),
            ring_buffers: Some(64),
            assembly_buffers: Some(10),
            queue_depth: Some(50),
            connections: ConnectionsDemand::Exactly(1000),
            ..demand(budget_bytes, 2)
        };
        let fixed = exact(64 * MIB).fit().unwrap().plan.fixed_bytes();
        // Three quarters of the budget may be fixed.
        let least = fixed.div_ceil(3) * 4 - 3;
        let first = (least - 8..least + 8)
            .find(|budget| exact(*budget).fit().is_ok())
            .unwrap();
        assert!(first - first / 4 >= fixed);
        assert!(first - 1 - (first - 1) / 4 < fixed);
    }

    #[test]
    fn a_refusal_is_the_whole_arithmetic_and_names_what_to_lower() {
        let asked = MemoryDemand {
            handlers: Some(1000),
            ..demand(32 * MIB, 2)
        };
        assert_eq!(
            asked.fit().unwrap_err().to_string(),
            "memory-max = 32 MiB, but at least 103MiB are needed: process 6.2 MiB + connection table 4 MiB + 2 x \
             (executor 768 KiB + 1000 handlers of 2 x 16KiB 32.2 MiB + 32 ring buffers 128.5 KiB + 8 assembly buffers \
             128 KiB + 8 waiting buffers 32.5 KiB) + a quarter for run time; lower --pool-size or --buffer-size or --shards, or raise --memory-max"
                .replace("128.5 KiB", &ByteSize(32 * 4112).rounded())
        );
    }

    #[test]
    fn the_need_a_refusal_names_is_enough() {
        for (handlers, shards) in [(1000, 1), (1000, 2), (65_535, 8), (40, 64)] {
            let asked = |budget_bytes| MemoryDemand {
                handlers: Some(handlers),
                connections: ConnectionsDemand::Exactly(5000),
                ..demand(budget_bytes, shards)
            };
            let short = asked(32 * MIB).fit().unwrap_err();
            let ByteSize(need) = short.need;
            assert_sound(&asked(need));
            asked(need - 2 * MIB).fit().unwrap_err();
        }
    }

    #[test]
    fn every_budget_gives_a_sound_plan_or_a_refusal() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let maybe = |random: &mut fastrand::Rng, most: u32| random.bool().then(|| random.u32(1..=most));
            let demand = MemoryDemand {
                clientele: Clientele::Many,
                budget_bytes: 1 << random.u64(23..36),
                shards: random.u32(1..=64),
                workers: random.u32(1..=64),
                connections: if random.bool() {
                    ConnectionsDemand::UpTo(random.u32(1..=1_000_000))
                } else {
                    ConnectionsDemand::Exactly(random.u32(1..=100_000))
                },
                handlers: maybe(&mut random, 2000),
                buffer_bytes: 4096 << random.u32(0..4),
                ring_buffers: maybe(&mut random, 4096),
                assembly_buffers: maybe(&mut random, 2000),
                queue_depth: maybe(&mut random, 5000).map(|depth| depth - 1),
            };
            if demand.fit().is_ok() {
                assert_sound(&demand);
            }
        }
    }

    #[test]
    fn a_queue_is_kept_or_refused_when_asked_for_and_gives_way_to_a_pool_that_was() {
        let asked = |handlers, queue_depth| MemoryDemand {
            handlers,
            queue_depth,
            ..demand(32 * MIB, 1)
        };
        for depth in [0, 1, 1000, 2000] {
            let fit = assert_sound(&asked(None, Some(depth)));
            assert!(!fit.is_queue_shrunk(&asked(None, Some(depth))));
        }
        let refused = asked(Some(8), Some(5000)).fit().unwrap_err().to_string();
        for part in [
            "5000 waiting buffers 19.8 MiB",
            "lower --pool-size or",
            "or --queue-depth or",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        let whole = assert_sound(&asked(Some(100), None));
        assert_eq!(whole.queue_depth, 200);
        assert!(!whole.is_queue_shrunk(&asked(Some(100), None)));
        let tight = assert_sound(&asked(Some(350), None));
        assert!(tight.is_queue_shrunk(&asked(Some(350), None)), "{tight:?}");
    }

    #[test]
    fn absurd_numbers_saturate_and_are_refused() {
        let absurd = MemoryDemand {
            handlers: Some(u32::MAX),
            buffer_bytes: u64::MAX,
            shards: u32::MAX,
            ..demand(u64::MAX, 1)
        };
        absurd.fit().unwrap_err();
    }

    #[test]
    fn the_plan_can_be_read() {
        let plan = demand(32 * MIB, 1).fit().unwrap().plan;
        let text = plan.to_string();
        assert!(
            text.starts_with("32 MiB = process 6.1 MiB + connection table 4 MiB + 1 x (executor 768 KiB"),
            "{text}"
        );
    }
}
