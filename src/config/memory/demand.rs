//! The demand on memory, and the cost of each part of it.

use super::plan::ShardMemory;
use crate::config::sizes::{RING_BUFFER_BYTES, RingOptions};

/// Program, allocator, registry and admin thread: a bare executor process is 5 MiB resident (measured), rounded up.
pub(super) const PROCESS_BYTES: u64 = 6 << 20;
/// A worker's touched stack and the buffers of one file or search: an estimate.
pub(super) const WORKER_BYTES: u64 = 128 << 10;
/// An executor and its helper thread, 180 KiB (measured), the rings in the kernel, 264 KiB (measured), and about
/// 320 KiB for timers, inbox, decode scratch and known heads (an estimate).
pub(super) const EXECUTOR_BYTES: u64 = 768 << 10;
/// The launcher of other programs and its guard, 1.7 MiB each that they share with nobody (measured), and the thread
/// that owns the programs' processes (an estimate).
pub(super) const LAUNCHER_BYTES: u64 = 4 << 20;
/// A program that is served: its endpoint's store and the thread that tells its clients of changes, 160 KiB (measured),
/// and lists of some 100 KiB as the program wrote them and as they are told (an estimate).
pub(super) const PROGRAM_BYTES: u64 = 512 << 10;
/// The bytes of a handler besides its buffers.
const HANDLER_STATE_BYTES: u64 = 1 << 10;
/// The kernel's entry for a provided buffer.
const RING_ENTRY_BYTES: u64 = 16;
/// The bytes of a place in the wait queue besides its buffer: links, deadline, connection.
const WAITING_ENTRY_BYTES: u64 = 64;
/// The most bytes that an idle connection may cost.
const CONNECTION_BYTES: u64 = 1 << 10;

/// At least this share of the budget stays for run time.
pub(super) const RUNTIME_DIVISOR: u64 = 4;
/// At most this share of the budget is for the connection table, unless the operator gave the number of connections.
const CONNECTIONS_DIVISOR: u64 = 8;

/// The default number of waiters per handler: two calls' time.
const WAITERS_PER_HANDLER: u32 = 2;
/// Places of the shortest default queue: even beside a handful of handlers a burst of clients can wait.
const QUEUE_DEPTH_DEFAULT_MIN: u32 = 32;

/// The clients that the defaults are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clientele {
    /// Any number of clients that connect.
    Many,
    /// The one client that started this process, beside others of its kind.
    One,
}

impl Clientele {
    pub(super) fn handlers_default(self) -> u32 {
        match self {
            Self::Many => 256,
            Self::One => 32,
        }
    }

    pub(super) fn ring_buffers_default(self) -> u32 {
        match self {
            Self::Many => RingOptions::default().buffers.into(),
            Self::One => RingOptions::ONE_CLIENT.buffers.into(),
        }
    }
}

/// The demand; `None` leaves the number to the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryDemand {
    /// `--memory-max`.
    pub budget_bytes: u64,
    /// The number of shards.
    pub shards: u32,
    /// The number of worker threads.
    pub workers: u32,
    /// Other programs that are served. What their processes take is theirs.
    pub programs: u32,
    /// The clients that the defaults are for.
    pub clientele: Clientele,
    /// The number of connections.
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
    /// As many as the operator gave.
    Exactly(u32),
    /// As many as memory lets, up to what the descriptor limit lets.
    UpTo(u32),
}

/// Candidate numbers of a shard's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) handlers: u32,
    pub(super) ring_buffers: u32,
    pub(super) assembly_buffers: u32,
    pub(super) queue_depth: u32,
}

impl MemoryDemand {
    pub(super) fn shard_memory(&self, counts: Counts) -> ShardMemory {
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

    pub(super) fn fixed_bytes(&self, per_shard: &ShardMemory) -> u64 {
        self.process_bytes()
            .saturating_add(self.programs_bytes())
            .saturating_add(connections_bytes(self.connections()))
            .saturating_add(per_shard.total_bytes().saturating_mul(u64::from(self.shards)))
    }

    pub(super) fn process_bytes(&self) -> u64 {
        PROCESS_BYTES.saturating_add(WORKER_BYTES.saturating_mul(u64::from(self.workers)))
    }

    /// None without programs: nothing of them is there then.
    pub(super) fn programs_bytes(&self) -> u64 {
        let programs = u64::from(self.programs);
        LAUNCHER_BYTES * programs.min(1) + PROGRAM_BYTES * programs
    }

    pub(super) fn runtime_bytes_min(&self) -> u64 {
        self.budget_bytes / RUNTIME_DIVISOR
    }

    pub(super) fn connections(&self) -> u32 {
        match self.connections {
            ConnectionsDemand::Exactly(connections) => connections,
            ConnectionsDemand::UpTo(most) => {
                let affordable = self.budget_bytes / CONNECTIONS_DIVISOR / CONNECTION_BYTES;
                most.min(u32::try_from(affordable).unwrap_or(u32::MAX)).max(1)
            }
        }
    }
}

/// The default number of places for requests that wait for one of `handlers`.
pub(in crate::config) fn queue_depth_default(handlers: u32) -> u32 {
    handlers
        .saturating_mul(WAITERS_PER_HANDLER)
        .max(QUEUE_DEPTH_DEFAULT_MIN)
}

pub(super) fn connections_bytes(connections: u32) -> u64 {
    u64::from(connections) * CONNECTION_BYTES
}
