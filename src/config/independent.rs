//! The settings that depend on nothing but their own option.
//!
//! Reads each of them once. Whatever needs the machine, the memory plan or another option's outcome is put together
//! in `demand` and `resolve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::ConfigError;
use super::inputs::Source;
use super::options::Key;
use super::settings::{
    AccessLog, AccessSettings, AdminSettings, AllowList, ChannelSettings, EndpointSettings, FilesSettings,
    HEALTH_PATH, HttpLimits, Linger, LogFormat, LogLevel, LogSettings, READINESS_PATH, ReportFormat,
    ReportStream, SSE_MESSAGES_PATH, SSE_PATH, SessionSettings, TaskSettings, Timeouts, Toolset,
    TransportKind,
};
use super::values::Values;
use crate::units::display_duration;

/// As they were read.
pub(super) struct ReadSettings {
    pub(super) transport: TransportKind,
    pub(super) listen: SocketAddr,
    pub(super) shares_port: bool,
    pub(super) endpoints: EndpointSettings,
    pub(super) admin: AdminSettings,
    pub(super) http: HttpLimits,
    pub(super) timeouts: Timeouts,
    pub(super) channels: ChannelSettings,
    pub(super) tasks: TaskSettings,
    pub(super) is_prefaulted: bool,
    pub(super) queue_timeout: Duration,
    pub(super) queue_timeout_agent: Duration,
    pub(super) is_steal_on: bool,
    pub(super) steal_reserve: Option<u32>,
    pub(super) linger: Linger,
    pub(super) connections_per_ip: Option<u32>,
    pub(super) access: AccessSettings,
    pub(super) session: SessionSettings,
    pub(super) toolsets: Vec<Toolset>,
    pub(super) files: FilesSettings,
    pub(super) drain_timeout: Duration,
    pub(super) busy_poll: Duration,
    pub(super) worker_queue_each: u32,
    pub(super) report: ReportFormat,
    pub(super) report_stream: ReportStream,
    pub(super) log: LogSettings,
    pub(super) access_log: AccessLog,
}

impl ReadSettings {
    pub(super) fn read(values: &Values<'_>, transport: TransportKind, notes: &mut Vec<String>) -> Self {
        let listen = values
            .address(Key::Listen)
            .unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let access = AccessSettings {
            origins: allow_list(values.origins(Key::AllowOrigin)),
            hosts: allow_list(values.hosts(Key::AllowHost)),
        };
        let toolsets = toolsets(values);
        let channels = channels(values);
        let queue_timeout = values.duration(Key::QueueTimeout);
        if transport == TransportKind::Stdio {
            note_unused_with_stdio(values, notes);
        } else if !listen.ip().is_loopback() && access.hosts == AllowList::default() {
            notes.push(format!(
                "listen = {listen} is reachable from outside, but only loopback hosts are served: other clients get \
                 403; name this machine with --allow-host"
            ));
        }
        if !toolsets.contains(&Toolset::Files) {
            for key in [Key::Root, Key::FilesReadMax, Key::FilesSearchMax] {
                if values.source(key) > Source::Default {
                    let name = key.spec().name;
                    notes.push(format!(
                        "{name} is given, but the toolset `files` is not served; add --toolset files"
                    ));
                }
            }
        }
        Self {
            transport,
            listen,
            shares_port: values.choice(Key::ReusePort) == "on",
            endpoints: endpoints(values, channels.sse_legacy),
            admin: admin(values, transport),
            http: HttpLimits {
                head_bytes_max: values.length(Key::HeadMax),
                body_bytes_max: values.length(Key::BodyMax),
            },
            timeouts: timeouts(values),
            channels,
            tasks: tasks(values),
            is_prefaulted: values.choice(Key::Prefault) == "on",
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
            files: FilesSettings {
                root: values.path(Key::Root).unwrap_or_default(),
                read_bytes_max: values.length(Key::FilesReadMax),
                search_bytes_max: values.length(Key::FilesSearchMax),
            },
            drain_timeout: values.duration(Key::DrainTimeout),
            busy_poll: values.duration(Key::BusyPoll),
            worker_queue_each: values.count(Key::WorkerQueue).unwrap_or(1),
            report: match (values.given_choice(Key::Report), transport) {
                (Some("text"), _) | (None, TransportKind::Http) => ReportFormat::Text,
                (Some("json"), _) => ReportFormat::Json,
                // Whoever starts a process to talk to it reads its stderr when something is wrong.
                _ => ReportFormat::None,
            },
            report_stream: match transport {
                TransportKind::Http => ReportStream::Stdout,
                TransportKind::Stdio => ReportStream::Stderr,
            },
            log: log(values),
            access_log: access_log(values),
        }
    }
}

