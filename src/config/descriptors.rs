//! The number of descriptors the process opens: arithmetic only.
//!
//! The machine's limit is read in `host` and compared in `demand`.

use std::fmt;

/// Descriptors of the process itself: standard streams, signals, admin listener and its clients, libraries.
const PROCESS: u64 = 16;
/// Descriptors of a shard: measured 4 of the executor, then data ring and its eventfd, listener, parking,
/// inbox, two in reserve.
const PER_SHARD: u64 = 12;
/// Descriptors of a worker: a file and the directories on the way to it.
const PER_WORKER: u64 = 4;

/// Descriptors of another program that is served: the three pipes, and those whose other ends are about to be sent.
const PER_CHILD: u64 = 4;

/// The numbers that descriptors are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorPlan {
    /// The number of shards.
    pub shards: u32,
    /// The number of worker threads.
    pub workers: u32,
    /// The number of addresses listened on beyond the first, on each of which a shard has a socket.
    pub more_addresses: u32,
    /// The most other programs that run at once.
    pub children: u32,
    /// The number of connections, over all shards.
    pub connections: u32,
}

impl DescriptorPlan {
    /// Descriptors that are not connections.
    pub fn reserved(&self) -> u64 {
        let per_shard = PER_SHARD + u64::from(self.more_addresses);
        let threads = per_shard * u64::from(self.shards) + PER_WORKER * u64::from(self.workers);
        PROCESS + threads + PER_CHILD * u64::from(self.children)
    }

    /// All descriptors.
    pub fn total(&self) -> u64 {
        self.reserved() + u64::from(self.connections)
    }
}

impl fmt::Display for DescriptorPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            shards,
            workers,
            more_addresses,
            children,
            connections,
        } = self;
        let per_shard = PER_SHARD + u64::from(*more_addresses);
        write!(
            f,
            "{} = process {PROCESS} + {shards} shards x {per_shard} + {workers} workers x {PER_WORKER}",
            self.total()
        )?;
        if *children > 0 {
            write!(f, " + {children} children x {PER_CHILD}")?;
        }
        write!(f, " + {connections} connections")
    }
}
