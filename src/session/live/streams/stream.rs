//! One sequence of messages to one client. Any thread pushes messages; the shard of the client's connection takes them.
//!
//! A resumable stream retains what it sent, bounded in bytes and age, so that a client that comes back with
//! `Last-Event-ID` gets the rest; other streams retain nothing. Unsent messages are bounded, too: beyond the bound the
//! stream is cut off and drops everything, since a client with a gap is worse off than one that knows that it must
//! start anew.
//!
//! Invariants: at most one connection takes messages, each exactly once and in the order they were pushed; the
//! shard is told once between two looks that found nothing; no lock is held while messages are written.
#![allow(
    clippy::disallowed_types,
    reason = "any thread pushes messages; the lock is held for a few pointers"
)]

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::super::budget::Charge;
use super::super::places::StreamPlace;
use super::super::shard_events::LiveEvent;
use super::super::shared_context::{Seconds, SharedContext};
use super::super::subscriptions::{StreamSubscriptions, SubscriptionIndex};
use super::event_id::{EventId, StreamId};
use super::message::Message;
use super::queue::{Queue, StreamState};
use crate::jsonrpc::RequestId;
use crate::mcp::SessionToken;

/// The number of messages that are taken under one lock.
const BATCH_MESSAGES: usize = 16;

/// The context that streams share.
pub(in crate::session::live) type StreamContext = SharedContext<Stream>;
pub(in crate::session::live) type StreamIndex = SubscriptionIndex<Stream>;

/// The keeper of the streams of sessions, which is the store.
pub(in crate::session::live) trait StreamKeeper: Send + Sync {
    /// Notes that a stream of the session was let go, by its connection or by its call: the session may be idle.
    fn on_released(&self, session: SessionToken);
}

/// One message, ready to be written.
#[derive(Debug)]
pub struct Event<'a> {
    /// For the `id:` field; only resumable streams have ids.
    pub id: Option<EventId>,
    /// The message itself.
    pub message: &'a Message,
    /// The subscription that the message belongs to, for [`Message::write`].
    pub subscription: Option<&'a RequestId>,
}

/// The owner of a stream.
pub(in crate::session::live) enum Owner {
    /// The caller alone.
    Call,
    Session {
        token: SessionToken,
        keeper: Weak<dyn StreamKeeper>,
    },
    Subscription(RequestId),
}

/// See the module's documentation. The threads that push messages share it with the shard and, if it is resumable, with
/// the session.
pub struct Stream {
    id: StreamId,
    is_resumable: bool,
    owner: Owner,
    context: Arc<StreamContext>,
    /// Its subscriptions, if it has any, until it is dropped. They are made when the stream exists, so that it gets
    /// everything from then on.
    subscriptions: OnceLock<StreamSubscriptions>,
    queue: Mutex<Queue>,
    _charge: Charge,
}

/// The bound within which a message must fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// The messages that one client may leave unread.
    Backlog,
    /// Half of them; what exceeds it is dropped.
    HalfTheBacklog,
    /// All live state.
    Memory,
}

/// Messages on their way from the queue to the writer, without an allocation.
type Batch = [Option<(u64, Message)>; BATCH_MESSAGES];

impl Stream {
    pub(in crate::session::live) fn new(
        id: StreamId,
        is_resumable: bool,
        owner: Owner,
        context: Arc<StreamContext>,
    ) -> Self {
        let charge = context.budget.charge(size_of::<Self>());
        Self {
            id,
            is_resumable,
            owner,
            queue: Mutex::new(Queue::new(context.now())),
            context,
            subscriptions: OnceLock::new(),
            _charge: charge,
        }
    }

    /// Takes over the subscriptions that were made for it, once.
    pub(in crate::session::live) fn set_subscriptions(&self, subscriptions: StreamSubscriptions) {
        if let Err(surplus) = self.subscriptions.set(subscriptions) {
            self.context.unsubscribe_stream(&surplus);
        }
    }

    /// Its place among those who listen to lists, if it does.
    pub(in crate::session::live) fn list_listener(&self) -> Option<u32> {
        self.subscriptions.get()?.lists
    }

