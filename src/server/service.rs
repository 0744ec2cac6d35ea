//! The services that the shards run, one for each view, made from settings.

use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::config::{AllowList, ConfigError, KnownTool, Settings};
use crate::mcp::Protocol;
use crate::metrics::ToolLabels;
use crate::registry::{Registry, Spawner};
use crate::session::live::LiveOptions;
use crate::session::tasks::TaskOptions;
use crate::session::{SessionKey, SessionOptions, Store};
use crate::shard::{ChannelLimits, Common, Service};
use crate::transport::http::HealthSlot;
use crate::transport::http::HttpLimits;
use crate::transport::http::admission::{AdmissionPolicy, AdmissionPolicyError};
use crate::wire::http1::{BodyLimits, HeadLimits};
use crate::wire::websocket;

use super::cause::Cause;
use super::start_error::StartError;
use super::views::Views;

/// The services of all views.
pub(super) struct Services {
    /// That of everything there is.
    pub(super) main: Arc<Service>,
    /// Those of the other views, in their order.
    pub(super) others: Vec<Arc<Service>>,
}

/// The services of all views with these `settings`. The main one is that of `protocol`; those of single servers are
/// filled when those say what they have.
pub(super) fn make(
    settings: &Settings,
    protocol: Protocol,
    spawner: Arc<dyn Spawner>,
) -> Result<Services, StartError> {
    let views = Views::of(settings, protocol.registry());
    let key = session_key(settings)?;
    let common = Arc::new(common(settings, protocol.registry(), &views, spawner)?);
    let names: Vec<&str> = views.servers().map(|server| server.name.as_str()).collect();
    let store = |key: &SessionKey| Arc::new(store(settings, key, 1 + names.len()));
    let others = names.iter().map(|name| {
        let mut registry = Registry::builder();
        // Nothing of it runs in this process.
        registry.spawns_no_tasks();
        let protocol = Arc::new(protocol.with_registry(registry.build()));
        Arc::new(Service::new(
            Arc::clone(&common),
            protocol,
            store(&key.for_endpoint(name)),
        ))
    });
    let others = others.collect();
    let main = Service::new(Arc::clone(&common), Arc::new(protocol), store(&key));
    Ok(Services {
        main: Arc::new(main),
        others,
    })
}

fn common(
    settings: &Settings,
    registry: &Registry,
    views: &Views<'_>,
    spawner: Arc<dyn Spawner>,
) -> Result<Common, StartError> {
    let names = registry.tool_names();
    let tools_max = ToolLabels::TOOLS_MAX_DEFAULT;
    // The tools of other programs are known only when those run.
    let room = if settings.children.servers.is_empty() {
        0
    } else {
        tools_max
    };
    Ok(Common {
        labels: Arc::new(ToolLabels::with_room(names, tools_max, room)),
        policy: policy(settings, views).map_err(|error| StartError::Policy(Cause::new(error)))?,
        health: HealthSlot::default(),
        http: http_limits(settings),
        timeouts: settings.timeouts,
        queue: settings.queue,
        run: settings.run,
        output: settings.output.clone(),
        channels: channel_limits(settings),
        tools: settings.tools.overrides.clone(),
        tool_limits: Arc::default(),
        spawner,
    })
}

/// Checks that what the operator says of tools is said of tools that there are.
///
/// # Errors
/// Names the first that there is not.
pub(crate) fn check_tools(settings: &Settings, registry: &Registry) -> Result<(), ConfigError> {
    let known = registry.tools().map(|(_, tool)| KnownTool {
        name: tool.name(),
        is_limited: tool.concurrency().is_some(),
    });
    let known: Vec<KnownTool<'_>> = known.collect();
    let has_children = !settings.children.servers.is_empty();
    settings.tools.overrides.check_names(&known, has_children)
}

/// Of the memory for live state, at most this part is for remembering ended sessions, and as much for ids that were
/// opened before.
const REMEMBERED_DIVISOR: usize = 8;

fn session_key(settings: &Settings) -> Result<SessionKey, StartError> {
    match &settings.session.key_file {
        Some(path) => read_key(path),
        None => SessionKey::random().map_err(|error| StartError::Randomness(Cause::new(error))),
    }
}

