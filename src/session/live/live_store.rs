//! The live store, as shards, calls and clients' requests use it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::options::LiveOptions;
use super::places::{CallPlace, ChildPlace, StreamPlace};
use super::sessions::{Asker, Question, QuestionId, SessionTable};
use super::shard_events::{LiveEvent, ShardInbox};
use super::shared_context::{SharedContext, seconds};
use super::sse_inbox::{DeliverRefused, SseInbox, SseInboxes};
use super::streams::{
    EventId, Owner, Stream, StreamContext, StreamId, StreamIndex, StreamKeeper, StreamKind,
};
use super::subscriptions::{Listener, Lists, StreamSubscriptions};
use crate::jsonrpc::RequestId;
use crate::mcp::{
    Announcement, ChildOwner, ClientKey, Interest, OpenSession, Principal, SessionToken, StateRefused,
};
use crate::metrics::TombstoneFigures;

/// The most questions of one session that may wait for an answer. The number is not measured; no tool asks as many at
/// once.
pub(super) const QUESTIONS_MAX: usize = 256;

/// The stream that a client opens or resumes.
#[derive(Debug)]
pub struct Attached {
    /// The stream; the caller gives it to [`Stream::attach`] at once.
    pub stream: Arc<Stream>,
    /// The last message that the client has; `None` if it wants what was not sent yet.
    pub after: Option<u64>,
}

/// Why a client's GET gets no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefused {
    /// A limit is reached and nothing idle is left to evict.
    Full,
    /// `Last-Event-ID` names no event that this session was sent, or one that is no longer retained.
    Unknown,
    /// The session's GET stream has a connection already.
    Taken,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Sessions with something live.
    pub sessions: usize,
    /// Bytes counted for sessions, streams, subscriptions, and messages that are queued or retained.
    pub bytes: usize,
    /// Sessions that were evicted so far, to make room or because they were idle.
    pub evictions: u64,
    /// Evicted sessions that are remembered, and those that were forgotten before their ids expired.
    pub evicted: TombstoneFigures,
}

/// The process's live state. The documentation of its folder says what it is for.
pub struct Live {
    pub(super) context: Arc<StreamContext>,
    pub(super) sessions: SessionTable,
    pub(super) sse_inboxes: Arc<SseInboxes>,
    /// A function that is called whenever time has passed.
    duty: OnceLock<Box<dyn Fn() + Send + Sync>>,
    me: Weak<Live>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("stats", &self.stats()).finish()
    }
}

impl Live {
    /// An empty store for shards that are numbered from 0.
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

    /// From now on, events for the shard go into this inbox.
    pub fn join(&self, shard: u16, inbox: Box<dyn ShardInbox>) {
        self.context.inboxes.join(shard, inbox);
    }

    /// A stream for the answer of one call and the messages before it. The session retains a resumable stream, and the
    /// call must call [`Stream::end`] after its answer.
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

    /// A modern client's stream of subscriptions, which end with the stream.
    ///
    /// # Errors
    /// When a limit is reached and nothing idle is left to evict, or there are too many URIs.
    pub fn open_listen(
        &self,
        subscription: RequestId,
        interest: &Interest,
    ) -> Result<Arc<Stream>, StateRefused> {
        let own = interest.own_uris.iter().map(|(uri, owner)| (&**uri, Some(owner)));
        let everybodys = interest.uris.iter().map(|uri| (&**uri, None));
        let mut uris: Vec<(&str, Option<&ChildOwner>)> = everybodys.chain(own).collect();
        uris.sort_unstable_by_key(|(uri, _)| *uri);
        uris.dedup_by_key(|(uri, _)| *uri);
        if uris.len() > self.context.options.subscriptions_max {
            return Err(StateRefused::Full);
        }
        let uris_bytes: usize = uris
            .iter()
            .map(|(uri, owner)| StreamIndex::subscription_bytes(uri, *owner))
            .sum();
        self.sessions.make_room(size_of::<Stream>() + uris_bytes)?;
        let lists = Lists::of(interest.tools, interest.prompts, interest.resources);
        let owner = Owner::Subscription(subscription);
        let stream = Arc::new(self.new_stream(StreamKind::Listen, false, owner));
        self.subscribe_stream(&stream, lists, &uris);
        Ok(stream)
    }

    /// The stream for a legacy client's GET: its session's GET stream, or the stream that its `Last-Event-ID` names. A
    /// client that resumes a stream takes it over from the connection that the stream still has.
    ///
    /// # Errors
    /// When there is no room, no stream to resume, or the session's GET stream has a connection.
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

