//! The demands on the machine: how many shards and workers, on which CPUs, for how many connections and how much
//! memory.
//!
//! This reads the options that depend on CPUs, descriptors or memory, and refuses what this machine cannot give.
//! Whether it all fits into the budget is decided in `memory`.

use super::children::ChildServer;
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
    /// The CPUs of other programs; none if they share all.
    pub(super) child_cpus: Vec<CpuId>,
    pub(super) child_cpu_count: u32,
    /// The most of them that may run at once.
    pub(super) children: u32,
}

/// A thread is cheap, but a large machine has many CPUs, and a desktop runs many servers.
const ONE_CLIENT_WORKERS_MAX: u32 = 4;

/// A call costs a child three times what it costs a shard, or more.
fn shards_beside_children(cpus: usize) -> u16 {
    u16::try_from(cpus / 4).unwrap_or(u16::MAX).max(1)
}

/// The CPUs of other programs: those without a pinned shard, unless there are too few to be divided.
fn child_cpus(is_pinned: bool, placement: &Placement, host: &Host) -> Vec<CpuId> {
    if is_pinned && host.cpus.len() > 2 {
        placement.worker_cpus.clone()
    } else {
        Vec::new()
    }
}

pub(super) fn counts(
    options: &Options,
    children: &[ChildServer],
    host: &Host,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) -> Counts {
    let transport = options.endpoints.transport;
    let chosen = chosen_cpus(options, host, errors);
    let usable = chosen.len().min(host.usable_cpus());
    let has_nothing_else = !children.is_empty() && options.toolsets.names.is_empty();
    let auto = match transport {
        TransportKind::Http if has_nothing_else => shards_beside_children(usable),
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
    let (is_pinned, placement) = (is_pinned(options, host), place(shards, &chosen, &host.cpus));
    let child_cpus = child_cpus(is_pinned, &placement, host);
    let child_cpu_count = match child_cpus.len() {
        0 => cpus,
        some => u32::try_from(some).unwrap_or(u32::MAX),
    };
    let most = children.iter().map(|server| server.pool.max(child_cpu_count));
    Counts {
        is_pinned,
        placement,
        shards,
        workers: workers.max(1),
        child_cpus,
        child_cpu_count,
        children: most.fold(0, u32::saturating_add),
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
    (counts, programs): (&Counts, usize),
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
        programs: u32::try_from(programs).unwrap_or(u32::MAX),
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
        children: counts.children,
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
