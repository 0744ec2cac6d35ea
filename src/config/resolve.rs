//! From texts and this machine to settings: everything that involves more than one option.
//!
//! Pure: the same inputs and the same machine give the same settings. Whatever is not what an operator might expect
//! (a pool shrunk to fit, shards sharing a CPU) is said in `notes`, never done silently; whatever was asked for
//! explicitly is done as asked or refused.

use std::path::PathBuf;

use super::ConfigError;
use super::host::Host;
use super::inputs::{Inputs, Source};
use super::memory::{ConnectionsDemand, MemoryDemand, MemoryFit};
use super::options::{Key, OPTIONS};
use super::placement::{Placement, display_cpu_list, place};
use super::settings::{
    AccessSettings, AdminSettings, AllowList, ExecutorSettings, FilesSettings, HttpLimits, Linger, LogFormat,
    LogLevel, LogSettings, QueueSettings, RING_BUFFER_BYTES, ReportFormat, RingSettings, SessionSettings,
    Settings, StealSettings, Timeouts, Toolset, WorkerSettings,
};
use super::values::Values;
use crate::units::{ByteSize, CpuId, display_duration};

/// Descriptors of the process itself: standard streams, signals, admin listener and its clients, libraries.
const DESCRIPTORS_PROCESS: u64 = 16;
/// Descriptors of a shard: measured 4 of the executor, then data ring, listener, parking, mailbox, one in reserve.
const DESCRIPTORS_PER_SHARD: u64 = 12;
/// Descriptors of a worker: a file and the directories on the way to it.
const DESCRIPTORS_PER_WORKER: u64 = 4;
/// Where no limit is set, connections are counted in 32 bits at most.
const CONNECTIONS_UNLIMITED: u32 = 16_000_000;

/// Settings and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What to do.
    pub settings: Settings,
    /// Every option, in the order of the table.
    pub effective: Vec<Effective>,
    /// What an operator may not expect, one sentence each.
    pub notes: Vec<String>,
}

/// What an option came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The option.
    pub name: &'static str,
    /// Its value, as it can be typed again where it can.
    pub value: String,
    /// Who gave it.
    pub source: Source,
}

/// Makes settings of what was given and what there is.
///
/// # Errors
/// Everything that is wrong, in the order of the table, and then what is impossible on this machine.
pub fn resolve(inputs: &Inputs, host: &Host) -> Result<Resolved, Vec<ConfigError>> {
    let values = Values::new(inputs);
    let mut notes = Vec::new();
    let counts = counts(&values, host, &mut notes);
    let demand = memory_demand(&values, host, &counts);
    let read = ReadSettings::read(&values, &mut notes);
    if let AdminSettings::On { address, .. } = read.admin
        && address == read.listen
        && address.port() != 0
    {
        values.reject(ConfigError::Impossible(format!(
            "listen and admin are both {address}; give one of them another port, or --admin off"
        )));
    }
    let (mut errors, asked) = values.into_parts();
    debug_assert_eq!(asked.len(), OPTIONS.len(), "every option is read: {asked:?}");
    if !errors.is_empty() {
        errors.sort_by_key(position);
        return Err(errors);
    }
    let fit = demand
        .fit()
        .map_err(|short| vec![ConfigError::Impossible(short.to_string())])?;
    let steal = steal(&read, &fit, counts.shards, &mut notes).map_err(|error| vec![error])?;
    note_memory(&demand, &fit, &read.http, &mut notes);
    let settings = assemble(read, counts, &demand, &fit, steal);
    let effective = effective(inputs, &settings);
    Ok(Resolved {
        settings,
        effective,
        notes,
    })
}

/// How many of what, and where.
struct Counts {
    placement: Placement,
    shards: u16,
    workers: u32,
}

