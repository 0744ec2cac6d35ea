//! Notes on settings that an operator may not expect, in sentences with a next step.

use std::net::SocketAddr;

use super::listen::ListenAddress;
use super::memory::{MemoryDemand, MemoryFit};
use super::options::Options;
use super::sections::HttpLimits;
use super::spec::UsedBy;
use super::values::{AllowList, Toolset, TransportKind};
use crate::units::ByteSize;

/// Notes options that were given and have no use, or not enough.
pub(super) fn note_unused(options: &Options, is_given: &dyn Fn(&str) -> bool, notes: &mut Vec<String>) {
    let given = |used_by: UsedBy| {
        Options::specs()
            .filter(move |spec| spec.used_by == used_by)
            .map(|spec| spec.name)
            .filter(|name| is_given(name))
    };
    if options.endpoints.transport == TransportKind::Stdio {
        let unused = given(UsedBy::Listeners).chain(given(UsedBy::UnixSockets));
        notes.extend(unused.map(|name| {
            format!("{name} is given, but transport = stdio has no use for it; drop one of them")
        }));
    } else {
        note_refused_hosts(options, notes);
        if options
            .endpoints
            .listen
            .iter()
            .all(|address| address.unix().is_none())
        {
            notes.extend(given(UsedBy::UnixSockets).map(|name| {
                format!("{name} is given, but no Unix socket is listened on; add --listen unix:PATH")
            }));
        }
    }
    if !options.toolsets.names.contains(&Toolset::Files) {
        notes.extend(given(UsedBy::Files).map(|name| {
            format!("{name} is given, but the toolset `files` is not served; add --toolset files")
        }));
    }
}

/// Notes an address at which clients would be refused.
fn note_refused_hosts(options: &Options, notes: &mut Vec<String>) {
    let is_outside = |address: &SocketAddr| !address.ip().is_loopback();
    let mut addresses = options
        .endpoints
        .listen
        .iter()
        .filter_map(ListenAddress::internet);
    if options.access.hosts == AllowList::default()
        && let Some(listen) = addresses.find(is_outside)
    {
        notes.push(format!(
            "listen = {listen} is reachable from outside, but only loopback hosts are served: other clients get 403; \
             name this machine with --allow-host"
        ));
    }
}

/// Notes settings that are smaller than usual because of the memory budget.
pub(super) fn note_memory(
    demand: &MemoryDemand,
    fit: &MemoryFit,
    http: &HttpLimits,
    notes: &mut Vec<String>,
) {
    let budget = ByteSize(demand.budget_bytes).rounded();
    if fit.is_pool_shrunk(demand) {
        notes.push(format!(
            "pool-size = {}, to fit into memory-max = {budget}; give --pool-size or more memory for another",
            fit.handlers
        ));
    }
    if fit.is_queue_shrunk(demand) {
        notes.push(format!(
            "queue-depth = {}, to fit into memory-max = {budget}; give --queue-depth or more memory for another",
            fit.queue_depth
        ));
    }
    let runtime_bytes = fit.plan.heap_bytes_per_shard();
    let body_bytes_max = http.body_bytes_max as u64;
    if body_bytes_max > runtime_bytes {
        notes.push(format!(
            "body-max = {}, but a shard has {} for all bodies: larger ones get 503; lower --body-max or raise \
             --memory-max",
            ByteSize(body_bytes_max).rounded(),
            ByteSize(runtime_bytes).rounded()
        ));
    }
}
