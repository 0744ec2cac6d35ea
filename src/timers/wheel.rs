//! The wheel: deadlines by key, hashed by tick into slots of intrusive lists.
//!
//! An entry is filed under a tick that is not after its deadline, and looked at when that tick comes. Moving a deadline
//! later, or clearing it, therefore only rewrites the entry; it is filed anew, or dropped, when it comes up. So the
//! common case, pushing the idle deadline out at every request, is a store. The wheel reads no clock and calls nobody.
//!
//! Invariant: every filed entry is filed within the `SLOTS` ticks after `done`, so that a slot stands for one tick, and
//! a slot's bit in `occupied` says whether its list has entries. A tick is done when its slot is empty.

use super::tick::Tick;

/// Slots of the wheel: 41 s of 10 ms ticks. A longer deadline comes up, and is filed anew, every 41 s.
const SLOTS: usize = 4096;
const WORDS: usize = SLOTS / 64;
const NIL: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;
/// The latest present that the wheel accepts; one turn of the wheel later is still a number.
const PRESENT_MAX: u64 = NEVER - 1 - SLOTS as u64;

/// The subject of a deadline. Each kind numbers its slots from zero, densely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TimerKind {
    /// A connection, by its slot in the connection table.
    Connection,
    /// A pending call, by its slot.
    Call,
    /// A duty of the shard itself, such as accepting again after a failure.
    Duty,
}

impl TimerKind {
    const ALL: [Self; 3] = [Self::Connection, Self::Call, Self::Duty];
    const BITS: u32 = 2;

    const fn index(self) -> usize {
        self as usize
    }
}

/// The owner of a deadline: a kind and a slot of that kind, in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerKey(u32);

impl TimerKey {
    /// Slots of a kind.
    pub const SLOTS_MAX: u32 = (1 << (32 - TimerKind::BITS)) - 1;

    /// The deadline of this slot.
    ///
    /// # Panics
    /// Panics when `slot` is not below [`TimerKey::SLOTS_MAX`]; slots are the caller's own numbers, bounded by its
    /// tables.
    #[inline]
    pub const fn new(kind: TimerKind, slot: u32) -> Self {
        assert!(slot < Self::SLOTS_MAX, "a slot has 30 bits");
        Self(slot << TimerKind::BITS | kind as u32)
    }

    /// The subject of the deadline.
    #[inline]
    pub fn kind(self) -> TimerKind {
        TimerKind::ALL[self.kind_index()]
    }

    /// The caller's slot.
    #[inline]
    pub const fn slot(self) -> u32 {
        self.0 >> TimerKind::BITS
    }

    const fn kind_index(self) -> usize {
        (self.0 & ((1 << TimerKind::BITS) - 1)) as usize
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    next: u32,
    previous: u32,
    /// The deadline; `NEVER` when none is set.
    deadline: u64,
    /// The tick in which this entry comes up; `NEVER` when it is in no list.
    filed: u64,
}

impl Entry {
    const EMPTY: Self = Self {
        next: NIL,
        previous: NIL,
        deadline: NEVER,
        filed: NEVER,
    };
}

/// The deadlines of one shard, at most one per key. They take 24 bytes a key and 16.5 KiB.
#[derive(Debug)]
pub struct Wheel {
    /// Entries by kind, then slot.
    entries: [Vec<Entry>; TimerKind::ALL.len()],
    heads: Box<[u32; SLOTS]>,
    occupied: Box<[u64; WORDS]>,
    /// All ticks up to and including this one are done.
    done: u64,
    armed: usize,
}

impl Wheel {
    /// An empty wheel whose present is `now`.
    pub fn new(now: Tick) -> Self {
        Self {
            entries: Default::default(),
            heads: Box::new([NIL; SLOTS]),
            occupied: Box::new([0; WORDS]),
            done: now.0.min(PRESENT_MAX),
            armed: 0,
        }
    }

    /// Makes room for keys with slots below `slots`, so that setting them never allocates.
    pub fn reserve(&mut self, kind: TimerKind, slots: u32) {
        let entries = &mut self.entries[kind.index()];
        if entries.len() < slots as usize {
            entries.resize(slots as usize, Entry::EMPTY);
        }
    }

    /// Sets or moves the deadline of `key`. A deadline that has passed already comes up with the next tick. This costs
    /// one store when the key had no later deadline before, and a few stores otherwise. It allocates only for a slot
    /// beyond what was reserved.
    #[inline]
    pub fn set(&mut self, key: TimerKey, deadline: Tick) {
        if self.entries[key.kind_index()].len() <= key.slot() as usize {
            self.reserve(key.kind(), key.slot() + 1);
        }
        let deadline = deadline.0.min(NEVER - 1);
        let entry = self.entry_mut(key.0);
        let was_armed = entry.deadline != NEVER;
        let filed = entry.filed;
        entry.deadline = deadline;
        self.armed += usize::from(!was_armed);
        // An unfiled entry is filed under `NEVER`, which no deadline reaches.
        if deadline < filed {
            self.refile(key.0);
        }
    }