fn counts(values: &Values<'_>, host: &Host, notes: &mut Vec<String>) -> Counts {
    let chosen = chosen_cpus(values, host);
    let auto = u16::try_from(chosen.len()).unwrap_or(u16::MAX);
    let shards = values
        .count_or_auto(Key::Shards)
        .map_or(auto, |count| u16::try_from(count).unwrap_or(u16::MAX));
    if usize::from(shards) > chosen.len() {
        notes.push(format!(
            "shards = {shards}, but they may use {} CPUs ({}): some share one; lower --shards or widen --cpus or the \
             cpuset",
            chosen.len(),
            display_cpu_list(&chosen)
        ));
    }
    let workers = values
        .count(Key::Workers)
        .unwrap_or_else(|| u32::try_from(host.cpus.len()).unwrap_or(u32::MAX));
    Counts {
        placement: place(shards, &chosen, &host.cpus),
        shards,
        workers: workers.max(1),
    }
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

fn memory_demand(values: &Values<'_>, host: &Host, counts: &Counts) -> MemoryDemand {
    let budget = values
        .size_bytes(Key::MemoryMax)
        .unwrap_or_else(|| host.available_memory_bytes() / 2);
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
        connections: connections_demand(values, host, counts),
        handlers: values.count(Key::PoolSize),
        buffer_bytes: values.size_bytes(Key::BufferSize).unwrap_or_default(),
        ring_buffers: values.count(Key::RingBuffers),
        assembly_buffers: values.count(Key::AssemblyBuffers),
        queue_depth: values.count(Key::QueueDepth),
    }
}

fn connections_demand(values: &Values<'_>, host: &Host, counts: &Counts) -> ConnectionsDemand {
    let reserve = DESCRIPTORS_PROCESS
        + DESCRIPTORS_PER_SHARD * u64::from(counts.shards)
        + DESCRIPTORS_PER_WORKER * u64::from(counts.workers);
    let limit = host.descriptors_max.unwrap_or(u64::MAX);
    let possible = limit.saturating_sub(reserve);
    let asked = values.count(Key::ConnectionsMax);
    if possible < u64::from(asked.unwrap_or(1)) {
        values.reject(ConfigError::Impossible(format!(
            "descriptors = {limit}, but {reserve} are needed for {} shards and {} workers, and {} for connections; \
             raise the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell) or lower --shards, --workers or \
             --connections-max",
            counts.shards,
            counts.workers,
            asked.unwrap_or(1)
        )));
    }
    match asked {
        Some(asked) => ConnectionsDemand::Exactly(asked),
        None => ConnectionsDemand::UpTo(u32::try_from(possible).map_or(CONNECTIONS_UNLIMITED, |possible| {
            possible.min(CONNECTIONS_UNLIMITED)
        })),
    }
}

/// The settings that depend on nothing but their own option.
struct ReadSettings {
    listen: std::net::SocketAddr,
    admin: AdminSettings,
    http: HttpLimits,
    timeouts: Timeouts,
    queue_timeout: std::time::Duration,
    queue_timeout_agent: std::time::Duration,
    is_steal_on: bool,
    steal_reserve: Option<u32>,
    linger: Linger,
    connections_per_ip: Option<u32>,
    access: AccessSettings,
    session: SessionSettings,
    toolsets: Vec<Toolset>,
    root: PathBuf,
    drain_timeout: std::time::Duration,
    busy_poll: std::time::Duration,
    worker_queue_each: u32,
    report: ReportFormat,
    log: LogSettings,
}

