//! The sessions with live state by token, in partitions with a lock each, so that two shards rarely use the same lock.
//!
//! Idle sessions are kept in order of their last use. Each partition publishes its oldest, so that one number per
//! partition tells which session to evict. The order is corrected when it is looked at, so a request that uses a
//! session only writes down when.
//!
//! Locks are taken in this order: partition, principals, subscriptions, stream. None is held while other code is
//! called.
#![allow(
    clippy::disallowed_types,
    reason = "any shard may get a session's requests; only those that need live state come here"
)]

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::shared_context::Seconds;
use super::session_state::SessionState;
use crate::mcp::{Principal, SessionToken};

/// So many that the sweep of one partition of a full store takes some ten microseconds.
const PARTITIONS: usize = 256;
/// The bytes of a token, which have an order.
type TokenBytes = [u8; 16];

/// The time that a partition without idle sessions publishes.
const NONE_IDLE: u64 = u64::MAX;

pub(super) struct ShardedMap {
    partitions: Box<[Partition]>,
    principals: Principals,
    sessions: AtomicUsize,
}

pub(super) struct Partition {
    /// The number of sessions, so that a request need not lock an empty partition.
    len: AtomicUsize,
    /// The time when the session that is idle for longest was last used.
    oldest: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Sessions are boxed, since a table is half empty when it has just grown.
    pub(super) sessions: HashMap<SessionToken, Box<SessionState>>,
    idle: BTreeSet<(Seconds, TokenBytes)>,
}

/// The sessions of each principal but the anonymous one, who is everybody.
#[derive(Default)]
struct Principals(Mutex<HashMap<Principal, OnePrincipal>>);

#[derive(Default)]
struct OnePrincipal {
    sessions: usize,
    idle: BTreeSet<(Seconds, TokenBytes)>,
}

/// A locked partition, which publishes what changed when it is unlocked.
pub(super) struct LockedPartition<'a> {
    partition: &'a Partition,
    principals: &'a Principals,
    state: MutexGuard<'a, State>,
}

impl ShardedMap {
    pub(super) fn new() -> Self {
        let partition = || Partition {
            len: AtomicUsize::new(0),
            oldest: AtomicU64::new(NONE_IDLE),
            state: Mutex::default(),
        };
        Self {
            partitions: std::iter::repeat_with(partition).take(PARTITIONS).collect(),
            principals: Principals::default(),
            sessions: AtomicUsize::new(0),
        }
    }

    /// The number of sessions, with those that are about to be inserted.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn lock(&self, token: SessionToken) -> LockedPartition<'_> {
        self.lock_partition(self.partition_of(token))
    }

    /// The same, but only if the partition has sessions.
    pub(super) fn lock_if_any(&self, token: SessionToken) -> Option<LockedPartition<'_>> {
        let partition = self.partition_of(token);
        (partition.len.load(Ordering::Acquire) > 0).then(|| self.lock_partition(partition))
    }

    /// Locks every partition that has sessions, one after the other.
    pub(super) fn lock_each(&self) -> impl Iterator<Item = LockedPartition<'_>> {
        let inhabited = |partition: &&Partition| partition.len.load(Ordering::Acquire) > 0;
        let partitions = self.partitions.iter().filter(inhabited);
        partitions.map(|partition| self.lock_partition(partition))
    }

    /// Counts a session that is about to be inserted, unless there are too many.
    pub(super) fn reserve(
        &self,
        principal: Principal,
        sessions_max: usize,
        own_sessions_max: usize,
    ) -> Result<(), Reached> {
        if !self.principals.reserve(principal, own_sessions_max) {
            return Err(Reached::OfPrincipal);
        }
        let less_than_max = |sessions: usize| (sessions < sessions_max).then_some(sessions + 1);
        let reserved = self
            .sessions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less_than_max);
        reserved.map(drop).map_err(|_| {
            self.principals.release(principal);
            Reached::InAll
        })
    }

    /// Gives back the count of a session that was removed, or was not inserted after all.
    pub(super) fn release(&self, principal: Principal) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
        self.principals.release(principal);
    }

    /// The session that is idle for longest; of this principal, if one is given.
    pub(super) fn longest_idle(&self, principal: Option<Principal>) -> Option<SessionToken> {
        if let Some(principal) = principal {
            return self.principals.longest_idle(principal);
        }
        let oldest = |partition: &&Partition| partition.oldest.load(Ordering::Acquire);
        let partition = self.partitions.iter().min_by_key(oldest)?;
        let state = partition.lock();
        state.idle.first().map(|(_, token)| SessionToken(*token))
    }

    fn partition_of(&self, token: SessionToken) -> &Partition {
        let [.., last] = token.0;
        // The index is within bounds, since it is taken modulo the number of partitions.
        &self.partitions[usize::from(last) % PARTITIONS]
    }

    fn lock_partition<'a>(&'a self, partition: &'a Partition) -> LockedPartition<'a> {
        LockedPartition {
            partition,
            principals: &self.principals,
            state: partition.lock(),
        }
    }
}

