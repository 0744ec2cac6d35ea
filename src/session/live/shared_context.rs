//! The context that all streams share: limits, memory, the clock, the shards' inboxes and the index of subscriptions.
//!
//! The context is apart from the store so that streams, which the store owns, can hold it. It is generic over the
//! stream `S` since it holds the index that streams are in.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::budget::Budget;
use super::options::LiveOptions;
use super::pending_notifications::PendingNotifications;
use super::shard_events::ShardInboxes;
use super::subscriptions::{StreamSubscriptions, SubscriptionIndex, SubscriptionKey};

/// Seconds from the making of the store to its last tick.
pub(super) type Seconds = u32;

/// A duration in whole seconds; one that is too long counts as the longest.
pub(super) fn seconds(duration: Duration) -> Seconds {
    Seconds::try_from(duration.as_secs()).unwrap_or(Seconds::MAX)
}

pub(super) struct SharedContext<S> {
    pub(super) options: LiveOptions,
    pub(super) budget: Arc<Budget>,
    pub(super) inboxes: ShardInboxes,
    pub(super) subscriptions: SubscriptionIndex<S>,
    pub(super) pending: PendingNotifications,
    now: AtomicU32,
    numbers: AtomicU64,
    /// The hasher scrambles numbers: it is unpredictable, and different in every process.
    hasher: RandomState,
}

impl<S> SharedContext<S> {
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

    /// 64 bits that were given to nobody else and that nobody can guess.
    pub(super) fn unpredictable(&self) -> u64 {
        self.hasher.hash_one(self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends subscriptions to URIs, and wakes the broadcaster if it has something to look at.
    pub(super) fn unsubscribe(&self, subscriptions: &[SubscriptionKey]) {
        if self.subscriptions.unsubscribe(subscriptions) {
            self.pending.on_dirty();
        }
    }

    /// The same for all subscriptions of a stream.
    pub(super) fn unsubscribe_stream(&self, subscriptions: &StreamSubscriptions) {
        if self.subscriptions.unsubscribe_stream(subscriptions) {
            self.pending.on_dirty();
        }
    }
}