    /// The stream's name.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Whether its events have ids and a client may come back for them.
    pub fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// The id of the event before the next one. A priming event carries it, and a client that lost everything after it
    /// brings it back.
    pub fn position(&self) -> EventId {
        let queue = self.lock();
        EventId {
            stream: self.id,
            seq: queue.next_unsent_seq().saturating_sub(1),
        }
    }

    /// Appends a message. It never blocks beyond a short lock. A message that exceeds the bound of unsent bytes cuts
    /// the stream off; a message is taken however large it is if nothing else is unsent. After the end, messages are
    /// dropped.
    pub fn push(&self, message: Message) {
        if let Some(place) = self.push_quietly(message) {
            self.context.inboxes.ready(place);
        }
    }

    /// Appends a message that may get lost: it does when half of what the client may leave unread is there.
    pub fn offer(&self, message: Message) {
        if let Some(place) = self.enqueue(message, Bound::HalfTheBacklog) {
            self.context.inboxes.ready(place);
        }
    }

    /// Appends the last message, and ends the stream behind it. An answer for which somebody waits is taken whatever is
    /// unsent, as long as there is memory: the messages before it may not have had the time to leave.
    pub fn conclude(&self, answer: Message) {
        if let Some(place) = self.conclude_quietly(answer) {
            self.context.inboxes.ready(place);
        }
    }

    /// The same as [`Stream::conclude`], but the caller tells the shard of the place that is returned.
    pub fn conclude_quietly(&self, answer: Message) -> Option<StreamPlace> {
        let place = self.enqueue(answer, Bound::Memory);
        self.end();
        place
    }

    /// The same as [`Stream::push`], but the caller tells the shard of the place that is returned; most often it is
    /// that shard.
    pub fn push_quietly(&self, message: Message) -> Option<StreamPlace> {
        self.enqueue(message, Bound::Backlog)
    }

    fn enqueue(&self, message: Message, bound: Bound) -> Option<StreamPlace> {
        message.charge_to(&self.context.budget);
        let is_over_budget = self.context.budget.is_over();
        let now = self.context.now();
        let mut dropped = VecDeque::new();
        let mut queue = self.lock();
        if queue.is_over() {
            return None;
        }
        let options = &self.context.options;
        let part = if bound == Bound::HalfTheBacklog { 2 } else { 1 };
        let backlog_bytes = queue.unsent_bytes + message.as_bytes().len();
        let is_backlog = backlog_bytes > options.backlog_bytes_max / part
            || queue.unsent() >= options.backlog_messages_max / part;
        let is_too_much = is_over_budget || bound != Bound::Memory && is_backlog;
        if queue.unsent_bytes > 0 && is_too_much {
            if bound == Bound::HalfTheBacklog {
                return None;
            }
            dropped = queue.cut_off();
        } else {
            queue.push(message, now);
        }
        let place = queue.tell();
        drop(queue);
        drop(dropped);
        place
    }

    /// Ends the stream; queued messages are still sent.
    pub fn end(&self) {
        self.end_quietly();
        self.tell_session();
    }

    /// The same as [`Stream::end`], by the session itself, which need not be told.
    pub(in crate::session::live) fn end_quietly(&self) {
        let mut queue = self.lock();
        if queue.is_over() {
            return;
        }
        queue.is_ended = true;
        queue.touched = self.context.now();
        let place = queue.tell();
        drop(queue);
        if let Some(place) = place {
            self.context.inboxes.ready(place);
        }
    }

    /// From now on this connection takes the messages: those after the one with sequence number `after`, as far as they
    /// are retained, else the unsent ones. The caller takes messages at once, since no event comes for those that are
    /// queued. Returns the place that the stream had before, whose shard gets a [`LiveEvent::Displaced`].
    pub fn attach(&self, place: StreamPlace, after: Option<u64>) -> Option<StreamPlace> {
        let mut queue = self.lock();
        let displaced = queue.place.replace(place).filter(|old| *old != place);
        if let Some(after) = after {
            queue.rewind(after);
        }
        queue.is_told = true;
        drop(queue);
        if let Some(old) = displaced {
            let event = LiveEvent::Displaced(old.connection);
            self.context.inboxes.post(old.shard, event);
        }
        displaced
    }

