//! What every option came to, for `weir check`.
//!
//! Shows and decides nothing: what was given is shown as it was given, what was derived as the settings have it.

use super::inputs::{Inputs, Source};
use super::options::{Key, OPTIONS};
use super::placement::display_cpu_list;
use super::settings::{AdminSettings, Settings};
use crate::units::{ByteSize, CpuId, display_duration};

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

/// Given texts as they were given; what was derived, as it came out.
pub(super) fn effective(inputs: &Inputs, settings: &Settings) -> Vec<Effective> {
    let derived = |key: Key| match key {
        Key::Admin => Some(admin(settings)),
        Key::Cpus if !settings.executor.is_pinned => Some("any".to_owned()),
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
        Key::TaskTtl => Some(display_duration(settings.tasks.ttl).to_string()),
        Key::Workers => Some(settings.workers.threads.to_string()),
        Key::Report => Some(settings.report.name().to_owned()),
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

fn admin(settings: &Settings) -> String {
    match settings.admin {
        AdminSettings::Off => "off".to_owned(),
        AdminSettings::On { address, .. } => address.to_string(),
    }
}

fn used_cpus(settings: &Settings) -> Vec<CpuId> {
    let mut cpus: Vec<CpuId> = settings.shards.iter().map(|place| place.cpu).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}