    /// Clears the deadline of `key`. Nothing happens when there is none.
    #[inline]
    pub fn clear(&mut self, key: TimerKey) {
        let entries = &mut self.entries[key.kind_index()];
        if let Some(entry) = entries.get_mut(key.slot() as usize)
            && entry.deadline != NEVER
        {
            entry.deadline = NEVER;
            self.armed -= 1;
        }
    }

    /// The deadline of `key`, if it has one.
    #[cfg(test)]
    #[inline]
    pub fn deadline(&self, key: TimerKey) -> Option<Tick> {
        let entry = self.entries[key.kind_index()].get(key.slot() as usize)?;
        (entry.deadline != NEVER).then_some(Tick(entry.deadline))
    }

    /// Takes out one key whose deadline is not after `now`, in order of deadline tick; keys may be set and cleared
    /// between two calls. `looks` bounds the work of a turn over any number of calls: each entry that is looked at
    /// lowers it, and at zero the rest is left for the next turn ([`Wheel::is_due`] says whether there is a rest).
    pub fn poll_expired(&mut self, now: Tick, looks: &mut u32) -> Option<TimerKey> {
        let now = now.0.min(PRESENT_MAX);
        if now <= self.done {
            return None;
        }
        while let Some(tick) = self.next_occupied().filter(|tick| *tick <= now) {
            self.done = tick - 1;
            while let Some(key) = self.first(tick) {
                *looks = looks.checked_sub(1)?;
                self.unlink(key);
                let entry = self.entry_mut(key);
                if entry.deadline == NEVER {
                    continue;
                }
                if entry.deadline <= tick {
                    entry.deadline = NEVER;
                    self.armed -= 1;
                    return Some(TimerKey(key));
                }
                self.file(key);
            }
        }
        self.done = now;
        None
    }

    /// Whether [`Wheel::poll_expired`] would look at something.
    #[cfg(test)]
    #[inline]
    pub fn is_due(&self, now: Tick) -> bool {
        let now = now.0.min(PRESENT_MAX);
        now > self.done && self.next_occupied().is_some_and(|tick| tick <= now)
    }

    /// The time at which the caller should look next: not after the earliest deadline, and before it only where a
    /// deadline was cleared or moved later. `None` when there is nothing to wait for.
    pub fn next_due(&self) -> Option<Tick> {
        if self.is_empty() {
            return None;
        }
        self.next_occupied().map(Tick)
    }

    /// Whether no key has a deadline.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// How many keys have a deadline.
    #[cfg(test)]
    #[inline]
    pub fn len(&self) -> usize {
        self.armed
    }

    /// The earliest tick with a filed entry: the first set bit, from the tick after `done` around the wheel.
    fn next_occupied(&self) -> Option<u64> {
        let start = slot_of(self.done + 1);
        let (word, bit) = (start / 64, start % 64);
        let ahead = self.occupied[word] & (u64::MAX << bit);
        let found = if ahead != 0 {
            word * 64 + ahead.trailing_zeros() as usize
        } else {
            // The last step is the first word again, whose bits from `bit` up are known to be unset.
            (1..=WORDS).find_map(|step| {
                let word = (word + step) % WORDS;
                let bits = self.occupied[word];
                (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize)
            })?
        };
        let ahead = (found + SLOTS - start) % SLOTS;
        Some(self.done + 1 + ahead as u64)
    }

    fn first(&self, tick: u64) -> Option<u32> {
        let head = self.heads[slot_of(tick)];
        (head != NIL).then_some(head)
    }

    fn refile(&mut self, key: u32) {
        if self.entry_mut(key).filed != NEVER {
            self.unlink(key);
        }
        self.file(key);
    }

