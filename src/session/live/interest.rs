//! Who listens to what: the lists of tools, prompts and resources, and resources by URI.
//!
//! Joining and leaving take constant time. A broadcast copies listeners out in chunks, so nobody waits longer than for
//! a chunk, and holds no lock while it tells them. A URI's first listener and its last one leave a note for the
//! broadcaster, which starts and stops watching; the note says only that something changed, and the broadcaster looks
//! at what is so by then, so that any quick sequence of leaving and joining ends right.
#![allow(
    clippy::disallowed_types,
    reason = "subscriptions are joined on any shard and walked by the broadcaster; held for a chunk"
)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use super::budget::{Budget, Charge};
use super::seating::Seating;
use super::stream::Stream;
use crate::mcp::SessionToken;

/// Listeners copied out under one lock: some microseconds.
const CHUNK_SEATS: u32 = 128;
/// URIs noted for the broadcaster one by one; beyond, it looks at all there are.
const UNSETTLED_MAX: usize = 4096;

/// The lists a stream wants to hear of, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lists(u8);

impl Lists {
    pub(super) const TOOLS: Self = Self(1);
    pub(super) const PROMPTS: Self = Self(2);
    pub(super) const RESOURCES: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    pub(super) fn of(tools: bool, prompts: bool, resources: bool) -> Self {
        Self(u8::from(tools) | u8::from(prompts) << 1 | u8::from(resources) << 2)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A place among the listeners to one URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    topic: u32,
    number: u32,
}

/// The places of one stream.
#[derive(Debug, Default)]
pub(super) struct Seats {
    pub(super) lists: Option<u32>,
    pub(super) uris: Box<[Seat]>,
}

/// Who listens to a URI.
#[derive(Clone)]
pub(super) enum Listener {
    Stream(Weak<Stream>),
    /// Its GET stream, if it has one by then.
    Session(SessionToken),
}

/// A listener met by a broadcast.
pub(super) enum Met {
    Stream(Arc<Stream>),
    Session(SessionToken),
}

struct ListListener {
    stream: Weak<Stream>,
    lists: Lists,
}

struct Topic {
    uri: Arc<str>,
    /// When somebody began to listen to it: what changed before the watching begins is to be told too. None once it
    /// was watched: what changed before has been told.
    unwatched_since: Option<SystemTime>,
    listeners: Seating<Listener>,
    _charge: Charge,
}

#[derive(Default)]
struct State {
    lists: Seating<ListListener>,
    topics: Seating<Topic>,
    by_uri: HashMap<Arc<str>, u32>,
    unsettled: HashSet<Arc<str>>,
    is_all_unsettled: bool,
}

/// See the module's documentation.
pub(super) struct Index {
    state: Mutex<State>,
    budget: Arc<Budget>,
}

/// URIs whose first listener came or last one left.
pub(super) enum Unsettled {
    Some(HashSet<Arc<str>>),
    All,
}

impl Index {
    /// What a seat costs: the listener, and its number with whom it belongs to.
    const SEAT_BYTES: usize = size_of::<Option<Listener>>() + size_of::<Seat>();
    /// What a listener to lists costs.
    pub(super) const LISTS_BYTES: usize = size_of::<Option<ListListener>>();
    /// What a URI's first listener costs beyond the URI's bytes: entries of tables that double.
    const TOPIC_BYTES: usize = 2 * size_of::<Topic>() + 2 * size_of::<(Arc<str>, u32)>();

    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            state: Mutex::default(),
            budget,
        }
    }

    /// What joining the listeners to a URI may cost.
    pub(super) fn join_bytes(uri: &str) -> usize {
        Self::SEAT_BYTES + Self::TOPIC_BYTES + uri.len()
    }

    pub(super) fn join_lists(&self, stream: Weak<Stream>, lists: Lists) -> Option<u32> {
        let number = self.lock().lists.take(ListListener { stream, lists })?;
        self.budget.add(Self::LISTS_BYTES);
        Some(number)
    }

    /// Joins the listeners to a URI. `is_news` says that the broadcaster has something to look at.
    pub(super) fn join(&self, uri: &str, listener: Listener, is_news: &mut bool) -> Option<Seat> {
        let mut state = self.lock();
        let topic = match state.by_uri.get(uri) {
            Some(topic) => *topic,
            None => {
                *is_news = true;
                let charge = self.budget.charge(Self::TOPIC_BYTES + uri.len());
                state.open_topic(uri, charge)?
            }
        };
        let number = state.topics.at_mut(topic)?.listeners.take(listener)?;
        self.budget.add(Self::SEAT_BYTES);
        Some(Seat { topic, number })
    }

    /// The seat among these that is a URI's.
    pub(super) fn position(&self, seats: &[Seat], uri: &str) -> Option<usize> {
        let topic = *self.lock().by_uri.get(uri)?;
        seats.iter().position(|seat| seat.topic == topic)
    }

    /// Whether the broadcaster has something to look at.
    pub(super) fn leave_uris(&self, seats: &[Seat]) -> bool {
        if seats.is_empty() {
            return false;
        }
        let mut listeners = Vec::with_capacity(seats.len());
        let mut state = self.lock();
        let mut is_news = false;
        for seat in seats {
            let Some(topic) = state.topics.at_mut(seat.topic) else {
                continue;
            };
            listeners.extend(topic.listeners.leave(seat.number));
            if topic.listeners.is_empty() {
                state.close_topic(seat.topic);
                is_news = true;
            }
        }
        drop(state);
        self.budget.subtract(listeners.len() * Self::SEAT_BYTES);
        is_news
    }

    pub(super) fn leave(&self, seats: &Seats) -> bool {
        if let Some(number) = seats.lists {
            let left = self.lock().lists.leave(number);
            if left.is_some() {
                self.budget.subtract(Self::LISTS_BYTES);
            }
        }
        self.leave_uris(&seats.uris)
    }

    /// The URI as the index has it, if anybody listens, and since when unless it was watched already. Both at one
    /// time: by a second look others may listen, and what they missed between the looks would be lost.
    pub(super) fn topic(&self, uri: &str) -> Option<(Arc<str>, Option<SystemTime>)> {
        let state = self.lock();
        let topic = state.topics.at(*state.by_uri.get(uri)?)?;
        Some((Arc::clone(&topic.uri), topic.unwatched_since))
    }

    /// A URI is watched. Whoever has begun to listen to it meanwhile did so after the time the watch was given.
    pub(super) fn mark_watched(&self, uri: &str) {
        let mut state = self.lock();
        let topic = state.by_uri.get(uri).copied();
        if let Some(topic) = topic.and_then(|topic| state.topics.at_mut(topic)) {
            topic.unwatched_since = None;
        }
    }

    /// All URIs somebody listens to.
    pub(super) fn uris(&self) -> Vec<Arc<str>> {
        self.lock().by_uri.keys().cloned().collect()
    }

    /// Appends a chunk of those who listen to one of these lists, and says where to go on.
    pub(super) fn meet_lists(&self, lists: Lists, from: u32, met: &mut Vec<Met>) -> Option<u32> {
        let state = self.lock();
        let (listeners, next) = state.lists.chunk(from, CHUNK_SEATS);
        let streams = listeners
            .filter(|listener| listener.lists.meets(lists))
            .filter_map(|listener| listener.stream.upgrade());
        met.extend(streams.map(Met::Stream));
        next
    }

    /// The same for a URI.
    pub(super) fn meet(&self, uri: &str, from: u32, met: &mut Vec<Met>) -> Option<u32> {
        let state = self.lock();
        let topic = state.topics.at(*state.by_uri.get(uri)?)?;
        let (listeners, next) = topic.listeners.chunk(from, CHUNK_SEATS);
        met.extend(listeners.filter_map(|listener| match listener {
            Listener::Stream(stream) => stream.upgrade().map(Met::Stream),
            Listener::Session(token) => Some(Met::Session(*token)),
        }));
        next
    }

    pub(super) fn take_unsettled(&self) -> Unsettled {
        let mut state = self.lock();
        let some = std::mem::take(&mut state.unsettled);
        if std::mem::take(&mut state.is_all_unsettled) {
            Unsettled::All
        } else {
            Unsettled::Some(some)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves the index half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    #[allow(
        clippy::disallowed_methods,
        reason = "read once for the first listener of a resource, and compared with files' times"
    )]
    fn open_topic(&mut self, uri: &str, charge: Charge) -> Option<u32> {
        let uri: Arc<str> = uri.into();
        let topic = self.topics.take(Topic {
            uri: Arc::clone(&uri),
            unwatched_since: Some(SystemTime::now()),
            listeners: Seating::default(),
            _charge: charge,
        })?;
        self.by_uri.insert(Arc::clone(&uri), topic);
        self.unsettle(uri);
        Some(topic)
    }

    fn close_topic(&mut self, topic: u32) {
        if let Some(Topic { uri, .. }) = self.topics.leave(topic) {
            self.by_uri.remove(&uri);
            self.unsettle(uri);
        }
        if self.by_uri.is_empty() {
            self.by_uri.shrink_to_fit();
        }
    }

    fn unsettle(&mut self, uri: Arc<str>) {
        if self.unsettled.len() < UNSETTLED_MAX {
            self.unsettled.insert(uri);
        } else {
            self.is_all_unsettled = true;
            self.unsettled = HashSet::new();
        }
    }
}
