//! From texts and this machine to settings: where everything is put together.
//!
//! Pure: the same inputs and the same machine give the same settings. Whatever is not what an operator might expect
//! (a pool shrunk to fit, shards sharing a CPU) is said in `notes`, never done silently; whatever was asked for
//! explicitly is done as asked or refused.

use super::ConfigError;
use super::demand::{Counts, counts, memory_demand, transport};
use super::effective::{Effective, effective};
use super::host::Host;
use super::independent::ReadSettings;
use super::inputs::Inputs;
use super::memory::{MemoryDemand, MemoryFit};
use super::options::OPTIONS;
use super::settings::{
    AdminSettings, ExecutorSettings, HttpLimits, QueueSettings, RingSettings, Settings, StealSettings,
    TransportKind, WorkerSettings,
};
use super::values::Values;
use crate::units::ByteSize;

/// Settings and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What to do.
    pub settings: Settings,
    /// Every option, in the order of the table.
    pub effective: Vec<Effective>,
    /// What an operator may not expect, one sentence each.
    pub notes: Vec<String>,
    /// What was passed over and is probably nothing, one sentence each.
    pub remarks: Vec<String>,
}

/// Makes settings of what was given and what there is.
///
/// # Errors
/// Everything that is wrong, in the order of the table, and then what is impossible on this machine.
pub fn resolve(inputs: &Inputs, host: &Host) -> Result<Resolved, Vec<ConfigError>> {
    let values = Values::new(inputs);
    let mut notes = inputs.notes().to_vec();
    let transport = transport(&values);
    let counts = counts(&values, host, transport, &mut notes);
    let demand = memory_demand(&values, host, &counts, transport);
    let read = ReadSettings::read(&values, transport, &mut notes);
    if let AdminSettings::On { address, .. } = read.admin
        && address == read.listen
        && transport == TransportKind::Http
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
        remarks: inputs.remarks().to_vec(),
    })
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
    let runtime_bytes = fit.plan.heap_bytes_per_shard();
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
    let (executor, ring) = match read.transport {
        TransportKind::Http => (ExecutorSettings::default(), RingSettings::default()),
        TransportKind::Stdio => (ExecutorSettings::ONE_CLIENT, RingSettings::ONE_CLIENT),
    };
    Settings {
        transport: read.transport,
        listen: read.listen,
        shares_port: read.shares_port,
        endpoints: read.endpoints,
        admin: read.admin,
        shards: counts.placement.shards,
        executor: ExecutorSettings {
            is_pinned: counts.is_pinned,
            ..executor
        },
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
            busy_poll: read.busy_poll,
            ..ring
        },
        assembly: fit.assembly(buffer_bytes),
        memory: fit.plan,
        is_prefaulted: read.is_prefaulted,
        http: read.http,
        timeouts: read.timeouts,
        channels: read.channels,
        tasks: read.tasks,
        connections_max: fit.connections,
        connections_per_ip: read.connections_per_ip,
        access: read.access,
        session: read.session,
        workers: WorkerSettings {
            threads: counts.workers,
            queue_depth_max: counts.workers.saturating_mul(read.worker_queue_each) as usize,
            // Beside an executor that moves about, all CPUs are as good.
            cpus: match counts.is_pinned {
                true => counts.placement.worker_cpus,
                false => Vec::new(),
            },
        },
        toolsets: read.toolsets,
        files: read.files,
        drain_timeout: read.drain_timeout,
        report: read.report,
        report_stream: read.report_stream,
        log: read.log,
        access_log: read.access_log,
        echoes_websocket: false,
    }
}