    /// Files an entry that is in no list under the tick of its deadline, as far as the wheel reaches.
    fn file(&mut self, key: u32) {
        let nearest = self.done + 1;
        let farthest = self.done + SLOTS as u64;
        let filed = self.entry_mut(key).deadline.clamp(nearest, farthest);
        let slot = slot_of(filed);
        let next = self.heads[slot];
        let entry = self.entry_mut(key);
        entry.filed = filed;
        entry.next = next;
        entry.previous = NIL;
        if next != NIL {
            self.entry_mut(next).previous = key;
        }
        self.heads[slot] = key;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Takes a filed entry out of its list.
    fn unlink(&mut self, key: u32) {
        let entry = self.entry_mut(key);
        let Entry {
            next,
            previous,
            filed,
            ..
        } = *entry;
        entry.filed = NEVER;
        if next != NIL {
            self.entry_mut(next).previous = previous;
        }
        if previous != NIL {
            self.entry_mut(previous).next = next;
            return;
        }
        let slot = slot_of(filed);
        self.heads[slot] = next;
        if next == NIL {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// The entry of a key that is filed, or for which `set` made room.
    #[inline]
    fn entry_mut(&mut self, key: u32) -> &mut Entry {
        let key = TimerKey(key);
        &mut self.entries[key.kind_index()][key.slot() as usize]
    }
}

const fn slot_of(tick: u64) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const UNBOUNDED: u32 = u32::MAX;

    fn connection(slot: u32) -> TimerKey {
        TimerKey::new(TimerKind::Connection, slot)
    }

    fn expired(wheel: &mut Wheel, now: u64) -> Vec<TimerKey> {
        let mut looks = UNBOUNDED;
        std::iter::from_fn(|| wheel.poll_expired(Tick(now), &mut looks)).collect()
    }

    impl Wheel {
        /// Walks every list and checks it against the invariants of the module.
        fn assert_consistent(&self) {
            let mut filed = 0;
            for (slot, &head) in self.heads.iter().enumerate() {
                let bit = self.occupied[slot / 64] >> (slot % 64) & 1;
                assert_eq!(bit == 1, head != NIL, "slot {slot}: bit and list differ");
                let (mut key, mut previous) = (head, NIL);
                while key != NIL {
                    let entry = self.entries[TimerKey(key).kind_index()][TimerKey(key).slot() as usize];
                    assert_eq!(entry.previous, previous);
                    assert_eq!(slot_of(entry.filed), slot);
                    assert!(entry.filed > self.done && entry.filed <= self.done + SLOTS as u64);
                    assert!(entry.filed <= entry.deadline.max(self.done + 1));
                    filed += 1;
                    (previous, key) = (key, entry.next);
                }
            }
            let entries = || self.entries.iter().flatten();
            assert_eq!(entries().filter(|entry| entry.filed != NEVER).count(), filed);
            assert_eq!(
                entries().filter(|entry| entry.deadline != NEVER).count(),
                self.armed
            );
            assert!(entries().all(|entry| entry.deadline == NEVER || entry.filed != NEVER));
        }
    }

    #[test]
    fn a_deadline_fires_once_in_its_tick() {
        let mut wheel = Wheel::new(Tick(100));
        wheel.set(connection(7), Tick(103));
        assert_eq!(expired(&mut wheel, 102), []);
        assert_eq!(wheel.next_due(), Some(Tick(103)));
        assert_eq!(expired(&mut wheel, 103), [connection(7)]);
        assert!(wheel.is_empty());
        assert_eq!(expired(&mut wheel, 100_000), []);
    }

    #[test]
    fn moving_a_deadline_later_is_a_store_until_it_comes_up() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.set(connection(0), Tick(10));
        wheel.set(connection(0), Tick(50));
        assert_eq!(wheel.entries[0][0].filed, 10);
        assert_eq!(wheel.deadline(connection(0)), Some(Tick(50)));
        assert_eq!(expired(&mut wheel, 49), []);
        assert_eq!(expired(&mut wheel, 50), [connection(0)]);
    }

    #[test]
    fn moving_a_deadline_earlier_takes_effect() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.set(connection(0), Tick(5_000));
        wheel.set(connection(0), Tick(5));
        assert_eq!(expired(&mut wheel, 5), [connection(0)]);
    }

