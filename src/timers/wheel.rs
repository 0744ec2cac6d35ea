//! The wheel: deadlines by key, hashed by tick into slots of intrusive lists.
//!
//! An entry is filed under a tick that is not after its deadline, and looked at when that tick comes. Moving a deadline
//! later, or clearing it, therefore only rewrites the entry; it is filed anew, or dropped, when it comes up. So the
//! common case, pushing the idle deadline out at every request, is a store. Does not read a clock or call anybody.
//!
//! Invariant: every filed entry is filed within the `SLOTS` ticks after `done`, so that a slot stands for one tick, and
//! a slot's bit in `occupied` says whether its list has entries. A tick is done when its slot is empty.

use super::tick::Tick;

/// Slots of the wheel: 41 s of 10 ms ticks. A longer deadline comes up, and is filed anew, every 41 s.
const SLOTS: usize = 4096;
const WORDS: usize = SLOTS / 64;
const NIL: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;

/// What a deadline is about. Each kind numbers its slots from zero, densely.
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

/// Whose deadline it is: a kind and a slot of that kind, in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerKey(u32);

impl TimerKey {
    /// Slots of a kind.
    pub const SLOTS_MAX: u32 = (1 << (32 - TimerKind::BITS)) - 1;

    /// The deadline of this slot.
    ///
    /// # Panics
    /// When `slot` is not below [`TimerKey::SLOTS_MAX`]; slots are the caller's own numbers, bounded by its tables.
    #[inline]
    pub const fn new(kind: TimerKind, slot: u32) -> Self {
        assert!(slot < Self::SLOTS_MAX, "a slot has 30 bits");
        Self(slot << TimerKind::BITS | kind as u32)
    }

    /// What the deadline is about.
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
    /// `NEVER` when nothing is set.
    deadline: u64,
    /// The tick this entry comes up in; `NEVER` when it is in no list.
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

/// Deadlines of one shard, at most one per key. 24 bytes a key and 16.5 KiB.
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
            done: now.0,
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

    /// Sets or moves the deadline of `key`. A deadline that has passed already comes up with the next tick. A store
    /// when the key has been set before to no later deadline; never more than a few. Allocates only for a slot
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

    /// Takes the deadline of `key` back. Nothing happens when there is none.
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
    #[inline]
    pub fn deadline(&self, key: TimerKey) -> Option<Tick> {
        let entry = self.entries[key.kind_index()].get(key.slot() as usize)?;
        (entry.deadline != NEVER).then_some(Tick(entry.deadline))
    }

    /// Takes out one key whose deadline is not after `now`, in order of deadline tick; keys may be set and cleared
    /// between two calls. `looks` bounds the work of a turn over any number of calls: it is lowered by each entry
    /// looked at, and at zero the rest is left for the next turn ([`Wheel::is_due`] tells).
    pub fn poll_expired(&mut self, now: Tick, looks: &mut u32) -> Option<TimerKey> {
        while let Some(tick) = self.next_occupied().filter(|tick| *tick <= now.0) {
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
        self.done = self.done.max(now.0);
        None
    }

    /// Whether [`Wheel::poll_expired`] would look at something.
    #[inline]
    pub fn is_due(&self, now: Tick) -> bool {
        self.next_occupied().is_some_and(|tick| tick <= now.0)
    }

    /// When to look next: not after the earliest deadline, and before it only where a deadline was cleared or moved
    /// later. `None` when there is nothing to wait for.
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

    /// The entry of a key that is filed, or that `set` made room for.
    #[inline]
    fn entry_mut(&mut self, key: u32) -> &mut Entry {
        let key = TimerKey(key);
        &mut self.entries[key.kind_index()][key.slot() as usize]
    }
}

const fn slot_of(tick: u64) -> usize {
    tick as usize % SLOTS
}
