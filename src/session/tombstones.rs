//! Sessions that were ended before their ids expire: bounded, spread over partitions, forgotten when their ids expire.
//!
//! This is one of the few places where shards share a lock. A request pays for it only if some session in the same
//! partition was ended. Nothing is ever refused here: when more sessions are ended than there is room for, the oldest
//! are forgotten and counted. A forgotten session exists again, without any of its live state, so it costs nothing.
//!
//! Invariant: in each partition the set and the order hold the same keys.
#![allow(
    clippy::disallowed_types,
    reason = "ending a session must hold on every shard at once"
)]

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::seal::Token;
use crate::mcp::UnixSeconds;
use crate::metrics::TombstoneFigures;

/// More partitions than there usually are shards, so that two shards rarely use the same one.
const PARTITIONS: usize = 64;

#[derive(Debug)]
pub(super) struct Tombstones {
    partitions: [Partition; PARTITIONS],
    partition_entries_max: usize,
    forgotten: AtomicU64,
}

#[derive(Debug, Default)]
struct Partition {
    /// The number of entries, so that an empty partition costs a reader one load.
    len: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// A tree rather than a table, because a table doubles, and does so again for keys that come and go.
    keys: BTreeSet<Key>,
    /// The entries in the order in which they were ended, oldest first.
    order: VecDeque<Ended>,
}

/// The first half of a token, which is as random as the whole: 64 bits collide once in billions.
type Key = [u8; 8];

/// An entry has only twelve bytes, because there are many.
#[derive(Clone, Copy, Debug)]
struct Ended {
    key: Key,
    expiry_seconds: u32,
}

impl Tombstones {
    /// The most bytes that an entry takes: for its place in the order, whose memory doubles, and in nodes that are half
    /// full.
    pub(super) const ENTRY_BYTES: usize = 2 * size_of::<Ended>() + 3 * size_of::<Key>();

    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            partitions: std::array::from_fn(|_| Partition::default()),
            partition_entries_max: entries_max.div_ceil(PARTITIONS).max(1),
            forgotten: AtomicU64::new(0),
        }
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        let (key, partition) = self.place(token);
        partition.len.load(Ordering::Acquire) > 0 && partition.lock().keys.contains(&key)
    }

    /// Remembers a token until it expires, or until room is needed for others that were ended after it.
    pub(super) fn insert(&self, token: Token, expiry: UnixSeconds, now: UnixSeconds) {
        let (key, partition) = self.place(token);
        let mut entries = partition.lock();
        let forgotten = entries.insert(key, seconds(expiry), seconds(now), self.partition_entries_max);
        partition.len.store(entries.keys.len(), Ordering::Release);
        drop(entries);
        self.forgotten.fetch_add(forgotten, Ordering::Relaxed);
    }

    /// How many are remembered, and how many were forgotten before they expired.
    pub(super) fn figures(&self) -> TombstoneFigures {
        let partitions = self.partitions.iter();
        TombstoneFigures {
            remembered: partitions
                .map(|partition| partition.len.load(Ordering::Relaxed) as u64)
                .sum(),
            forgotten_total: self.forgotten.load(Ordering::Relaxed),
        }
    }

    fn place(&self, token: Token) -> (Key, &Partition) {
        let [a, b, c, d, e, f, g, h, ..] = token;
        let [.., last] = token;
        // Within bounds: the partitions are an array, and the index is taken modulo its length.
        (
            [a, b, c, d, e, f, g, h],
            &self.partitions[usize::from(last) % PARTITIONS],
        )
    }
}

/// Seconds in 32 bits reach until 2106; a later time counts as never.
fn seconds(time: UnixSeconds) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}

