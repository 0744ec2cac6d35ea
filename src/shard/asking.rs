//! Calls that wait for their client: the handler is given back, and taken again when there is something to go on with.
//!
//! A question goes out on the call's stream; its answer comes in any later request of the session, on any shard, and
//! by letter to here. Meanwhile an asynchronous call lies on a shelf without a handler. Whatever wakes it, the answer or
//! anything else it waits for, it asks for a handler first and goes before requests that have not begun. A blocking
//! call keeps its handler, since the worker it occupies is the scarcer of the two.
//!
//! ```text
//! Calling ── asks, is pending ──► shelved ── woken ──► returning ── a handler ──► Calling
//!                                    └── deadline: the questions are answered with that ──┘
//! ```
//!
//! Bounded: a question finds a place or is refused. The time a call waits for its client is not counted as its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::mcp::TaskId;
use crate::metrics::HandlerState;
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, CallLink, Emission, NotedQuestion};
use crate::ring::ConnectionKey;
use crate::session::live::{CallPlace, Stream};
use crate::slab::{Slab, SlabKey};
use crate::timers::TimerKind;

use super::calls::{Call, Run};
use super::connections::{ExchangeState, State};
use super::speaking::call_number;
use super::{Shard, ShardRing};

/// Calls that may wait for their clients, for each handler.
const ASKERS_PER_HANDLER: u32 = 4;

/// Where a call that has asked something is known: its place, and which of its uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AskerKey {
    index: u32,
    generation: u32,
}

