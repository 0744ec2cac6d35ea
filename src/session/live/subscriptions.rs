//! The index of subscriptions: who listens to the lists of tools, prompts and resources, and to resources by URI.
//!
//! Subscribing and unsubscribing take constant time. A broadcast copies listeners out in chunks, so that nobody waits
//! longer than for a chunk, and holds no lock while it tells them. When the first listener of a URI comes or its last
//! one leaves, the URI is noted for the broadcaster, which starts and stops watching. The note says only that something
//! changed, and the broadcaster looks at the subscriptions of that moment, so that any quick sequence of leaving and
//! coming back ends right.
//!
//! A resource of another program is a topic for each client that has a process of that program for itself: what one
//! client's process says is for that client only.
//!
//! The index is generic over the stream `S`, since streams hold the index that they are in.
#![allow(
    clippy::disallowed_types,
    reason = "any shard subscribes, and the broadcaster walks the listeners; the lock is held for a chunk"
)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use super::budget::{Budget, Charge};
use crate::mcp::{Announcement, ChildOwner, ClientKey, ClientValues, SessionToken};
use crate::slab::Slab;

/// Slots walked under one lock: some microseconds.
const CHUNK_SLOTS: u32 = 128;
/// URIs noted for the broadcaster one by one; beyond, it looks at all there are.
const DIRTY_MAX: usize = 4096;

/// What is listened to: a resource of everybody's, or the one that a client's own child has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) uri: Arc<str>,
    pub(super) client: Option<ClientKey>,
}

/// The lists of which a stream wants to hear, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists(u8);

impl Lists {
    pub(super) const NONE: Self = Self(0);
    pub(super) const TOOLS: Self = Self(1);
    pub(super) const PROMPTS: Self = Self(2);
    pub(super) const RESOURCES: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    pub(super) fn of(tools: bool, prompts: bool, resources: bool) -> Self {
        Self(u8::from(tools) | u8::from(prompts) << 1 | u8::from(resources) << 2)
    }

    pub(super) fn overlap(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// All of both.
    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of which an announcement tells.
    pub(super) fn told_by(announcement: &Announcement) -> Self {
        match announcement {
            Announcement::ToolsChanged => Self::TOOLS,
            Announcement::PromptsChanged => Self::PROMPTS,
            Announcement::ResourcesChanged => Self::RESOURCES,
            Announcement::ResourceUpdated(_) => Self::NONE,
        }
    }

    /// What is announced when these have changed.
    pub(super) fn announcements(self) -> impl Iterator<Item = Announcement> {
        let lists = [
            (Self::TOOLS, Announcement::ToolsChanged),
            (Self::PROMPTS, Announcement::PromptsChanged),
            (Self::RESOURCES, Announcement::ResourcesChanged),
        ];
        let told = lists.into_iter();
        told.filter_map(move |(list, told)| self.overlap(list).then_some(told))
    }
}

/// One subscription to a URI. Its holder unsubscribes with it once and then drops it, and a topic stays while it has
/// listeners, so that slots without generations are never mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SubscriptionKey {
    topic: u32,
    listener: u32,
}

/// The subscriptions of one stream.
#[derive(Debug)]
pub(super) struct StreamSubscriptions {
    pub(super) lists: Option<u32>,
    pub(super) uris: Box<[SubscriptionKey]>,
}

/// Who listens to a URI.
pub(super) enum Listener<S> {
    Stream(Weak<S>),
    /// The session's GET stream, if it has one by then.
    Session(SessionToken),
}

/// A listener that is to get a notification.
pub(super) enum Recipient<S> {
    Stream(Arc<S>),
    Session(SessionToken),
}

struct ListListener<S> {
    stream: Weak<S>,
    lists: Lists,
    /// The client, if it has a child of its own, whose lists are of interest, too.
    client: Option<Box<ClientKey>>,
}

struct Topic<S> {
    uri: Arc<str>,
    /// The client, if it is one's, with what its child needs.
    owner: Option<Arc<ChildOwner>>,
    /// The time at which somebody began to listen: he is told of changes before the watching begins, too. `None` once
    /// the URI was watched: earlier changes have been told.
    unwatched_since: Option<SystemTime>,
    listeners: Slab<u32, Listener<S>>,
    _charge: Charge,
}

struct State<S> {
    lists: Slab<u32, ListListener<S>>,
    topics: Slab<u32, Topic<S>>,
    /// The topics by their URIs: those of everybody, and those of each client.
    names: HashMap<Option<ClientKey>, HashMap<Arc<str>, u32>>,
    dirty: HashSet<Subject>,
    is_all_dirty: bool,
}

