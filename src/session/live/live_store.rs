//! The store of what is live: the ways in for shards, calls and clients' requests.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::options::LiveOptions;
use super::places::{CallPlace, StreamPlace};
use super::sessions::{Question, QuestionId, SessionTable};
use super::shard_events::{LiveEvent, ShardInbox};
use super::shared_context::{SharedContext, seconds};
use super::sse_inbox::{DeliverRefused, SseInbox, SseInboxes};
use super::streams::{
    EventId, Owner, Stream, StreamContext, StreamId, StreamIndex, StreamKeeper, StreamKind,
};
use super::subscriptions::{Listener, Lists, StreamSubscriptions};
use crate::jsonrpc::RequestId;
use crate::mcp::{Announcement, Interest, OpenSession, Principal, SessionToken, StateRefused};
use crate::metrics::TombstoneFigures;

/// Questions of one session that wait for an answer. Measured by nothing: more than any tool asks at once.
pub(super) const QUESTIONS_MAX: usize = 256;

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
    /// Bytes counted: sessions, streams, subscriptions, messages queued or retained.
    pub bytes: usize,
    /// Sessions evicted so far, to make room or because they were idle.
    pub evictions: u64,
    /// Evicted sessions that are remembered, and those that were forgotten before their ids expired.
    pub evicted: TombstoneFigures,
}