impl AskerKey {
    fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    fn from_number(number: u64) -> AskerKey {
        AskerKey {
            index: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

impl SlabKey for AskerKey {
    const GENERATION_MAX: u32 = u32::MAX;

    fn new(index: u32, generation: u32) -> AskerKey {
        AskerKey { index, generation }
    }

    fn slot(self) -> u32 {
        self.index
    }

    fn generation(self) -> u32 {
        self.generation
    }
}

/// Calls that have asked their clients something.
pub(super) struct Askers {
    places: Slab<AskerKey, Asker>,
    /// Shelved calls by the handler they had, which is what their task knows them by.
    by_handler: HashMap<HandlerKey, AskerKey>,
}

struct Asker {
    link: Arc<CallLink>,
    /// Questions that may still be open.
    questions: Vec<u32>,
    /// The handler it has, or had before it was shelved.
    handler: HandlerKey,
    connection: ConnectionKey,
    /// What it runs as, if that is a task.
    task: Option<Box<TaskId>>,
    /// When the questions that are open were asked.
    since: Instant,
    shelved: Option<Call>,
    is_returning: bool,
}

impl Askers {
    pub(super) fn new(handlers: u32) -> Askers {
        Askers {
            places: Slab::bounded(handlers.saturating_mul(ASKERS_PER_HANDLER)),
            by_handler: HashMap::new(),
        }
    }

    /// Whether no call lies on the shelf.
    pub(super) fn is_shelf_empty(&self) -> bool {
        self.by_handler.is_empty()
    }

    fn at(&mut self, key: AskerKey) -> Option<&mut Asker> {
        self.places.get_mut(key)
    }

    fn key_at(&self, index: u32) -> Option<AskerKey> {
        self.places.key_at(index)
    }

    fn keys(&self) -> Vec<AskerKey> {
        self.places.keys().collect()
    }

    fn insert(&mut self, asker: Asker) -> Option<AskerKey> {
        self.places.insert(asker).ok()
    }

    fn remove(&mut self, key: AskerKey) -> Option<Asker> {
        self.places.remove(key)
    }
}

impl<R: ShardRing> Shard<R> {
    /// Puts a call's question to its client.
    pub(super) fn ask(&mut self, handler: HandlerKey, link: &Arc<CallLink>, question: NotedQuestion) {
        let number = question.number;
        if self.try_ask(handler, link, question).is_none() {
            link.answer(number, Err(AnswerError::Unavailable));
        }
    }

    fn try_ask(&mut self, handler: HandlerKey, link: &Arc<CallLink>, question: NotedQuestion) -> Option<()> {
        if self.is_draining() {
            // Nobody could answer: the listener is closed, and so are connections without a request.
            return None;
        }
        let key = self.asker_of(handler, link)?;
        if !self.is_heard(handler) {
            return None;
        }
        let call = self.pool.call_mut(handler)?;
        let session = call.ticket.session();
        let is_task = call.task.is_some();
        let place = CallPlace {
            shard: self.metrics.shard.0,
            call: key.number(),
        };
        let service = Arc::clone(&call.service);
        let number = question.number;
        let live = service.store.live();
        let principal = call.ticket.principal();
        let asked = session.map(|session| live.ask(session, principal, place, number));
        let id = asked.transpose().ok()?;
        if is_task {
            self.put_task_question(handler, question, id.as_ref().map(|id| id.as_str()))?;
        } else {
            self.put_question(handler, question, id?.as_str())?;
        }
        let asker = self.askers.at(key)?;
        asker.questions.push(number);
        asker.since = self.clock.now;
        self.timers.clear(TimerKind::Call, handler.index);
        let deadline = self.clock.now + self.service.timeouts.ask;
        self.timers.set(TimerKind::Call, self.asker_timer(key), deadline);
        Some(())
    }

    /// Sends a question to a client that waits for the call's answer.
    fn put_question(&mut self, handler: HandlerKey, question: NotedQuestion, id: &str) -> Option<()> {
        let call = self.pool.call_mut(handler)?;
        let (service, ticket) = (&call.service, &call.ticket);
        let mut message = Vec::new();
        let emission = Emission::Question(question);
        let is_said = service
            .protocol
            .write_emission(ticket, &emission, id, &*service.store, &mut message);
        if is_said {
            self.say(handler, &emission, message);
        }
        is_said.then_some(())
    }

    /// The place of a call that asks; a new one for its first question, if there is one.
    fn asker_of(&mut self, handler: HandlerKey, link: &Arc<CallLink>) -> Option<AskerKey> {
        if let Some(key) = self.pool.call_mut(handler)?.asker {
            return Some(key);
        }
        let asker = Asker {
            link: Arc::clone(link),
            questions: Vec::new(),
            handler,
            connection: self.pool.holder(handler)?,
            task: self.pool.call_mut(handler)?.task.clone(),
            since: self.clock.now,
            shelved: None,
            is_returning: false,
        };
        let key = self.askers.insert(asker)?;
        self.pool.call_mut(handler)?.asker = Some(key);
        Some(key)
    }

    /// Shares the calls' kind of timer: askers' slots are those behind the handlers'.
    fn asker_timer(&self, key: AskerKey) -> u32 {
        self.pool.size() + key.index
    }

    /// An answer has come for a call of this shard.
    pub(super) fn answer_question(
        &mut self,
        call: u64,
        number: u32,
        answer: Result<serde_json::Value, AnswerError>,
    ) {
        let key = AskerKey::from_number(call);
        let Some(asker) = self.askers.at(key) else {
            return;
        };
        asker.questions.retain(|open| *open != number);
        let link = Arc::clone(&asker.link);
        let task = asker.task.clone();
        if let Some(task) = task {
            self.on_task_answered(&task, number);
        }
        // Wakes its task, which comes back by `on_woken`, or its worker.
        link.answer(number, answer);
        if link.open_questions() == 0 {
            self.on_all_answered(key);
        }
    }

    /// A call waits for its client no longer: its own time runs on.
    fn on_all_answered(&mut self, key: AskerKey) {
        self.timers.clear(TimerKind::Call, self.asker_timer(key));
        let now = self.clock.now;
        let Some(asker) = self.askers.at(key) else {
            return;
        };
        let waited = now.saturating_duration_since(asker.since);
        let handler = asker.handler;
        if let Some(call) = asker.shelved.as_mut() {
            call.wait_for_client(waited);
        } else if let Some(call) = self.pool.call_mut(handler) {
            call.wait_for_client(waited);
            self.timers.set(TimerKind::Call, handler.index, call.deadline);
        }
    }

    /// The time of a call's timer is over whose slot is behind the handlers'.
    pub(super) fn asks_timed_out(&mut self, index: u32) {
        if let Some(key) = self.askers.key_at(index) {
            self.fail_questions(key, &AnswerError::TimedOut);
        }
    }

    /// Nobody can answer any more.
    pub(super) fn fail_all_questions(&mut self) {
        for key in self.askers.keys() {
            self.fail_questions(key, &AnswerError::Cancelled);
        }
    }

    fn fail_questions(&mut self, key: AskerKey, error: &AnswerError) {
        let Some(asker) = self.askers.at(key) else {
            return;
        };
        let numbers = std::mem::take(&mut asker.questions);
        let link = Arc::clone(&asker.link);
        for number in numbers {
            link.answer(number, Err(error.clone()));
        }
        self.on_all_answered(key);
    }

    /// Takes the handler from a call that waits for its client; its task will bring it back.
    pub(super) fn shelve_if_asking(&mut self, handler: HandlerKey) {
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let is_asking = call.link.as_ref().is_some_and(|link| link.open_questions() > 0);
        let (Some(key), true) = (call.asker, is_asking) else {
            return;
        };
        match std::mem::replace(&mut call.run, Run::Polled) {
            Run::Pending(future, Some(waker)) => call.run = Run::Shelved(future, waker),
            // On a worker, or not known to its task yet.
            other => {
                call.run = other;
                return;
            }
        }
        self.pending_calls -= 1;
        let connection = self.pool.holder(handler);
        let Some(Some(call)) = self.pool.release(handler) else {
            return;
        };
        self.timers.clear(TimerKind::Call, handler.index);
        self.admission.on_given_back(handler);
        self.metrics.on_handler(HandlerState::Busy, HandlerState::Idle);
        if let Some(key) = connection
            && self.table.handler(key) == Some(handler)
        {
            self.table.begin_streaming(key);
        }
        if let Some(asker) = self.askers.at(key) {
            asker.handler = handler;
            asker.shelved = Some(call);
            self.askers.by_handler.insert(handler, key);
        }
        self.admission.release_permit();
        self.serve_waiters();
    }

    /// A task was woken whose call has no handler any more: if it is shelved, it wants one.
    pub(super) fn on_woken(&mut self, handler: HandlerKey) {
        let Some(&key) = self.askers.by_handler.get(&handler) else {
            return;
        };
        match self.askers.at(key) {
            Some(asker) if !asker.is_returning => asker.is_returning = true,
            _ => return,
        }
        self.admission.want_back(handler);
        self.serve_waiters();
    }

    /// A shelved call that gave up the handler `was` takes one; the permit for it is in hand.
    pub(super) fn serve_returning(&mut self, was: HandlerKey) {
        let Some(&key) = self.askers.by_handler.get(&was) else {
            return;
        };
        let Some(asker) = self.askers.at(key) else { return };
        asker.is_returning = false;
        if let Some(call) = asker.shelved.take() {
            let connection = asker.connection;
            self.askers.by_handler.remove(&was);
            self.return_call(key, connection, call);
        }
    }

    fn return_call(&mut self, key: AskerKey, connection: ConnectionKey, mut call: Call) {
        if let Run::Shelved(future, _) = std::mem::replace(&mut call.run, Run::Polled) {
            call.run = Run::Ready(future);
        }
        if self.pool.idle() == 0 {
            self.cut_longest_linger();
        }
        let (stream, link) = (call.stream.clone(), call.link.clone());
        let Ok(handler) = self.pool.acquire(connection, call) else {
            debug_assert!(false, "a permit without a handler");
            return;
        };
        self.metrics.on_handler(HandlerState::Idle, HandlerState::Busy);
        self.admission.on_began(handler, self.clock.now);
        if let Some(asker) = self.askers.at(key) {
            asker.handler = handler;
        }
        if let Some(link) = link {
            link.bind(call_number(handler));
        }
        if self.awaits_return(connection, stream.as_ref()) {
            self.table.begin_call(connection, handler);
        }
        self.started.push_back(handler);
    }

    /// Whether whoever brought a call waits for it to go on: a connection only if the call's stream is open on it.
    fn awaits_return(&mut self, key: ConnectionKey, stream: Option<&Arc<Stream>>) -> bool {
        if let Some(connection) = self.table.connection(key) {
            let open = connection.request.stream.as_ref().zip(stream);
            return connection.state == State::Streaming
                && open.is_some_and(|(open, stream)| open.is_of(stream));
        }
        let exchange = self.table.exchange(key).map(|exchange| exchange.state);
        exchange == Some(ExchangeState::Streaming) || self.table.task(key).is_some()
    }

    /// A call is over: what it asked is of no interest any more.
    pub(super) fn forget_asker(&mut self, call: &Call) {
        let Some(key) = call.asker else { return };
        self.timers.clear(TimerKind::Call, self.asker_timer(key));
        if let Some(asker) = self.askers.remove(key) {
            self.askers.by_handler.remove(&asker.handler);
        }
        if let Some(session) = call.ticket.session() {
            let place = CallPlace {
                shard: self.metrics.shard.0,
                call: key.number(),
            };
            call.service.store.live().forget_questions(session, place);
        }
    }

    /// The call of this entry that has asked something, by its number.
    pub(super) fn asker_at(&mut self, connection: ConnectionKey) -> Option<u64> {
        let mut keys = self.askers.keys().into_iter();
        let is_there = |asker: &mut Asker| asker.connection == connection;
        let key = keys.find(|key| self.askers.at(*key).is_some_and(is_there))?;
        Some(key.number())
    }

    /// Takes the shelved call of this entry, if there is one.
    pub(super) fn take_shelved_of(&mut self, connection: ConnectionKey) -> Option<Call> {
        let key = AskerKey::from_number(self.asker_at(connection)?);
        self.askers.at(key)?.shelved.take()
    }

    /// Takes the shelved call that `is_it`, if there is one; its place is free.
    pub(super) fn take_shelved(&mut self, is_it: impl Fn(&Call) -> bool) -> Option<(ConnectionKey, Call)> {
        let mut keys = self.askers.keys().into_iter();
        let key = keys.find(|key| {
            let shelved = self.askers.at(*key).and_then(|asker| asker.shelved.as_ref());
            shelved.is_some_and(&is_it)
        })?;
        let asker = self.askers.at(key)?;
        let connection = asker.connection;
        asker.shelved.take().map(|call| (connection, call))
    }
}