/// See the module's documentation.
pub(super) struct SubscriptionIndex<S> {
    state: Mutex<State<S>>,
    budget: Arc<Budget>,
}

/// URIs whose first listener came or last one left.
pub(super) enum Dirty {
    Some(HashSet<Subject>),
    All,
}

/// Somebody listens.
pub(super) struct Heard {
    /// The index's copy of what to.
    pub(super) subject: Subject,
    /// The client, if it is one's own.
    pub(super) owner: Option<Arc<ChildOwner>>,
    /// The time since when, unless it was watched already.
    pub(super) since: Option<SystemTime>,
}

impl<S> SubscriptionIndex<S> {
    /// The bytes of a subscription to a URI: the listener's slot, and the key that its holder keeps.
    const SUBSCRIPTION_BYTES: usize = Slab::<u32, Listener<S>>::SLOT_BYTES + size_of::<SubscriptionKey>();
    /// The bytes of a listener to lists.
    pub(super) const LISTS_BYTES: usize = Slab::<u32, ListListener<S>>::SLOT_BYTES;
    /// The bytes that a URI's first listener costs beyond the URI itself: entries of tables that double.
    const TOPIC_BYTES: usize = 2 * Slab::<u32, Topic<S>>::SLOT_BYTES + 2 * size_of::<(Arc<str>, u32)>();
    /// The same, where the topic is a client's: what is known of the client, and a table of its topics.
    const OWNER_BYTES: usize =
        size_of::<ChildOwner>() + 4 * size_of::<(Option<ClientKey>, HashMap<Arc<str>, u32>)>();

    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            state: Mutex::default(),
            budget,
        }
    }

    /// The bytes that a subscription to a URI may cost.
    pub(super) fn subscription_bytes(uri: &str, owner: Option<&ChildOwner>) -> usize {
        Self::SUBSCRIPTION_BYTES + Self::topic_bytes(uri, owner)
    }

    fn topic_bytes(uri: &str, owner: Option<&ChildOwner>) -> usize {
        let owner = owner.map_or(0, |owner| {
            Self::OWNER_BYTES + owner.values.as_ref().map_or(0, ClientValues::bytes)
        });
        Self::TOPIC_BYTES + uri.len() + owner
    }

    pub(super) fn subscribe_to_lists(&self, stream: Weak<S>, lists: Lists) -> Option<u32> {
        let inserted = self.lock().lists.insert(ListListener {
            stream,
            lists,
            client: None,
        });
        let key = inserted.ok()?;
        self.budget.add(Self::LISTS_BYTES);
        Some(key)
    }

    /// Who listens to lists hears of those of this client's own child, too.
    pub(super) fn set_client(&self, listener: u32, client: ClientKey) {
        let mut state = self.lock();
        let Some(listener) = state.lists.get_mut(listener) else {
            return;
        };
        if listener.client.replace(Box::new(client)).is_none() {
            self.budget.add(size_of::<ClientKey>());
        }
    }

    /// Adds a listener to a URI: to what the owner's own child tells of it, if there is one. Sets `is_dirty` if the
    /// broadcaster has something to look at.
    pub(super) fn subscribe(
        &self,
        uri: &str,
        owner: Option<&ChildOwner>,
        listener: Listener<S>,
        is_dirty: &mut bool,
    ) -> Option<SubscriptionKey> {
        let mut state = self.lock();
        let topic = match state.topic(uri, owner.map(|owner| owner.client.key)) {
            Some(topic) => topic,
            None => {
                *is_dirty = true;
                let charge = self.budget.charge(Self::topic_bytes(uri, owner));
                state.open_topic(uri, owner, charge)?
            }
        };
        let inserted = state.topics.get_mut(topic)?.listeners.insert(listener);
        let listener = inserted.ok()?;
        self.budget.add(Self::SUBSCRIPTION_BYTES);
        Some(SubscriptionKey { topic, listener })
    }

    /// Whether one of these subscriptions is to the URI: to what this client's own child tells of it, if there is one.
    pub(super) fn has(
        &self,
        subscriptions: &[SubscriptionKey],
        uri: &str,
        client: Option<ClientKey>,
    ) -> bool {
        let topic = self.lock().topic(uri, client);
        topic.is_some_and(|topic| subscriptions.iter().any(|key| key.topic == topic))
    }

    /// Which of these subscriptions is to the URI, whoever tells of it.
    pub(super) fn position(&self, subscriptions: &[SubscriptionKey], uri: &str) -> Option<usize> {
        let state = self.lock();
        subscriptions.iter().position(|key| {
            let topic = state.topics.get(key.topic);
            topic.is_some_and(|topic| *topic.uri == *uri)
        })
    }

    /// Ends subscriptions to URIs. Returns whether the broadcaster has something to look at.
    pub(super) fn unsubscribe(&self, subscriptions: &[SubscriptionKey]) -> bool {
        if subscriptions.is_empty() {
            return false;
        }
        let mut listeners = Vec::with_capacity(subscriptions.len());
        let mut state = self.lock();
        let mut is_dirty = false;
        for key in subscriptions {
            let Some(topic) = state.topics.get_mut(key.topic) else {
                continue;
            };
            listeners.extend(remove(&mut topic.listeners, key.listener));
            if topic.listeners.is_empty() {
                state.close_topic(key.topic);
                is_dirty = true;
            }
        }
        drop(state);
        self.budget.subtract(listeners.len() * Self::SUBSCRIPTION_BYTES);
        is_dirty
    }

    /// Ends all subscriptions of a stream. Returns whether the broadcaster has something to look at.
    pub(super) fn unsubscribe_stream(&self, subscriptions: &StreamSubscriptions) -> bool {
        if let Some(key) = subscriptions.lists {
            let removed = remove(&mut self.lock().lists, key);
            if let Some(listener) = removed {
                let client = listener.client.map_or(0, |_| size_of::<ClientKey>());
                self.budget.subtract(Self::LISTS_BYTES + client);
            }
        }
        self.unsubscribe(&subscriptions.uris)
    }

    /// What is known of a subject, if anybody listens. All of it comes from one look-up: by a second one others may
    /// listen, and would miss what changed between the two.
    pub(super) fn heard(&self, uri: &str, client: Option<ClientKey>) -> Option<Heard> {
        let state = self.lock();
        let topic = state.topics.get(state.topic(uri, client)?)?;
        Some(Heard {
            subject: topic.subject(),
            owner: topic.owner.clone(),
            since: topic.unwatched_since,
        })
    }

    /// Notes that a subject is watched. Listeners that came meanwhile did so after the time that the watch was given.
    pub(super) fn mark_watched(&self, subject: &Subject) {
        let mut state = self.lock();
        let topic = state.topic(&subject.uri, subject.client);
        if let Some(topic) = topic.and_then(|topic| state.topics.get_mut(topic)) {
            topic.unwatched_since = None;
        }
    }

    /// Everything to which somebody listens.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        let state = self.lock();
        let subjects = state.names.iter().flat_map(|(client, uris)| {
            uris.keys().map(|uri| Subject {
                uri: Arc::clone(uri),
                client: *client,
            })
        });
        subjects.collect()
    }

    /// Appends a chunk of those who listen to one of these lists; with a client, those that are this client's. Returns
    /// the slot to go on from, if there are more.
    pub(super) fn list_recipients(
        &self,
        (lists, client): (Lists, Option<ClientKey>),
        from: u32,
        recipients: &mut Vec<Recipient<S>>,
    ) -> Option<u32> {
        let state = self.lock();
        let (listeners, next) = chunk(&state.lists, from, CHUNK_SLOTS);
        let streams = listeners
            .filter(|listener| listener.lists.overlap(lists))
            .filter(|listener| client.is_none() || listener.client.as_deref() == client.as_ref())
            .filter_map(|listener| listener.stream.upgrade());
        recipients.extend(streams.map(Recipient::Stream));
        next
    }

    /// The same for a URI.
    pub(super) fn recipients(
        &self,
        (uri, client): (&str, Option<ClientKey>),
        from: u32,
        recipients: &mut Vec<Recipient<S>>,
    ) -> Option<u32> {
        let state = self.lock();
        let topic = state.topics.get(state.topic(uri, client)?)?;
        let (listeners, next) = chunk(&topic.listeners, from, CHUNK_SLOTS);
        recipients.extend(listeners.filter_map(|listener| match listener {
            Listener::Stream(stream) => stream.upgrade().map(Recipient::Stream),
            Listener::Session(token) => Some(Recipient::Session(*token)),
        }));
        next
    }

    pub(super) fn take_dirty(&self) -> Dirty {
        let mut state = self.lock();
        let some = std::mem::take(&mut state.dirty);
        if std::mem::take(&mut state.is_all_dirty) {
            Dirty::All
        } else {
            Dirty::Some(some)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // No code that runs under the lock leaves the index half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Topic<S> {
    fn subject(&self) -> Subject {
        Subject {
            uri: Arc::clone(&self.uri),
            client: self.owner.as_ref().map(|owner| owner.client.key),
        }
    }
}

impl<S> Default for State<S> {
    fn default() -> Self {
        Self {
            lists: Slab::default(),
            topics: Slab::default(),
            names: HashMap::new(),
            dirty: HashSet::new(),
            is_all_dirty: false,
        }
    }
}

impl<S> State<S> {
    fn topic(&self, uri: &str, client: Option<ClientKey>) -> Option<u32> {
        self.names.get(&client)?.get(uri).copied()
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "read once for the first listener of a resource, and compared with files' times"
    )]
    fn open_topic(&mut self, uri: &str, owner: Option<&ChildOwner>, charge: Charge) -> Option<u32> {
        let uri: Arc<str> = uri.into();
        let topic = Topic {
            uri: Arc::clone(&uri),
            owner: owner.cloned().map(Arc::new),
            unwatched_since: Some(SystemTime::now()),
            listeners: Slab::default(),
            _charge: charge,
        };
        let subject = topic.subject();
        let key = self.topics.insert(topic).ok()?;
        let uris = self.names.entry(subject.client).or_default();
        uris.insert(uri, key);
        self.mark_dirty(subject);
        Some(key)
    }

    fn close_topic(&mut self, key: u32) {
        let Some(topic) = remove(&mut self.topics, key) else {
            return;
        };
        let subject = topic.subject();
        if let Some(uris) = self.names.get_mut(&subject.client) {
            uris.remove(&subject.uri);
            if uris.is_empty() {
                self.names.remove(&subject.client);
            }
        }
        self.mark_dirty(subject);
        if self.names.is_empty() {
            self.names.shrink_to_fit();
        }
    }

    fn mark_dirty(&mut self, subject: Subject) {
        if self.dirty.len() < DIRTY_MAX {
            self.dirty.insert(subject);
        } else {
            self.is_all_dirty = true;
            self.dirty = HashSet::new();
        }
    }
}

