//! The demands on the machine: how many shards and workers, on which CPUs, for how many connections and how much
//! memory.
//!
//! This reads the options that depend on CPUs, descriptors or memory, and refuses what this machine cannot give.
//! Whether it all fits into the budget is decided in `memory`.

use super::descriptors::DescriptorPlan;
use super::error::ConfigError;
use super::host::Host;
use super::kind::CONNECTIONS_MAX;
use super::memory::{Clientele, ConnectionsDemand, MemoryDemand};
use super::options::Options;
use super::placement::{Placement, display_cpu_list, place};
use super::values::{CpuList, TransportKind};
use crate::units::{ByteSize, CpuId};

/// The numbers of shards and workers, and their CPUs.
pub(super) struct Counts {
    pub(super) is_pinned: bool,
    pub(super) placement: Placement,
    pub(super) shards: u16,
    pub(super) workers: u32,
}

/// A thread is cheap, but a large machine has many CPUs, and a desktop runs many servers.
const ONE_CLIENT_WORKERS_MAX: u32 = 4;

pub(super) fn counts(
    options: &Options,
    host: &Host,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) -> Counts {
    let transport = options.endpoints.transport;
    let chosen = chosen_cpus(options, host, errors);
    let usable = chosen.len().min(host.usable_cpus());
    let auto = match transport {
        TransportKind::Http => u16::try_from(usable).unwrap_or(u16::MAX),
        TransportKind::Stdio => 1,
    };
    let shards = options
        .machine
        .shards
        .map_or(auto, |count| u16::try_from(count).unwrap_or(u16::MAX));
    if transport == TransportKind::Stdio && shards > 1 {
        errors.push(ConfigError::Impossible(format!(
            "shards = {shards}, but transport = stdio has one client, which one shard serves; drop --shards"
        )));
    }
    if usize::from(shards) > chosen.len() {
        notes.push(format!(
            "shards = {shards}, but they may use {} CPUs ({}), so some share one; lower --shards or widen --cpus or the \
             cpuset",
            chosen.len(),
            display_cpu_list(&chosen)
        ));
    }
    if let Some(quota) = host.cpu_quota
        && usize::from(shards) > quota.whole_cpus()
    {
        notes.push(format!(
            "shards = {shards}, but the cgroup's quota is the time of {quota} CPUs: busy shards are stopped for a part of \
             every period; lower --shards or raise the quota"
        ));
    }
    let cpus = u32::try_from(host.usable_cpus()).unwrap_or(u32::MAX);
    let workers_default = match transport {
        TransportKind::Http => cpus,
        TransportKind::Stdio => cpus.min(ONE_CLIENT_WORKERS_MAX),
    };
    let workers = options.workers.threads.unwrap_or(workers_default);
    Counts {
        is_pinned: is_pinned(options, host),
        placement: place(shards, &chosen, &host.cpus),
        shards,
        workers: workers.max(1),
    }
}

/// Whether shards stay on their CPUs. They do not where other processes are likely to be given the same ones: with one
/// client, where every instance would take the first CPU, and under a quota of fewer CPUs than there are, where every
/// container would take the first few. CPUs that the operator names are always used.
fn is_pinned(options: &Options, host: &Host) -> bool {
    let has_all = options.endpoints.transport == TransportKind::Http && host.usable_cpus() == host.cpus.len();
    has_all || options.machine.cpus.is_some()
}

fn chosen_cpus(options: &Options, host: &Host, errors: &mut Vec<ConfigError>) -> Vec<CpuId> {
    let Some(CpuList(asked)) = &options.machine.cpus else {
        return host.cpus.clone();
    };
    let forbidden: Vec<CpuId> = asked
        .iter()
        .filter(|cpu| !host.cpus.contains(cpu))
        .copied()
        .collect();
    if !forbidden.is_empty() {
        errors.push(ConfigError::Impossible(format!(
            "cpus = {}, but this process may not use {}, only {}; change --cpus or widen the cpuset",
            display_cpu_list(asked),
            display_cpu_list(&forbidden),
            display_cpu_list(&host.cpus)
        )));
    }
    asked.clone()
}

pub(super) fn memory_demand(
    options: &Options,
    host: &Host,
    counts: &Counts,
    errors: &mut Vec<ConfigError>,
) -> MemoryDemand {
    let machine = &options.machine;
    let clientele = match options.endpoints.transport {
        TransportKind::Http => Clientele::Many,
        TransportKind::Stdio => Clientele::One,
    };
    let budget = machine
        .memory_bytes_max
        .unwrap_or_else(|| default_budget_bytes(host));
    if budget > host.available_memory_bytes() {
        errors.push(ConfigError::Impossible(format!(
            "memory-max = {}, but there are only {}; lower --memory-max or raise the cgroup's limit",
            ByteSize(budget).rounded(),
            ByteSize(host.available_memory_bytes()).rounded()
        )));
    }
    MemoryDemand {
        budget_bytes: budget,
        shards: u32::from(counts.shards),
        workers: counts.workers,
        clientele,
        connections: connections_demand(options, host, counts, errors),
        handlers: machine.pool_size,
        buffer_bytes: machine.buffer_bytes,
        ring_buffers: machine.ring_buffers,
        assembly_buffers: machine.assembly_buffers,
        queue_depth: options.queue.depth_max,
    }
}

/// The other half is for sockets and rings in the kernel, and for other processes. The result is in whole MiB, which
/// are easy to read and type.
pub(super) fn default_budget_bytes(host: &Host) -> u64 {
    const MIB: u64 = 1 << 20;
    let half = host.available_memory_bytes() / 2;
    half - half % MIB
}

fn connections_demand(
    options: &Options,
    host: &Host,
    counts: &Counts,
    errors: &mut Vec<ConfigError>,
) -> ConnectionsDemand {
    let asked = options.connections.max;
    let plan = DescriptorPlan {
        shards: u32::from(counts.shards),
        workers: counts.workers,
        more_addresses: options.endpoints.listen.len().saturating_sub(1) as u32,
        connections: asked.unwrap_or(1),
    };
    let reserve = plan.reserved();
    let limit = host.descriptors_max.unwrap_or(u64::MAX);
    let possible = limit.saturating_sub(reserve);
    if plan.total() > limit {
        errors.push(ConfigError::Impossible(format!(
            "descriptors = {limit}, but {reserve} are needed for {} shards and {} workers, and {} for connections; \
             raise the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell) or lower --shards, --workers or \
             --connections-max",
            counts.shards,
            counts.workers,
            plan.connections
        )));
    }
    match asked {
        _ if options.endpoints.transport == TransportKind::Stdio => ConnectionsDemand::Exactly(1),
        Some(asked) => ConnectionsDemand::Exactly(asked),
        // Without a limit of descriptors, connections are still limited.
        None => ConnectionsDemand::UpTo(possible.min(CONNECTIONS_MAX) as u32),
    }
}
