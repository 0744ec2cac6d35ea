//! Requests with no free handler: bounded, first in first out.
//!
//! This is a plain list over a slab, made once. Entries leave from anywhere: they are served, refused at their
//! deadline, moved to another shard, or dropped because their client left. The shard owns deadlines, bytes and clients;
//! the queue keeps the order.
//!
//! Some entries stand aside: they have a place, but are not in line for a handler yet.
//!
//! Invariant: an entry is in exactly one place of exactly one queue until it is taken out; a key names an
//! entry only while it is in.

use super::fifo::Fifo;
use crate::slab::{Slab, SlabKey};

/// An entry's place in its queue; stale once the entry is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitKey {
    place: u32,
    /// The number of the place's use.
    turn: u32,
}

impl SlabKey for WaitKey {
    const GENERATION_MAX: u32 = u32::MAX;

    fn new(place: u32, turn: u32) -> WaitKey {
        WaitKey { place, turn }
    }

    fn slot(self) -> u32 {
        self.place
    }

    fn generation(self) -> u32 {
        self.turn
    }
}

/// A bounded queue of `E`.
pub struct WaitQueue<E> {
    entries: Slab<WaitKey, E>,
    /// Those in line; all others stand aside.
    order: Fifo,
}

impl<E> WaitQueue<E> {
    /// A queue of `depth_max` places, which may be none.
    pub fn new(depth_max: u32) -> WaitQueue<E> {
        WaitQueue {
            entries: Slab::preallocated(depth_max),
            order: Fifo::new(depth_max),
        }
    }

    /// Puts an entry behind all others.
    ///
    /// # Errors
    /// The entry itself when no place is free.
    pub fn push(&mut self, entry: E) -> Result<WaitKey, E> {
        let key = self.entries.insert(entry)?;
        self.order.push_back(key.place);
        Ok(key)
    }

    /// Gives an entry a place that is not in line.
    ///
    /// # Errors
    /// The entry itself when no place is free.
    pub fn push_aside(&mut self, entry: E) -> Result<WaitKey, E> {
        self.entries.insert(entry)
    }

    /// Puts an entry that stands aside behind all others in line.
    pub fn join(&mut self, key: WaitKey) {
        if self.entries.get(key).is_some() && !self.order.contains(key.place) {
            self.order.push_back(key.place);
        }
    }

    /// Takes an entry out, wherever it stands; `None` if it has left before.
    pub fn remove(&mut self, key: WaitKey) -> Option<E> {
        let entry = self.entries.remove(key)?;
        self.order.remove(key.place);
        Some(entry)
    }

    /// An entry, while it is in.
    pub fn get(&self, key: WaitKey) -> Option<&E> {
        self.entries.get(key)
    }

    /// The same entry, to be changed.
    pub fn get_mut(&mut self, key: WaitKey) -> Option<&mut E> {
        self.entries.get_mut(key)
    }

    /// Takes the oldest entry out.
    #[cfg(test)]
    pub fn pop(&mut self) -> Option<E> {
        let (key, _) = self.front()?;
        self.remove(key)
    }

    /// The oldest entry in line.
    pub fn front(&self) -> Option<(WaitKey, &E)> {
        self.iter().next()
    }

    /// All entries in line, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (WaitKey, &E)> {
        std::iter::successors(self.order.front(), |&place| self.order.behind(place)).filter_map(|place| {
            let key = self.entries.key_at(place)?;
            self.entries.get(key).map(|entry| (key, entry))
        })
    }

    /// All entries: those in line, and then, if there are any, those that stand aside, in no order. Looking for these
    /// takes as long as there are places.
    pub fn all(&self) -> impl Iterator<Item = (WaitKey, &E)> {
        let is_aside = |(key, _): &(WaitKey, &E)| !self.order.contains(key.place);
        let aside = (self.aside() > 0).then(|| self.entries.iter().filter(is_aside));
        self.iter().chain(aside.into_iter().flatten())
    }

    /// The number of entries in line.
    pub fn len(&self) -> usize {
        self.order.len() as usize
    }

    /// The number of entries that stand aside.
    pub fn aside(&self) -> usize {
        (self.entries.len() - self.order.len()) as usize
    }

    /// Whether nobody is in line.
    pub fn is_empty(&self) -> bool {
        self.order.len() == 0
    }

    /// The number of places.
    #[cfg(test)]
    pub fn depth_max(&self) -> u32 {
        self.entries.slots_max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_first_whoever_left_in_between() {
        let mut queue = WaitQueue::new(4);
        let keys: Vec<_> = (0..4).map(|n| queue.push(n).unwrap()).collect();
        assert_eq!(queue.push(4), Err(4), "full");
        assert_eq!(queue.remove(keys[1]), Some(1));
        assert_eq!(queue.remove(keys[1]), None, "an entry leaves once");
        queue.push(5).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [0, 2, 3, 5]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_stale_key_does_not_name_the_places_next_entry() {
        let mut queue = WaitQueue::new(1);
        let stale = queue.push("first").unwrap();
        assert_eq!(queue.pop(), Some("first"));
        queue.push("second").unwrap();
        assert_eq!(queue.remove(stale), None);
        assert_eq!(queue.get(stale), None);
        assert_eq!(queue.get_mut(stale), None);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn who_stands_aside_takes_a_place_and_is_not_in_line() {
        let mut queue = WaitQueue::new(3);
        let aside = queue.push_aside("aside").unwrap();
        queue.push("first").unwrap();
        let gone = queue.push_aside("gone").unwrap();
        assert_eq!(queue.push("none is left"), Err("none is left"));
        assert_eq!((queue.len(), queue.aside(), queue.all().count()), (1, 2, 3));
        assert_eq!(queue.remove(gone), Some("gone"));
        queue.join(gone);
        queue.join(aside);
        assert_eq!((queue.len(), queue.aside()), (2, 0));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["first", "aside"]);
    }

    #[test]
    fn a_queue_without_places_takes_nobody() {
        let mut queue = WaitQueue::new(0);
        assert_eq!(queue.push(1), Err(1));
        assert_eq!(queue.front(), None);
        assert_eq!((queue.len(), queue.depth_max()), (0, 0));
    }
}