/// What is known of the clients of one view among so many, which share the memory for it equally.
fn store(settings: &Settings, key: &SessionKey, views: usize) -> Store {
    let bytes = |all: u64| usize::try_from(all).unwrap_or(usize::MAX) / views.max(1);
    let live_bytes = bytes(settings.memory.live_bytes());
    let shards = settings.shards.len();
    let remembered_bytes = live_bytes / REMEMBERED_DIVISOR;
    let tombstones_max =
        SessionOptions::TOMBSTONES_MAX.min(remembered_bytes / SessionOptions::TOMBSTONE_BYTES);
    let opened_max =
        SessionOptions::OPENED_MAX.min(remembered_bytes / shards.max(1) / SessionOptions::OPENED_BYTES);
    let sessions = SessionOptions {
        max_age: settings.session.max_age,
        tombstones_max,
        opened_max,
    };
    let remembered_bytes =
        tombstones_max * SessionOptions::TOMBSTONE_BYTES + shards * opened_max * SessionOptions::OPENED_BYTES;
    let tasks = TaskOptions {
        settings: settings.tasks,
        bytes_max: bytes(settings.memory.task_bytes()),
    };
    let live = LiveOptions {
        bytes_max: live_bytes - remembered_bytes,
        ..LiveOptions::default()
    };
    Store::new(key, sessions, live, tasks, shards)
}

fn read_key(path: &Path) -> Result<SessionKey, StartError> {
    let refused = |error: String| StartError::SessionKey {
        path: path.to_owned(),
        error,
    };
    let bytes = read_small_file(path).map_err(|error| refused(error.to_string()))?;
    SessionKey::from_file_bytes(&bytes).map_err(|error| refused(error.to_string()))
}

/// Reads a regular file, and no more of it than a key can need: a pipe would block, a device would not end.
fn read_small_file(path: &Path) -> io::Result<Vec<u8>> {
    const BYTES_MAX: u64 = 4096;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn policy(settings: &Settings, views: &Views<'_>) -> Result<AdmissionPolicy, AdmissionPolicyError> {
    let hosts = allowed(&settings.access.hosts, &AdmissionPolicy::LOOPBACK_HOSTS);
    let origins = allowed(&settings.access.origins, &AdmissionPolicy::LOOPBACK_ORIGINS);
    let (first, others) = settings
        .endpoints
        .paths
        .split_first()
        .ok_or_else(|| AdmissionPolicyError::Path(String::new()))?;
    let mut policy = AdmissionPolicy::new(first, hosts, origins, settings.http.body_bytes_max as u64)?;
    for path in others {
        policy = policy.with_path(path)?;
    }
    for (server, view) in views.of_servers() {
        policy = policy.with_server(&server.path_base(), view);
    }
    Ok(policy
        .with_health(settings.endpoints.has_health)
        .with_websocket(settings.channels.websocket)
        .with_sse_legacy(settings.channels.sse_legacy))
}

/// The names that an operator allows, and loopback.
fn allowed(list: &AllowList, loopback: &[&str]) -> Vec<String> {
    match list {
        AllowList::Any => vec!["*".to_owned()],
        AllowList::Only(names) => loopback
            .iter()
            .map(|&name| name.to_owned())
            .chain(names.iter().cloned())
            .collect(),
    }
}

fn channel_limits(settings: &Settings) -> ChannelLimits {
    ChannelLimits {
        settings: settings.channels,
        frames: websocket::Limits {
            message_bytes_max: settings.http.body_bytes_max,
            overhead_bytes_max: websocket::Limits::OVERHEAD_BYTES_MAX_DEFAULT,
        },
        echoes: settings.echoes_websocket,
    }
}

fn http_limits(settings: &Settings) -> HttpLimits {
    HttpLimits {
        head: HeadLimits {
            head_bytes_max: settings.http.head_bytes_max,
            ..HeadLimits::default()
        },
        body: BodyLimits {
            body_bytes_max: settings.http.body_bytes_max,
            ..BodyLimits::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_only_read_from_a_regular_file_and_not_without_end() {
        assert!(read_small_file(Path::new("/dev/zero")).is_err());
        assert!(read_small_file(Path::new("/")).is_err());
        assert!(read_small_file(Path::new("Cargo.lock")).unwrap().len() <= 4096);
    }
}
