//! Permits to use a pool's handlers, and how shards with waiters find shards with slack.
//!
//! Every use of a handler takes a permit first: the pool's own shard takes one for its requests, another shard for a
//! waiter that it is about to send over. So a permit that another shard took is a handler kept free for what it
//! sends. Shards with waiters and shards with slack find each other without a lock:
//!
//! ```text
//! a shard with waiters: announces it ─► looks for slack ─► takes a permit ─► sends
//! a shard with slack:   gives the permit back ─► looks for waiters ─► tells one of them, which looks again
//!                                                                              and tells the next if there is more
//! ```
//!
//! A shard whose permit falls free while its own clients wait keeps it for them, or hands it to a shard whose oldest
//! waiter is older (`handover`).
//!
//! Each writes before it reads, so at least one of two that do this at once sees the other. This module does not know
//! what is sent, nor how. `shard::models` has a model checker run it in every order.
//!
//! Invariant: permits free + permits taken = handlers.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::word::Word;

/// This bit is set in the word once no permit is given to others any more.
const CLOSED: u32 = 1 << 31;

/// The permits of one pool.
#[derive(Debug)]
pub struct Credit<W = AtomicU32>(W);

impl<W: Word> Credit<W> {
    /// As many permits as there are handlers. Until [`Credit::open`] only their own shard may take them.
    pub fn new(handlers: u32) -> Self {
        assert!(handlers < CLOSED, "{handlers} handlers in one pool");
        Credit(W::new(handlers | CLOSED))
    }

    /// From now on others may take permits.
    pub fn open(&self) {
        self.0.fetch_and(!CLOSED);
    }

    /// From now on nobody else gets a permit.
    pub fn close(&self) {
        self.0.fetch_or(CLOSED);
    }

    /// Whether others may take permits.
    pub fn is_open(&self) -> bool {
        self.0.load() & CLOSED == 0
    }

    /// The number of free permits.
    pub fn free(&self) -> u32 {
        self.0.load() & !CLOSED
    }

    /// The number of permits that another shard may take now.
    pub fn slack(&self, reserve: u32) -> u32 {
        let word = self.0.load();
        if word & CLOSED == 0 {
            word.saturating_sub(reserve)
        } else {
            0
        }
    }

    /// Takes a permit for the pool's own shard; false when none is free.
    pub fn try_take_own(&self) -> bool {
        self.take_if(|word| word & !CLOSED > 0)
    }

    /// Takes a permit for another shard, which leaves at least `reserve` to the pool's own.
    pub fn try_take(&self, reserve: u32) -> bool {
        self.take_if(|word| word & CLOSED == 0 && word > reserve)
    }

    /// Gives a permit back.
    pub fn give_back(&self) {
        self.0.fetch_add(1);
    }

    fn take_if(&self, may: impl Fn(u32) -> bool) -> bool {
        self.0.update(|word| may(word).then(|| word - 1))
    }
}

/// Shards that have had someone waiting for longer than a hop costs: one bit each. One cache line for 512
/// shards, written only when a queue begins or ends to be such, so reading it is free while nobody waits.
#[derive(Debug)]
pub struct WaitingSet<W = AtomicU32>(Box<[W]>);

impl<W: Word> WaitingSet<W> {
    /// A set in which nobody waits, for so many shards.
    pub fn new(shards: usize) -> Self {
        WaitingSet((0..shards.div_ceil(32)).map(|_| W::new(0)).collect())
    }

    /// Notes that someone waits on `shard`.
    pub fn insert(&self, shard: usize) {
        if let Some(word) = self.0.get(shard / 32) {
            word.fetch_or(1 << (shard % 32));
        }
    }

    /// Notes that nobody waits on `shard` any more.
    pub fn remove(&self, shard: usize) {
        if let Some(word) = self.0.get(shard / 32) {
            word.fetch_and(!(1 << (shard % 32)));
        }
    }

    /// Whether nobody waits anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load() == 0)
    }

    /// The shards where someone waits.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let bits = word.load();
            (0..32)
                .filter(move |bit| bits & (1 << bit) != 0)
                .map(move |bit| index * 32 + bit)
        })
    }
}

/// What one shard publishes to the others, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct PublishedLine<W = AtomicU32> {
    /// Permits for its handlers.
    pub credit: Credit<W>,
    /// The time since which its oldest waiter waits, in nanoseconds of a clock that all shards share; meaningful while
    /// the shard is in the waiting set.
    oldest_since: AtomicU64,
    /// Whether the shard was told of slack and has not looked since, so that telling it again is no use.
    is_told: W,
}

impl<W: Word> PublishedLine<W> {
    /// The line of a shard with this many handlers.
    pub fn new(handlers: u32) -> Self {
        PublishedLine {
            credit: Credit::new(handlers),
            oldest_since: AtomicU64::new(0),
            is_told: W::new(0),
        }
    }

