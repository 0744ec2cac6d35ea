//! What every stream needs of the store: its limits, its clock, the shards' inboxes and who listens to what.
//!
//! Apart from the store so that streams, which sessions own, can own it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::LiveOptions;
use super::budget::Budget;
use super::pending_notifications::PendingNotifications;
use super::shard_events::ShardInboxes;
use super::subscriptions::{StreamSubscriptions, SubscriptionIndex};

/// Seconds since the store was made, as of its last tick.
pub(super) type Seconds = u32;

pub(super) struct SharedContext {
    pub(super) options: LiveOptions,
    pub(super) budget: Arc<Budget>,
    pub(super) inboxes: ShardInboxes,
    pub(super) subscriptions: SubscriptionIndex,
    pub(super) pending: PendingNotifications,
    now: AtomicU32,
    numbers: AtomicU64,
    /// Scrambles numbers: unpredictable, and different in every process.
    hasher: RandomState,
}

impl SharedContext {
    pub(super) fn new(options: LiveOptions, shards: usize) -> Arc<Self> {
        let budget = Budget::new(options.bytes_max);
        Arc::new(Self {
            subscriptions: SubscriptionIndex::new(Arc::clone(&budget)),
            budget,
            options,
            inboxes: ShardInboxes::new(shards),
            pending: PendingNotifications::default(),
            now: AtomicU32::new(0),
            numbers: AtomicU64::new(0),
            hasher: RandomState::new(),
        })
    }

    pub(super) fn now(&self) -> Seconds {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn set_now(&self, now: Seconds) {
        self.now.fetch_max(now, Ordering::Relaxed);
    }

    /// 64 bits nobody else was given and nobody can guess.
    pub(super) fn unpredictable(&self) -> u64 {
        self.hasher.hash_one(self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn unsubscribe_stream(&self, subscriptions: &StreamSubscriptions) {
        if self.subscriptions.unsubscribe_stream(subscriptions) {
            self.pending.on_dirty();
        }
    }
}
