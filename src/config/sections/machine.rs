//! CPUs and memory, and the division of memory.

use crate::config::kind::Kind::{Count, CountOrAuto, Cpus, Size};
use crate::config::kind::{HANDLERS_MAX, KIB, MEMORY, MIB, SHARDS_MAX};
use crate::config::section::section;
use crate::config::spec::{option, switch};
use crate::config::values::CpuList;

section! {
    /// CPUs and memory; `None` derives the number from the machine.
    pub struct MachineOptions {
        /// The number of shards.
        pub shards: Option<u32> = None => option("shards", "N|auto", CountOrAuto { min: 1, max: SHARDS_MAX },
            "Shards; `auto` is one per CPU, no more than a cgroup's CPU quota holds, and one with stdio"),
        /// CPUs for the shards.
        pub cpus: Option<CpuList> = None => option("cpus", "LIST", Cpus,
            "CPUs for the shards, such as 0-3,6").derived("all this process may use"),
        /// The number of handlers per shard.
        pub pool_size: Option<u32> = None => option("pool-size", "N", Count { min: 1, max: HANDLERS_MAX },
            "Handlers per shard").derived("256, 32 with stdio, less if memory is short"),
        /// The size of each of a handler's two buffers. A ring buffer's bytes must fit into a handler, hence the least
        /// size.
        pub buffer_bytes: u64 = 16 << 10 => option("buffer-size", "SIZE", Size { min_bytes: 4 * KIB, max_bytes: 16 * MIB },
            "Each of a handler's two buffers"),
        /// Receive buffers per shard. The kernel takes at most 32768 per ring.
        pub ring_buffers: Option<u32> = None => option("ring-buffers", "N|auto", CountOrAuto { min: 1, max: 32_768 },
            "Receive buffers per shard, of 4KiB; `auto` is 1024, 64 with stdio, less if memory is short, of which those \
             are in use that were needed of late"),
        /// Buffers per shard for requests that arrive in pieces.
        pub assembly_buffers: Option<u32> = None => option("assembly-buffers", "N", Count { min: 1, max: 65_535 },
            "Buffers per shard for requests that arrive in pieces").derived("pool size, less if memory is short"),
        /// Memory of the whole process, in bytes.
        pub memory_bytes_max: Option<u64> = None => option("memory-max", "SIZE", MEMORY,
            "Memory of the whole process").derived("half of the cgroup's or machine's"),
        /// Whether preallocated memory is resident from the start.
        pub is_prefaulted: bool = false => switch("prefault",
            "Whether preallocated memory is resident from the start rather than from its first use"),
    }
}
