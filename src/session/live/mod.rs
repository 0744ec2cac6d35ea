//! What is live over the whole process: streams, subscriptions, log levels, questions in flight, replayable events.
//!
//! A legacy session costs nothing until it holds something of these, then one entry in a sharded map; modern
//! subscriptions hang on their stream alone. Any shard may come with a request of any session, and any thread may
//! say something to any stream, so this is one of the few places with locks: held for a look-up or a copy of some
//! pointers, never while calling out, never on the way of a plain request and its answer.
//!
//! Bounded in sessions (in all and per principal), in bytes, and per stream. Before anything is refused, idle
//! sessions are evicted, least recently used first: their ids are unknown from then on, so that their clients
//! start anew rather than miss something. No clock: [`Live::tick`] brings the time, in seconds.
//!
//! | file | its part |
//! |---|---|
//! | `stream`, `message`, `event_id` | one client's messages, shared bodies, ids for replay |
//! | `shard_events` | what a shard is told, and the way into its inbox |
//! | `sse_inbox` | messages for channels that come by other connections |
//! | `sharded_map`, `session_state`, `eviction` | sessions with something live |
//! | `subscriptions` | who listens to what |
//! | `broadcaster`, `pending_notifications` | announcements; watching resources; the passing of time |
//! | `budget`, `shared_context` | bytes; what all streams share |

mod broadcaster;
mod budget;
mod event_id;
mod eviction;
mod message;
mod pending_notifications;
mod session_state;
mod shard_events;
mod sharded_map;
mod shared_context;
mod sse_inbox;
mod stream;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::Value;

use crate::jsonrpc::RequestId;
use crate::mcp::{Announcement, FeatureState, Interest, OpenSession, Principal, SessionToken, StateRefused};
use crate::metrics::TombstoneFigures;
use crate::registry::{AnswerError, LogLevel};

pub use broadcaster::{Broadcaster, BroadcasterHandle, Watchers};
pub use event_id::{EventId, StreamId, StreamKind};
pub use message::Message;
pub use session_state::{CallPlace, QuestionId};
#[cfg(test)]
pub(in crate::session) use shard_events::Collected;
pub use shard_events::{LiveEvent, ShardInbox};
pub use sse_inbox::{ChannelName, DeliverRefused, SseInbox, SseMessage};
pub use stream::{Event, Stream, StreamPlace, StreamState};

use super::tombstones::Tombstones;
use session_state::Question;
use sharded_map::ShardedMap;
use shared_context::SharedContext;
use sse_inbox::SseInboxes;
use stream::Owner;
use subscriptions::{Listener, Lists, StreamSubscriptions, SubscriptionIndex};

/// Questions of one session that wait for an answer. Measured by nothing: more than any tool asks at once.
const QUESTIONS_MAX: usize = 256;

/// Limits of live state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Sessions with something live, over the process.
    pub sessions_max: usize,
    /// The same of one principal. The anonymous one, who is everybody, is bounded by `sessions_max` alone.
    pub sessions_per_principal_max: usize,
    /// URIs that one session or one stream of subscriptions subscribes to.
    pub subscriptions_max: usize,
    /// Bytes of all live state, as far as it is counted: see [`Live::stats`].
    pub bytes_max: usize,
    /// Bytes of messages of one stream that its client has not taken; beyond, the stream is cut off. Also those that
    /// were delivered to one channel and are not dealt with; beyond, more are refused.
    pub backlog_bytes_max: usize,
    /// The same in messages: short ones are mostly what is around them.
    pub backlog_messages_max: usize,
    /// Bytes of sent messages that one resumable stream retains.
    pub replay_bytes_max: usize,
    /// Finished streams of calls that one session retains.
    pub replay_streams_max: usize,
    /// How long messages, and streams without a connection, are retained.
    pub replay_age: Duration,
    /// How long a session without a connection may be silent before it is evicted.
    pub idle: Duration,
    /// How long session ids are valid, and so how long evicted ones have to be remembered.
    pub session_max_age: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            sessions_max: 32 * 1024,
            sessions_per_principal_max: 4 * 1024,
            subscriptions_max: 1024,
            bytes_max: 64 * 1024 * 1024,
            backlog_bytes_max: 256 * 1024,
            backlog_messages_max: 1024,
            replay_bytes_max: 64 * 1024,
            replay_streams_max: 8,
            replay_age: Duration::from_secs(60),
            idle: Duration::from_secs(30 * 60),
            session_max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A stream a client comes (back) for.
