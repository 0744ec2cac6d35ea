//! The broadcaster's thread: it serialises a notification once, sends it to the listeners in chunks, begins and ends
//! the watching of resources, and tells the store the time.
//!
//! Watching may block and runs user code, so it happens here and never on a shard. The thread looks up whether a
//! resource is to be watched when the resource's turn comes, and does not derive it from what happened: however quickly
//! listeners leave and come back, in the end a resource is watched exactly if somebody listens to it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::live_store::Live;
use super::pending_notifications::Pending;
use super::places::StreamPlace;
use super::shard_events::LiveEvent;
use super::streams::Message;
use super::subscriptions::{Dirty, Lists, Recipient, Subject};
use crate::mcp::{Announcement, ChildOwner, ClientKey};
use crate::registry::{ListUpdates, ServerHandle, ToolError, Updates, Watch, WatchList};

/// How often the broadcaster tells the store the time.
const TICK: Duration = Duration::from_secs(1);

/// The watchers of the registry that is served at present.
pub trait Watchers: Send + 'static {
    /// The watcher of the resource at a URI: [`Registry::watcher`](crate::registry::Registry::watcher).
    fn of_resource(&self, uri: &str) -> Option<Arc<dyn Watch>>;

    /// Begins the watching of a resource by its watcher. With an owner, only what the child of that client tells is of
    /// interest.
    ///
    /// # Errors
    /// Fails with the watcher's error.
    fn watch(
        &self,
        watcher: &Arc<dyn Watch>,
        updates: Updates,
        owner: Option<&ChildOwner>,
    ) -> Result<Box<dyn Send>, ToolError> {
        let _ = owner;
        let uri = updates.uri().to_owned();
        watcher.watch(&uri, updates)
    }

    /// The watchers of lists, which always watch:
    /// [`Registry::list_watchers`](crate::registry::Registry::list_watchers).
    fn of_lists(&self) -> Vec<Arc<dyn WatchList>> {
        Vec::new()
    }
}

