//! A running server: its parts, made in order and ended in order.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ptr::addr_eq;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accounts::user_ids;
use super::cause::Cause;
use super::children::{ChildWatch, Children, ChildrenStatus, Launched, OwnUri, Watching};
use super::figures::{Lasting, ask_for_histograms, exposition, shard_report};
use super::link::Link;
use super::listening::{Listening, Url};
use super::program::Program;
use super::service;
use super::shards::{self, ShardHandle, Shards, SharedParts, Started};
#[cfg(feature = "cli")]
use super::signals::Signals;
use super::signals::WakeOnDrop;
use super::start_error::StartError;
use super::watchdog::Watchdog;
use crate::admin::{Admin, AdminHandle, AdminLimits, AdminView, Health, Lifecycle};
use crate::config::{ListenAddress, Settings};
use crate::mcp::{ChildOwner, Options, Protocol, server_watching};
use crate::metrics::{Report, ShardReport};
use crate::registry::{ForeignKind, Registry, ServerHandle, ToolError, Updates, Watch, WatchList};
use crate::session::live::{Broadcaster, BroadcasterHandle, Watchers};
use crate::shard::{ConnectionCap, Mesh, Served, Service, ShardEvent, Spread, UnixPeers};
use crate::transport::http::HealthSource;
use crate::workers::{Submitter, Workers};

/// How long a report waits for the shards' histograms.
const REPORT_PATIENCE: Duration = Duration::from_millis(500);
/// How long workers may take to notice that the server is gone.
pub(super) const WORKERS_PATIENCE: Duration = Duration::from_millis(200);
/// How often a drain checks whether it is over or cut short.
pub(super) const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// A running server. If it is dropped without a [drain](Self::drain) it stops at once: calls in flight are lost,
/// connections are closed, and its threads end, except for those that tool code blocks. That takes milliseconds, half a
/// second at most.
#[must_use = "a server that is dropped stops at once"]
pub struct Server {
    /// The places where it listens, until a drain has left them. This field is first, since a dropped server ends its
    /// shards while it waits.
    listening: Vec<Listening>,
    /// The addresses of these places; with stdio there is none.
    addresses: Vec<ListenAddress>,
    /// This field is next, for fields are dropped in this order: whatever shards use outlives them.
    shards: Shards,
    /// Other programs that are served; they are killed when this is dropped.
    children: Option<Children>,
    /// The first of the paths that MCP is served on.
    path: String,
    connections_max: u32,
    workers: Workers,
    lasting: Lasting,
    view: Arc<AdminView>,
    admin: Option<AdminHandle>,
    watchdog: Watchdog,
    /// One for each view.
    broadcasters: Vec<BroadcasterHandle>,
    handle: ServerHandle,
    started: Instant,
}

/// How a drain ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Drained {
    /// The figures of the server's whole life.
    pub report: Report,
    /// Whether everything in flight was finished. Otherwise the deadline or a second signal cut it off, and threads may
    /// be left behind.
    pub is_clean: bool,
}

impl Server {
    /// Starts serving `registry` unless a signal stops it first; the wait for the next signal ends with the last shard.
    #[cfg(feature = "cli")]
    pub(crate) fn start_under(
        signals: &Signals,
        settings: &Settings,
        registry: Registry,
    ) -> Result<Server, StartError> {
        let is_stopped = || signals.is_stop_waiting();
        Self::start_as(
            &Program::of_weir(),
            settings,
            registry,
            Some(signals.wake_on_drop()),
            is_stopped,
        )
    }

