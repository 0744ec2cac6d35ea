//! How sessions enter the store and leave it: on demand, when nothing is left of them, when they were idle for too
//! long, or because somebody else needs the room.
//!
//! Invariants: a session is refused only when as many as are looked at are busy; an evicted one is a tombstone
//! before it is gone, so that no request sees it without its state; a session with nothing left is forgotten
//! without a trace.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::session_state::{Question, SessionState};
use super::sharded_map::{LockedPartition, Reached};
use super::shared_context::Seconds;
use super::stream::Stream;
use super::{Live, LiveEvent};
use crate::mcp::{Principal, SessionToken, StateRefused, UnixSeconds};
use crate::registry::AnswerError;

/// Evicted sessions remembered at a time. When more were evicted within the life of an id, the oldest come back
/// without their state: better than to refuse everybody because somebody makes sessions in a loop.
pub(super) const TOMBSTONES_MAX: usize = 64 * 1024;
/// Idle sessions looked at to make room: some turn out to be busy again.
const LOOKS_MAX: usize = 256;

/// What became of a candidate for eviction.
enum Considered {
    Evicted(Box<SessionState>),
    /// It was used since it was put in order, or is gone.
    Spared,
}

impl Live {
    /// Works on a session's state, made if there is none.
    pub(super) fn enter<R>(
        &self,
        token: SessionToken,
        principal: Principal,
        work: impl FnOnce(&mut SessionState) -> Result<R, StateRefused>,
    ) -> Result<R, StateRefused> {
        let mut partition = self.sessions.lock(token);
        if partition.get_mut(token).is_none() {
            drop(partition);
            if self.is_evicted(token) {
                return Err(StateRefused::Full);
            }
            self.make_room(SessionState::BYTES)?;
            self.reserve(principal)?;
            partition = self.sessions.lock(token);
            if partition.get_mut(token).is_some() {
                self.sessions.release(principal);
            } else {
                let charge = self.context.budget.charge(SessionState::BYTES);
                partition.insert(token, SessionState::new(principal, self.context.now(), charge));
            }
        }
        self.work(partition, token, work)
            .unwrap_or(Err(StateRefused::Full))
    }

    /// Works on a session's state, if there is one.
    pub(super) fn visit<R>(
        &self,
        token: SessionToken,
        work: impl FnOnce(&mut SessionState) -> R,
    ) -> Option<R> {
        let partition = self.sessions.lock_if_any(token)?;
        self.work(partition, token, work)
    }

    fn work<R>(
        &self,
        mut partition: LockedPartition<'_>,
        token: SessionToken,
        work: impl FnOnce(&mut SessionState) -> R,
    ) -> Option<R> {
        let mut dropped = Vec::new();
        let state = partition.get_mut(token)?;
        state.used = self.context.now();
        let result = work(state);
        state.limit_finished(self.context.options.replay_streams_max, &mut dropped);
        let empty = state.is_empty().then(|| partition.remove(token)).flatten();
        partition.update_idle(token);
        drop(partition);
        drop(dropped);
        if let Some(state) = empty {
            self.finish(*state);
        }
        Some(result)
    }

    /// A stream of the session was let go: by its connection, or by who spoke on it.
    pub(super) fn on_quiet(&self, token: SessionToken) {
        self.visit(token, |_| ());
    }