    /// Publishes the time since which the oldest waiter waits.
    pub fn publish_oldest(&self, since_nanos: u64) {
        self.oldest_since.store(since_nanos, Ordering::Relaxed);
    }

    /// The time since which the oldest waiter waits.
    pub fn oldest_since(&self) -> u64 {
        self.oldest_since.load(Ordering::Relaxed)
    }

    /// Whether the shard must be told that there is slack: not if it was told and has not looked since.
    pub fn begin_telling(&self) -> bool {
        self.is_told.swap(1) == 0
    }

    /// Notes that the shard is about to look: a shard that has slack from now on tells it again.
    pub fn begin_looking(&self) {
        self.is_told.swap(0);
    }
}

/// The shard to send a waiter to: of two that have slack, counted from `start` on, the one with more.
///
/// `slack` returns how many permits a shard would give now. The start rotates, so that shards with waiters do not all
/// turn to the same neighbour; two looks are nearly as good as looking at all (Mitzenmacher 2001), and all are looked
/// at only to find those two, so no slack is missed.
pub fn choose_target(shards: usize, own: usize, start: usize, slack: impl Fn(usize) -> u32) -> Option<usize> {
    let mut found = (0..shards)
        .map(|step| (start + step) % shards)
        .filter(|&shard| shard != own)
        .map(|shard| (shard, slack(shard)))
        .filter(|&(_, slack)| slack > 0);
    let first = found.next()?;
    match found.next() {
        Some(second) if second.1 > first.1 => Some(second.0),
        _ => Some(first.0),
    }
}

/// The shard to tell of slack: of those where someone waits, the one whose oldest has waited longest.
pub fn choose_waiter(
    waiting: impl Iterator<Item = usize>,
    oldest_since: impl Fn(usize) -> u64,
) -> Option<usize> {
    waiting.min_by_key(|&shard| oldest_since(shard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_permits_only_above_the_reserve_and_while_it_is_open() {
        let credit: Credit = Credit::new(3);
        assert!(!credit.try_take(0), "not open yet");
        credit.open();
        assert_eq!(credit.slack(2), 1);
        assert!(credit.try_take(2));
        assert!(!credit.try_take(2));
        assert!(credit.try_take_own() && credit.try_take_own());
        assert!(!credit.try_take_own());
        credit.give_back();
        credit.close();
        assert_eq!((credit.free(), credit.slack(0)), (1, 0));
        assert!(!credit.try_take(0));
        assert!(credit.try_take_own(), "closed to others only");
    }

    #[test]
    fn permits_are_neither_lost_nor_made_between_threads() {
        let credit: Credit = Credit::new(5);
        credit.open();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let credit = &credit;
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        let is_taken = if thread == 0 {
                            credit.try_take_own()
                        } else {
                            credit.try_take(1)
                        };
                        if is_taken {
                            credit.give_back();
                        }
                    }
                });
            }
        });
        assert_eq!(credit.free(), 5);
    }

    #[test]
    fn the_waiting_set_names_its_members() {
        let set: WaitingSet = WaitingSet::new(70);
        assert!(set.is_empty());
        [0, 31, 32, 69].into_iter().for_each(|shard| set.insert(shard));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 31, 32, 69]);
        set.remove(32);
        set.remove(5);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 31, 69]);
    }

    fn target(slack: &[u32], own: usize, start: usize) -> Option<usize> {
        choose_target(slack.len(), own, start, |shard| slack[shard])
    }

    #[test]
    fn the_target_is_the_better_of_the_first_two_with_slack() {
        assert_eq!(target(&[9, 1, 2, 9], 0, 1), Some(2));
        assert_eq!(target(&[9, 2, 2, 9], 0, 1), Some(1), "the first of equals");
        assert_eq!(target(&[9, 1, 2, 9], 0, 3), Some(3));
        assert_eq!(target(&[9, 0, 0, 4], 0, 1), Some(3), "no slack is missed");
        assert_eq!(target(&[9, 0, 0, 0], 0, 2), None, "never itself");
        assert_eq!(target(&[9], 0, 0), None);
        assert_eq!(target(&[], 0, 0), None);
    }

    #[test]
    fn rotation_spreads_over_equals() {
        let slack = [0, 5, 5, 5, 5];
        let mut hits = [0; 5];
        for start in 0..50 {
            hits[target(&slack, 0, start).unwrap()] += 1;
        }
        assert!(hits[1..].iter().all(|&count| count >= 10), "{hits:?}");
    }

    #[test]
    fn the_waiter_told_is_the_one_that_waits_longest() {
        let since = [50, 10, 30];
        assert_eq!(choose_waiter([0, 1, 2].into_iter(), |s| since[s]), Some(1));
        assert_eq!(choose_waiter([0, 2].into_iter(), |s| since[s]), Some(2));
        assert_eq!(choose_waiter(std::iter::empty(), |s| since[s]), None);
    }

    #[test]
    fn lines_share_no_cache_line() {
        assert_eq!(size_of::<PublishedLine>() % 128, 0);
    }
}