    #[test]
    fn a_cleared_deadline_does_not_fire_and_can_be_set_again() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.set(connection(3), Tick(10));
        wheel.clear(connection(3));
        wheel.clear(connection(3));
        wheel.clear(connection(999));
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_due(), None);
        wheel.set(connection(3), Tick(12));
        assert_eq!(expired(&mut wheel, 11), []);
        assert_eq!(expired(&mut wheel, 12), [connection(3)]);
    }

    #[test]
    fn a_deadline_that_has_passed_fires_with_the_next_tick() {
        let mut wheel = Wheel::new(Tick(500));
        wheel.set(connection(0), Tick(3));
        assert_eq!(expired(&mut wheel, 500), []);
        assert_eq!(expired(&mut wheel, 501), [connection(0)]);
    }

    #[test]
    fn deadlines_farther_than_the_wheel_is_long_fire_in_their_tick() {
        let turn = SLOTS as u64;
        for distance in [turn - 1, turn, turn + 1, 10 * turn, 1_000_000] {
            let mut wheel = Wheel::new(Tick(17));
            wheel.set(connection(0), Tick(17 + distance));
            assert_eq!(expired(&mut wheel, 16 + distance), [], "{distance}");
            assert_eq!(expired(&mut wheel, 17 + distance), [connection(0)], "{distance}");
        }
    }

    #[test]
    fn keys_of_different_kinds_and_equal_slots_are_different_deadlines() {
        let mut wheel = Wheel::new(Tick(0));
        let kinds = TimerKind::ALL.map(|kind| TimerKey::new(kind, 5));
        for (ticks, key) in (1..).zip(kinds) {
            assert_eq!(key.slot(), 5);
            wheel.set(key, Tick(ticks));
        }
        assert_eq!(wheel.len(), 3);
        assert_eq!(expired(&mut wheel, 10), kinds);
        assert_eq!(kinds.map(TimerKey::kind), TimerKind::ALL);
    }

    #[test]
    fn the_work_of_a_turn_is_bounded_and_the_rest_is_not_forgotten() {
        let mut wheel = Wheel::new(Tick(0));
        for slot in 0..10 {
            wheel.set(connection(slot), Tick(5));
        }
        let mut looks = 4;
        let first = std::iter::from_fn(|| wheel.poll_expired(Tick(9), &mut looks)).count();
        assert_eq!((first, looks), (4, 0));
        assert!(wheel.is_due(Tick(9)));
        assert_eq!(expired(&mut wheel, 9).len(), 6);
        assert!(!wheel.is_due(Tick(9)));
    }

    #[test]
    fn the_end_of_time_is_far_but_harmless() {
        let mut wheel = Wheel::new(Tick(u64::MAX));
        wheel.set(connection(0), Tick(u64::MAX));
        assert_eq!(wheel.len(), 1);
        assert_eq!(expired(&mut wheel, u64::MAX), []);
        assert!(!wheel.is_due(Tick(u64::MAX)));
        wheel.assert_consistent();
    }

    #[test]
    fn nothing_allocates_below_the_reserved_slots() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.reserve(TimerKind::Call, 100);
        let before = wheel.entries[TimerKind::Call.index()].as_ptr();
        for slot in 0..100 {
            wheel.set(TimerKey::new(TimerKind::Call, slot), Tick(slot.into()));
        }
        let entries = &wheel.entries[TimerKind::Call.index()];
        assert_eq!((entries.as_ptr(), entries.len()), (before, 100));
    }

    /// The naive twin: every deadline in a map, under the tick it takes effect in.
    #[derive(Default)]
    struct Twin(BTreeMap<TimerKey, u64>);

    impl Twin {
        fn earliest(&self) -> Option<u64> {
            self.0.values().copied().min()
        }
    }

    fn fuzz(seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut now = random.u64(..1 << 40);
        let mut wheel = Wheel::new(Tick(now));
        let mut twin = Twin::default();
        let slots = random.u32(1..200);
        for _ in 0..1_000 {
            let key = TimerKey::new(TimerKind::ALL[random.usize(..3)], random.u32(..slots));
            match random.u32(..10) {
                0..=5 => {
                    let reach = [20, 500, 5_000, 100_000][random.usize(..4)];
                    let deadline = (now + random.u64(..reach)).saturating_sub(5);
                    wheel.set(key, Tick(deadline));
                    assert_eq!(wheel.deadline(key), Some(Tick(deadline)));
                    twin.0.insert(key, deadline.max(wheel.done + 1));
                }
                6 => {
                    wheel.clear(key);
                    twin.0.remove(&key);
                }
                _ => {
                    let jump = [3, 100, 6_000, 50_000][random.usize(..4)];
                    now += random.u64(..jump);
                    let looks = [0, 3, UNBOUNDED][random.usize(..3)];
                    expire_both(&mut wheel, &mut twin, now, looks);
                }
            }
            assert_eq!(wheel.len(), twin.0.len());
            assert_eq!(wheel.next_due().is_some(), twin.earliest().is_some());
            assert!(wheel.next_due().map(|tick| tick.0) <= twin.earliest());
        }
        wheel.assert_consistent();
        expire_both(&mut wheel, &mut twin, now + 200_000, UNBOUNDED);
        assert!(wheel.is_empty());
    }

    fn expire_both(wheel: &mut Wheel, twin: &mut Twin, now: u64, mut looks: u32) {
        while let Some(key) = wheel.poll_expired(Tick(now), &mut looks) {
            let effective = twin.0.get(&key).copied();
            assert_eq!(effective, twin.earliest(), "{key:?} fired out of turn");
            assert!(effective <= Some(now), "{key:?} fired early");
            twin.0.remove(&key);
        }
        if looks > 0 {
            assert!(
                twin.earliest() > Some(now) || twin.0.is_empty(),
                "something was forgotten"
            );
        }
        wheel.assert_consistent();
    }

    #[test]
    fn any_sequence_ends_as_the_naive_twin_has_it() {
        for seed in 0..40 {
            println!("seed {seed}");
            fuzz(seed);
        }
    }
}
