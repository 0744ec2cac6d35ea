//! Settles the options on this machine: everything is put together here.
//!
//! This is pure: the same options and the same machine give the same settings. Whatever an operator might not expect (a
//! pool shrunk to fit, shards sharing a CPU) is mentioned in a note, never done silently; an explicit demand is met or
//! refused.

use super::children::{ChildServer, refuse_alike};
use super::demand::{Counts, counts, memory_demand};
use super::error::ConfigError;
use super::host::Host;
use super::listen::UnixName;
use super::memory::{MemoryDemand, MemoryFit};
use super::notes::{note_memory, note_unused};
use super::options::Options;
use super::sections::EndpointSettings;
use super::settings::{
    ChildSettings, HEALTH_PATH, READINESS_PATH, ReportStream, SSE_MESSAGES_PATH, SSE_PATH, Settings,
    WorkerSettings,
};
use super::sizes::{ExecutorSettings, RingOptions, ShardSizes};
use super::values::{AdminSettings, CpuList, ReportFormat, ReportTarget, TransportKind};
use crate::units::display_duration;

/// Settings, and the options they came from.
pub(super) struct Settled {
    pub(super) settings: Settings,
    /// The options as they were given, with the decisions where they left something open.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "shown by `weir check` alone")
    )]
    pub(super) options: Options,
    /// Notes on settings that an operator may not expect, one sentence each.
    pub(super) notes: Vec<String>,
}

/// Makes settings of the options of a program, and of the other programs that these name; a value other than the
/// default counts as given.
///
/// # Errors
/// Returns everything that is out of bounds, in the order of the table, and then the demands that this machine cannot
/// meet.
pub fn settle_program(
    options: &Options,
    children: Vec<ChildServer>,
    host: &Host,
) -> Result<(Settings, Vec<String>), Vec<ConfigError>> {
    let mut options = options.clone();
    let errors = options.check().err().unwrap_or_default();
    let (set, plain) = (options.clone(), Options::default());
    let is_given = |name: &str| set.show(name) != plain.show(name);
    let settled = settle(options, children, &is_given, errors, host)?;
    Ok((settled.settings, settled.notes))
}