/// Paths that are taken by something else that is served are refused.
fn endpoints(values: &Values<'_>, has_sse: bool) -> EndpointSettings {
    let endpoints = EndpointSettings {
        paths: values.url_paths(Key::Path),
        has_health: values.choice(Key::Health) == "on",
    };
    let taken = [
        (SSE_PATH, has_sse, Key::SseLegacy),
        (SSE_MESSAGES_PATH, has_sse, Key::SseLegacy),
        (HEALTH_PATH, endpoints.has_health, Key::Health),
        (READINESS_PATH, endpoints.has_health, Key::Health),
    ];
    for (path, is_taken, key) in taken {
        if is_taken && endpoints.paths.iter().any(|own| own == path) {
            let name = key.spec().name;
            values.reject(ConfigError::Impossible(format!(
                "path = {path}, but {name} = on serves something else there; choose another --path, or --{name} off"
            )));
        }
    }
    endpoints
}

/// Where the admin listener of a server is unless somebody says otherwise.
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// Who starts a process to talk to it starts several, and none of them needs a port.
fn admin(values: &Values<'_>, transport: TransportKind) -> AdminSettings {
    let is_explicit = values.source(Key::Admin) > Source::Default;
    match (values.address_or_off(Key::Admin), transport) {
        (Some(Some(address)), _) => AdminSettings::On { address, is_explicit },
        (None, TransportKind::Http) => AdminSettings::On {
            address: ADMIN_DEFAULT,
            is_explicit,
        },
        _ => AdminSettings::Off,
    }
}

/// What only makes sense where clients connect.
pub const FOR_LISTENERS: [Key; 20] = [
    Key::Listen,
    Key::ReusePort,
    Key::Path,
    Key::Health,
    Key::Steal,
    Key::StealReserve,
    Key::Linger,
    Key::ConnectionsMax,
    Key::ConnectionsPerIp,
    Key::HeadMax,
    Key::HeadTimeout,
    Key::BodyTimeout,
    Key::ReadTimeout,
    Key::IdleTimeout,
    Key::WriteTimeout,
    Key::AllowOrigin,
    Key::RequireSession,
    Key::Websocket,
    Key::WebsocketTimeout,
    Key::SseLegacy,
];

fn note_unused_with_stdio(values: &Values<'_>, notes: &mut Vec<String>) {
    let given = FOR_LISTENERS
        .iter()
        .filter(|key| values.source(**key) > Source::Default);
    notes.extend(given.map(|key| {
        let name = key.spec().name;
        format!("{name} is given, but transport = stdio has no use for it; drop one of them")
    }));
}

fn timeouts(values: &Values<'_>) -> Timeouts {
    Timeouts {
        head: values.duration(Key::HeadTimeout),
        body: values.duration(Key::BodyTimeout),
        read: values.duration(Key::ReadTimeout),
        idle: values.patience(Key::IdleTimeout),
        write: values.duration(Key::WriteTimeout),
        call: values.duration(Key::CallTimeout),
        ask: values.duration(Key::AskTimeout),
        stream_after: values.duration(Key::StreamAfter),
        keep_alive: values.duration(Key::StreamKeepAlive),
    }
}

fn channels(values: &Values<'_>) -> ChannelSettings {
    ChannelSettings {
        websocket: values.choice(Key::Websocket) == "on",
        websocket_timeout: values.duration(Key::WebsocketTimeout),
        in_flight_max: values.count(Key::InFlightPerConnection).unwrap_or(1),
        sse_legacy: values.choice(Key::SseLegacy) == "on",
    }
}

/// For a task that asks for no time, unless the most is less.
const TASK_TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);

fn tasks(values: &Values<'_>) -> TaskSettings {
    let ttl_max = values.duration(Key::TaskTtlMax);
    let given = values.given_duration(Key::TaskTtl);
    if let Some(ttl) = given.filter(|ttl| *ttl > ttl_max) {
        values.reject(ConfigError::Impossible(format!(
            "task-ttl = {}, but task-ttl-max = {}; lower --task-ttl or raise --task-ttl-max",
            display_duration(ttl),
            display_duration(ttl_max)
        )));
    }
    let count = |key: Key| values.count(key).map_or(0, |count| count as usize);
    TaskSettings {
        tasks_max: count(Key::TasksMax),
        per_client_max: count(Key::TasksPerClientMax),
        ttl: given.unwrap_or(TASK_TTL_DEFAULT.min(ttl_max)),
        ttl_max,
    }
}

fn toolsets(values: &Values<'_>) -> Vec<Toolset> {
    let names = values.choices(Key::Toolset);
    let named = |toolset: &Toolset| names.contains(&toolset.name());
    Toolset::ALL.into_iter().filter(named).collect()
}

fn access_log(values: &Values<'_>) -> AccessLog {
    match values.choice(Key::AccessLog) {
        "off" => AccessLog::Off,
        "all" => AccessLog::All,
        _ => AccessLog::Errors,
    }
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