#[derive(Debug)]
pub struct Attached {
    /// To be given to [`Stream::attach`] at once.
    pub stream: Arc<Stream>,
    /// The last message the client has; none: it wants what it was not sent yet.
    pub after: Option<u64>,
}

/// Why a client's GET gets no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefused {
    /// A limit is reached and nothing idle is left to evict.
    Full,
    /// `Last-Event-ID` names nothing this session ever got, or nothing that is still retained.
    Unknown,
    /// The session's GET stream has a connection already.
    Taken,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Sessions with something live.
    pub sessions: usize,
    /// Bytes counted: entries, streams, subscriptions, messages queued or retained.
    pub bytes: usize,
    /// Sessions evicted so far, to make room or because they were idle.
    pub evictions: u64,
    /// Evicted sessions that are remembered, and those that were forgotten before their ids expired.
    pub evicted: TombstoneFigures,
}

/// The process's live state. See the module's documentation.
pub struct Live {
    context: Arc<SharedContext>,
    sessions: ShardedMap,
    sse_inboxes: Arc<SseInboxes>,
    /// Evicted sessions, by the seconds of the store's own clock.
    evicted: Tombstones,
    evictions: AtomicU64,
    duty: OnceLock<Box<dyn Fn() + Send + Sync>>,
    me: Weak<Live>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("stats", &self.stats()).finish()
    }
}

