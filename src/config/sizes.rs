//! The sizes of each shard's buffers and rings.
//!
//! They are made of sections that are settled, in which every number is decided; the fallbacks below are their least
//! values.

use super::sections::{MachineOptions, QueueOptions};

/// The sizes of what one shard makes at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSizes {
    /// Handlers in the pool; at least 1.
    pub handlers: u32,
    /// The size of each of a handler's two buffers, in bytes.
    pub handler_buffer_bytes: usize,
    /// Places in the wait queue, each with a buffer as large as a ring buffer. With 0 nobody waits, and an exhausted
    /// pool refuses at once.
    pub queue_depth_max: u32,
    /// Assembly buffers for requests in pieces; at least 1.
    pub assembly_buffers: usize,
    /// The size of each of those, in bytes; a larger request continues on the heap, within the memory plan.
    pub assembly_buffer_bytes: usize,
    /// The size of each ring buffer, in bytes.
    pub ring_buffer_bytes: usize,
    /// Heap for large bodies and outboxes, bytes.
    pub heap_bytes_max: usize,
    /// Whether the pages of all these buffers are resident from the start, rather than from their first use.
    pub is_prefaulted: bool,
}

impl ShardSizes {
    /// The sizes that the settled options say; `heap_bytes_max` is what the memory plan leaves.
    pub(super) fn of(machine: &MachineOptions, queue: &QueueOptions, heap_bytes_max: usize) -> Self {
        // The option's bounds are far below this type's range.
        let buffer_bytes = usize::try_from(machine.buffer_bytes).unwrap_or_default();
        Self {
            handlers: machine.pool_size.unwrap_or(1),
            handler_buffer_bytes: buffer_bytes,
            queue_depth_max: queue.depth_max.unwrap_or(0),
            assembly_buffers: machine.assembly_buffers.unwrap_or(1) as usize,
            assembly_buffer_bytes: buffer_bytes,
            ring_buffer_bytes: RING_BUFFER_BYTES,
            heap_bytes_max,
            is_prefaulted: machine.is_prefaulted,
        }
    }
}

/// Size of a ring buffer: one page, a whole request of most clients.
pub const RING_BUFFER_BYTES: usize = 4096;

/// The shape of a data ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Entries that can be queued between two system calls; a power of two. Further entries are held back in memory, so
    /// this affects only speed.
    pub submission_entries: u32,
    /// Completions the kernel holds before it falls back to slower memory; a power of two.
    pub completion_entries: u32,
    /// Ring buffers lent to the kernel; at least 1, at most 32768. Not always a power of two.
    pub buffers: u16,
    /// The size of each.
    pub buffer_bytes: usize,
    /// Whether the kernel has all buffers at any time, rather than as many as it has needed of late.
    pub is_fixed: bool,
    /// Whether the pages of ring buffers are resident from the start, rather than from their first use.
    pub is_prefaulted: bool,
}

impl RingOptions {
    /// Queues for one client: the rings of every instance count against one limit of locked memory.
    pub(super) const ONE_CLIENT: Self = Self {
        submission_entries: 64,
        completion_entries: 256,
        buffers: 64,
        buffer_bytes: RING_BUFFER_BYTES,
        is_fixed: false,
        is_prefaulted: false,
    };

    /// The same queues, with the buffers that the settled options say; `is_fixed` if the operator gave their number.
    pub(super) fn with_buffers(self, machine: &MachineOptions, is_fixed: bool) -> Self {
        Self {
            is_fixed,
            // The option's bounds keep this in range.
            buffers: u16::try_from(machine.ring_buffers.unwrap_or(1)).unwrap_or(u16::MAX),
            is_prefaulted: machine.is_prefaulted,
            ..self
        }
    }
}

impl Default for RingOptions {
    /// The submission queue holds one busy turn, the completion queue a burst of thousands of connections; if it still
    /// overflows, the kernel keeps the rest until it is asked.
    fn default() -> Self {
        Self {
            submission_entries: 1024,
            completion_entries: 8192,
            buffers: 1024,
            buffer_bytes: RING_BUFFER_BYTES,
            is_fixed: false,
            is_prefaulted: false,
        }
    }
}

/// The executor of each shard: its pinned memory and the depth of its own rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutorSettings {
    /// Whether it stays on its shard's CPU. It does not with one client, since all such servers would be on the first
    /// CPU, nor under a quota of fewer CPUs than there are, unless an operator named the CPUs.
    pub is_pinned: bool,
    /// Memory the executor registers for direct file access, which Weir does not use: the least it accepts.
    pub io_memory_bytes: usize,
    /// Entries of each of the executor's own rings.
    pub ring_entries: usize,
}

impl Default for ExecutorSettings {
    /// The executor's own defaults would pin 30 MiB a shard for file access that Weir does not use.
    fn default() -> Self {
        Self {
            is_pinned: true,
            io_memory_bytes: 64 << 10,
            ring_entries: 128,
        }
    }
}

impl ExecutorSettings {
    /// The settings for one client.
    pub(super) const ONE_CLIENT: Self = Self {
        is_pinned: false,
        io_memory_bytes: 64 << 10,
        ring_entries: 32,
    };
}
