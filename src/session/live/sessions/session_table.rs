//! The table of sessions with something live. A session comes in on demand. It leaves when nothing is left of it, when
//! it was idle for too long, or because another session needs the room.
//!
//! Invariants: a session is refused only when as many as the table looks at are busy; an evicted session is a tombstone
//! before it is gone, so that no request sees it without its state; a session with nothing left leaves no tombstone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::super::shard_events::LiveEvent;
use super::super::shared_context::{Seconds, seconds};
use super::super::streams::{Stream, StreamContext};
use super::question::{Asker, Question, QuestionId};
use super::session_state::SessionState;
use super::sharded_map::{LockedPartition, Reached, ShardedMap};
use crate::mcp::{Principal, SessionToken, StateRefused, UnixSeconds};
use crate::metrics::TombstoneFigures;
use crate::registry::AnswerError;
use crate::session::tombstones::Tombstones;

/// The most evicted sessions that are remembered at a time. When more are evicted within the life of an id, the oldest
/// come back without their state, which is better than to refuse everybody because one client makes sessions in a loop.
const TOMBSTONES_MAX: usize = 64 * 1024;
/// The most idle sessions that are looked at to make room, since some turn out to be busy again.
const LOOKS_MAX: usize = 256;

/// The sessions with something live, and those that were evicted.
pub(in crate::session::live) struct SessionTable {
    context: Arc<StreamContext>,
    map: ShardedMap,
    /// Evicted sessions, by the seconds of the store's own clock.
    evicted: Tombstones,
    evictions: AtomicU64,
}

/// The fate of a candidate for eviction.
enum Considered {
    Evicted(Box<SessionState>),
    /// It was used after it was put in order, or is gone.
    Spared,
}

impl SessionTable {
    pub(in crate::session::live) fn new(context: Arc<StreamContext>) -> Self {
        Self {
            context,
            map: ShardedMap::new(),
            evicted: Tombstones::new(TOMBSTONES_MAX),
            evictions: AtomicU64::new(0),
        }
    }

    /// The number of sessions with something live.
    pub(in crate::session::live) fn sessions(&self) -> usize {
        self.map.sessions()
    }

    /// The number of sessions that were evicted so far.
    pub(in crate::session::live) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Evicted sessions that are remembered, and those that were forgotten before their ids expired.
    pub(in crate::session::live) fn evicted(&self) -> TombstoneFigures {
        self.evicted.figures()
    }

    /// Whether the session was evicted, so that its id counts as unknown.
    pub(in crate::session::live) fn is_evicted(&self, token: SessionToken) -> bool {
        self.evicted.contains(token.0)
    }

    /// Notes that a request names the session. It costs one load while no session has anything live.
    pub(in crate::session::live) fn touch(&self, token: SessionToken) {
        self.look(token, |session| session.used = self.context.now());
    }

    /// Looks at a session, if there is one, without noting that it is used.
    pub(in crate::session::live) fn look<R>(
        &self,
        token: SessionToken,
        look: impl FnOnce(&mut SessionState) -> R,
    ) -> Option<R> {
        let mut partition = self.map.lock_if_any(token)?;
        partition.get_mut(token).map(look)
    }

    /// Works on a session, and makes it if there is none.
    pub(in crate::session::live) fn with_session_or_new<R>(
        &self,
        token: SessionToken,
        principal: Principal,
        work: impl FnOnce(&mut SessionState) -> Result<R, StateRefused>,
    ) -> Result<R, StateRefused> {
        let mut partition = self.map.lock(token);
        if partition.get_mut(token).is_none() {
            drop(partition);
            if self.is_evicted(token) {
                return Err(StateRefused::Full);
            }
            self.make_room(SessionState::BYTES)?;
            self.reserve(principal)?;
            partition = self.map.lock(token);
            if partition.get_mut(token).is_some() {
                self.map.release(principal);
            } else {
                let charge = self.context.budget.charge(SessionState::BYTES);
                let session = SessionState::new(principal, self.context.now(), charge);
                partition.insert(token, session);
            }
        }
        self.work(partition, token, work)
            .unwrap_or(Err(StateRefused::Full))
    }