/// Removes a value. The last one takes the memory of all slots with it: no key is in use then.
fn remove<T>(slab: &mut Slab<u32, T>, key: u32) -> Option<T> {
    let value = slab.remove(key)?;
    if slab.is_empty() {
        *slab = Slab::default();
    }
    Some(value)
}

/// The values in the next `count` slots from `from` on, and the slot to go on from, if there are more.
fn chunk<T>(slab: &Slab<u32, T>, from: u32, count: u32) -> (impl Iterator<Item = &T>, Option<u32>) {
    let end = from.saturating_add(count);
    let values = slab.iter_from(from, count).map(|(_, value)| value);
    (values, (end < slab.slots()).then_some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stay_are_reused_and_are_freed_with_the_last_value() {
        let mut slab: Slab<u32, u32> = Slab::default();
        let keys: Vec<u32> = (0..6).map(|value| slab.insert(value).unwrap()).collect();
        assert_eq!(keys, [0, 1, 2, 3, 4, 5]);
        assert_eq!((remove(&mut slab, 1), remove(&mut slab, 4)), (Some(1), Some(4)));
        assert_eq!((remove(&mut slab, 4), remove(&mut slab, 99)), (None, None));
        assert_eq!((slab.get(3), slab.get(4)), (Some(&3), None));
        let keys = [7, 8, 9].map(|value| slab.insert(value).unwrap());
        assert_eq!(keys, [4, 1, 6]);
        for key in 0..7 {
            assert!(!slab.is_empty());
            assert!(remove(&mut slab, key).is_some());
        }
        assert_eq!((slab.len(), slab.slots()), (0, 0));
        assert_eq!(slab.insert(1), Ok(0));
    }

    #[test]
    fn a_walk_in_chunks_meets_once_what_stays() {
        let mut slab: Slab<u32, u32> = Slab::default();
        (0..10).for_each(|value| {
            slab.insert(value).unwrap();
        });
        let (mut seen, mut from) = (Vec::new(), Some(0));
        while let Some(start) = from {
            let (values, next) = chunk(&slab, start, 3);
            seen.extend(values.copied());
            from = next;
            // One that was seen and one that was not leave; another comes.
            remove(&mut slab, start);
            remove(&mut slab, start + 5);
            slab.insert(100 + start).unwrap();
        }
        seen.retain(|value| ![0, 3, 5, 6, 8, 9].contains(value) && *value < 100);
        assert_eq!(seen, [1, 2, 4, 7]);
        let (values, next) = chunk(&slab, 50, 3);
        assert_eq!((values.count(), next), (0, None));
    }
}