impl<F: Fn(&str) -> Option<Arc<dyn Watch>> + Send + 'static> Watchers for F {
    fn of_resource(&self, uri: &str) -> Option<Arc<dyn Watch>> {
        self(uri)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Broadcaster;

/// The running broadcaster, which stops when this is dropped.
#[derive(Debug)]
pub struct BroadcasterHandle {
    live: Arc<Live>,
    thread: Option<JoinHandle<()>>,
}

impl Broadcaster {
    /// Starts the broadcaster of `live`. Resources' watchers say through `server` what has changed.
    pub fn start(live: Arc<Live>, server: ServerHandle, watchers: impl Watchers) -> BroadcasterHandle {
        let mut watching = Watching {
            live: Arc::clone(&live),
            server,
            watchers,
            watched: HashMap::new(),
            watched_lists: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("weir-broadcast".to_owned())
            .spawn(move || watching.run());
        if let Err(error) = &thread {
            tracing::error!(%error, "no thread for the broadcaster; changes will not be announced");
        }
        BroadcasterHandle {
            live,
            thread: thread.ok(),
        }
    }
}

impl BroadcasterHandle {
    /// Stops the broadcaster after it has sent what is pending, and ends all watching.
    pub fn stop(self) {}
}

impl Drop for BroadcasterHandle {
    fn drop(&mut self) {
        self.live.context.pending.stop();
        if let Some(thread) = self.thread.take() {
            // The thread panics only through a bug, and the panic was logged.
            let _ = thread.join();
        }
    }
}

/// A broadcaster without a thread and a clock of its own, for tests of tools: its owner takes every step.
#[cfg(feature = "testing")]
pub struct SteppedBroadcaster<W>(Watching<W>);

#[cfg(feature = "testing")]
impl<W: Watchers> SteppedBroadcaster<W> {
    /// The broadcaster of `live`, as [`Broadcaster::start`] starts one.
    pub fn new(live: Arc<Live>, server: ServerHandle, watchers: W) -> Self {
        let mut watching = Watching {
            live,
            server,
            watchers,
            watched: HashMap::new(),
            watched_lists: Vec::new(),
        };
        watching.reconcile_lists();
        Self(watching)
    }

    /// Does what there is to do at this moment. Returns whether there was anything.
    pub fn step(&mut self) -> bool {
        let pending = self.0.live.context.pending.wait(Duration::ZERO);
        let is_busy = !pending.is_empty();
        if is_busy {
            self.0.pass(pending);
        }
        is_busy
    }

    /// Tells the store how long ago this was made.
    pub fn tick(&self, age: Duration) {
        self.0.live.tick(age);
    }
}

/// A watch that was begun, with the [`Watch`] or [`WatchList`] that began it.
struct Watched<W: ?Sized> {
    watch: Arc<W>,
    /// `None` if the watch failed; it is not tried again until something else watches there.
    guard: Option<Box<dyn Send>>,
}

impl<W: ?Sized> Drop for Watched<W> {
    fn drop(&mut self) {
        // The guard is the embedder's code, and the broadcaster outlives its panics.
        let guard = self.guard.take();
        if catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err() {
            tracing::error!("the end of watching a resource panicked");
        }
    }
}

struct Watching<W> {
    live: Arc<Live>,
    server: ServerHandle,
    watchers: W,
    watched: HashMap<Subject, Watched<dyn Watch>>,
    watched_lists: Vec<Watched<dyn WatchList>>,
}

impl<W: Watchers> Watching<W> {
    #[allow(clippy::disallowed_methods, reason = "the broadcaster's own thread")]
    fn run(&mut self) {
        let started = Instant::now();
        let mut ticked = started;
        self.reconcile_lists();
        loop {
            let until_tick = (ticked + TICK).saturating_duration_since(Instant::now());
            let pending = self.live.context.pending.wait(until_tick);
            let is_stopping = pending.is_stopping;
            self.pass(pending);
            if is_stopping {
                return;
            }
            let now = Instant::now();
            if now.saturating_duration_since(ticked) >= TICK {
                ticked = now;
                self.live.tick(now.saturating_duration_since(started));
            }
        }
    }

    /// Does what there is to do.
    fn pass(&mut self, mut pending: Pending) {
        let is_registry_changed = pending.lists.overlap(Lists::RESOURCES);
        for (announcement, client) in pending.announcements() {
            self.live.broadcast_to(client, &announcement);
        }
        if is_registry_changed {
            self.reconcile_lists();
            self.reconcile_all();
        } else if pending.is_dirty {
            self.reconcile_some();
        }
    }

    /// Watches what the listers list, from the beginning: clients that begin to listen later are told at once of a
    /// change, and the watch tells which resources may be served.
    fn reconcile_lists(&mut self) {
        let wanted = self.watchers.of_lists();
        let is_wanted =
            |watched: &Watched<dyn WatchList>| wanted.iter().any(|watch| Arc::ptr_eq(watch, &watched.watch));
        self.watched_lists.retain(is_wanted);
        for watch in wanted {
            let is_watched = |watched: &Watched<dyn WatchList>| Arc::ptr_eq(&watch, &watched.watch);
            if self.watched_lists.iter().any(is_watched) {
                continue;
            }
            let guard = watch.watch(ListUpdates::new(self.server.clone()));
            let guard = guard
                .inspect_err(|error| tracing::warn!(%error, "a list of resources cannot be watched"))
                .ok();
            self.watched_lists.push(Watched { watch, guard });
        }
    }

    fn reconcile_some(&mut self) {
        match self.live.context.subscriptions.take_dirty() {
            Dirty::Some(subjects) => subjects.iter().for_each(|subject| self.reconcile(subject)),
            Dirty::All => self.reconcile_all(),
        }
    }

    /// Reconciles every URI: resources came or went, or more listeners did than were noted one by one.
    fn reconcile_all(&mut self) {
        let subscriptions = &self.live.context.subscriptions;
        drop(subscriptions.take_dirty());
        let wanted = subscriptions.subjects();
        let watched: Vec<Subject> = self.watched.keys().cloned().collect();
        let all = watched.iter().chain(&wanted);
        all.for_each(|subject| self.reconcile(subject));
    }

    /// Begins or ends the watching of a resource, as it should be at this moment.
    fn reconcile(&mut self, subject: &Subject) {
        let heard = self
            .live
            .context
            .subscriptions
            .heard(&subject.uri, subject.client);
        let wanted = heard.zip(self.watchers.of_resource(&subject.uri));
        let Some((heard, watch)) = wanted else {
            self.watched.remove(subject);
            return;
        };
        let subject = heard.subject;
        let old = self.watched.get(&subject);
        if let Some(old) = old.filter(|old| Arc::ptr_eq(&old.watch, &watch)) {
            // The listeners may be others than those for whom the watch was begun.
            if old.guard.is_some() {
                self.live.context.subscriptions.mark_watched(&subject);
            }
            return;
        }
        // The old watch ends first, since it may hold what the new one needs.
        self.watched.remove(&subject);
        let uri = &subject.uri;
        let updates = Updates::new(uri, self.server.clone()).listened_to(heard.since);
        let guard = self.watchers.watch(&watch, updates, heard.owner.as_deref());
        match &guard {
            Ok(_) => self.live.context.subscriptions.mark_watched(&subject),
            Err(error) => tracing::warn!(uri = %uri.escape_debug(), %error, "a resource cannot be watched"),
        }
        let guard = guard.ok();
        self.watched.insert(subject, Watched { watch, guard });
    }
}

impl Live {
    /// Tells everybody who listens. It takes some microseconds per hundred listeners, and is not called on a shard.
    #[cfg(any(test, feature = "internals"))]
    pub fn broadcast(&self, announcement: &Announcement) {
        self.broadcast_to(None, announcement);
    }

    /// The same; with a client, for that one only, whose own child says so.
    pub(super) fn broadcast_to(&self, client: Option<ClientKey>, announcement: &Announcement) {
        let message = Message::announcement(announcement);
        let subscriptions = &self.context.subscriptions;
        let (mut recipients, mut ready) = (Vec::new(), Vec::new());
        let mut from = Some(0);
        while let Some(start) = from {
            from = match announcement {
                Announcement::ResourceUpdated(uri) => {
                    subscriptions.recipients((uri, client), start, &mut recipients)
                }
                _ => {
                    let lists = Lists::told_by(announcement);
                    subscriptions.list_recipients((lists, client), start, &mut recipients)
                }
            };
            for recipient in recipients.drain(..) {
                let stream = match recipient {
                    Recipient::Stream(stream) => Some(stream),
                    Recipient::Session(token) => self.get_stream_of(token),
                };
                ready.extend(stream.and_then(|stream| stream.push_quietly(message.clone())));
            }
            self.tell_shards(&mut ready);
        }
    }

    /// Tells the shards that streams have messages, with at most one wake-up per shard for a whole chunk.
    fn tell_shards(&self, ready: &mut Vec<StreamPlace>) {
        ready.sort_unstable_by_key(|place| place.shard);
        for places in ready.chunk_by(|one, other| one.shard == other.shard) {
            let mut events = places.iter().map(|place| LiveEvent::Ready(place.connection));
            if let Some(first) = places.first() {
                self.context.inboxes.post_all(first.shard, &mut events);
            }
        }
        ready.clear();
    }
}