impl ReadSettings {
    fn read(values: &Values<'_>, notes: &mut Vec<String>) -> Self {
        let listen = values
            .address(Key::Listen)
            .unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let access = AccessSettings {
            origins: allow_list(values.origins(Key::AllowOrigin)),
            hosts: allow_list(values.hosts(Key::AllowHost)),
        };
        let toolsets = toolsets(values);
        let queue_timeout = values.duration(Key::QueueTimeout);
        if !listen.ip().is_loopback() && access.hosts == AllowList::default() {
            notes.push(format!(
                "listen = {listen} is reachable from outside, but only loopback hosts are served: other clients get \
                 403; name this machine with --allow-host"
            ));
        }
        if values.source(Key::Root) > Source::Default && !toolsets.contains(&Toolset::Files) {
            notes
                .push("root is given, but the toolset `files` is not served; add --toolset files".to_owned());
        }
        Self {
            listen,
            admin: admin(values),
            http: HttpLimits {
                head_bytes_max: values.length(Key::HeadMax),
                body_bytes_max: values.length(Key::BodyMax),
            },
            timeouts: timeouts(values),
            queue_timeout,
            queue_timeout_agent: values
                .given_duration(Key::QueueTimeoutAgent)
                .unwrap_or(queue_timeout),
            is_steal_on: values.choice(Key::Steal) == "on",
            steal_reserve: values.count(Key::StealReserve),
            linger: values.linger(Key::Linger),
            connections_per_ip: values.count(Key::ConnectionsPerIp),
            access,
            session: SessionSettings {
                key_file: values.path(Key::SessionKeyFile),
                max_age: values.duration(Key::SessionMaxAge),
                is_required: values.is_on(Key::RequireSession),
            },
            toolsets,
            root: values.path(Key::Root).unwrap_or_default(),
            drain_timeout: values.duration(Key::DrainTimeout),
            busy_poll: values.duration(Key::BusyPoll),
            worker_queue_each: values.count(Key::WorkerQueue).unwrap_or(1),
            report: match values.choice(Key::Report) {
                "json" => ReportFormat::Json,
                "none" => ReportFormat::None,
                _ => ReportFormat::Text,
            },
            log: log(values),
        }
    }
}

fn admin(values: &Values<'_>) -> AdminSettings {
    match values.address_or_off(Key::Admin) {
        None => AdminSettings::Off,
        Some(address) => AdminSettings::On {
            address,
            is_explicit: values.source(Key::Admin) > Source::Default,
        },
    }
}

fn timeouts(values: &Values<'_>) -> Timeouts {
    Timeouts {
        head: values.duration(Key::HeadTimeout),
        body: values.duration(Key::BodyTimeout),
        read: values.duration(Key::ReadTimeout),
        idle: values.patience(Key::IdleTimeout),
        write: values.duration(Key::WriteTimeout),
        call: values.duration(Key::CallTimeout),
    }
}

fn toolsets(values: &Values<'_>) -> Vec<Toolset> {
    let names = values.choices(Key::Toolset);
    let named = |toolset: &Toolset| names.contains(&toolset.name());
    Toolset::ALL.into_iter().filter(named).collect()
}

fn log(values: &Values<'_>) -> LogSettings {
    LogSettings {
        level: match values.choice(Key::LogLevel) {
            "off" => LogLevel::Off,
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            "trace" => LogLevel::Trace,
            _ => LogLevel::Info,
        },
        format: match values.choice(Key::LogFormat) {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        },
    }
}

fn allow_list(names: Vec<String>) -> AllowList {
    if names.iter().any(|name| name == "*") {
        AllowList::Any
    } else {
        AllowList::Only(names)
    }
}

/// Below this a tenth would be no handler at all.
const HANDLERS_PER_RESERVED: u32 = 10;

/// Checked against the pool as it came out, which may be smaller than its default.
fn steal(
    read: &ReadSettings,
    fit: &MemoryFit,
    shards: u16,
    notes: &mut Vec<String>,
) -> Result<StealSettings, ConfigError> {
    let handlers = fit.handlers;
    let reserve = read.steal_reserve.unwrap_or(handlers / HANDLERS_PER_RESERVED);
    if reserve > handlers {
        return Err(ConfigError::Impossible(format!(
            "steal-reserve = {reserve}, but a shard has {handlers} handlers; lower --steal-reserve or raise --pool-size"
        )));
    }
    if read.is_steal_on && reserve == handlers && shards > 1 {
        notes.push(format!(
            "steal-reserve = {reserve} is the whole pool: no shard serves another's clients; lower it, or say --steal \
             off"
        ));
    }
    if !read.is_steal_on && read.steal_reserve.is_some() {
        notes.push("steal-reserve is given, but steal = off; drop one of them".to_owned());
    }
    Ok(StealSettings {
        is_on: read.is_steal_on,
        reserve,
    })
}