    /// Works on a session, if there is one.
    pub(in crate::session::live) fn with_session<R>(
        &self,
        token: SessionToken,
        work: impl FnOnce(&mut SessionState) -> R,
    ) -> Option<R> {
        let partition = self.map.lock_if_any(token)?;
        self.work(partition, token, work)
    }

    fn work<R>(
        &self,
        mut partition: LockedPartition<'_>,
        token: SessionToken,
        work: impl FnOnce(&mut SessionState) -> R,
    ) -> Option<R> {
        let mut dropped = Vec::new();
        let session = partition.get_mut(token)?;
        session.used = self.context.now();
        let result = work(session);
        session.limit_finished(self.context.options.replay_streams_max, &mut dropped);
        let empty = session.is_empty().then(|| partition.remove(token)).flatten();
        partition.update_idle(token);
        drop(partition);
        drop(dropped);
        if let Some(session) = empty {
            self.finish(*session);
        }
        Some(result)
    }

    /// Ends what is live of a session: its streams end after what is queued, its questions are cancelled.
    pub(in crate::session::live) fn end(&self, token: SessionToken) {
        let Some(mut partition) = self.map.lock_if_any(token) else {
            return;
        };
        let session = partition.remove(token);
        drop(partition);
        if let Some(session) = session {
            self.finish(*session);
        }
    }

    /// Evicts idle sessions until so many bytes are free.
    pub(in crate::session::live) fn make_room(&self, bytes: usize) -> Result<(), StateRefused> {
        let budget = &self.context.budget;
        let mut looks = 0;
        while budget.lacks(bytes) {
            if looks == LOOKS_MAX || !self.evict_longest_idle(None) {
                return Err(StateRefused::Full);
            }
            looks += 1;
        }
        Ok(())
    }

    fn reserve(&self, principal: Principal) -> Result<(), StateRefused> {
        let options = &self.context.options;
        for _ in 0..LOOKS_MAX {
            let own_sessions_max = options.sessions_per_principal_max;
            let reserved = self
                .map
                .reserve(principal, options.sessions_max, own_sessions_max);
            let Err(reached) = reserved else {
                return Ok(());
            };
            let whose = (reached == Reached::OfPrincipal).then_some(principal);
            if !self.evict_longest_idle(whose) {
                break;
            }
        }
        Err(StateRefused::Full)
    }

    /// Looks at the session that is idle for longest, and evicts it if it still is idle. Returns false if no session is
    /// idle.
    fn evict_longest_idle(&self, principal: Option<Principal>) -> bool {
        let Some(token) = self.map.longest_idle(principal) else {
            return false;
        };
        if let Considered::Evicted(session) = self.consider(token) {
            self.finish(*session);
        }
        true
    }

    fn consider(&self, token: SessionToken) -> Considered {
        let mut partition = self.map.lock(token);
        let Some(session) = partition.get_mut(token) else {
            return Considered::Spared;
        };
        let is_still_idle = session.idle_since == Some(session.used) && !session.is_busy();
        if !is_still_idle {
            partition.update_idle(token);
            return Considered::Spared;
        }
        match self.evict(&mut partition, token) {
            Some(session) => Considered::Evicted(session),
            None => Considered::Spared,
        }
    }

    fn evict(&self, partition: &mut LockedPartition<'_>, token: SessionToken) -> Option<Box<SessionState>> {
        // The time is the store's own: whatever the calendar does, it goes on until the id has expired.
        let now = UnixSeconds(u64::from(self.context.now()));
        let max_age_seconds = self.context.options.session_max_age.as_secs();
        let expiry = UnixSeconds(now.0.saturating_add(max_age_seconds));
        self.evicted.insert(token.0, expiry, now);
        self.evictions.fetch_add(1, Ordering::Relaxed);
        partition.remove(token)
    }

