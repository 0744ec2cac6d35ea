//! Sessions that were ended before their time: bounded, striped, forgotten when their ids expire.
//!
//! One of the few places where shards share a lock. A request pays for it only if some session in the same stripe
//! was ended. Invariant: what was inserted is contained until it expires; room is made by expiry alone, so a full
//! store refuses rather than bring an ended session back.
#![allow(
    clippy::disallowed_types,
    reason = "ending a session must hold on every shard at once"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::seal::Token;
use crate::mcp::UnixSeconds;

/// More than shards there usually are, so that two rarely meet.
const STRIPES: usize = 64;

#[derive(Debug)]
pub(super) struct Tombstones {
    stripes: [Stripe; STRIPES],
    stripe_entries_max: usize,
}

#[derive(Debug, Default)]
struct Stripe {
    /// Entries, so that an empty stripe costs a reader one load.
    len: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Keyed by the first half of the token, which is as random as the whole: 64 bits collide once in billions.
    expiries: HashMap<u64, UnixSeconds>,
    /// No entry expires before this, so looking for room earlier is pointless.
    earliest_expiry: UnixSeconds,
}

impl Tombstones {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            stripes: std::array::from_fn(|_| Stripe::default()),
            stripe_entries_max: entries_max.div_ceil(STRIPES),
        }
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        let (key, stripe) = self.place(token);
        stripe.len.load(Ordering::Acquire) > 0 && stripe.lock().expiries.contains_key(&key)
    }

    /// Remembers a token until it expires. False if there is no room.
    pub(super) fn insert(&self, token: Token, expiry: UnixSeconds, now: UnixSeconds) -> bool {
        let (key, stripe) = self.place(token);
        let mut entries = stripe.lock();
        if entries.expiries.len() >= self.stripe_entries_max {
            entries.forget_expired(now);
        }
        let has_room = entries.expiries.len() < self.stripe_entries_max;
        if has_room {
            entries.earliest_expiry = match entries.expiries.is_empty() {
                true => expiry,
                false => entries.earliest_expiry.min(expiry),
            };
            entries.expiries.insert(key, expiry);
        }
        stripe.len.store(entries.expiries.len(), Ordering::Release);
        has_room
    }

    pub(super) fn len(&self) -> usize {
        self.stripes
            .iter()
            .map(|stripe| stripe.len.load(Ordering::Relaxed))
            .sum()
    }

    fn place(&self, token: Token) -> (u64, &Stripe) {
        let [a, b, c, d, e, f, g, h, ..] = token;
        let key = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let [.., last] = token;
        // Within bounds: the stripes are an array, and the index is taken modulo its length.
        (key, &self.stripes[usize::from(last) % STRIPES])
    }
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing that runs under the lock leaves entries half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn forget_expired(&mut self, now: UnixSeconds) {
        if now < self.earliest_expiry {
            return;
        }
        self.expiries.retain(|_, expiry| *expiry > now);
        self.earliest_expiry = self.expiries.values().copied().min().unwrap_or_default();
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

    #[test]
    fn full_means_refused_until_something_expires() {
        let tombstones = Tombstones::new(2 * STRIPES);
        assert!(!tombstones.contains(token(1)));
        assert!(tombstones.insert(token(1), UnixSeconds(10), UnixSeconds(0)));
        assert!(tombstones.insert(token(2), UnixSeconds(20), UnixSeconds(0)));
        assert!(!tombstones.insert(token(3), UnixSeconds(30), UnixSeconds(9)));
        assert!(
            tombstones.contains(token(1)) && tombstones.contains(token(2)) && !tombstones.contains(token(3))
        );
        assert!(tombstones.insert(token(3), UnixSeconds(30), UnixSeconds(10)));
        assert!(
            !tombstones.contains(token(1)) && tombstones.contains(token(2)) && tombstones.contains(token(3))
        );
        assert_eq!(tombstones.len(), 2);
        assert!(!tombstones.insert(token(4), UnixSeconds(40), UnixSeconds(19)));
        assert!(tombstones.insert(token(4), UnixSeconds(40), UnixSeconds(20)));
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
                        assert!(tombstones.insert(token, UnixSeconds(10), UnixSeconds(0)));
                        assert!(tombstones.contains(token));
                    }
                });
            }
        });
        assert_eq!(tombstones.len(), 4000);
    }
}