impl Live {
    /// A store for shards numbered from 0.
    pub fn new(options: LiveOptions, shards: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            context: SharedContext::new(options, shards),
            sessions: ShardedMap::new(),
            sse_inboxes: SseInboxes::new(),
            evicted: Tombstones::new(eviction::TOMBSTONES_MAX),
            evictions: Default::default(),
            duty: OnceLock::new(),
            me: Weak::clone(me),
        })
    }

    /// Events for the shard go into this inbox from now on.
    pub fn join(&self, shard: u16, inbox: Box<dyn ShardInbox>) {
        self.context.inboxes.join(shard, inbox);
    }

    /// A stream for one call's answer and what it says before. If resumable, the session retains it, and the call
    /// must say [`Stream::end`] after its answer.
    ///
    /// # Errors
    /// When a limit is reached and nothing idle is left to evict.
    pub fn open_call_stream(
        self: &Arc<Self>,
        session: Option<(SessionToken, Principal)>,
        is_resumable: bool,
    ) -> Result<Arc<Stream>, StateRefused> {
        self.make_room(size_of::<Stream>())?;
        match session.filter(|_| is_resumable) {
            None => {
                let stream = self.new_stream(StreamKind::Call, false, Owner::Call);
                Ok(Arc::new(stream))
            }
            Some((token, principal)) => self.enter(token, principal, |state| {
                let owner = self.owner(token);
                let stream = Arc::new(self.new_stream(StreamKind::Call, true, owner));
                state.calls.push(Arc::clone(&stream));
                Ok(stream)
            }),
        }
    }

    /// A modern client's stream of subscriptions; they end with it.
    ///
    /// # Errors
    /// When a limit is reached and nothing idle is left to evict, or there are too many URIs.
    pub fn open_listen(
        self: &Arc<Self>,
        subscription: RequestId,
        interest: &Interest,
    ) -> Result<Arc<Stream>, StateRefused> {
        let mut uris: Vec<&str> = interest.uris.iter().map(|uri| &**uri).collect();
        uris.sort_unstable();
        uris.dedup();
        if uris.len() > self.context.options.subscriptions_max {
            return Err(StateRefused::Full);
        }
        let uris_bytes: usize = uris
            .iter()
            .map(|uri| SubscriptionIndex::subscription_bytes(uri))
            .sum();
        self.make_room(size_of::<Stream>() + uris_bytes)?;
        let lists = Lists::of(interest.tools, interest.prompts, interest.resources);
        let owner = Owner::Subscription(subscription);
        let stream = Arc::new(self.new_stream(StreamKind::Listen, false, owner));
        self.subscribe_stream(&stream, lists, &uris);
        Ok(stream)
    }

    /// What a legacy client's GET gets: its session's GET stream, or the one its `Last-Event-ID` is of.
    /// Coming back for a stream that still has a connection takes it over.
    ///
    /// # Errors
    /// When there is no room, nothing to come back for, or a second GET stream is wanted.
    pub fn open_get_stream(
        self: &Arc<Self>,
        session: &OpenSession,
        last_event: Option<&[u8]>,
    ) -> Result<Attached, StreamRefused> {
        if let Some(last_event) = last_event {
            return self
                .resume(session.token, last_event)
                .ok_or(StreamRefused::Unknown);
        }
        let room = self.make_room(size_of::<Stream>() + SubscriptionIndex::LISTS_BYTES);
        room.map_err(|StateRefused::Full| StreamRefused::Full)?;
        let opened = self.enter(session.token, session.session.principal, |state| {
            let get_stream = state.get_stream.take().filter(|stream| !stream.is_over());
            if get_stream.as_ref().is_some_and(|stream| stream.is_attached()) {
                state.get_stream = get_stream;
                return Ok(None);
            }
            let stream = get_stream.unwrap_or_else(|| self.new_get_stream(session.token));
            state.get_stream = Some(Arc::clone(&stream));
            Ok(Some(stream))
        });
        let stream = opened.map_err(|StateRefused::Full| StreamRefused::Full)?;
        let stream = stream.ok_or(StreamRefused::Taken)?;
        Ok(Attached { stream, after: None })
    }

    /// Notes that a call asks its client something; the id is the JSON-RPC id of the request. The answer comes as
    /// a [`LiveEvent::Answer`], however the session goes on, unless the call forgets its questions.
    ///
    /// # Errors
    /// When a limit is reached and nothing idle is left to evict, or the session has too many open questions.
    pub fn ask(
        &self,
        session: SessionToken,
        principal: Principal,
        asker: CallPlace,
        number: u32,
    ) -> Result<QuestionId, StateRefused> {
        let id = QuestionId::new(self.context.unpredictable());
        self.enter(session, principal, |state| {
            if state.questions.len() >= QUESTIONS_MAX {
                return Err(StateRefused::Full);
            }
            state.questions.push(Question { id, asker, number });
            Ok(id)
        })
    }

    /// The call is over: answers that still come are ignored.
    pub fn forget_questions(&self, session: SessionToken, asker: CallPlace) {
        self.visit(session, |state| {
            state.questions.retain(|question| question.asker != asker);
        });
    }

    /// Tells everybody who wants to hear of it, soon and once, however often it is announced until then. Any
    /// thread; costs a look-up.
    pub fn announce(&self, announcement: Announcement) {
        let pending = &self.context.pending;
        match announcement {
            Announcement::ToolsChanged => pending.on_tools(),
            Announcement::PromptsChanged => pending.on_prompts(),
            Announcement::ResourcesChanged => pending.on_resources(),
            Announcement::ResourceUpdated(uri) => {
                if let Some((uri, _)) = self.context.subscriptions.topic(&uri) {
                    pending.on_updated(uri);
                }
            }
        }
    }

    /// Tells a shard that the stream on a connection of its has something to send.
    pub fn tell(&self, place: StreamPlace) {
        self.context.inboxes.ready(place);
    }

    /// Bytes and messages of one stream that its client may leave unread.
    pub fn backlog_max(&self) -> (usize, usize) {
        let options = &self.context.options;
        (options.backlog_bytes_max, options.backlog_messages_max)
    }

    /// Ends what is live of a session: its streams end after what is queued, its questions are cancelled.
    pub fn end_session(&self, token: SessionToken) {
        let Some(mut partition) = self.sessions.lock_if_any(token) else {
            return;
        };
        let state = partition.remove(token);
        drop(partition);
        if let Some(state) = state {
            self.finish(*state);
        }
    }

    /// Posts an event to a shard.
    pub(in crate::session) fn post(&self, shard: u16, event: LiveEvent) {
        self.context.inboxes.post(shard, event);
    }

    /// What was posted to a shard, where a test stands in for it.
    #[cfg(test)]
    pub(in crate::session) fn take_events(&self, shard: u16) -> Vec<LiveEvent> {
        let inbox = self.context.inboxes.of(shard);
        inbox.map(ShardInbox::take_all).unwrap_or_default()
    }

    /// What else is to be done when time passes, once.
    pub(in crate::session) fn on_tick(&self, duty: Box<dyn Fn() + Send + Sync>) {
        // Only the first counts.
        let _ = self.duty.set(duty);
    }

    /// A request names the session: it is in use. Costs one load while no session has anything live.
    pub fn touch(&self, token: SessionToken) {
        if let Some(mut partition) = self.sessions.lock_if_any(token)
            && let Some(state) = partition.get_mut(token)
        {
            state.used = self.context.now();
        }
    }

    /// Whether the session was evicted: its id is to be treated as unknown.
    pub fn is_evicted(&self, token: SessionToken) -> bool {
        self.evicted.contains(token.0)
    }

    /// Figures for metrics.
    pub fn stats(&self) -> LiveStats {
        LiveStats {
            sessions: self.sessions.sessions(),
            bytes: self.context.budget.used_bytes(),
            evictions: self.evictions.load(Ordering::Relaxed),
            evicted: self.evicted.figures(),
        }
    }

    /// The stream on which the server speaks to a session on its own account, if the client has one.
    pub(in crate::session) fn get_stream_of(&self, token: SessionToken) -> Option<Arc<Stream>> {
        let mut partition = self.sessions.lock_if_any(token)?;
        partition.get_mut(token)?.get_stream.clone()
    }

    fn resume(&self, token: SessionToken, last_event: &[u8]) -> Option<Attached> {
        let event = EventId::parse(last_event)?;
        let mut partition = self.sessions.lock_if_any(token)?;
        let state = partition.get_mut(token)?;
        state.used = self.context.now();
        let stream = Arc::clone(state.stream(event.stream)?);
        drop(partition);
        let after = Some(event.seq);
        (event.seq <= stream.last_seq()).then_some(Attached { stream, after })
    }

    fn new_get_stream(self: &Arc<Self>, token: SessionToken) -> Arc<Stream> {
        let stream = Arc::new(self.new_stream(StreamKind::Get, true, self.owner(token)));
        self.subscribe_stream(&stream, Lists::ALL, &[]);
        stream
    }

    fn owner(&self, token: SessionToken) -> Owner {
        let live = Weak::clone(&self.me);
        Owner::Session { token, live }
    }

    fn new_stream(&self, kind: StreamKind, is_resumable: bool, owner: Owner) -> Stream {
        let context = Arc::clone(&self.context);
        let number = context.unpredictable();
        Stream::new(StreamId { kind, number }, is_resumable, owner, context)
    }

    /// Makes a stream listen.
    fn subscribe_stream(&self, stream: &Arc<Stream>, lists: Lists, uris: &[&str]) {
        let subscriptions = &self.context.subscriptions;
        let mut is_dirty = false;
        let join = |uri: &&str| {
            subscriptions.subscribe(uri, Listener::Stream(Arc::downgrade(stream)), &mut is_dirty)
        };
        let uris = uris.iter().filter_map(join).collect();
        let wants_lists = lists != Lists::NONE;
        let lists = wants_lists.then(|| subscriptions.subscribe_to_lists(Arc::downgrade(stream), lists));
        stream.set_subscriptions(StreamSubscriptions {
            lists: lists.flatten(),
            uris,
        });
        if is_dirty {
            self.context.pending.on_dirty();
        }
    }
}