    /// Ends the streams, subscriptions and questions of a session that is out of the map.
    fn finish(&self, session: SessionState) {
        self.map.release(session.principal);
        for stream in session.get_stream.iter().chain(&session.calls) {
            stream.end();
        }
        self.context.unsubscribe(&session.subscriptions);
        for question in session.questions {
            self.deliver(question, Err(AnswerError::Cancelled));
        }
    }

    /// Delivers a client's answer to a question of its session. Ids for which nobody waits are ignored.
    pub(in crate::session::live) fn answer(
        &self,
        token: SessionToken,
        id: QuestionId,
        answer: Result<Value, AnswerError>,
    ) {
        if let Some(question) = self.take_question(token, id, |_| true) {
            self.deliver(question, answer);
        }
    }

    /// Delivers a client's answer to another program's question as it was written. False if the question is none.
    pub(in crate::session::live) fn pass_on(
        &self,
        token: SessionToken,
        id: QuestionId,
        message: &[u8],
    ) -> bool {
        let is_childs = |question: &Question| matches!(question.asker, Asker::Child(_));
        let Some(question) = self.take_question(token, id, is_childs) else {
            return false;
        };
        self.deliver_to_child(question, Ok(message.into()));
        true
    }

    /// Takes the question of this id out, if it `is_one`.
    fn take_question(
        &self,
        token: SessionToken,
        id: QuestionId,
        is_one: impl Fn(&Question) -> bool,
    ) -> Option<Question> {
        let found = self.with_session(token, |session| {
            let is_it = |question: &Question| question.id == id && is_one(question);
            let position = session.questions.iter().position(is_it)?;
            Some(session.questions.swap_remove(position))
        });
        found.flatten()
    }

    fn deliver(&self, question: Question, answer: Result<Value, AnswerError>) {
        match (question.asker, answer) {
            (Asker::Call(place), answer) => {
                let event = LiveEvent::Answer {
                    call: place.call,
                    number: question.number,
                    answer,
                };
                self.context.inboxes.post(place.shard, event);
            }
            (Asker::Child(_), Err(error)) => self.deliver_to_child(question, Err(error)),
            // It would have been passed on as it was written.
            (Asker::Child(_), Ok(_)) => {}
        }
    }

    fn deliver_to_child(&self, question: Question, answer: Result<Box<[u8]>, AnswerError>) {
        let Asker::Child(place) = question.asker else {
            return;
        };
        let event = LiveEvent::ChildAnswer {
            asker: place.asker,
            number: question.number,
            answer,
        };
        self.context.inboxes.post(place.shard, event);
    }

    /// Forgets what was retained for long enough, and evicts the sessions that were idle for too long. It costs some
    /// ten nanoseconds per session.
    pub(in crate::session::live) fn sweep(&self) {
        let options = &self.context.options;
        let now = self.context.now();
        let oldest_replay = now.saturating_sub(seconds(options.replay_age));
        let oldest_use = now.saturating_sub(seconds(options.idle));
        let mut dropped: Vec<Arc<Stream>> = Vec::new();
        let mut finished: Vec<Box<SessionState>> = Vec::new();
        for mut partition in self.map.lock_each() {
            for token in partition.tokens() {
                let gone = self.sweep_one(&mut partition, token, oldest_replay, oldest_use, &mut dropped);
                finished.extend(gone);
            }
            drop(partition);
            dropped.clear();
            finished.drain(..).for_each(|session| self.finish(*session));
        }
    }

    /// Takes a session out if nothing is left of it or it was idle for too long.
    fn sweep_one(
        &self,
        partition: &mut LockedPartition<'_>,
        token: SessionToken,
        oldest_replay: Seconds,
        oldest_use: Seconds,
        dropped: &mut Vec<Arc<Stream>>,
    ) -> Option<Box<SessionState>> {
        let session = partition.get_mut(token)?;
        session.sweep(oldest_replay, self.context.options.replay_streams_max, dropped);
        if session.is_empty() {
            return partition.remove(token);
        }
        if session.is_busy() {
            session.used = self.context.now();
        } else if session.used < oldest_use {
            return self.evict(partition, token);
        }
        partition.update_idle(token);
        None
    }
}