/// The process's live state. See the documentation of the folder's front door.
pub struct Live {
    pub(super) context: Arc<StreamContext>,
    pub(super) sessions: SessionTable,
    pub(super) sse_inboxes: Arc<SseInboxes>,
    /// What else is to be done when time passes.
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
        let context = SharedContext::new(options, shards);
        Arc::new_cyclic(|me| Self {
            sessions: SessionTable::new(Arc::clone(&context)),
            context,
            sse_inboxes: SseInboxes::new(),
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
        &self,
        session: Option<(SessionToken, Principal)>,
        is_resumable: bool,
    ) -> Result<Arc<Stream>, StateRefused> {
        self.sessions.make_room(size_of::<Stream>())?;
        match session.filter(|_| is_resumable) {
            None => {
                let stream = self.new_stream(StreamKind::Call, false, Owner::Call);
                Ok(Arc::new(stream))
            }
            Some((token, principal)) => self.sessions.with_session_or_new(token, principal, |session| {
                let owner = self.owner(token);
                let stream = Arc::new(self.new_stream(StreamKind::Call, true, owner));
                session.calls.push(Arc::clone(&stream));
                Ok(stream)
            }),
        }
    }

    /// A modern client's stream of subscriptions; they end with it.
    ///
    /// # Errors
    /// When a limit is reached and nothing idle is left to evict, or there are too many URIs.
    pub fn open_listen(
        &self,
        subscription: RequestId,
        interest: &Interest,
    ) -> Result<Arc<Stream>, StateRefused> {
        let mut uris: Vec<&str> = interest.uris.iter().map(|uri| &**uri).collect();
        uris.sort_unstable();
        uris.dedup();
        if uris.len() > self.context.options.subscriptions_max {
            return Err(StateRefused::Full);
        }
        let uris_bytes: usize = uris.iter().map(|uri| StreamIndex::subscription_bytes(uri)).sum();
        self.sessions.make_room(size_of::<Stream>() + uris_bytes)?;
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
        &self,
        session: &OpenSession,
        last_event: Option<&[u8]>,
    ) -> Result<Attached, StreamRefused> {
        if let Some(last_event) = last_event {
            return self
                .resume(session.token, last_event)
                .ok_or(StreamRefused::Unknown);
        }
        let room = self
            .sessions
            .make_room(size_of::<Stream>() + StreamIndex::LISTS_BYTES);
        room.map_err(|StateRefused::Full| StreamRefused::Full)?;
        let (token, principal) = (session.token, session.session.principal);
        let opened = self.sessions.with_session_or_new(token, principal, |session| {
            let get_stream = session.get_stream.take().filter(|stream| !stream.is_over());
            if get_stream.as_ref().is_some_and(|stream| stream.is_attached()) {
                session.get_stream = get_stream;
                return Ok(None);
            }
            let stream = get_stream.unwrap_or_else(|| self.new_get_stream(token));
            session.get_stream = Some(Arc::clone(&stream));
            Ok(Some(stream))
        });
        let stream = opened.map_err(|StateRefused::Full| StreamRefused::Full)?;
        let stream = stream.ok_or(StreamRefused::Taken)?;
        Ok(Attached { stream, after: None })
    }

    /// The stream on which the server speaks to a session on its own account, if the client has one.
    pub(in crate::session) fn get_stream_of(&self, token: SessionToken) -> Option<Arc<Stream>> {
        self.sessions.look(token, |session| session.get_stream.clone())?
    }

    /// An inbox for the channel on this connection: from now on its shard gets a [`LiveEvent::SseMessage`] for each
    /// message that `principal` delivers to it, until the inbox is dropped.
    ///
    /// # Errors
    /// When a limit is reached and nothing idle is left to evict, or the system gives no randomness just now.
    pub fn open_sse_inbox(&self, principal: Principal, place: StreamPlace) -> Result<SseInbox, StateRefused> {
        self.sessions.make_room(SseInboxes::INBOX_BYTES)?;
        self.sse_inboxes
            .open(principal, place, &self.context.budget)
            .ok_or(StateRefused::Full)
    }

    /// Posts a copy of a message to the channel of this name, in the order of deliveries. Any thread; costs a look-up
    /// and an event.
    ///
    /// # Errors
    /// When no channel of `principal`'s has this name, or the channel has too much to deal with already.
    pub fn deliver_message(
        &self,
        name: &[u8],
        principal: Principal,
        message: &[u8],
    ) -> Result<(), DeliverRefused> {
        let found = self.sse_inboxes.find(name, principal);
        let (place, waiting) = found.ok_or(DeliverRefused::Unknown)?;
        self.sessions
            .make_room(SseInboxes::message_bytes(message))
            .map_err(|StateRefused::Full| DeliverRefused::Full)?;
        let context = &*self.context;
        let message = waiting
            .admit(message, &context.options, &context.budget)
            .ok_or(DeliverRefused::Full)?;
        let connection = place.connection;
        let event = LiveEvent::SseMessage { connection, message };
        context.inboxes.post(place.shard, event);
        Ok(())
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
        self.sessions.with_session_or_new(session, principal, |session| {
            if session.questions.len() >= QUESTIONS_MAX {
                return Err(StateRefused::Full);
            }
            session.questions.push(Question { id, asker, number });
            Ok(id)
        })
    }

    /// The call is over: answers that still come are ignored.
    pub fn forget_questions(&self, session: SessionToken, asker: CallPlace) {
        self.sessions.with_session(session, |session| {
            session.questions.retain(|question| question.asker != asker);
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
        self.sessions.end(token);
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
        self.sessions.touch(token);
    }

    /// Whether the session was evicted: its id is to be treated as unknown.
    pub fn is_evicted(&self, token: SessionToken) -> bool {
        self.sessions.is_evicted(token)
    }

    /// The store is `age` old: forgets what was retained long enough, evicts who was idle for too long. Called
    /// about once a second, by the broadcaster or by a test; costs some ten nanoseconds per session.
    pub fn tick(&self, age: Duration) {
        self.context.set_now(seconds(age));
        if let Some(duty) = self.duty.get() {
            duty();
        }
        self.sessions.sweep();
    }

    /// Figures for metrics.
    pub fn stats(&self) -> LiveStats {
        LiveStats {
            sessions: self.sessions.sessions(),
            bytes: self.context.budget.used_bytes(),
            evictions: self.sessions.evictions(),
            evicted: self.sessions.evicted(),
        }
    }

    fn resume(&self, token: SessionToken, last_event: &[u8]) -> Option<Attached> {
        let event = EventId::parse(last_event)?;
        let now = self.context.now();
        let stream = self.sessions.look(token, |session| {
            session.used = now;
            session.stream(event.stream).map(Arc::clone)
        })??;
        let after = Some(event.seq);
        (event.seq <= stream.last_seq()).then_some(Attached { stream, after })
    }

    fn new_get_stream(&self, token: SessionToken) -> Arc<Stream> {
        let stream = Arc::new(self.new_stream(StreamKind::Get, true, self.owner(token)));
        self.subscribe_stream(&stream, Lists::ALL, &[]);
        stream
    }

    fn owner(&self, token: SessionToken) -> Owner {
        let keeper = Weak::<Self>::clone(&self.me);
        Owner::Session { token, keeper }
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
        let subscribe = |uri: &&str| {
            let listener = Listener::Stream(Arc::downgrade(stream));
            subscriptions.subscribe(uri, listener, &mut is_dirty)
        };
        let uris = uris.iter().filter_map(subscribe).collect();
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

impl StreamKeeper for Live {
    fn on_released(&self, session: SessionToken) {
        self.sessions.with_session(session, |_| ());
    }
}