fn note_memory(demand: &MemoryDemand, fit: &MemoryFit, http: &HttpLimits, notes: &mut Vec<String>) {
    if fit.is_pool_shrunk(demand) {
        notes.push(format!(
            "pool-size = {}, to fit into memory-max = {}; give --pool-size or more memory for another",
            fit.handlers,
            ByteSize(demand.budget_bytes).rounded()
        ));
    }
    if fit.is_queue_shrunk(demand) {
        notes.push(format!(
            "queue-depth = {}, to fit into memory-max = {}; give --queue-depth or more memory for another",
            fit.queue_depth,
            ByteSize(demand.budget_bytes).rounded()
        ));
    }
    let runtime_bytes = fit.plan.runtime_bytes_per_shard;
    if (http.body_bytes_max as u64) > runtime_bytes {
        notes.push(format!(
            "body-max = {}, but a shard has {} for all bodies: larger ones get 503; lower --body-max or raise \
             --memory-max",
            ByteSize(http.body_bytes_max as u64).rounded(),
            ByteSize(runtime_bytes).rounded()
        ));
    }
}

fn assemble(
    read: ReadSettings,
    counts: Counts,
    demand: &MemoryDemand,
    fit: &MemoryFit,
    steal: StealSettings,
) -> Settings {
    // Bounded by the table far below this type's range, as is the product below.
    let buffer_bytes = usize::try_from(demand.buffer_bytes).unwrap_or_default();
    Settings {
        listen: read.listen,
        admin: read.admin,
        shards: counts.placement.shards,
        executor: ExecutorSettings::default(),
        pool: fit.pool(buffer_bytes),
        queue: QueueSettings {
            depth_max: fit.queue_depth,
            timeout: read.queue_timeout,
            timeout_agent: read.queue_timeout_agent,
        },
        steal,
        linger: read.linger,
        ring: RingSettings {
            buffers: fit.ring_buffers,
            buffer_bytes: RING_BUFFER_BYTES,
            busy_poll: read.busy_poll,
            ..RingSettings::default()
        },
        assembly: fit.assembly(buffer_bytes),
        memory: fit.plan,
        http: read.http,
        timeouts: read.timeouts,
        connections_max: fit.connections,
        connections_per_ip: read.connections_per_ip,
        access: read.access,
        session: read.session,
        workers: WorkerSettings {
            threads: counts.workers,
            queue_depth_max: counts.workers.saturating_mul(read.worker_queue_each) as usize,
            cpus: counts.placement.worker_cpus,
        },
        toolsets: read.toolsets,
        files: FilesSettings { root: read.root },
        drain_timeout: read.drain_timeout,
        report: read.report,
        log: read.log,
    }
}

/// Given texts as they were given; what was derived, as it came out.
fn effective(inputs: &Inputs, settings: &Settings) -> Vec<Effective> {
    let derived = |key: Key| match key {
        Key::Cpus => Some(display_cpu_list(&used_cpus(settings))),
        Key::Shards => Some(settings.shards.len().to_string()),
        Key::PoolSize => Some(settings.pool.handlers.to_string()),
        Key::RingBuffers => Some(settings.ring.buffers.to_string()),
        Key::AssemblyBuffers => Some(settings.assembly.buffers.to_string()),
        Key::MemoryMax => Some(ByteSize(settings.memory.budget_bytes).to_string()),
        Key::QueueDepth => Some(settings.queue.depth_max.to_string()),
        Key::QueueTimeoutAgent => Some(display_duration(settings.queue.timeout_agent).to_string()),
        Key::StealReserve => Some(settings.steal.reserve.to_string()),
        Key::ConnectionsMax => Some(settings.connections_max.to_string()),
        Key::Workers => Some(settings.workers.threads.to_string()),
        _ => None,
    };
    OPTIONS
        .iter()
        .map(|spec| {
            let given = inputs.given(spec.key);
            let value = match given {
                Some(given) => given.texts.join(", "),
                None => derived(spec.key).unwrap_or_else(|| spec.fallback.text().to_owned()),
            };
            Effective {
                name: spec.name,
                value: value.escape_debug().to_string(),
                source: given.map_or(Source::Default, |given| given.source),
            }
        })
        .collect()
}