/// The cap that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    OfPrincipal,
    InAll,
}

impl LockedPartition<'_> {
    pub(super) fn get_mut(&mut self, token: SessionToken) -> Option<&mut SessionState> {
        self.state.sessions.get_mut(&token).map(Box::as_mut)
    }

    pub(super) fn tokens(&self) -> Vec<SessionToken> {
        self.state.sessions.keys().copied().collect()
    }

    pub(super) fn insert(&mut self, token: SessionToken, state: SessionState) {
        self.state.sessions.insert(token, Box::new(state));
    }

    /// Removes a session; the caller releases its count.
    pub(super) fn remove(&mut self, token: SessionToken) -> Option<Box<SessionState>> {
        let state = self.state.sessions.remove(&token)?;
        if let Some(idle_since) = state.idle_since {
            self.remove_idle(token, state.principal, idle_since);
        }
        if self.state.sessions.is_empty() {
            self.state.sessions.shrink_to_fit();
        }
        Some(state)
    }

    /// Puts a session in its place in the order of idle sessions, or takes it out of the order if it is busy.
    pub(super) fn update_idle(&mut self, token: SessionToken) {
        let Some(state) = self.state.sessions.get_mut(&token) else {
            return;
        };
        let wanted = (!state.is_busy()).then_some(state.used);
        let idle_since = std::mem::replace(&mut state.idle_since, wanted);
        let principal = state.principal;
        if idle_since == wanted {
            return;
        }
        if let Some(idle_since) = idle_since {
            self.remove_idle(token, principal, idle_since);
        }
        if let Some(used) = wanted {
            self.state.idle.insert((used, token.0));
            self.principals.insert_idle(principal, used, token);
        }
    }

    fn remove_idle(&mut self, token: SessionToken, principal: Principal, idle_since: Seconds) {
        self.state.idle.remove(&(idle_since, token.0));
        self.principals.remove_idle(principal, idle_since, token);
    }
}

impl Drop for LockedPartition<'_> {
    fn drop(&mut self) {
        let oldest = self
            .state
            .idle
            .first()
            .map_or(NONE_IDLE, |(used, _)| u64::from(*used));
        self.partition.oldest.store(oldest, Ordering::Release);
        self.partition
            .len
            .store(self.state.sessions.len(), Ordering::Release);
    }
}

impl Partition {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that runs under the lock leaves a partition half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Principals {
    fn reserve(&self, principal: Principal, sessions_max: usize) -> bool {
        if principal == Principal::ANONYMOUS {
            return true;
        }
        let mut all = self.lock();
        let one = all.entry(principal).or_default();
        let has_room = one.sessions < sessions_max;
        one.sessions += usize::from(has_room);
        has_room
    }

    fn release(&self, principal: Principal) {
        if principal == Principal::ANONYMOUS {
            return;
        }
        let mut all = self.lock();
        if let Some(one) = all.get_mut(&principal) {
            one.sessions = one.sessions.saturating_sub(1);
            if one.sessions == 0 {
                all.remove(&principal);
            }
        }
    }

    fn insert_idle(&self, principal: Principal, used: Seconds, token: SessionToken) {
        if principal != Principal::ANONYMOUS
            && let Some(one) = self.lock().get_mut(&principal)
        {
            one.idle.insert((used, token.0));
        }
    }

    fn remove_idle(&self, principal: Principal, idle_since: Seconds, token: SessionToken) {
        if principal != Principal::ANONYMOUS
            && let Some(one) = self.lock().get_mut(&principal)
        {
            one.idle.remove(&(idle_since, token.0));
        }
    }

    fn longest_idle(&self, principal: Principal) -> Option<SessionToken> {
        let all = self.lock();
        all.get(&principal)?
            .idle
            .first()
            .map(|(_, token)| SessionToken(*token))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Principal, OnePrincipal>> {
        // No code that runs under the lock leaves the table half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