    /// The stream for messages that belong to no request of the session's, if its client has opened one.
    pub fn get_stream_of(&self, token: SessionToken) -> Option<Arc<Stream>> {
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

    /// Posts a copy of a message to the channel of this name, in the order of deliveries. Any thread may call it; it
    /// costs a look-up and an event.
    ///
    /// # Errors
    /// When no channel of `principal`'s has this name, or the channel has too many messages to process already.
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
        self.ask_as(session, principal, Asker::Call(asker), number)
    }

    /// Notes that another program asks the client of one of its calls something; the id is the JSON-RPC id of the
    /// request. The answer comes as a [`LiveEvent::ChildAnswer`], unless the question is forgotten.
    ///
    /// # Errors
    /// As of [`Live::ask`].
    pub fn ask_for_child(
        &self,
        session: SessionToken,
        principal: Principal,
        asker: ChildPlace,
        number: u32,
    ) -> Result<QuestionId, StateRefused> {
        self.ask_as(session, principal, Asker::Child(asker), number)
    }

    fn ask_as(
        &self,
        session: SessionToken,
        principal: Principal,
        asker: Asker,
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

    /// Forgets the questions of a call that is over: answers that still come are ignored.
    pub fn forget_questions(&self, session: SessionToken, asker: CallPlace) {
        self.sessions.with_session(session, |session| {
            session
                .questions
                .retain(|question| question.asker != Asker::Call(asker));
        });
    }

    /// Forgets a question of another program, or with `None` all of this asker: answers that still come are ignored.
    pub fn forget_child_questions(&self, session: SessionToken, asker: ChildPlace, number: Option<u32>) {
        self.sessions.with_session(session, |session| {
            session.questions.retain(|question| {
                let is_it = number.is_none_or(|number| question.number == number);
                !is_it || question.asker != Asker::Child(asker)
            });
        });
    }

    /// Has the broadcaster notify everybody who listens, soon, and once however often this is announced until then. Any
    /// thread may call it; it costs a look-up.
    pub fn announce(&self, announcement: Announcement) {
        self.announce_to(None, announcement);
    }

    /// The same; with a client, for that one only, whose own child has changed something.
    pub fn announce_to(&self, client: Option<ClientKey>, announcement: Announcement) {
        match announcement {
            Announcement::ResourceUpdated(uri) => self.announce_update(&uri, client),
            _ => self
                .context
                .pending
                .on_lists(Lists::told_by(&announcement), client),
        }
    }

    /// From now on a stream that listens to lists hears of those of this client's own child, too.
    pub fn listen_as(&self, stream: &Stream, client: ClientKey) {
        if let Some(listener) = stream.list_listener() {
            self.context.subscriptions.set_client(listener, client);
        }
    }

    /// The same for the update of a resource; with a client, for that one only, whose own child says so.
    pub fn announce_update(&self, uri: &str, client: Option<ClientKey>) {
        if let Some(heard) = self.context.subscriptions.heard(uri, client) {
            self.context.pending.on_updated(heard.subject);
        }
    }

    /// Tells a shard that the stream on one of its connections has messages to send.
    pub fn tell(&self, place: StreamPlace) {
        self.context.inboxes.ready(place);
    }

    /// The bytes and messages of one stream that its client may leave unread.
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

    /// The events that were posted to a shard, for a test that stands in for the shard.
    #[cfg(test)]
    pub(in crate::session) fn take_events(&self, shard: u16) -> Vec<LiveEvent> {
        let inbox = self.context.inboxes.of(shard);
        inbox.map(ShardInbox::take_all).unwrap_or_default()
    }

    /// Sets the function that is called whenever time has passed.
    pub(in crate::session) fn on_tick(&self, duty: Box<dyn Fn() + Send + Sync>) {
        // Only the first function counts.
        let _ = self.duty.set(duty);
    }

    /// Notes that a request names the session. It costs one load while no session has anything live.
    pub fn touch(&self, token: SessionToken) {
        self.sessions.touch(token);
    }

    /// Whether the session was evicted, so that its id counts as unknown.
    pub fn is_evicted(&self, token: SessionToken) -> bool {
        self.sessions.is_evicted(token)
    }

    /// Tells the store that it is `age` old: it forgets what was retained for long enough, and evicts sessions that
    /// were idle for too long. The broadcaster calls it about once a second; it costs some ten nanoseconds per session.
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

    /// Subscribes a stream to lists and URIs.
    fn subscribe_stream(&self, stream: &Arc<Stream>, lists: Lists, uris: &[(&str, Option<&ChildOwner>)]) {
        let subscriptions = &self.context.subscriptions;
        let mut is_dirty = false;
        let subscribe = |(uri, owner): &(&str, Option<&ChildOwner>)| {
            let listener = Listener::Stream(Arc::downgrade(stream));
            subscriptions.subscribe(uri, *owner, listener, &mut is_dirty)
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
