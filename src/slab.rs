//! A slab: values in numbered slots, named by keys that tell one use of a slot from the next.
//!
//! Insertion, look-up and removal take constant time. Memory is allocated only while more values are held than ever
//! before, and the slots are kept for reuse: the slot vacated last is used first, since it is still in the cache.
//! Which generations a key can hold is the key type's: the connection table's have 24 bits, as they travel through the
//! ring; plain indices have none, and are for callers that cannot hold a key longer than its value.
//!
//! Invariants:
//! - A key finds the value it was given out for, from its insertion until its removal, and nothing afterwards (until
//!   the generations have wrapped).
//! - A slot is on the free list, once, if and only if it holds no value.
//! - No slot moves: its number is good as an index into arrays beside the slab.

use std::fmt;
use std::marker::PhantomData;

/// The end of the free list. No slot has this number.
const NO_SLOT: u32 = u32::MAX;

/// The name of a value in a slab: its slot, and the number of the slot's use.
pub trait SlabKey: Copy {
    /// The largest generation; the next after it is 0. With 0 the keys are plain indices, and a stale key finds
    /// whatever is in its slot now.
    const GENERATION_MAX: u32;

    /// The key of these two numbers.
    fn new(slot: u32, generation: u32) -> Self;

    /// The number of the slot.
    fn slot(self) -> u32;

    /// The number of the slot's use; at most [`SlabKey::GENERATION_MAX`].
    fn generation(self) -> u32;
}

/// A plain index: no generation.
impl SlabKey for u32 {
    const GENERATION_MAX: u32 = 0;

    fn new(slot: u32, _generation: u32) -> u32 {
        slot
    }

    fn slot(self) -> u32 {
        self
    }

    fn generation(self) -> u32 {
        0
    }
}

struct Slot<T> {
    /// The generation of the value's key; in a vacant slot, that of the next one's.
    generation: u32,
    /// While the slot is vacant, the slot vacated before it.
    next_free: u32,
    value: Option<T>,
}

/// Values `T`, found by keys `K`.
pub struct Slab<K, T> {
    slots: Vec<Slot<T>>,
    /// The slot vacated last.
    free: u32,
    len: u32,
    slots_max: u32,
    keys: PhantomData<fn() -> K>,
}

impl<K: SlabKey, T> Slab<K, T> {
    /// What a slot takes, with a value or without one.
    pub const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// An empty slab of at most `slots_max` values, whose memory is allocated as they come.
    pub fn bounded(slots_max: u32) -> Slab<K, T> {
        Slab {
            slots: Vec::new(),
            free: NO_SLOT,
            len: 0,
            // Every slot's number is below it, so that none is the number that ends the free list.
            slots_max,
            keys: PhantomData,
        }
    }

    /// An empty slab of at most `slots_max` values, whose memory is allocated now.
    pub fn preallocated(slots_max: u32) -> Slab<K, T> {
        let mut slab = Slab::bounded(slots_max);
        slab.slots.reserve_exact(slots_max as usize);
        slab
    }

    /// Puts a value into the slot vacated last, or into a new one.
    ///
    /// # Errors
    /// Returns the value itself when all possible slots are taken.
    pub fn insert(&mut self, value: T) -> Result<K, T> {
        let number = self.free;
        let key = if let Some(slot) = self.slots.get_mut(number as usize) {
            debug_assert!(
                slot.value.is_none(),
                "slot {number} is on the free list and taken"
            );
            self.free = slot.next_free;
            slot.value = Some(value);
            K::new(number, slot.generation)
        } else if self.slots.len() < self.slots_max as usize {
            let number = self.slots.len() as u32;
            self.slots.push(Slot {
                generation: 0,
                next_free: NO_SLOT,
                value: Some(value),
            });
            K::new(number, 0)
        } else {
            return Err(value);
        };
        self.len += 1;
        Ok(key)
    }

    /// The value of a key; `None` once it was removed.
    #[inline]
    pub fn get(&self, key: K) -> Option<&T> {
        let slot = self.slots.get(key.slot() as usize)?;
        slot.value
            .as_ref()
            .filter(|_| slot.generation == key.generation())
    }