    pub(super) fn start_as(
        program: &Program,
        settings: &Settings,
        registry: Registry,
        wake_on_drop: Option<WakeOnDrop>,
        mut is_cut_short: impl FnMut() -> bool,
    ) -> Result<Server, StartError> {
        let mut go_on = || {
            if is_cut_short() {
                Err(StartError::CutShort)
            } else {
                Ok(())
            }
        };
        service::check_tools(settings, &registry).map_err(|error| StartError::Tools(Cause::new(error)))?;
        // The launcher comes first: it is small when it is started early.
        let launched = Launched::start(settings)?;
        go_on()?;
        let options = Options {
            require_session: settings.session.is_required,
        };
        let protocol = Protocol::new(registry, &program.identity, options);
        let services = service::make(settings, protocol, program.spawner(settings))?;
        let lasting = Lasting::of(&services.main, &services.others);
        let common = &lasting.common;
        let served = Served::new(services.main, services.others);
        let link = Link::new(Arc::clone(&served));
        let handle = ServerHandle::new(Arc::<Link>::clone(&link));
        go_on()?;
        let workers =
            Workers::start(&settings.workers).map_err(|error| StartError::Workers(Cause::new(error)))?;
        go_on()?;
        let refused = |error| StartError::Admin(Cause::new(error));
        let admin_listener = Admin::bind(settings.endpoints.admin).map_err(refused)?;
        let health = Arc::<Health>::default();
        let per_address_max = settings.connections.per_ip.and_then(NonZeroU32::new);
        let shared = SharedParts {
            served: Arc::clone(&served),
            server: handle.clone(),
            labels: Arc::clone(&common.labels),
            spread: Spread::new(settings.shards.len()),
            unix_peers: unix_peers(settings)?,
            connection_cap: ConnectionCap::new(
                settings.connections.limit() as usize,
                per_address_max,
                settings.shards.len(),
            ),
            workers: workers.submitter(),
            mesh: Mesh::new(settings.shards.len(), settings.sizes.handlers, Instant::now()),
            health: Arc::clone(&health),
            children: launched.as_ref().map(|launched| launched.parts(settings)),
        };
        let started = shards::start(settings, &shared, wake_on_drop, &mut is_cut_short)?;
        let watching = launched.as_ref().map(Launched::watching);
        let supervise = |launched: Launched| {
            let inboxes = started.shards.iter().map(|shard| shard.inbox.clone());
            launched.supervise(settings, inboxes.collect(), link)
        };
        let (children, opening) = launched.map(supervise).transpose()?.unzip();
        let view = admin_view(
            health,
            &started.shards,
            children.as_ref().map(|children| Arc::clone(children.status())),
            settings.connections.limit(),
            lasting.clone(),
            workers.submitter(),
            Arc::clone(&served),
        );
        let source: Arc<dyn HealthSource> = Arc::<AdminView>::clone(&view);
        let is_first = common.health.set(Arc::downgrade(&source)).is_ok();
        debug_assert!(is_first, "a service is made for each start");
        let start_admin = |listener| {
            Admin::start(
                listener,
                Arc::clone(&view),
                &settings.access.hosts,
                AdminLimits::default(),
            )
        };
        let admin = admin_listener.map(start_admin).transpose().map_err(refused)?;
        let watchdog = Watchdog::start(&started.shards);
        let broadcasters = lasting.stores.iter().enumerate().map(|(view, store)| {
            let live = Arc::clone(store.live());
            let served = Arc::clone(&served);
            let watchers = CurrentWatchers::new(served, view, watching.as_ref());
            Broadcaster::start(live, handle.clone(), watchers)
        });
        let broadcasters = broadcasters.collect();
        let mut started = started;
        if let Some(opening) = opening {
            opening.wait(&mut is_cut_short)?;
            started.open();
        }
        let Started {
            shards, listening, ..
        } = started;
        view.advance(Lifecycle::Serving);
        let addresses = listening.iter().map(|place| place.address().clone());
        Ok(Server {
            addresses: addresses.collect(),
            listening,
            path: settings.endpoints.paths.first().cloned().unwrap_or_default(),
            shards,
            children,
            connections_max: settings.connections.limit(),
            workers,
            lasting,
            view,
            admin,
            watchdog,
            broadcasters,
            handle,
            started: Instant::now(),
        })
    }

    /// The address and port it listens on, the first of several; with port 0 in the settings, the port it got. With
    /// stdio, or with nothing but Unix sockets, there is none: the unspecified address and port 0.
    pub fn address(&self) -> SocketAddr {
        let address = self.addresses.iter().find_map(ListenAddress::internet);
        address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// All addresses it listens on, in the order of the settings.
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The address for clients, the first of several: a URL, or the word `stdio`.
    pub fn url(&self) -> String {
        self.urls().swap_remove(0)
    }

    /// The addresses for clients: URLs, or the word `stdio`; at least one. A Unix socket's is written as nginx writes
    /// it, `http://unix:/run/weir.sock:/mcp`.
    pub fn urls(&self) -> Vec<String> {
        if self.addresses.is_empty() {
            return vec!["stdio".to_owned()];
        }
        let path = &self.path;
        let urls = self
            .addresses
            .iter()
            .map(|address| Url { address, path }.to_string());
        urls.collect()
    }

    /// What lasts while the registry is edited.
    #[cfg(test)]
    pub(super) fn lasting(&self) -> &Lasting {
        &self.lasting
    }

    /// A handle for other threads: it changes the registry, and announces that a resource has changed.
    pub fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// The address of health and metrics, if they are on.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(AdminHandle::address)
    }