    /// Notes that the connection is gone or takes no more. Changes nothing if the stream is attached elsewhere by now.
    pub fn detach(&self, place: StreamPlace) {
        let mut queue = self.lock();
        if queue.place != Some(place) {
            return;
        }
        queue.place = None;
        queue.touched = self.context.now();
        drop(queue);
        self.tell_session();
    }

    /// Takes messages, oldest first, until there are none or so many bytes of JSON were taken; at least one if
    /// `budget_bytes` is not 0. `write` is called without a lock and must not fail: a message that it was given counts
    /// as sent.
    pub fn next(
        &self,
        place: StreamPlace,
        budget_bytes: usize,
        write: &mut dyn FnMut(Event<'_>),
    ) -> StreamState {
        let mut batch = Batch::default();
        let mut bytes_left = budget_bytes;
        loop {
            let state = self.take(place, &mut bytes_left, &mut batch);
            for (seq, message) in batch.iter_mut().map_while(Option::take) {
                let stream = self.id;
                write(Event {
                    id: self.is_resumable.then_some(EventId { stream, seq }),
                    message: &message,
                    subscription: self.subscription(),
                });
            }
            if let Some(state) = state {
                return state;
            }
        }
    }

    /// The subscription to which the stream's messages belong.
    pub fn subscription(&self) -> Option<&RequestId> {
        match &self.owner {
            Owner::Subscription(id) => Some(id),
            _ => None,
        }
    }

    /// Fills the batch; `None` if there is more to fill another.
    fn take(&self, place: StreamPlace, bytes_left: &mut usize, batch: &mut Batch) -> Option<StreamState> {
        let retained_bytes_max = if self.is_resumable {
            self.context.options.replay_bytes_max
        } else {
            0
        };
        let mut queue = self.lock();
        if queue.place != Some(place) {
            return Some(StreamState::Displaced);
        }
        for slot in batch {
            if *bytes_left == 0 {
                break;
            }
            let Some((seq, message)) = queue.take_unsent() else {
                break;
            };
            *bytes_left = bytes_left.saturating_sub(message.as_bytes().len());
            *slot = Some((seq, message));
        }
        queue.trim(retained_bytes_max);
        queue.state(*bytes_left)
    }

    /// Whether too much was unsent, so that the queued messages are lost and no more are taken.
    pub fn is_cut_off(&self) -> bool {
        self.lock().is_cut_off
    }

    /// The last sequence number that a message got.
    pub(in crate::session::live) fn last_seq(&self) -> u64 {
        self.lock().next_seq().saturating_sub(1)
    }

    pub(in crate::session::live) fn is_attached(&self) -> bool {
        self.lock().place.is_some()
    }

    /// Whether the stream was ended or cut off, so that no more messages are taken.
    pub(in crate::session::live) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Forgets what was retained for too long. Returns whether its session is to keep the stream, since somebody may
    /// still push or take messages.
    pub(in crate::session::live) fn sweep(&self, oldest: Seconds) -> bool {
        let mut forgotten = Vec::new();
        let mut queue = self.lock();
        let is_detached = queue.place.is_none();
        queue.forget_older(oldest, is_detached, &mut forgotten);
        let is_left_over = is_detached && queue.is_ended && queue.touched < oldest;
        !(queue.is_cut_off || is_left_over)
    }

    /// The time from which the age of a stream without a connection counts.
    pub(in crate::session::live) fn touched(&self) -> Seconds {
        self.lock().touched
    }

    fn tell_session(&self) {
        if let Owner::Session { token, keeper } = &self.owner
            && let Some(keeper) = keeper.upgrade()
        {
            keeper.on_released(*token);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that runs under the lock leaves a queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(subscriptions) = self.subscriptions.get() {
            self.context.unsubscribe_stream(subscriptions);
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
