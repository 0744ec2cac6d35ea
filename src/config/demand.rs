//! What is asked of the machine: how many shards and workers, where, and for how many connections and how much memory.
//!
//! Reads the options that depend on CPUs, descriptors or memory, and refuses what this machine cannot give. Whether
//! it all fits into the budget is decided in `memory`.

use super::ConfigError;
use super::descriptors::DescriptorPlan;
use super::host::Host;
use super::inputs::Source;
use super::memory::{Clientele, ConnectionsDemand, MemoryDemand};
use super::options::{CONNECTIONS_MAX, Key};
use super::placement::{Placement, display_cpu_list, place};
use super::settings::TransportKind;
use super::values::Values;
use crate::units::{ByteSize, CpuId};

/// How many of what, and where.
pub(super) struct Counts {
    pub(super) is_pinned: bool,
    pub(super) placement: Placement,
    pub(super) shards: u16,
    pub(super) workers: u32,
}

/// A thread is little, but a large machine has many CPUs, and a desktop many servers.
const ONE_CLIENT_WORKERS_MAX: u32 = 4;

/// How clients come, which much else depends on.
pub(super) fn transport(values: &Values<'_>) -> TransportKind {
    match values.choice(Key::Transport) {
        "stdio" => TransportKind::Stdio,
        _ => TransportKind::Http,
    }
}

pub(super) fn counts(
    values: &Values<'_>,
    host: &Host,
    transport: TransportKind,
    notes: &mut Vec<String>,
) -> Counts {
    let chosen = chosen_cpus(values, host);
    let usable = chosen.len().min(host.usable_cpus());
    let auto = match transport {
        TransportKind::Http => u16::try_from(usable).unwrap_or(u16::MAX),
        TransportKind::Stdio => 1,
    };
    let shards = values
        .count_or_auto(Key::Shards)
        .map_or(auto, |count| u16::try_from(count).unwrap_or(u16::MAX));
    if transport == TransportKind::Stdio && shards > 1 {
        values.reject(ConfigError::Impossible(format!(
            "shards = {shards}, but transport = stdio has one client, whom one shard serves; drop --shards"
        )));
    }
    if usize::from(shards) > chosen.len() {
        notes.push(format!(
            "shards = {shards}, but they may use {} CPUs ({}): some share one; lower --shards or widen --cpus or the \
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
    let workers = values.count(Key::Workers).unwrap_or(workers_default);
    Counts {
        is_pinned: is_pinned(values, host, transport),
        placement: place(shards, &chosen, &host.cpus),
        shards,
        workers: workers.max(1),
    }
}

/// Whether shards stay on their CPUs. Not where other processes are likely to be given the same ones: beside one
/// client, where every instance would take the first CPU, and under a quota of fewer CPUs than there are, where every
/// container would take the first few. Whoever names CPUs means them.
fn is_pinned(values: &Values<'_>, host: &Host, transport: TransportKind) -> bool {
    let has_all = transport == TransportKind::Http && host.usable_cpus() == host.cpus.len();
    has_all || values.source(Key::Cpus) > Source::Default
}

fn chosen_cpus(values: &Values<'_>, host: &Host) -> Vec<CpuId> {
    let Some(asked) = values.cpus(Key::Cpus) else {
        return host.cpus.clone();
    };
    let forbidden: Vec<CpuId> = asked
        .iter()
        .filter(|cpu| !host.cpus.contains(cpu))
        .copied()
        .collect();
    if !forbidden.is_empty() {
        values.reject(ConfigError::Impossible(format!(
            "cpus = {}, but this process may not use {}, only {}; change --cpus or widen the cpuset",
            display_cpu_list(&asked),
            display_cpu_list(&forbidden),
            display_cpu_list(&host.cpus)
        )));
    }
    asked
}

pub(super) fn memory_demand(
    values: &Values<'_>,
    host: &Host,
    counts: &Counts,
    transport: TransportKind,
) -> MemoryDemand {
    let clientele = match transport {
        TransportKind::Http => Clientele::Many,
        TransportKind::Stdio => Clientele::One,
    };
    let budget = values
        .size_bytes(Key::MemoryMax)
        .unwrap_or_else(|| default_budget_bytes(host));
    if budget > host.available_memory_bytes() {
        values.reject(ConfigError::Impossible(format!(
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
        connections: connections_demand(values, host, counts, clientele),
        handlers: values.count(Key::PoolSize),
        buffer_bytes: values.size_bytes(Key::BufferSize).unwrap_or_default(),
        ring_buffers: values.count(Key::RingBuffers),
        assembly_buffers: values.count(Key::AssemblyBuffers),
        queue_depth: values.count(Key::QueueDepth),
    }
}

/// The other half is for sockets and rings in the kernel, and for everybody else. Whole MiB, to be read and typed.
pub(super) fn default_budget_bytes(host: &Host) -> u64 {
    const MIB: u64 = 1 << 20;
    let half = host.available_memory_bytes() / 2;
    half - half % MIB
}

fn connections_demand(
    values: &Values<'_>,
    host: &Host,
    counts: &Counts,
    clientele: Clientele,
) -> ConnectionsDemand {
    let asked = values.count(Key::ConnectionsMax);
    let plan = DescriptorPlan {
        shards: u32::from(counts.shards),
        workers: counts.workers,
        connections: asked.unwrap_or(1),
    };
    let reserve = plan.reserved();
    let limit = host.descriptors_max.unwrap_or(u64::MAX);
    let possible = limit.saturating_sub(reserve);
    if plan.total() > limit {
        values.reject(ConfigError::Impossible(format!(
            "descriptors = {limit}, but {reserve} are needed for {} shards and {} workers, and {} for connections; \
             raise the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell) or lower --shards, --workers or \
             --connections-max",
            counts.shards,
            counts.workers,
            plan.connections
        )));
    }
    match asked {
        _ if clientele == Clientele::One => ConnectionsDemand::Exactly(1),
        Some(asked) => ConnectionsDemand::Exactly(asked),
        // Where there is no limit, connections are still counted.
        None => ConnectionsDemand::UpTo(possible.min(CONNECTIONS_MAX) as u32),
    }
}