    /// Evicts idle sessions until so many bytes are free.
    pub(super) fn make_room(&self, bytes: usize) -> Result<(), StateRefused> {
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
            let reached = match self
                .sessions
                .reserve(principal, options.sessions_max, own_sessions_max)
            {
                Ok(()) => return Ok(()),
                Err(reached) => reached,
            };
            let whose = (reached == Reached::OfPrincipal).then_some(principal);
            if !self.evict_longest_idle(whose) {
                break;
            }
        }
        Err(StateRefused::Full)
    }

    /// Looks at the session idle for longest, and evicts it if it still is. False if none is idle.
    fn evict_longest_idle(&self, principal: Option<Principal>) -> bool {
        let Some(token) = self.sessions.longest_idle(principal) else {
            return false;
        };
        if let Considered::Evicted(state) = self.consider(token) {
            self.finish(*state);
        }
        true
    }

    fn consider(&self, token: SessionToken) -> Considered {
        let mut partition = self.sessions.lock(token);
        let Some(state) = partition.get_mut(token) else {
            return Considered::Spared;
        };
        let is_still_idle = state.idle_since == Some(state.used) && !state.is_busy();
        if !is_still_idle {
            partition.update_idle(token);
            return Considered::Spared;
        }
        match self.evict(&mut partition, token) {
            Some(state) => Considered::Evicted(state),
            None => Considered::Spared,
        }
    }

    fn evict(&self, partition: &mut LockedPartition<'_>, token: SessionToken) -> Option<Box<SessionState>> {
        // The store's own seconds: whatever the calendar does, they go on until the id has expired.
        let now = UnixSeconds(u64::from(self.context.now()));
        let max_age_seconds = self.context.options.session_max_age.as_secs();
        let expiry = UnixSeconds(now.0.saturating_add(max_age_seconds));
        self.evicted.insert(token.0, expiry, now);
        self.evictions.fetch_add(1, Ordering::Relaxed);
        partition.remove(token)
    }

    /// What is left to do for a session that is out of the table.
    pub(super) fn finish(&self, state: SessionState) {
        self.sessions.release(state.principal);
        for stream in state.get_stream.iter().chain(&state.calls) {
            stream.end();
        }
        if self.context.subscriptions.unsubscribe(&state.subscriptions) {
            self.context.pending.on_dirty();
        }
        for question in state.questions {
            self.deliver(question, Err(AnswerError::Cancelled));
        }
    }

    pub(super) fn deliver(&self, question: Question, answer: Result<Value, AnswerError>) {
        let event = LiveEvent::Answer {
            call: question.asker.call,
            number: question.number,
            answer,
        };
        self.context.inboxes.post(question.asker.shard, event);
    }

    /// The store is `age` old: forgets what was retained long enough, evicts who was idle for too long. Called
    /// about once a second, by the broadcaster or by a test; costs some ten nanoseconds per session.
    pub fn tick(&self, age: Duration) {
        let seconds = |duration: Duration| Seconds::try_from(duration.as_secs()).unwrap_or(Seconds::MAX);
        self.context.set_now(seconds(age));
        if let Some(duty) = self.duty.get() {
            duty();
        }
        let options = &self.context.options;
        let now = self.context.now();
        let oldest_replay = now.saturating_sub(seconds(options.replay_age));
        let oldest_use = now.saturating_sub(seconds(options.idle));
        let mut dropped: Vec<Arc<Stream>> = Vec::new();
        let mut finished = Vec::new();
        for mut partition in self.sessions.lock_each() {
            for token in partition.tokens() {
                let gone = self.sweep(&mut partition, token, oldest_replay, oldest_use, &mut dropped);
                finished.extend(gone);
            }
            drop(partition);
            dropped.clear();
            finished
                .drain(..)
                .for_each(|state: Box<SessionState>| self.finish(*state));
        }
    }

    /// Takes a session out if it is to go.
    fn sweep(
        &self,
        partition: &mut LockedPartition<'_>,
        token: SessionToken,
        oldest_replay: Seconds,
        oldest_use: Seconds,
        dropped: &mut Vec<Arc<Stream>>,
    ) -> Option<Box<SessionState>> {
        let state = partition.get_mut(token)?;
        state.sweep(oldest_replay, self.context.options.replay_streams_max, dropped);
        if state.is_empty() {
            return partition.remove(token);
        }
        if state.is_busy() {
            state.used = self.context.now();
        } else if state.used < oldest_use {
            return self.evict(partition, token);
        }
        partition.update_idle(token);
        None
    }
}