    /// The Prometheus exposition, as `/metrics` shows it.
    pub fn metrics(&self) -> String {
        let metrics: Vec<_> = self
            .shards
            .iter()
            .map(|shard| Arc::clone(&shard.metrics))
            .collect();
        exposition(
            &metrics,
            self.connections_max,
            &self.lasting,
            &self.workers.submitter(),
            self.children.as_ref().map(|children| &**children.status()),
        )
    }

    /// The figures so far. The shards are asked for their histograms; one that does not answer is left out.
    pub fn report(&self) -> Report {
        let asked: Vec<_> = self.shards.iter().map(ask_for_histograms).collect();
        let deadline = Instant::now() + REPORT_PATIENCE;
        let parts = self.shards.iter().zip(asked).map(|(shard, from)| {
            let patience = deadline.saturating_duration_since(Instant::now());
            shard_report(&shard.metrics, from.recv_timeout(patience).ok())
        });
        self.report_of(parts.collect(), &self.workers.submitter())
    }

    /// Whether a shard has ended unexpectedly, or the thread that owns other programs.
    pub fn is_broken(&self) -> bool {
        let mut shards = self.shards.iter();
        shards.any(|shard| shard.is_finished() && !shard.is_over())
            || self.children.as_ref().is_some_and(Children::is_broken)
    }

    /// Whether nobody is left to serve: with stdio, the one client has closed its end or is gone, and its calls in
    /// flight have ended. The remaining step is to [drain](Self::drain) the server, which takes no time. Never true
    /// over HTTP.
    pub fn is_over(&self) -> bool {
        self.shards.iter().all(ShardHandle::is_over)
    }

    /// Stops accepting, lets calls in flight finish, and stops. At `timeout`, or once `is_cut_short` returns true, it
    /// gives up on the rest: the calls are cancelled and their connections closed.
    ///
    /// `is_cut_short` is called again and again, with the time it may wait before it answers, which it need not do:
    /// `|_| false` waits only for the timeout.
    pub fn drain(mut self, timeout: Duration, mut is_cut_short: impl FnMut(Duration) -> bool) -> Drained {
        self.view.advance(Lifecycle::Draining);
        let deadline = Instant::now() + timeout;
        for place in &mut self.listening {
            place.divert_new_connections();
        }
        self.shards.tell_running(|| ShardEvent::Drain(deadline));
        self.children.iter().for_each(Children::drain);
        let mut is_clean = true;
        while !self.shards.are_finished() {
            for place in self.listening.extract_if(.., |place| place.is_released()) {
                place.close();
            }
            let now = Instant::now();
            if now >= deadline || is_cut_short(DRAIN_LOOK) {
                is_clean = false;
                break;
            }
            // A callback that does not wait must not make a core spin.
            std::thread::sleep(DRAIN_LOOK.saturating_sub(now.elapsed()));
        }
        self.stop(is_clean)
    }

    fn stop(mut self, is_clean: bool) -> Drained {
        for place in self.listening.drain(..) {
            place.close();
        }
        self.watchdog.stop();
        let workers = self.workers.submitter();
        let report = if is_clean {
            let shards = std::mem::take(&mut self.shards);
            let parts = shards.join().map(|(metrics, ended)| {
                shard_report(
                    &metrics,
                    ended
                        .inspect_err(|error| tracing::error!(%error, "a shard ended badly"))
                        .ok(),
                )
            });
            self.report_of(parts.collect(), &workers)
        } else {
            let report = self.report();
            drop(std::mem::take(&mut self.shards));
            report
        };
        self.lasting.common.spawner.shut_down(WORKERS_PATIENCE);
        // The shards have ended their children, or were cut off: whoever is left is killed.
        drop(self.children.take());
        let ended = self.workers.shutdown(WORKERS_PATIENCE);
        if ended.left_behind > 0 {
            tracing::warn!(
                threads = ended.left_behind,
                "blocking calls that do not end were left behind"
            );
        }
        if let Some(admin) = self.admin.take() {
            admin.stop();
        }
        self.broadcasters.into_iter().for_each(BroadcasterHandle::stop);
        Drained { report, is_clean }
    }