impl FeatureState for Live {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), StateRefused> {
        self.enter(session.token, session.session.principal, |state| {
            state.log_level = Some(level);
            Ok(())
        })
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        let mut partition = self.sessions.lock_if_any(session)?;
        partition.get_mut(session)?.log_level
    }

    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), StateRefused> {
        let SharedContext {
            subscriptions,
            options,
            ..
        } = &*self.context;
        self.make_room(SubscriptionIndex::subscription_bytes(uri))?;
        let mut is_dirty = false;
        let joined = self.enter(session.token, session.session.principal, |state| {
            if subscriptions.position(&state.subscriptions, uri).is_some() {
                return Ok(());
            }
            if state.subscriptions.len() >= options.subscriptions_max {
                return Err(StateRefused::Full);
            }
            let key = subscriptions.subscribe(uri, Listener::Session(session.token), &mut is_dirty);
            state.subscriptions.push(key.ok_or(StateRefused::Full)?);
            Ok(())
        });
        if is_dirty {
            self.context.pending.on_dirty();
        }
        joined
    }

    fn unsubscribe(&self, session: &OpenSession, uri: &str) {
        let subscriptions = &self.context.subscriptions;
        let left = self.visit(session.token, |state| {
            let position = subscriptions.position(&state.subscriptions, uri)?;
            Some(state.subscriptions.swap_remove(position))
        });
        if let Some(key) = left.flatten()
            && subscriptions.unsubscribe(&[key])
        {
            self.context.pending.on_dirty();
        }
    }

    fn cancel(&self, session: SessionToken, request: &RequestId) {
        self.context.inboxes.cancel(session, request);
    }

    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>) {
        let Some(id) = QuestionId::parse(question) else {
            return;
        };
        let found = self.visit(session, |state| {
            let position = state.questions.iter().position(|question| question.id == id)?;
            Some(state.questions.swap_remove(position))
        });
        if let Some(question) = found.flatten() {
            self.deliver(question, answer);
        }
    }
}