    /// The same value, to change it.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot() as usize)?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.value.as_mut()
    }

    /// Takes a value out; its slot is free for the next one. `None` for a key whose value was removed before.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let slot = self.slots.get_mut(key.slot() as usize)?;
        if slot.generation != key.generation() {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = next_generation::<K>(slot.generation);
        slot.next_free = self.free;
        self.free = key.slot();
        self.len -= 1;
        Some(value)
    }

    /// Gives a value a new key, of the same slot: the old one finds nothing any more. `None` for a key whose value was
    /// removed.
    pub fn renew(&mut self, key: K) -> Option<K> {
        self.get(key)?;
        let slot = self.slots.get_mut(key.slot() as usize)?;
        slot.generation = next_generation::<K>(slot.generation);
        Some(K::new(key.slot(), slot.generation))
    }

    /// The key of the value in a slot, if there is one.
    pub fn key_at(&self, slot: u32) -> Option<K> {
        let found = self.slots.get(slot as usize)?;
        found.value.as_ref().map(|_| K::new(slot, found.generation))
    }

    /// All values with their keys, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.iter_from(0, u32::MAX)
    }

    /// The values in the next `count` slots from `slot` on. A walk in such pieces meets each value that stays exactly
    /// once, whichever others come and go meanwhile.
    pub fn iter_from(&self, slot: u32, count: u32) -> impl Iterator<Item = (K, &T)> {
        let slots = (slot..).zip(self.slots.iter().skip(slot as usize).take(count as usize));
        slots.filter_map(|(number, slot)| {
            let value = slot.value.as_ref()?;
            Some((K::new(number, slot.generation), value))
        })
    }

    /// The keys of all values, in the order of their slots.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    /// The number of values held.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no value is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of slots that were ever used: every slot's number is below this.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The most values that may be held.
    pub fn slots_max(&self) -> u32 {
        self.slots_max
    }
}

/// A slab without a bound of its own: it holds as many values as slots can be numbered.
impl<K: SlabKey, T> Default for Slab<K, T> {
    fn default() -> Slab<K, T> {
        Slab::bounded(NO_SLOT)
    }
}

impl<K, T> fmt::Debug for Slab<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab")
            .field("len", &self.len)
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

