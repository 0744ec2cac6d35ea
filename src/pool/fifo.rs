//! An order over numbered slots: first in, first out, and out from anywhere.
//!
//! This is a doubly linked list in an array that is made once, so that no step allocates or searches. The caller
//! decides what the slots stand for: waiters of a queue, handlers that linger.
//!
//! Invariant: a slot is in the order at most once; following `next` from `head` visits `len` slots.

const NIL: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    is_linked: bool,
}

/// Slots in the order they came.
#[derive(Debug)]
pub(super) struct Fifo {
    links: Box<[Link]>,
    head: u32,
    tail: u32,
    len: u32,
}

impl Fifo {
    /// An empty order over slots below `slots`.
    pub(super) fn new(slots: u32) -> Fifo {
        let link = Link {
            next: NIL,
            previous: NIL,
            is_linked: false,
        };
        Fifo {
            links: vec![link; slots as usize].into_boxed_slice(),
            head: NIL,
            tail: NIL,
            len: 0,
        }
    }

    /// Appends a slot that is not in the order.
    pub(super) fn push_back(&mut self, slot: u32) {
        let tail = self.tail;
        let link = &mut self.links[slot as usize];
        assert!(!link.is_linked, "slot {slot} is in the order already");
        *link = Link {
            next: NIL,
            previous: tail,
            is_linked: true,
        };
        match self.links.get_mut(tail as usize) {
            Some(last) => last.next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
        self.len += 1;
    }

    /// Takes a slot out, wherever it stands; false if it was not in the order.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        let Some(link) = self.links.get_mut(slot as usize).filter(|link| link.is_linked) else {
            return false;
        };
        link.is_linked = false;
        let (previous, next) = (link.previous, link.next);
        match self.links.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        match self.links.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => self.tail = previous,
        }
        self.len -= 1;
        true
    }

    /// The slot that came first.
    pub(super) fn front(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// The slot that came next after `slot`.
    pub(super) fn behind(&self, slot: u32) -> Option<u32> {
        let link = self.links.get(slot as usize)?;
        (link.is_linked && link.next != NIL).then_some(link.next)
    }

    /// Whether a slot is in the order.
    pub(super) fn contains(&self, slot: u32) -> bool {
        self.links.get(slot as usize).is_some_and(|link| link.is_linked)
    }

    /// The number of slots in the order.
    pub(super) fn len(&self) -> u32 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn order(fifo: &Fifo) -> Vec<u32> {
        std::iter::successors(fifo.front(), |&slot| fifo.behind(slot)).collect()
    }

    #[test]
    fn it_does_what_a_deque_does() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut fifo = Fifo::new(16);
        let mut twin: VecDeque<u32> = VecDeque::new();
        for _ in 0..5000 {
            let slot = random.u32(0..16);
            let position = twin.iter().position(|&held| held == slot);
            match position {
                None => {
                    fifo.push_back(slot);
                    twin.push_back(slot);
                }
                Some(position) => {
                    assert!(fifo.remove(slot));
                    twin.remove(position);
                }
            }
            assert_eq!(order(&fifo), twin.iter().copied().collect::<Vec<_>>());
            assert_eq!(fifo.len() as usize, twin.len());
            assert_eq!(fifo.contains(slot), twin.contains(&slot));
        }
    }

    #[test]
    fn what_is_not_in_the_order_cannot_leave_it() {
        let mut fifo = Fifo::new(2);
        assert!(!fifo.remove(0));
        assert!(!fifo.remove(7));
        assert_eq!(fifo.front(), None);
    }
}
