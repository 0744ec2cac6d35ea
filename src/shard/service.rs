//! What shards serve, and its replacement while they run.
//!
//! A service never changes: an edited registry is a new service, and each shard takes it up before the next request
//! it decodes. Calls keep the one they were decoded for until they end.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::{OutputOptions, QueueOptions, RunOptions, Timeouts};
use crate::mcp::{Principal, Protocol};
use crate::metrics::{self, ToolLabels, ToolRow};
use crate::registry::{Operation, ShardRegistry};
use crate::session::{ShardStore, Store};
use crate::transport::http::admission::AdmissionPolicy;
use crate::transport::http::{HealthSlot, HttpLimits, KnownHeads};

use super::ChannelLimits;

/// What every shard serves, the same for all.
#[derive(Debug, Clone)]
pub struct Service {
    /// The protocol over what is registered.
    pub protocol: Arc<Protocol>,
    /// Sessions, streams and everything else that is known to all shards.
    pub store: Arc<Store>,
    /// Which requests are admitted.
    pub policy: AdmissionPolicy,
    /// What probers are told, if they may ask here.
    pub health: HealthSlot,
    /// Limits of requests.
    pub http: HttpLimits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Waiting for a handler, keeping one, and what shards take of each other.
    pub queue: QueueOptions,
    /// How shards wait, and how long a drain may take.
    pub run: RunOptions,
    /// Which requests are logged.
    pub output: OutputOptions,
    /// Limits of channels.
    pub channels: ChannelLimits,
    /// Rows of the tools in metrics: those that were registered at the start.
    pub labels: Arc<ToolLabels>,
    /// The row of each tool that is registered now.
    pub tool_rows: Vec<ToolRow>,
}

impl Service {
    /// The same service of something else.
    #[must_use]
    pub fn with_protocol(&self, protocol: Arc<Protocol>) -> Service {
        let tools = protocol.registry().tool_names();
        Service {
            tool_rows: tools.map(|tool| self.labels.row_of(tool)).collect(),
            protocol,
            ..self.clone()
        }
    }

    /// What an operation is counted under.
    pub(super) fn label(&self, operation: Operation) -> metrics::Operation {
        match operation.tool() {
            Some(tool) => {
                let row = self.tool_rows.get(tool.as_usize()).copied();
                metrics::Operation::Tool(row.unwrap_or_else(|| self.labels.row(usize::MAX)))
            }
            None => metrics::Operation::Method(operation.method()),
        }
    }
}

/// The service of the present, shared by all shards; any thread may replace it.
#[derive(Debug)]
pub struct Served {
    /// How often it was replaced: all that a shard looks at as long as nothing changes.
    replacements: AtomicU64,
    #[allow(clippy::disallowed_types, reason = "taken only when a service was replaced")]
    current: std::sync::Mutex<Arc<Service>>,
}

impl Served {
    /// Begins with this service.
    pub fn new(service: Arc<Service>) -> Arc<Served> {
        #[allow(clippy::disallowed_types, reason = "taken only when a service was replaced")]
        let current = std::sync::Mutex::new(service);
        Arc::new(Served {
            replacements: AtomicU64::new(0),
            current,
        })
    }

    /// The service now.
    pub fn current(&self) -> Arc<Service> {
        let current = self.current.lock();
        // Nothing that runs under the lock leaves it half changed.
        Arc::clone(&current.unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// From now on shards decode for `service`.
    pub fn replace(&self, service: Arc<Service>) {
        let mut current = self
            .current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = service;
        self.replacements.fetch_add(1, Ordering::Release);
    }

    /// The service that replaced the one known as the `seen`th, if one did.
    pub(super) fn newer(&self, seen: &mut u64) -> Option<Arc<Service>> {
        let replacements = self.replacements.load(Ordering::Acquire);
        if replacements == *seen {
            return None;
        }
        *seen = replacements;
        Some(self.current())
    }
}

#[allow(
    clippy::redundant_allocation,
    reason = "cloned for every request: a count of the shard's own, not one that all cores write"
)]
pub(super) type LocalService = Rc<Arc<Service>>;

/// What one shard serves now. It dereferences to the service.
pub(super) struct Serving {
    /// The service that requests are decoded for.
    current: LocalService,
    registry: ShardRegistry,
    /// The services' store, which they all have in common.
    state: ShardStore,
    /// Heads of requests for this service.
    known_heads: KnownHeads,
    served: Arc<Served>,
    /// Replacements of the service that were taken up.
    replacements_seen: u64,
    /// Nothing of what was served so far may have left tasks behind in the executor.
    spawns_no_tasks: bool,
}

impl Serving {
    pub(super) fn new(served: Arc<Served>) -> Serving {
        // One that replaces the service after this is taken up with the next request.
        let mut replacements_seen = 0;
        let service = served
            .newer(&mut replacements_seen)
            .unwrap_or_else(|| served.current());
        Serving {
            spawns_no_tasks: service.protocol.registry().spawns_no_tasks(),
            registry: service.protocol.registry().for_shard(),
            state: ShardStore::new(Arc::clone(&service.store)),
            current: Rc::new(service),
            known_heads: KnownHeads::default(),
            served,
            replacements_seen,
        }
    }

    /// The service that requests are decoded for, to be kept by a request.
    #[inline]
    pub(super) fn current(&self) -> LocalService {
        Rc::clone(&self.current)
    }

    /// The principal of a request; without authentication, the anonymous one.
    #[inline]
    pub(super) fn principal(&self) -> Principal {
        Principal::ANONYMOUS
    }

    /// What is known of clients, as this shard's requests see it.
    #[inline]
    pub(super) fn state(&self) -> &ShardStore {
        &self.state
    }

    /// What is registered, as this shard runs it.
    pub(super) fn registry(&self) -> &ShardRegistry {
        &self.registry
    }

    /// The heads of requests that were admitted to the present service.
    pub(super) fn known_heads(&mut self) -> &mut KnownHeads {
        &mut self.known_heads
    }

    /// Whether calls leave no tasks behind in the executor, as far as was promised.
    #[inline]
    pub(super) fn spawns_no_tasks(&self) -> bool {
        self.spawns_no_tasks
    }

    /// What is served by all shards.
    #[cfg(test)]
    pub(super) fn served(&self) -> &Served {
        &self.served
    }

    /// Takes up a service that has replaced the one known.
    #[inline]
    pub(super) fn refresh(&mut self) {
        if let Some(service) = self.served.newer(&mut self.replacements_seen) {
            self.spawns_no_tasks &= service.protocol.registry().spawns_no_tasks();
            self.registry = service.protocol.registry().for_shard();
            self.current = Rc::new(service);
            // Another service may admit others.
            self.known_heads = KnownHeads::default();
        }
    }
}

impl Deref for Serving {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.current
    }
}