/// Errors about one option stand where the option does, those about several behind them.
fn position(error: &ConfigError) -> usize {
    match error.bare() {
        ConfigError::BadValue { name, .. } => OPTIONS
            .iter()
            .position(|spec| spec.name == *name)
            .unwrap_or(OPTIONS.len()),
        _ => OPTIONS.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::config::inputs::Source;
    use crate::config::options::Key;
    use crate::config::settings::{
        AccessSettings, ChannelSettings, EndpointSettings, Linger, LogFormat, LogLevel, ReportFormat,
        ReportStream, TaskSettings, Timeouts, Toolset,
    };
    use crate::config::{CpuQuota, Needs};
    use crate::units::{CpuId, Patience, ShardId};

    const MIB: u64 = 1 << 20;

    fn host(cpus: usize, memory_mib: u64) -> Host {
        Host {
            cpus: (0..cpus).map(CpuId).collect(),
            cpu_quota: None,
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
        assert!(!settings.shares_port);
        let endpoints = EndpointSettings {
            paths: vec!["/mcp".to_owned()],
            has_health: false,
        };
        assert_eq!(settings.endpoints, endpoints);
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
            ask: seconds(300),
            stream_after: seconds(10),
            keep_alive: seconds(15),
        };
        assert_eq!(settings.timeouts, timeouts);
        assert_eq!(settings.transport, TransportKind::Http);
        let channels = ChannelSettings {
            websocket: true,
            websocket_timeout: seconds(60),
            in_flight_max: 64,
            sse_legacy: false,
        };
        assert_eq!(settings.channels, channels);
        let tasks = TaskSettings {
            tasks_max: 4096,
            per_client_max: 256,
            ttl: seconds(900),
            ttl_max: seconds(86_400),
        };
        assert_eq!(settings.tasks, tasks);
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
            "2 shards on CPUs 0-1, 256 handlers and a queue of 512 each, 2 workers, 19952 connections, memory 2 GiB"
        );
        assert_eq!(settings.drain_timeout, seconds(10));
        assert_eq!(settings.report, ReportFormat::Text);
        assert_eq!(settings.report_stream, ReportStream::Stdout);
        assert_eq!(
            (settings.log.level, settings.log.format),
            (LogLevel::Info, LogFormat::Text)
        );
    }

    #[test]
    fn a_path_may_be_no_other_endpoints() {
        let refused = |path: &str, key: Key| refusal(&[(Key::Path, path), (key, "on")], &host(1, 4096));
        for (path, key, name) in [
            ("/sse", Key::SseLegacy, "sse-legacy"),
            ("/messages", Key::SseLegacy, "sse-legacy"),
            ("/messages/", Key::SseLegacy, "sse-legacy"),
            ("/healthz", Key::Health, "health"),
            ("/readyz/", Key::Health, "health"),
        ] {
            let own = path.trim_end_matches('/');
            let text = format!(
                "path = {own}, but {name} = on serves something else there; choose another --path, or --{name} off"
            );
            assert_eq!(refused(path, key), [text]);
            // While it is off, the path is free.
            settings(&[(Key::Path, path)], &host(1, 4096));
        }
        settings(
            &[(Key::Path, "/"), (Key::SseLegacy, "on"), (Key::Health, "on")],
            &host(1, 4096),
        );
    }

    #[test]
    fn paths_are_all_served_and_none_twice() {
        let mut several = Inputs::new();
        let texts = ["/mcp", "/", "/api/mcp/"].map(str::to_owned);
        several.insert(Key::Path, texts.to_vec(), Source::Flag);
        let resolved = resolve(&several, &host(1, 4096)).unwrap();
        assert_eq!(resolved.settings.endpoints.paths, ["/mcp", "/", "/api/mcp"]);
        several.insert(
            Key::Path,
            ["/mcp", "/mcp/"].map(str::to_owned).to_vec(),
            Source::Flag,
        );
        let text = resolve(&several, &host(1, 4096)).unwrap_err()[0].to_string();
        assert_eq!(text, "path = /mcp/ (from --path) is given twice; give it once");
    }

    #[test]
    fn every_option_changes_the_settings() {
        let changed = [
            (Key::Transport, "stdio"),
            (Key::Listen, "127.0.0.1:1"),
            (Key::ReusePort, "on"),
            (Key::Path, "/"),
            (Key::Health, "on"),
            (Key::Admin, "off"),
            (Key::Toolset, "demo"),
            (Key::Root, "/srv"),
            (Key::FilesReadMax, "1MiB"),
            (Key::FilesSearchMax, "1MiB"),
            (Key::Shards, "1"),
            (Key::Cpus, "1"),
            (Key::PoolSize, "8"),
            (Key::BufferSize, "8KiB"),
            (Key::RingBuffers, "8"),
            (Key::AssemblyBuffers, "8"),
            (Key::MemoryMax, "1GiB"),
            (Key::Prefault, "on"),
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
            (Key::AskTimeout, "1s"),
            (Key::StreamAfter, "1s"),
            (Key::StreamKeepAlive, "1s"),
            (Key::Websocket, "off"),
            (Key::WebsocketTimeout, "1s"),
            (Key::InFlightPerConnection, "1"),
            (Key::SseLegacy, "on"),
            (Key::TasksMax, "0"),
            (Key::TasksPerClientMax, "1"),
            (Key::TaskTtl, "1s"),
            (Key::TaskTtlMax, "1h"),
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
            (Key::AccessLog, "all"),
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
    fn one_client_gets_a_report_only_if_it_was_asked_for() {
        let over_stdio = |report: &[(Key, &str)]| {
            let resolved = settings(&[&[(Key::Transport, "stdio")], report].concat(), &host(2, 4096));
            let shown = resolved.effective[Key::Report as usize].value.clone();
            assert_eq!(resolved.settings.report_stream, ReportStream::Stderr);
            (resolved.settings.report, shown)
        };
        assert_eq!(over_stdio(&[]), (ReportFormat::None, "none".to_owned()));
        for (text, format) in [
            ("text", ReportFormat::Text),
            ("json", ReportFormat::Json),
            ("none", ReportFormat::None),
        ] {
            assert_eq!(over_stdio(&[(Key::Report, text)]), (format, text.to_owned()));
        }
        let over_http = settings(&[], &host(2, 4096));
        assert_eq!(over_http.effective[Key::Report as usize].value, "text");
    }

    #[test]
    fn one_client_needs_no_port_and_little_of_the_machine() {
        let host = host(8, 4096);
        let resolved = settings(&[(Key::Transport, "stdio")], &host);
        let Resolved {
            settings: one, notes, ..
        } = &resolved;
        assert_eq!(*notes, Vec::<String>::new());
        assert_eq!(one.transport, TransportKind::Stdio);
        assert_eq!(one.admin, AdminSettings::Off);
        assert_eq!(one.shards.len(), 1);
        assert!(!one.executor.is_pinned);
        assert_eq!(
            (one.pool.handlers, one.queue.depth_max, one.ring.buffers),
            (32, 64, 64)
        );
        assert_eq!(
            (one.workers.threads, one.workers.cpus.as_slice()),
            (4, [].as_slice())
        );
        assert_eq!(one.connections_max, 1);
        let shown = |key: Key| resolved.effective[key as usize].value.as_str();
        assert_eq!((shown(Key::Admin), shown(Key::Shards)), ("off", "1"));
        let locked = |settings: &Settings| Needs::of(settings).memlock_bytes_per_shard;
        let many = settings(&[], &host).settings;
        assert!(locked(one) < 256 << 10, "{} {}", locked(one), locked(&many));
    }

    #[test]
    fn what_makes_no_sense_beside_one_client_is_said() {
        let stdio = (Key::Transport, "stdio");
        let flags = [
            stdio,
            (Key::Listen, "0.0.0.0:80"),
            (Key::Admin, "127.0.0.1:0"),
            (Key::Shards, "1"),
        ];
        let Resolved {
            settings: one, notes, ..
        } = settings(&flags, &host(2, 4096));
        let expected = "listen is given, but transport = stdio has no use for it; drop one of them";
        assert_eq!(notes, [expected]);
        assert!(matches!(
            one.admin,
            AdminSettings::On {
                is_explicit: true,
                ..
            }
        ));
        assert_eq!(
            refusal(&[stdio, (Key::Shards, "2")], &host(2, 4096)),
            ["shards = 2, but transport = stdio has one client, whom one shard serves; drop --shards"]
        );
        let pinned = settings(&[stdio, (Key::Cpus, "1")], &host(2, 4096)).settings;
        assert!(pinned.executor.is_pinned && pinned.shards[0].cpu == CpuId(1));
    }

    #[test]
    fn tasks_are_kept_no_longer_than_the_most() {
        let ttl = |flags: &[(Key, &str)]| settings(flags, &host(2, 4096)).settings.tasks.ttl;
        assert_eq!(ttl(&[]), Duration::from_secs(900));
        assert_eq!(ttl(&[(Key::TaskTtlMax, "1m")]), Duration::from_secs(60));
        assert_eq!(
            refusal(&[(Key::TaskTtlMax, "1m"), (Key::TaskTtl, "2m")], &host(2, 4096)),
            ["task-ttl = 2m, but task-ttl-max = 60s; lower --task-ttl or raise --task-ttl-max"]
        );
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
        assert_eq!(queue.depth_max, 32, "no default queue is shorter");
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
    fn a_cpu_quota_counts_for_shards_workers_and_pinning() {
        let under = |millis: u32, flags: &[(Key, &str)]| {
            let host = Host {
                cpu_quota: Some(CpuQuota { millis }),
                ..host(8, 4096)
            };
            settings(flags, &host)
        };
        // Thousandths of a CPU, shards and workers.
        for (millis, count) in [(500, 1), (1000, 1), (1999, 1), (2000, 2), (2500, 2), (7999, 7)] {
            let Resolved { settings, notes, .. } = under(millis, &[]);
            assert_eq!(settings.shards.len(), count, "{millis}");
            assert_eq!(settings.workers.threads as usize, count, "{millis}");
            assert!(!settings.executor.is_pinned);
            assert_eq!(settings.workers.cpus, []);
            assert_eq!(notes, Vec::<String>::new());
        }
        let stdio = under(2500, &[(Key::Transport, "stdio")]).settings;
        assert_eq!((stdio.shards.len(), stdio.workers.threads), (1, 2));
        let Resolved { settings, notes, .. } = under(2500, &[(Key::Shards, "3"), (Key::Workers, "5")]);
        assert_eq!((settings.shards.len(), settings.workers.threads), (3, 5));
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].starts_with("shards = 3, but the cgroup's quota is the time of 2.5 CPUs"),
            "{notes:?}"
        );
        // Named CPUs are meant, and fewer of them than the quota holds are all there are.
        let named = under(2500, &[(Key::Cpus, "6")]).settings;
        assert!(named.executor.is_pinned);
        assert_eq!(named.shards.len(), 1);
        assert_eq!(named.shards[0].cpu, CpuId(6));
    }

    #[test]
    fn the_default_budget_is_whole_mebibytes() {
        let host = Host {
            memory_bytes: 24_683_656 * 1024,
            ..host(2, 4096)
        };
        let resolved = settings(&[], &host);
        assert_eq!(resolved.effective[Key::MemoryMax as usize].value, "12052MiB");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_place_in_the_order_of_the_table() {
        let file = "log-level = 'loud'\npool-size = 0\n";
        let mut inputs = Inputs::new();
        inputs.insert_file("/etc/weir.toml", file).unwrap();
        let refused = resolve(&inputs, &host(2, 4096)).unwrap_err();
        let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(
            told[0],
            "/etc/weir.toml:2:13: pool-size = 0 (from the file) is too small; the least is 1"
        );
        assert!(
            told[1].starts_with("/etc/weir.toml:1:13: log-level = loud"),
            "{told:?}"
        );
        assert_eq!(
            refused[0].excerpt(),
            ["  |", "2 | pool-size = 0", "  |             ^"]
        );
        // A flag outranks the file, its place included.
        inputs.insert(Key::PoolSize, vec!["70000".to_owned()], Source::Flag);
        let refused = resolve(&inputs, &host(2, 4096)).unwrap_err();
        assert!(
            refused[0]
                .to_string()
                .starts_with("pool-size = 70000 (from --pool-size)")
        );
        assert!(refused[0].excerpt().is_empty());
    }

    #[test]
    fn variables_that_are_no_options_are_noted_or_remarked_on() {
        let mut inputs = Inputs::new();
        let variables = [
            ("WEIR_POOLSIZE", "8"),
            ("WEIR_VERSION", "1"),
            ("WEIR_PORT", "tcp://10.0.0.7:80"),
        ];
        inputs.insert_environment(variables.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let Resolved { notes, remarks, .. } = resolve(&inputs, &host(2, 4096)).unwrap();
        assert!(
            notes.len() == 1 && notes[0].starts_with("WEIR_POOLSIZE is set"),
            "{notes:?}"
        );
        assert!(
            remarks.len() == 1 && remarks[0].starts_with("WEIR_VERSION is set"),
            "{remarks:?}"
        );
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
        let cases: [(&[(Key, &str)], &str); 7] = [
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
            (
                &[(Key::FilesReadMax, "1MiB"), (Key::Toolset, "demo")],
                "files-read-max is given, but",
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
