//! What shards serve, and its replacement while they run.
//!
//! What is served at one endpoint is a *view*, and each has a [`Service`] of its own: what is registered there, and
//! what is known of its clients. So no session, task, subscription or sealed state of one endpoint is known at another.
//! Most servers have one view.
//!
//! A client whose own child process has something else than those of others is served a view of its own at the same
//! endpoint: another registry over the same clients.
//!
//! A service never changes: an edited registry is a new service, and each shard takes it up before the next request
//! it decodes. Calls keep the one they were decoded for until they end.

use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::{OutputOptions, QueueOptions, RunOptions, Timeouts, ToolOverrides};
use crate::mcp::{ClientKey, Principal, Protocol, RequestContext};
use crate::metrics::{self, ToolLabels, ToolRow};
use crate::pool::{Concurrency, ToolLimit, ToolLimits};
use crate::registry::{Operation, Registry, ShardRegistry, Spawner, ToolInfo};
use crate::session::{ShardStore, Store};
use crate::transport::http::admission::AdmissionPolicy;
use crate::transport::http::{HealthSlot, HttpLimits, KnownHeads};
use crate::units::ViewId;

use super::ChannelLimits;

/// The rules and limits that are the same for all views.
#[derive(Debug, Clone)]
pub struct Common {
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
    /// What the operator says of single tools.
    pub tools: ToolOverrides,
    /// The limits of those tools that may run only so many calls at once.
    pub tool_limits: Arc<ToolLimits>,
    /// What runs the calls that run on threads of a runtime.
    pub spawner: Arc<dyn Spawner>,
}

/// What every shard serves at one endpoint, the same for all. It dereferences to what all endpoints have in common.
#[derive(Debug, Clone)]
pub struct Service {
    /// The protocol over what is registered.
    pub protocol: Arc<Protocol>,
    /// Sessions, streams and everything else that is known to all shards.
    pub store: Arc<Store>,
    /// The row of each tool that is registered now.
    pub tool_rows: Vec<ToolRow>,
    /// How long a call of each tool that is registered now may take.
    pub tool_timeouts: Vec<Duration>,
    /// The limit of each tool of this process, if it has one; empty if none has.
    pub tool_limits: Vec<Option<Arc<ToolLimit>>>,
    /// What all endpoints have in common.
    pub common: Arc<Common>,
}

impl Service {
    /// Serves this protocol to the clients of `store`.
    pub fn new(common: Arc<Common>, protocol: Arc<Protocol>, store: Arc<Store>) -> Service {
        let tools = || protocol.registry().all_tools();
        // What an operator says is said of tools of this process, which are the first.
        let own = protocol.registry().tools().len();
        let timeout = |(at, tool): (usize, &ToolInfo)| {
            let said = common.tools.of(tool.name()).filter(|_| at < own);
            let timeout = said.and_then(|said| said.timeout).or_else(|| tool.timeout());
            timeout.unwrap_or(common.timeouts.call)
        };
        Service {
            tool_rows: tools().map(|tool| common.labels.row_of(tool.name())).collect(),
            tool_timeouts: tools().enumerate().map(timeout).collect(),
            tool_limits: common.limits_of(protocol.registry()),
            protocol,
            store,
            common,
        }
    }

    /// The same service of something else.
    #[must_use]
    pub fn with_protocol(&self, protocol: Arc<Protocol>) -> Service {
        Service::new(Arc::clone(&self.common), protocol, Arc::clone(&self.store))
    }

    /// How long an operation may take.
    pub(super) fn call_timeout(&self, operation: Operation) -> Duration {
        let tool = operation.tool();
        let timeout = tool.and_then(|tool| self.tool_timeouts.get(tool.as_usize()));
        timeout.copied().unwrap_or(self.timeouts.call)
    }

    /// The limit of a tool's calls in flight; most have none.
    #[inline]
    pub(super) fn tool_limit(&self, operation: Operation) -> Option<&Arc<ToolLimit>> {
        if self.tool_limits.is_empty() {
            return None;
        }
        self.tool_limits.get(operation.tool()?.as_usize())?.as_ref()
    }