    fn report_of(&self, parts: Vec<ShardReport>, workers: &Submitter) -> Report {
        let labels = Arc::clone(&self.lasting.common.labels);
        let children = self.children.as_ref().map(|children| children.status().figures());
        Report::new(
            labels,
            self.started.elapsed(),
            parts,
            Some(workers.figures()),
            self.watchdog.contention(),
        )
        .with_children(children.unwrap_or_default())
    }
}

/// The watchers of the registry that a view serves at present.
pub(super) struct CurrentWatchers {
    served: Arc<Served>,
    /// The number of the view.
    view: usize,
    /// What watches the resources of other programs, by their server.
    watches: Vec<Arc<ChildWatch>>,
}

impl CurrentWatchers {
    pub(super) fn new(served: Arc<Served>, view: usize, watching: Option<&Watching>) -> CurrentWatchers {
        let names = Arc::clone(&served);
        let own_uri: OwnUri = Arc::new(move |uri: &str| {
            let service = names.all().into_iter().nth(view)?;
            service.protocol.registry().own_name(ForeignKind::Resource, uri)
        });
        CurrentWatchers {
            served,
            view,
            watches: watching.map(|watching| watching.of(&own_uri)).unwrap_or_default(),
        }
    }

    fn service(&self) -> Option<Arc<Service>> {
        self.served.all().into_iter().nth(self.view)
    }
}

impl Watchers for CurrentWatchers {
    fn of_resource(&self, uri: &str) -> Option<Arc<dyn Watch>> {
        let service = self.service()?;
        let registry = service.protocol.registry();
        registry.watcher(uri).or_else(|| {
            let server = server_watching(registry, uri)?;
            let watch = self.watches.get(server.as_usize())?;
            Some(Arc::<ChildWatch>::clone(watch) as Arc<dyn Watch>)
        })
    }

    fn watch(
        &self,
        watcher: &Arc<dyn Watch>,
        updates: Updates,
        owner: Option<&ChildOwner>,
    ) -> Result<Box<dyn Send>, ToolError> {
        let uri = updates.uri().to_owned();
        let is_it = |watch: &&Arc<ChildWatch>| addr_eq(Arc::as_ptr(watch), Arc::as_ptr(watcher));
        match self.watches.iter().find(is_it) {
            Some(watch) => Ok(watch.begin(&uri, owner)),
            None => watcher.watch(&uri, updates),
        }
    }

    fn of_lists(&self) -> Vec<Arc<dyn WatchList>> {
        let service = self.service();
        let watchers = service.map(|service| service.protocol.registry().list_watchers().collect());
        watchers.unwrap_or_default()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// The users whose processes are served on Unix sockets.
fn unix_peers(settings: &Settings) -> Result<UnixPeers, StartError> {
    match &settings.endpoints.unix_peers {
        Some(users) => {
            let uids = user_ids(users).map_err(|error| StartError::UnixPeers(Cause::new(error)))?;
            Ok(UnixPeers::Only(uids.into()))
        }
        None => Ok(UnixPeers::Any),
    }
}

fn admin_view(
    health: Arc<Health>,
    shards: &Shards,
    children: Option<Arc<ChildrenStatus>>,
    connections_max: u32,
    lasting: Lasting,
    workers: Submitter,
    served: Arc<Served>,
) -> Arc<AdminView> {
    let metrics: Vec<_> = shards.iter().map(|shard| Arc::clone(&shard.metrics)).collect();
    let shown = children.clone();
    let view = AdminView::new(health, move || {
        exposition(&metrics, connections_max, &lasting, &workers, shown.as_deref())
    });
    let not_ready = move || {
        let service = served.main();
        let own = service.protocol.registry().not_ready().map(str::to_owned);
        own.or_else(|| children.as_ref()?.not_ready())
    };
    Arc::new(view.with_not_ready(not_ready))
}