fn next_generation<K: SlabKey>(generation: u32) -> u32 {
    if generation >= K::GENERATION_MAX {
        0
    } else {
        generation + 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The generation wraps soon, so that wrapping is met.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    struct Key {
        slot: u32,
        generation: u32,
    }

    impl SlabKey for Key {
        const GENERATION_MAX: u32 = 40;

        fn new(slot: u32, generation: u32) -> Key {
            Key { slot, generation }
        }

        fn slot(self) -> u32 {
            self.slot
        }

        fn generation(self) -> u32 {
            self.generation
        }
    }

    /// The naive twin, by search: a list of all values held, and how often each slot was vacated.
    #[derive(Default)]
    struct Twin {
        held: HashMap<Key, u64>,
        generations: Vec<u32>,
        vacated: Vec<u32>,
        slots_max: usize,
    }

    impl Twin {
        fn insert(&mut self, value: u64) -> Option<Key> {
            let slot = match self.vacated.pop() {
                Some(slot) => slot,
                None if self.generations.len() == self.slots_max => return None,
                None => {
                    self.generations.push(0);
                    self.generations.len() as u32 - 1
                }
            };
            let key = Key::new(slot, self.generations[slot as usize]);
            self.held.insert(key, value);
            Some(key)
        }

        fn leave_generation(&mut self, key: Key) -> u32 {
            let generation = &mut self.generations[key.slot as usize];
            *generation = (*generation + 1) % (Key::GENERATION_MAX + 1);
            *generation
        }

        fn remove(&mut self, key: Key) -> Option<u64> {
            let value = self.held.remove(&key)?;
            self.leave_generation(key);
            self.vacated.push(key.slot);
            Some(value)
        }

        fn renew(&mut self, key: Key) -> Option<Key> {
            let value = self.held.remove(&key)?;
            let renewed = Key::new(key.slot, self.leave_generation(key));
            self.held.insert(renewed, value);
            Some(renewed)
        }
    }

    fn compare(slab: &Slab<Key, u64>, twin: &Twin, context: &str) {
        assert_eq!(slab.len() as usize, twin.held.len(), "{context}");
        assert_eq!(slab.is_empty(), twin.held.is_empty(), "{context}");
        assert_eq!(slab.slots() as usize, twin.generations.len(), "{context}");
        let mut held: Vec<(Key, u64)> = twin.held.iter().map(|(key, value)| (*key, *value)).collect();
        held.sort_by_key(|(key, _)| key.slot);
        let met: Vec<(Key, u64)> = slab.iter().map(|(key, value)| (key, *value)).collect();
        assert_eq!(met, held, "{context}");
        for slot in 0..slab.slots() + 1 {
            let key = held.iter().find(|(key, _)| key.slot == slot).map(|(key, _)| *key);
            assert_eq!(slab.key_at(slot), key, "{context}");
        }
    }

    fn run(seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let slots_max = random.u32(0..12);
        let mut slab = if random.bool() {
            Slab::preallocated(slots_max)
        } else {
            Slab::bounded(slots_max)
        };
        let mut twin = Twin {
            slots_max: slots_max as usize,
            ..Twin::default()
        };
        // All keys there ever were, so that stale ones are tried as often as current ones.
        let mut keys = vec![Key::new(0, 0), Key::new(99, 3)];
        for step in 0..600 {
            let context = format!("seed {seed}, step {step}");
            let key = keys[random.usize(keys.len().saturating_sub(30)..keys.len())];
            match random.u32(0..8) {
                0..4 => {
                    let value = random.u64(..);
                    let inserted = slab.insert(value);
                    assert_eq!(inserted.ok(), twin.insert(value), "{context}");
                    keys.extend(inserted.ok());
                }
                4 | 5 => assert_eq!(slab.remove(key), twin.remove(key), "{context}"),
                6 => {
                    let renewed = slab.renew(key);
                    assert_eq!(renewed, twin.renew(key), "{context}");
                    keys.extend(renewed);
                }
                _ => {
                    let value = random.u64(..);
                    let (held, expected) = (slab.get_mut(key), twin.held.get_mut(&key));
                    assert_eq!(held.is_some(), expected.is_some(), "{context}");
                    if let (Some(held), Some(expected)) = (held, expected) {
                        (*held, *expected) = (value, value);
                    }
                }
            }
            assert_eq!(slab.get(key), twin.held.get(&key), "{context}");
            compare(&slab, &twin, &context);
        }
    }

    #[test]
    fn it_does_what_its_twin_does() {
        (0..60).for_each(run);
    }

    #[test]
    fn a_stale_key_does_not_find_the_slots_next_value() {
        let mut slab: Slab<Key, &str> = Slab::bounded(1);
        let stale = slab.insert("first").unwrap();
        assert_eq!(slab.insert("second"), Err("second"));
        assert_eq!(slab.remove(stale), Some("first"));
        let current = slab.insert("second").unwrap();
        assert_eq!(current.slot, stale.slot);
        assert_eq!(slab.get(stale), None);
        assert_eq!(slab.remove(stale), None);
        assert_eq!(slab.renew(stale), None);
        assert_eq!(slab.get(current), Some(&"second"));
        let renewed = slab.renew(current).unwrap();
        assert_eq!((slab.get(current), slab.get(renewed)), (None, Some(&"second")));
    }

    #[test]
    fn plain_indices_are_reused_and_walked_in_pieces() {
        let mut slab: Slab<u32, u32> = Slab::default();
        (0..10).for_each(|value| {
            slab.insert(value).unwrap();
        });
        let (mut met, mut from) = (Vec::new(), 0);
        while from < slab.slots() {
            met.extend(slab.iter_from(from, 3).map(|(_, value)| *value));
            // One that was met and one that was not are removed; another is added.
            slab.remove(from);
            slab.remove(from + 5);
            slab.insert(100 + from).unwrap();
            from += 3;
        }
        met.retain(|value| ![0, 3, 5, 6, 8, 9].contains(value) && *value < 100);
        assert_eq!(met, [1, 2, 4, 7]);
        assert_eq!(slab.iter_from(50, 3).count(), 0);
    }

    #[test]
    fn a_slab_without_slots_takes_nothing() {
        let mut slab: Slab<Key, u8> = Slab::preallocated(0);
        assert_eq!(slab.insert(1), Err(1));
        assert_eq!((slab.len(), slab.slots(), slab.slots_max()), (0, 0, 0));
    }

    #[test]
    fn a_slot_costs_eight_bytes_beside_its_value() {
        assert_eq!(size_of::<Slot<Box<u8>>>(), 16);
    }
}