    /// Tools of this process that have no limit in this service, or are gone, have none any more: who waits for one
    /// waits no more.
    pub fn lift_limits(&self) {
        let registry = self.protocol.registry();
        self.common.tool_limits.lift_others(|name| {
            let tool = registry.tools().find(|(_, tool)| tool.name() == name);
            tool.is_some_and(|(_, tool)| self.common.concurrency_of(tool).is_some())
        });
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

impl Common {
    /// How many calls of a tool may be in flight, and how many may wait, if there is a limit.
    fn concurrency_of(&self, tool: &ToolInfo) -> Option<Concurrency> {
        let said = self.tools.of(tool.name());
        let in_flight_max = said
            .and_then(|said| said.concurrency)
            .or_else(|| tool.concurrency())?;
        Some(Concurrency {
            in_flight_max,
            queue_max: said.and_then(|said| said.queue).or_else(|| tool.queue()),
        })
    }

    /// The limits of the tools of this process, which hold from now on.
    fn limits_of(&self, registry: &Registry) -> Vec<Option<Arc<ToolLimit>>> {
        let limits = registry.tools().map(|(_, tool)| {
            let bounds = self.concurrency_of(tool)?;
            Some(self.tool_limits.limit(tool.name(), bounds))
        });
        let limits: Vec<_> = limits.collect();
        if limits.iter().all(Option::is_none) {
            return Vec::new();
        }
        limits
    }
}

impl Deref for Service {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

/// The services of the present, shared by all shards; any thread may replace one.
#[derive(Debug)]
pub struct Served {
    /// How often one was replaced: all that a shard looks at as long as nothing changes.
    replacements: AtomicU64,
    /// By the views' numbers; never empty.
    #[allow(clippy::disallowed_types, reason = "taken only when a service was replaced")]
    views: std::sync::Mutex<Vec<ViewServices>>,
}

/// What is served in a view.
#[derive(Debug, Clone)]
struct ViewServices {
    /// To all clients but those that have a service of their own.
    common: Arc<Service>,
    own: Arc<OwnServices>,
}

/// The services of clients whose own children have something else than those of others.
pub type OwnServices = HashMap<ClientKey, Arc<Service>>;

impl Served {
    /// Begins with these services: that of everything there is, and those of the other views in their order.
    pub fn new(main: Arc<Service>, others: impl IntoIterator<Item = Arc<Service>>) -> Arc<Served> {
        let views = std::iter::once(main).chain(others).map(|common| ViewServices {
            common,
            own: Arc::default(),
        });
        let views = views.collect();
        #[allow(clippy::disallowed_types, reason = "taken only when a service was replaced")]
        let views = std::sync::Mutex::new(views);
        Arc::new(Served {
            replacements: AtomicU64::new(0),
            views,
        })
    }

    /// The service of everything there is, as it is now.
    pub fn main(&self) -> Arc<Service> {
        Arc::clone(&self.views()[0].common)
    }

    /// The services of all views, by their numbers.
    pub fn all(&self) -> Vec<Arc<Service>> {
        let views = self.views();
        views.iter().map(|view| Arc::clone(&view.common)).collect()
    }

    /// From now on shards decode for `service` what comes for this view. Nothing happens if there is no such view.
    pub fn replace(&self, view: ViewId, service: Arc<Service>) {
        self.change(view, |current| std::mem::replace(&mut current.common, service));
    }

    /// From now on these clients are served these services in a view, and all others what is everybody's. Nothing
    /// happens if there is no such view.
    pub fn replace_own(&self, view: ViewId, own: OwnServices) {
        let own = Arc::new(own);
        self.change(view, |current| std::mem::replace(&mut current.own, own));
    }

    /// Replaces something of a view's. What that was is dropped when the lock is free again: it may be the last of what
    /// authors' functions own, and shards wait for the lock.
    fn change<T>(&self, view: ViewId, replace: impl FnOnce(&mut ViewServices) -> T) {
        let mut views = self.views();
        let replaced = views.get_mut(usize::from(view.0)).map(replace);
        if replaced.is_some() {
            self.replacements.fetch_add(1, Ordering::Release);
        }
        drop(views);
        drop(replaced);
    }

    /// The services, if one of them is newer than those known as the `seen`th.
    fn newer(&self, seen: &mut u64) -> Option<Vec<ViewServices>> {
        let replacements = self.replacements.load(Ordering::Acquire);
        if replacements == *seen {
            return None;
        }
        *seen = replacements;
        Some(self.views().clone())
    }

    #[allow(clippy::disallowed_types, reason = "taken only when a service was replaced")]
    fn views(&self) -> std::sync::MutexGuard<'_, Vec<ViewServices>> {
        // Nothing that runs under the lock leaves them half changed.
        self.views
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What one shard serves at one endpoint. It dereferences to the service.
pub(super) struct View {
    service: Arc<Service>,
    /// What is registered, as this shard runs it.
    pub(super) registry: ShardRegistry,
    /// What is known of clients, as this shard's requests see it. All services of the view have it in common.
    pub(super) state: Rc<ShardStore>,
}

/// What a message is decoded for, and what came with it.
#[derive(Clone, Copy)]
pub(super) struct Within<'m> {
    pub service: &'m LocalService,
    pub heads: &'m RequestContext<'m>,
}

/// A view that requests and calls keep: the count is the shard's own, not one that all cores write.
pub(super) type LocalService = Rc<View>;

impl View {
    fn new(service: Arc<Service>) -> LocalService {
        let state = ShardStore::new(Arc::clone(&service.store));
        View::with_state(service, Rc::new(state))
    }

    fn with_state(service: Arc<Service>, state: Rc<ShardStore>) -> LocalService {
        Rc::new(View {
            registry: ShardRegistry::with_spawner(service.protocol.registry().clone(), &service.spawner),
            state,
            service,
        })
    }
}

impl Deref for View {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// The views of clients whose own children have something else.
type OwnViews = HashMap<ClientKey, LocalService>;

/// What one shard serves now. It dereferences to what all views have in common.
pub(super) struct Serving {
    /// Everything there is.
    main: LocalService,
    /// The other views, numbered from 1.
    others: Vec<LocalService>,
    /// Those of clients whose own children have something else, if there are any, by the views' numbers.
    own: Vec<OwnViews>,
    common: Arc<Common>,
    /// Heads of requests for these services.
    known_heads: KnownHeads,
    served: Arc<Served>,
    /// Replacements of services that were taken up.
    replacements_seen: u64,
    /// Nothing of what was served so far may have left tasks behind in the executor.
    spawns_no_tasks: bool,
}

impl Serving {
    pub(super) fn new(served: Arc<Served>) -> Serving {
        // One that replaces a service after this is taken up with the next request.
        let mut replacements_seen = 0;
        let mut views = served.all().into_iter().map(View::new);
        let main = views.next().unwrap_or_else(|| View::new(served.main()));
        let mut serving = Serving {
            others: views.collect(),
            own: Vec::new(),
            common: Arc::clone(&main.common),
            main,
            known_heads: KnownHeads::default(),
            served,
            replacements_seen,
            spawns_no_tasks: true,
        };
        serving.note_tasks();
        if let Some(services) = serving.served.newer(&mut replacements_seen) {
            serving.take_up(services);
        }
        serving.replacements_seen = replacements_seen;
        serving
    }

    /// What requests for a view are decoded for.
    #[inline]
    pub(super) fn view(&self, view: ViewId) -> &LocalService {
        let other = usize::from(view.0).checked_sub(1);
        let other = other.and_then(|at| self.others.get(at));
        other.unwrap_or(&self.main)
    }

    /// Whether any client is served something of its own.
    #[inline]
    pub(super) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// What the client of this request is served in a view whose common service is `common`, if that is something of
    /// its own.
    #[cold]
    pub(super) fn own_view(
        &self,
        view: ViewId,
        common: &LocalService,
        heads: &RequestContext<'_>,
    ) -> Option<LocalService> {
        let own = self.own.get(usize::from(view.0)).filter(|own| !own.is_empty())?;
        let client = common.protocol.client_of_request(heads, &*common.state)?;
        own.get(&client).cloned()
    }

    /// Everything there is: for answers in which nothing of a view's is.
    #[inline]
    pub(super) fn main(&self) -> &LocalService {
        &self.main
    }

    /// All views.
    pub(super) fn views(&self) -> impl Iterator<Item = &LocalService> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// The principal of a request; without authentication, the anonymous one.
    #[inline]
    pub(super) fn principal(&self) -> Principal {
        Principal::ANONYMOUS
    }

    /// The heads of requests that were admitted to the present services.
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

    /// Takes up services that have replaced those known.
    #[inline]
    pub(super) fn refresh(&mut self) {
        if let Some(services) = self.served.newer(&mut self.replacements_seen) {
            self.take_up(services);
        }
    }

    #[cold]
    fn take_up(&mut self, services: Vec<ViewServices>) {
        let mut before = std::mem::take(&mut self.own);
        before.resize_with(services.len(), OwnViews::new);
        let known = std::iter::once(&mut self.main).chain(&mut self.others);
        let mut own = Vec::new();
        for ((view, services), before) in known.zip(services).zip(before) {
            if !Arc::ptr_eq(&view.service, &services.common) {
                *view = View::with_state(services.common, Rc::clone(&view.state));
            }
            own.push(own_views(&services.own, before, &view.state));
        }
        if own.iter().any(|own| !own.is_empty()) {
            self.own = own;
        }
        self.common = Arc::clone(&self.main.common);
        // Other rules may admit others.
        self.known_heads = KnownHeads::default();
        self.note_tasks();
    }

    fn note_tasks(&mut self) {
        let is_promised = |view: &LocalService| view.protocol.registry().spawns_no_tasks();
        let own = self.own.iter().flat_map(HashMap::values);
        let is_promised = self.views().chain(own).all(is_promised);
        self.spawns_no_tasks &= is_promised;
    }
}

impl Deref for Serving {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

/// The views of these services; those that there are already stay, and clients that are served the same share one.
fn own_views(services: &OwnServices, before: OwnViews, state: &Rc<ShardStore>) -> OwnViews {
    let mut made: Vec<LocalService> = before.into_values().collect();
    let mut view_of = |service: &Arc<Service>| {
        let known = made.iter().find(|view| Arc::ptr_eq(&view.service, service));
        known.cloned().unwrap_or_else(|| {
            let view = View::with_state(Arc::clone(service), Rc::clone(state));
            made.push(Rc::clone(&view));
            view
        })
    };
    let views = services.iter();
    views
        .map(|(client, service)| (*client, view_of(service)))
        .collect()
}