fn used_cpus(settings: &Settings) -> Vec<CpuId> {
    let mut cpus: Vec<CpuId> = settings.shards.iter().map(|place| place.cpu).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

/// Errors about one option stand where the option does, those about several behind them.
fn position(error: &ConfigError) -> usize {
    match error {
        ConfigError::BadValue { name, .. } => OPTIONS
            .iter()
            .position(|spec| spec.name == *name)
            .unwrap_or(OPTIONS.len()),
        _ => OPTIONS.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::{Patience, ShardId};

    const MIB: u64 = 1 << 20;

    fn host(cpus: usize, memory_mib: u64) -> Host {
        Host {
            cpus: (0..cpus).map(CpuId).collect(),
            memory_bytes: memory_mib * MIB,
            cgroup_memory_bytes: None,
            descriptors_max: Some(20_000),
            memlock_bytes_max: Some(8 * MIB),
            is_memlock_exempt: false,
            kernel_release: "6.18.44".to_owned(),
            io_uring_disabled: 0,
        }
    }

    fn inputs(flags: &[(Key, &str)]) -> Inputs {
        let mut inputs = Inputs::new();
        for (key, text) in flags {
            inputs.insert(*key, vec![(*text).to_owned()], Source::Flag);
        }
        inputs
    }

    fn settings(flags: &[(Key, &str)], host: &Host) -> Resolved {
        resolve(&inputs(flags), host).unwrap_or_else(|errors| panic!("{flags:?}: {errors:?}"))
    }

    fn refusal(flags: &[(Key, &str)], host: &Host) -> Vec<String> {
        resolve(&inputs(flags), host)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let Resolved { settings, notes, .. } = settings(&[], &host(2, 4096));
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        let admin = AdminSettings::On {
            address: "127.0.0.1:9464".parse().unwrap(),
            is_explicit: false,
        };
        assert_eq!(settings.admin, admin);
        let places: Vec<(ShardId, CpuId)> = settings.shards.iter().map(|at| (at.shard, at.cpu)).collect();
        assert_eq!(places, [(ShardId(0), CpuId(0)), (ShardId(1), CpuId(1))]);
        assert_eq!(
            (settings.pool.handlers, settings.pool.buffer_bytes),
            (256, 16_384)
        );
        assert_eq!((settings.ring.buffers, settings.ring.buffer_bytes), (1024, 4096));
        assert_eq!(settings.ring.busy_poll, Duration::from_micros(100));
        assert_eq!(
            (settings.assembly.buffers, settings.assembly.buffer_bytes),
            (256, 16_384)
        );
        assert_eq!(settings.memory.budget_bytes, 2048 * MIB);
        let seconds = Duration::from_secs;
        let queue = QueueSettings {
            depth_max: 512,
            timeout: seconds(5),
            timeout_agent: seconds(5),
        };
        assert_eq!(settings.queue, queue);
        let steal = StealSettings {
            is_on: true,
            reserve: 25,
        };
        assert_eq!(settings.steal, steal);
        assert_eq!(settings.linger, Linger::None);
        assert_eq!(settings.connections_per_ip, None);
        let timeouts = Timeouts {
            head: seconds(10),
            body: seconds(60),
            read: seconds(30),
            idle: Patience::For(seconds(75)),
            write: seconds(30),
            call: seconds(60),
        };
        assert_eq!(settings.timeouts, timeouts);
        assert_eq!(
            (settings.http.head_bytes_max, settings.http.body_bytes_max),
            (32 << 10, 4 << 20)
        );
        // 20,000 less 16, 2 shards x 12 and 2 workers x 4.
        assert_eq!(settings.connections_max, 19_952);
        assert_eq!(settings.access, AccessSettings::default());
        assert_eq!(settings.session.key_file, None);
        assert_eq!(settings.session.max_age, seconds(86_400));
        assert!(!settings.session.is_required);
        assert_eq!(
            (settings.workers.threads, settings.workers.queue_depth_max),
            (2, 128)
        );
        assert_eq!(settings.workers.cpus, []);
        assert_eq!(settings.toolsets, [Toolset::Files]);
        assert_eq!(settings.files.root, PathBuf::from("."));
        assert_eq!(
            settings.summary(),
            "2 shards on CPUs 0-1, 256 handlers each, 2 workers, 19952 connections, memory 2 GiB"
        );
        assert_eq!(settings.drain_timeout, seconds(10));
        assert_eq!(settings.report, ReportFormat::Text);
        assert_eq!(
            (settings.log.level, settings.log.format),
            (LogLevel::Info, LogFormat::Text)
        );
    }

    #[test]
    fn every_option_changes_the_settings() {
        let changed = [
            (Key::Listen, "127.0.0.1:1"),
            (Key::Admin, "off"),
            (Key::Toolset, "demo"),
            (Key::Root, "/srv"),
            (Key::Shards, "1"),
            (Key::Cpus, "1"),
            (Key::PoolSize, "8"),
            (Key::BufferSize, "8KiB"),
            (Key::RingBuffers, "8"),
            (Key::AssemblyBuffers, "8"),
            (Key::MemoryMax, "1GiB"),
            (Key::QueueDepth, "0"),
            (Key::QueueTimeout, "1s"),
            (Key::QueueTimeoutAgent, "1s"),
            (Key::Steal, "off"),
            (Key::StealReserve, "1"),
            (Key::Linger, "forever"),
            (Key::ConnectionsMax, "8"),
            (Key::ConnectionsPerIp, "8"),
            (Key::HeadMax, "8KiB"),
            (Key::BodyMax, "8KiB"),
            (Key::HeadTimeout, "1s"),
            (Key::BodyTimeout, "1s"),
            (Key::ReadTimeout, "1s"),
            (Key::IdleTimeout, "forever"),
            (Key::WriteTimeout, "1s"),
            (Key::CallTimeout, "1s"),
            (Key::DrainTimeout, "0s"),
            (Key::BusyPoll, "0s"),
            (Key::AllowOrigin, "*"),
            (Key::AllowHost, "mcp.example"),
            (Key::SessionKeyFile, "key"),
            (Key::SessionMaxAge, "1h"),
            (Key::RequireSession, "true"),
            (Key::Workers, "1"),
            (Key::WorkerQueue, "1"),
            (Key::Report, "none"),
            (Key::LogLevel, "debug"),
            (Key::LogFormat, "json"),
        ];
        assert_eq!(changed.len(), OPTIONS.len());
        let host = host(2, 4096);
        let plain = settings(&[], &host).settings;
        for (key, text) in changed {
            let name = key.spec().name;
            let resolved = settings(&[(key, text)], &host);
            assert_ne!(resolved.settings, plain, "{name}");
            let effective = &resolved.effective[key as usize];
            assert_eq!(
                (effective.name, effective.value.as_str(), effective.source),
                (name, text, Source::Flag)
            );
        }
    }

    #[test]
    fn derived_values_are_shown_as_they_came_out() {
        let resolved = settings(&[(Key::Cpus, "1,2,3"), (Key::Shards, "2")], &host(4, 128));
        let shown = |key: Key| resolved.effective[key as usize].value.as_str();
        assert_eq!(shown(Key::Workers), "4");
        assert_eq!(shown(Key::MemoryMax), "64MiB");
        assert_eq!(shown(Key::PoolSize), "256");
        assert_eq!(shown(Key::ConnectionsMax), "8192");
        assert_eq!(shown(Key::SessionKeyFile), "a random key");
        assert_eq!(resolved.settings.workers.cpus, [CpuId(0), CpuId(3)]);
    }

    #[test]
    fn waiting_follows_what_was_said_of_it() {
        let seconds = Duration::from_secs;
        let of = |flags: &[(Key, &str)]| settings(flags, &host(2, 4096)).settings;
        let queue = of(&[(Key::QueueTimeout, "2s")]).queue;
        assert_eq!((queue.timeout, queue.timeout_agent), (seconds(2), seconds(2)));
        let queue = of(&[(Key::QueueTimeoutAgent, "9s"), (Key::PoolSize, "8")]).queue;
        assert_eq!((queue.timeout, queue.timeout_agent), (seconds(5), seconds(9)));
        assert_eq!(queue.depth_max, 16);
        for (handlers, reserve) in [("1", 0), ("9", 0), ("10", 1), ("99", 9), ("1000", 100)] {
            assert_eq!(of(&[(Key::PoolSize, handlers)]).steal.reserve, reserve);
        }
        let lingers = [
            ("0s", Linger::None),
            ("0ms", Linger::None),
            ("10ms", Linger::For(Duration::from_millis(10))),
            ("24h", Linger::For(seconds(86_400))),
            ("forever", Linger::Forever),
        ];
        for (text, linger) in lingers {
            assert_eq!(of(&[(Key::Linger, text)]).linger, linger, "{text}");
        }
        let refused = refusal(&[(Key::Linger, "9ms")], &host(2, 4096));
        assert_eq!(
            refused,
            ["linger = 9ms (from --linger) is too small; the least is 10ms"]
        );
        let shown = settings(&[(Key::QueueTimeout, "2s")], &host(2, 4096)).effective;
        assert_eq!(shown[Key::QueueTimeoutAgent as usize].value, "2s");
    }

    #[test]
    fn a_64_mib_cgroup_is_enough_for_the_defaults() {
        for cpus in [1, 2, 4] {
            let small = Host {
                cgroup_memory_bytes: Some(64 * MIB),
                ..host(cpus, 32_768)
            };
            let resolved = settings(&[], &small);
            assert_eq!(resolved.settings.memory.budget_bytes, 32 * MIB);
            assert!(resolved.settings.memory.fixed_bytes() <= 24 * MIB);
            let says_pool = resolved.notes.iter().any(|note| note.starts_with("pool-size = "));
            assert_eq!(
                says_pool,
                resolved.settings.pool.handlers < 256,
                "{:?}",
                resolved.notes
            );
        }
    }

    #[test]
    fn bodies_that_cannot_be_held_are_said() {
        let resolved = settings(&[(Key::MemoryMax, "32MiB"), (Key::Shards, "4")], &host(4, 4096));
        let note = resolved
            .notes
            .iter()
            .find(|note| note.starts_with("body-max = 4 MiB"))
            .unwrap();
        assert!(note.contains("larger ones get 503"), "{note}");
    }

    #[test]
    fn impossible_values_are_refused_with_the_next_step() {
        let machine = host(2, 4096);
        let cases: [(&[(Key, &str)], &str); 7] = [
            (
                &[(Key::Cpus, "0-3")],
                "cpus = 0-3, but this process may not use 2-3, only 0-1; change --cpus or widen the cpuset",
            ),
            (
                &[(Key::MemoryMax, "5GiB")],
                "memory-max = 5 GiB, but there are only 4 GiB; lower --memory-max or raise the cgroup's limit",
            ),
            (
                &[(Key::Admin, "127.0.0.1:8080")],
                "listen and admin are both 127.0.0.1:8080; give one of them another port, or --admin off",
            ),
            (
                &[(Key::ConnectionsMax, "19953")],
                "descriptors = 20000, but 48 are needed for 2 shards and 2 workers, and 19953 for connections; raise \
                 the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell) or lower --shards, --workers or \
                 --connections-max",
            ),
            (
                &[(Key::StealReserve, "9"), (Key::PoolSize, "8")],
                "steal-reserve = 9, but a shard has 8 handlers; lower --steal-reserve or raise --pool-size",
            ),
            (
                &[(Key::PoolSize, "65535"), (Key::MemoryMax, "64MiB")],
                "memory-max = 64 MiB, but at least ",
            ),
            (
                &[(Key::PoolSize, "0")],
                "pool-size = 0 (from --pool-size) is too small; the least is 1",
            ),
        ];
        for (flags, message) in cases {
            let refused = refusal(flags, &machine);
            assert_eq!(refused.len(), 1, "{refused:?}");
            assert!(refused[0].starts_with(message), "{}", refused[0]);
        }
        settings(&[(Key::ConnectionsMax, "19952")], &machine);
        settings(&[(Key::MemoryMax, "4GiB")], &machine);
        settings(
            &[(Key::Admin, "127.0.0.1:0"), (Key::Listen, "127.0.0.1:0")],
            &machine,
        );
    }

    #[test]
    fn few_descriptors_leave_few_connections_and_then_none() {
        let with = |descriptors| Host {
            descriptors_max: Some(descriptors),
            ..host(1, 4096)
        };
        // 16, a shard's 12, a worker's 4.
        assert_eq!(settings(&[], &with(64)).settings.connections_max, 32);
        assert_eq!(settings(&[], &with(33)).settings.connections_max, 1);
        assert!(refusal(&[], &with(32))[0].starts_with("descriptors = 32, but 32 are needed"));
        let unlimited = Host {
            descriptors_max: None,
            ..host(1, 4096)
        };
        // An eighth of 2 GiB holds as many entries of 1 KiB.
        assert_eq!(settings(&[], &unlimited).settings.connections_max, 262_144);
    }

    #[test]
    fn all_errors_are_reported_in_the_order_of_the_table() {
        let refused = refusal(
            &[
                (Key::LogLevel, "loud"),
                (Key::Listen, "x"),
                (Key::Cpus, "7"),
                (Key::Shards, "0"),
            ],
            &host(2, 4096),
        );
        let starts: Vec<&str> = refused.iter().filter_map(|text| text.split(' ').next()).collect();
        assert_eq!(starts, ["listen", "shards", "log-level", "cpus"], "{refused:?}");
    }

    #[test]
    fn what_may_surprise_is_said() {
        let notes = |flags: &[(Key, &str)]| settings(flags, &host(2, 4096)).notes;
        let cases: [(&[(Key, &str)], &str); 6] = [
            (&[(Key::Shards, "3")], "shards = 3, but they may use 2 CPUs (0-1)"),
            (
                &[(Key::Listen, "0.0.0.0:80")],
                "listen = 0.0.0.0:80 is reachable from outside",
            ),
            (
                &[(Key::StealReserve, "8"), (Key::PoolSize, "8")],
                "steal-reserve = 8 is the whole pool",
            ),
            (
                &[(Key::StealReserve, "8"), (Key::Steal, "off")],
                "steal-reserve is given, but steal = off",
            ),
            (
                &[(Key::PoolSize, "600"), (Key::MemoryMax, "80MiB")],
                "queue-depth = ",
            ),
            (
                &[(Key::Root, "/srv"), (Key::Toolset, "demo")],
                "root is given, but",
            ),
        ];
        for (flags, start) in cases {
            let said = notes(flags);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(start), "{}", said[0]);
        }
        assert!(notes(&[(Key::Listen, "0.0.0.0:80"), (Key::AllowHost, "mcp.example")]).is_empty());
        assert!(notes(&[(Key::Listen, "[::1]:80")]).is_empty());
    }
}