impl Partition {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing that runs under the lock leaves entries half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Adds an entry, and returns how many others were forgotten for it before they expired.
    fn insert(&mut self, key: Key, expiry_seconds: u32, now_seconds: u32, entries_max: usize) -> u64 {
        // Sessions end in another order than they began, so some that have expired stay for a while.
        while self
            .order
            .front()
            .is_some_and(|ended| ended.expiry_seconds <= now_seconds)
        {
            self.forget_oldest();
        }
        if !self.keys.insert(key) {
            return 0;
        }
        self.order.push_back(Ended { key, expiry_seconds });
        let mut forgotten = 0;
        while self.order.len() > entries_max {
            let oldest = self.forget_oldest();
            let was_valid = oldest.is_some_and(|oldest| oldest.expiry_seconds > now_seconds);
            forgotten += u64::from(was_valid);
        }
        forgotten
    }

    fn forget_oldest(&mut self) -> Option<Ended> {
        let oldest = self.order.pop_front()?;
        self.keys.remove(&oldest.key);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u64) -> Token {
        let mut token = [0; 16];
        token[..8].copy_from_slice(&number.to_be_bytes());
        token
    }

    fn remembered(tombstones: &Tombstones, numbers: std::ops::Range<u64>) -> Vec<u64> {
        numbers
            .filter(|number| tombstones.contains(token(*number)))
            .collect()
    }

    /// How many are remembered, and how many were forgotten.
    fn counts(tombstones: &Tombstones) -> (u64, u64) {
        let figures = tombstones.figures();
        (figures.remembered, figures.forgotten_total)
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let tombstones = Tombstones::new(3 * PARTITIONS);
        for number in 0..3 {
            tombstones.insert(token(number), UnixSeconds(10), UnixSeconds(0));
        }
        assert_eq!(counts(&tombstones), (3, 0));
        for number in 3..5 {
            tombstones.insert(token(number), UnixSeconds(10), UnixSeconds(0));
        }
        assert_eq!(counts(&tombstones), (3, 2));
        assert_eq!(remembered(&tombstones, 0..9), [2, 3, 4]);
        // A session that is ended once more is the youngest again.
        tombstones.insert(token(0), UnixSeconds(10), UnixSeconds(0));
        assert_eq!(remembered(&tombstones, 0..9), [0, 3, 4]);
        // A session that two requests end at once is there once.
        tombstones.insert(token(0), UnixSeconds(10), UnixSeconds(0));
        assert_eq!(counts(&tombstones), (3, 3));
    }

    #[test]
    fn what_has_expired_goes_first_and_uncounted() {
        let tombstones = Tombstones::new(2 * PARTITIONS);
        tombstones.insert(token(1), UnixSeconds(10), UnixSeconds(0));
        tombstones.insert(token(2), UnixSeconds(20), UnixSeconds(0));
        tombstones.insert(token(3), UnixSeconds(30), UnixSeconds(10));
        assert_eq!(remembered(&tombstones, 0..9), [2, 3]);
        assert_eq!(counts(&tombstones).1, 0);
        // Behind one that is valid still, and without room.
        tombstones.insert(token(4), UnixSeconds(12), UnixSeconds(11));
        assert_eq!(
            (remembered(&tombstones, 0..9), counts(&tombstones).1),
            (vec![3, 4], 1)
        );
        tombstones.insert(token(5), UnixSeconds(40), UnixSeconds(30));
        assert_eq!(
            (remembered(&tombstones, 0..9), counts(&tombstones).1),
            (vec![5], 1)
        );
    }

    #[test]
    fn none_is_refused_where_there_is_room_for_none() {
        let tombstones = Tombstones::new(0);
        tombstones.insert(token(1), UnixSeconds(10), UnixSeconds(0));
        tombstones.insert(token(2), UnixSeconds(10), UnixSeconds(0));
        assert_eq!(remembered(&tombstones, 0..9), [2]);
    }

    #[test]
    fn holds_on_every_thread_once_inserted() {
        let tombstones = Tombstones::new(1 << 14);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let tombstones = &tombstones;
                scope.spawn(move || {
                    for number in (0..1000).map(|n| n * 4 + thread) {
                        let mut token = token(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                        token[15] = number as u8;
                        assert!(!tombstones.contains(token));
                        tombstones.insert(token, UnixSeconds(10), UnixSeconds(0));
                        assert!(tombstones.contains(token));
                    }
                });
            }
        });
        assert_eq!(counts(&tombstones).0, 4000);
    }
}
