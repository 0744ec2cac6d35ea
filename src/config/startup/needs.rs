//! The settings' needs of the kernel.

use crate::config::settings::Settings;

/// The executor has a main, a latency and a poll ring, and registers its memory with each of them.
const EXECUTOR_RINGS: u64 = 3;
/// Linux gives rings in whole pages.
const PAGE_BYTES: u64 = 4096;
const SUBMISSION_ENTRY_BYTES: u64 = 64;
/// The array that maps submission slots to entries.
const SUBMISSION_INDEX_BYTES: u64 = 4;
const COMPLETION_ENTRY_BYTES: u64 = 16;
/// Heads, tails and flags before the entries.
const RING_HEADER_BYTES: u64 = 256;
/// The kernel's entry for a provided buffer.
const BUFFER_ENTRY_BYTES: u64 = 16;

/// The needs of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The number of shards.
    pub shards: u32,
    /// Memory each shard registers, which every kernel counts as locked.
    pub registered_bytes_per_shard: u64,
    /// Locked memory per shard where rings count too; measured to be exact on 6.18.
    pub memlock_bytes_per_shard: u64,
    /// The memory budget of the settings.
    pub memory_budget_bytes: u64,
    /// The number of connections.
    pub connections_max: u32,
}

impl Needs {
    /// The needs of these settings.
    pub fn of(settings: &Settings) -> Self {
        let executor = &settings.executor;
        let entries = executor.ring_entries as u64;
        let registered = EXECUTOR_RINGS * executor.io_memory_bytes as u64;
        let executor_rings = EXECUTOR_RINGS * ring_bytes(entries, 2 * entries);
        let ring = &settings.ring;
        let data_ring = ring_bytes(ring.submission_entries.into(), ring.completion_entries.into());
        let buffer_entries = u64::from(ring.buffers.next_power_of_two());
        let buffer_ring = pages(buffer_entries * BUFFER_ENTRY_BYTES);
        Self {
            shards: settings.memory.shards,
            registered_bytes_per_shard: registered,
            memlock_bytes_per_shard: registered + executor_rings + data_ring + buffer_ring,
            memory_budget_bytes: settings.memory.budget_bytes,
            connections_max: settings.connections.limit(),
        }
    }
}

/// The bytes that the kernel allocates for a ring of this shape.
fn ring_bytes(submission_entries: u64, completion_entries: u64) -> u64 {
    let entries = pages(submission_entries * SUBMISSION_ENTRY_BYTES);
    let queues = RING_HEADER_BYTES
        + completion_entries * COMPLETION_ENTRY_BYTES
        + submission_entries * SUBMISSION_INDEX_BYTES;
    entries + pages(queues)
}

fn pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    #[test]
    fn ring_sizes_are_those_measured() {
        // On 6.18, 8 MiB hold 40 data rings and no 41st, and 512 rings of 128 entries and no 513th.
        assert_eq!(ring_bytes(1024, 8192), 200 * KIB);
        assert_eq!(ring_bytes(128, 256), 16 * KIB);
    }
}
