//! The sessions with live state, by token, spread over locks so that two shards rarely meet.
//!
//! Idle sessions are kept in order of their last use, each stripe publishing its oldest, so that the one to evict
//! is found by looking at one number per stripe. The order is put right when it is looked at: being used costs a
//! session no more than writing down when.
//!
//! Locks are taken in this order: stripe, principals, interest, stream. None is held while calling out.
#![allow(
    clippy::disallowed_types,
    reason = "a session's requests may come to any shard; only those that need live state come here"
)]

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry::Entry;
use super::shared_context::Seconds;
use crate::mcp::{Principal, SessionToken};

/// So many that a stripe of a full store is swept in some ten microseconds.
const STRIPES: usize = 256;
/// A token, as what it is ordered by.
type TokenBytes = [u8; 16];

/// A stripe without idle sessions.
const NONE_IDLE: u64 = u64::MAX;

pub(super) struct Stripes {
    stripes: Box<[Stripe]>,
    principals: Principals,
    sessions: AtomicUsize,
}

pub(super) struct Stripe {
    /// Spares requests the lock while nothing is live here.
    len: AtomicUsize,
    /// When the longest idle session was last used.
    oldest: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Boxed: a table is half empty when it has just grown.
    pub(super) entries: HashMap<SessionToken, Box<Entry>>,
    idle: BTreeSet<(Seconds, TokenBytes)>,
}

/// Sessions of each principal but the anonymous, who is everybody.
#[derive(Default)]
struct Principals(Mutex<HashMap<Principal, OnePrincipal>>);

#[derive(Default)]
struct OnePrincipal {
    sessions: usize,
    idle: BTreeSet<(Seconds, TokenBytes)>,
}

/// A stripe, locked; publishes what changed when it is let go.
pub(super) struct Locked<'a> {
    stripe: &'a Stripe,
    principals: &'a Principals,
    state: MutexGuard<'a, State>,
}

impl Stripes {
    pub(super) fn new() -> Self {
        let stripe = || Stripe {
            len: AtomicUsize::new(0),
            oldest: AtomicU64::new(NONE_IDLE),
            state: Mutex::default(),
        };
        Self {
            stripes: std::iter::repeat_with(stripe).take(STRIPES).collect(),
            principals: Principals::default(),
            sessions: AtomicUsize::new(0),
        }
    }

    /// Sessions there are, with those about to be.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn lock(&self, token: SessionToken) -> Locked<'_> {
        self.lock_stripe(self.stripe_of(token))
    }

    /// The same, but only if there are sessions.
    pub(super) fn lock_if_any(&self, token: SessionToken) -> Option<Locked<'_>> {
        let stripe = self.stripe_of(token);
        (stripe.len.load(Ordering::Acquire) > 0).then(|| self.lock_stripe(stripe))
    }

    /// Every stripe that has sessions, one after the other.
    pub(super) fn lock_each(&self) -> impl Iterator<Item = Locked<'_>> {
        let inhabited = |stripe: &&Stripe| stripe.len.load(Ordering::Acquire) > 0;
        let stripes = self.stripes.iter().filter(inhabited);
        stripes.map(|stripe| self.lock_stripe(stripe))
    }

    /// Counts a session that is about to be, unless there are too many.
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

    /// Uncounts a session that is no more, or did not come to be.
    pub(super) fn release(&self, principal: Principal) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
        self.principals.release(principal);
    }

    /// The session idle for longest; of this principal, if one is given.
    pub(super) fn longest_idle(&self, principal: Option<Principal>) -> Option<SessionToken> {
        if let Some(principal) = principal {
            return self.principals.longest_idle(principal);
        }
        let oldest = |stripe: &&Stripe| stripe.oldest.load(Ordering::Acquire);
        let stripe = self.stripes.iter().min_by_key(oldest)?;
        let state = stripe.lock();
        state.idle.first().map(|(_, token)| SessionToken(*token))
    }

    fn stripe_of(&self, token: SessionToken) -> &Stripe {
        let [.., last] = token.0;
        // Within bounds: there are as many stripes as bytes.
        &self.stripes[usize::from(last) % STRIPES]
    }

    fn lock_stripe<'a>(&'a self, stripe: &'a Stripe) -> Locked<'a> {
        Locked {
            stripe,
            principals: &self.principals,
            state: stripe.lock(),
        }
    }
}

/// Which cap is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    OfPrincipal,
    InAll,
}

impl Locked<'_> {
    pub(super) fn entry(&mut self, token: SessionToken) -> Option<&mut Entry> {
        self.state.entries.get_mut(&token).map(Box::as_mut)
    }

    pub(super) fn tokens(&self) -> Vec<SessionToken> {
        self.state.entries.keys().copied().collect()
    }

    pub(super) fn insert(&mut self, token: SessionToken, entry: Entry) {
        self.state.entries.insert(token, Box::new(entry));
    }

    /// Takes a session out; the caller releases it.
    pub(super) fn remove(&mut self, token: SessionToken) -> Option<Box<Entry>> {
        let entry = self.state.entries.remove(&token)?;
        if let Some(filed) = entry.filed {
            self.unfile(token, entry.principal, filed);
        }
        if self.state.entries.is_empty() {
            self.state.entries.shrink_to_fit();
        }
        Some(entry)
    }

    /// Puts a session in its place in the order of idle ones, or takes it out of there if it is busy.
    pub(super) fn refile(&mut self, token: SessionToken) {
        let Some(entry) = self.state.entries.get_mut(&token) else {
            return;
        };
        let wanted = (!entry.is_busy()).then_some(entry.used);
        let filed = std::mem::replace(&mut entry.filed, wanted);
        let principal = entry.principal;
        if filed == wanted {
            return;
        }
        if let Some(filed) = filed {
            self.unfile(token, principal, filed);
        }
        if let Some(used) = wanted {
            self.state.idle.insert((used, token.0));
            self.principals.file(principal, used, token);
        }
    }

    fn unfile(&mut self, token: SessionToken, principal: Principal, filed: Seconds) {
        self.state.idle.remove(&(filed, token.0));
        self.principals.unfile(principal, filed, token);
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let oldest = self
            .state
            .idle
            .first()
            .map_or(NONE_IDLE, |(used, _)| u64::from(*used));
        self.stripe.oldest.store(oldest, Ordering::Release);
        self.stripe.len.store(self.state.entries.len(), Ordering::Release);
    }
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves a stripe half changed.
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

    fn file(&self, principal: Principal, used: Seconds, token: SessionToken) {
        if principal != Principal::ANONYMOUS
            && let Some(one) = self.lock().get_mut(&principal)
        {
            one.idle.insert((used, token.0));
        }
    }

    fn unfile(&self, principal: Principal, filed: Seconds, token: SessionToken) {
        if principal != Principal::ANONYMOUS
            && let Some(one) = self.lock().get_mut(&principal)
        {
            one.idle.remove(&(filed, token.0));
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
        // Nothing that runs under the lock leaves the table half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