/// Makes settings of options whose own faults are in `errors`.
///
/// # Errors
/// Returns these, and then options that contradict each other or that this machine cannot meet.
pub(super) fn settle(
    mut options: Options,
    children: Vec<ChildServer>,
    is_given: &dyn Fn(&str) -> bool,
    mut errors: Vec<ConfigError>,
    host: &Host,
) -> Result<Settled, Vec<ConfigError>> {
    let mut notes = Vec::new();
    settle_alone(&mut options);
    let counts = counts(&options, &children, host, &mut notes, &mut errors);
    let demand = memory_demand(&options, host, (&counts, children.len()), &mut errors);
    note_unused(&options, is_given, &mut notes);
    refuse_together(&options, &children, &mut errors);
    refuse_alike(&children, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let fit = demand
        .fit()
        .map_err(|short| vec![ConfigError::Impossible(short.to_string())])?;
    let reserve = steal_reserve(&options, &fit, counts.shards, &mut notes).map_err(|error| vec![error])?;
    note_memory(&demand, &fit, &options.http, &mut notes);
    complete(&mut options, &counts, &demand, &fit);
    options.queue.steal_reserve = Some(reserve);
    let settings = assemble(&options, children, counts, &fit, demand.ring_buffers.is_some());
    Ok(Settled {
        settings,
        options,
        notes,
    })
}

/// Derives options that follow only from other options.
fn settle_alone(options: &mut Options) {
    let is_stdio = options.endpoints.transport == TransportKind::Stdio;
    // A client that starts a process to talk to it starts several, and none of them needs a port.
    if is_stdio && matches!(options.endpoints.admin, AdminSettings::IfFree(_)) {
        options.endpoints.admin = AdminSettings::Off;
    }
    // A client that starts a process to talk to it reads its stderr when something is wrong.
    let report = if is_stdio {
        ReportFormat::None
    } else {
        ReportFormat::Text
    };
    options.output.report.get_or_insert(ReportTarget::Stream(report));
    options.queue.timeout_agent.get_or_insert(options.queue.timeout);
    options.toolsets.names.sort_by_key(|toolset| *toolset as u8);
}

fn refuse_together(options: &Options, children: &[ChildServer], errors: &mut Vec<ConfigError>) {
    refuse_taken_paths(&options.endpoints, options.channels.sse_legacy, errors);
    refuse_paths_of_servers(&options.endpoints, children, errors);
    let tasks = &options.tasks;
    if let Some(ttl) = tasks.ttl_given.filter(|ttl| *ttl > tasks.ttl_max) {
        errors.push(ConfigError::Impossible(format!(
            "task-ttl = {}, but task-ttl-max = {}; lower --task-ttl or raise --task-ttl-max",
            display_duration(ttl),
            display_duration(tasks.ttl_max)
        )));
    }
    if options.endpoints.transport == TransportKind::Http {
        refuse_listeners(&options.endpoints, errors);
    }
}

/// Addresses of one server. A shard watches all of them at once.
const ADDRESSES_MAX: usize = 16;

/// Refuses addresses that cannot be listened on together, or would be open to anybody by mistake.
fn refuse_listeners(endpoints: &EndpointSettings, errors: &mut Vec<ConfigError>) {
    // One that cannot be read has been refused already.
    if endpoints.listen.is_empty() && errors.is_empty() {
        errors.push(ConfigError::Impossible(
            "listen names no address; name one, or serve stdio".to_owned(),
        ));
    }
    if endpoints.listen.len() > ADDRESSES_MAX {
        errors.push(ConfigError::Impossible(format!(
            "listen names {} addresses, and a server has at most {ADDRESSES_MAX}; name fewer",
            endpoints.listen.len()
        )));
    }
    for address in &endpoints.listen {
        if matches!(address.unix(), Some(UnixName::Abstract(_))) && endpoints.unix_peers.is_none() {
            errors.push(ConfigError::Impossible(format!(
                "listen = {address} has no file whose mode keeps other users out; name those who may connect, such as \
                 --unix-peers $(id -u), or listen on a path"
            )));
        }
    }
    if let Some(address) = endpoints.admin.address()
        && endpoints.listen.contains(&address.into())
        && address.port() != 0
    {
        errors.push(ConfigError::Impossible(format!(
            "listen and admin are both {address}; give one of them another port, or --admin off"
        )));
    }
}

/// Refuses paths on which something else is served.
fn refuse_taken_paths(endpoints: &EndpointSettings, has_sse: bool, errors: &mut Vec<ConfigError>) {
    let taken = [
        (SSE_PATH, has_sse, "sse-legacy"),
        (SSE_MESSAGES_PATH, has_sse, "sse-legacy"),
        (HEALTH_PATH, endpoints.has_health, "health"),
        (READINESS_PATH, endpoints.has_health, "health"),
    ];
    for (path, is_taken, name) in taken {
        if is_taken && endpoints.paths.iter().any(|own| own == path) {
            errors.push(ConfigError::Impossible(format!(
                "path = {path}, but {name} = on serves something else there; choose another --path, or --{name} off"
            )));
        }
    }
}

/// Refuses paths on which the endpoint of one server is.
fn refuse_paths_of_servers(
    endpoints: &EndpointSettings,
    children: &[ChildServer],
    errors: &mut Vec<ConfigError>,
) {
    for server in children {
        let base = server.path_base();
        let is_below = |path: &&String| path.strip_prefix(&base).is_some_and(|rest| rest.starts_with('/'));
        if let Some(path) = endpoints.paths.iter().find(is_below) {
            errors.push(ConfigError::Impossible(format!(
                "path = {path}, but server `{}` is served there; choose another --path",
                server.name
            )));
        }
    }
}

/// Below this number a tenth would be no handler at all.
const HANDLERS_PER_RESERVED: u32 = 10;

/// The reserve is checked against the actual pool, which may be smaller than its default.
fn steal_reserve(
    options: &Options,
    fit: &MemoryFit,
    shards: u16,
    notes: &mut Vec<String>,
) -> Result<u32, ConfigError> {
    let handlers = fit.handlers;
    let (is_on, given) = (options.queue.steal, options.queue.steal_reserve);
    let reserve = given.unwrap_or(handlers / HANDLERS_PER_RESERVED);
    if reserve > handlers {
        return Err(ConfigError::Impossible(format!(
            "steal-reserve = {reserve}, but a shard has {handlers} handlers; lower --steal-reserve or raise --pool-size"
        )));
    }
    if is_on && reserve == handlers && shards > 1 {
        notes.push(format!(
            "steal-reserve = {reserve} is the whole pool: no shard serves another's clients; lower it, or say --steal \
             off"
        ));
    }
    if !is_on && given.is_some() {
        notes.push("steal-reserve is given, but steal = off; drop one of them".to_owned());
    }
    Ok(reserve)
}

/// Writes the decisions into the options that left them open.
fn complete(options: &mut Options, counts: &Counts, demand: &MemoryDemand, fit: &MemoryFit) {
    let machine = &mut options.machine;
    machine.shards = u32::try_from(counts.placement.shards.len()).ok();
    machine.cpus = Some(CpuList(counts.placement.used_cpus()));
    machine.pool_size = Some(fit.handlers);
    machine.ring_buffers = Some(fit.ring_buffers);
    machine.assembly_buffers = Some(fit.assembly_buffers);
    machine.memory_bytes_max = Some(demand.budget_bytes);
    options.queue.depth_max = Some(fit.queue_depth);
    options.connections.max = Some(fit.connections);
    options.tasks.ttl_given = Some(options.tasks.ttl());
    options.workers.threads = Some(counts.workers);
    let free_cpus = u32::try_from(counts.placement.worker_cpus.len()).unwrap_or(u32::MAX);
    options.workers.tokio_threads.get_or_insert(free_cpus.max(1));
}

/// Puts the sections together, which are complete, and what follows from the machine.
fn assemble(
    options: &Options,
    children: Vec<ChildServer>,
    counts: Counts,
    fit: &MemoryFit,
    is_ring_fixed: bool,
) -> Settings {
    let is_stdio = options.endpoints.transport == TransportKind::Stdio;
    let (executor, ring) = if is_stdio {
        (ExecutorSettings::ONE_CLIENT, RingOptions::ONE_CLIENT)
    } else {
        (ExecutorSettings::default(), RingOptions::default())
    };
    let heap_bytes_max = usize::try_from(fit.plan.heap_bytes_per_shard()).unwrap_or(usize::MAX);
    Settings {
        endpoints: options.endpoints.clone(),
        machine: options.machine.clone(),
        executor: ExecutorSettings {
            is_pinned: counts.is_pinned,
            ..executor
        },
        sizes: ShardSizes::of(&options.machine, &options.queue, heap_bytes_max),
        queue: options.queue,
        ring: ring.with_buffers(&options.machine, is_ring_fixed),
        run: options.run,
        memory: fit.plan,
        http: options.http,
        timeouts: options.timeouts,
        channels: options.channels,
        tasks: options.tasks,
        connections: options.connections,
        access: options.access.clone(),
        session: options.session.clone(),
        workers: workers(options, &counts),
        shards: counts.placement.shards,
        toolsets: options.toolsets.clone(),
        tools: options.tools.clone(),
        children: ChildSettings {
            servers: children,
            cpus: counts.child_cpus,
            cpu_count: counts.child_cpu_count,
            starts_max: options.children.starts_max,
            flight_recorder: options.children.flight_recorder.clone(),
        },
        output: options.output.clone(),
        report_stream: if is_stdio {
            ReportStream::Stderr
        } else {
            ReportStream::Stdout
        },
        echoes_websocket: false,
    }
}

fn workers(options: &Options, counts: &Counts) -> WorkerSettings {
    let queued = counts.workers.saturating_mul(options.workers.queue_each);
    WorkerSettings {
        options: options.workers,
        queue_depth_max: queued as usize,
        abandoned_max: counts.workers as usize,
        // With an executor that is not pinned, all CPUs are as good.
        cpus: if counts.is_pinned {
            counts.placement.worker_cpus.clone()
        } else {
            Vec::new()
        },
    }
}
