//! The memory that a shard may hold beyond what it makes at start: large bodies, large answers, outboxes.
//!
//! A [`HeapBudget`] counts what is in use and lends the buffers for it. A buffer that comes back stays in reserve by
//! its size class, so that the next large body or answer costs no system call and no page fault. The reserve counts
//! against the budget and gives way to whatever is charged. What has lain in it unneeded goes back to the allocator.
//!
//! Invariants: what is used is the sum of what live assemblies, answers and outboxes have charged; `used + reserved`
//! never exceeds the budget.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use thiserror::Error;

use super::reserve::Reserve;

/// The shard's share of run-time memory is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{asked} bytes asked of a heap budget with {left} of {max} left")]
pub struct OutOfMemory {
    /// The bytes requested.
    pub asked: usize,
    /// The bytes that were free.
    pub left: usize,
    /// The whole budget, bytes.
    pub max: usize,
}

/// Heap bytes a shard may hold beyond its preallocated buffers, and the buffers that are used again. A clone is the
/// same budget, for another part of the shard that takes memory from it.
#[derive(Debug, Clone)]
pub struct HeapBudget(Rc<Budget>);

/// Bytes that are charged to a budget until this is dropped.
#[derive(Debug)]
pub struct HeapShare {
    budget: HeapBudget,
    bytes: usize,
}

impl HeapShare {
    /// Leaves them charged: whoever has them now refunds them.
    pub fn keep(mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for HeapShare {
    fn drop(&mut self) {
        self.budget.refund(self.bytes);
    }
}

#[derive(Debug)]
struct Budget {
    used: Cell<usize>,
    max: usize,
    reserve: RefCell<Reserve>,
}

impl HeapBudget {
    /// A budget of `max` bytes, none used.
    pub fn new(max: usize) -> HeapBudget {
        HeapBudget(Rc::new(Budget {
            used: Cell::new(0),
            max,
            reserve: RefCell::default(),
        }))
    }

    /// Charges `bytes`.
    ///
    /// # Errors
    /// [`OutOfMemory`] when fewer are free; nothing is charged then.
    pub fn charge(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let Budget { used, max, .. } = &*self.0;
        let left = max - used.get();
        if bytes > left {
            return Err(OutOfMemory {
                asked: bytes,
                left,
                max: *max,
            });
        }
        used.set(used.get() + bytes);
        self.shrink_reserve(0);
        Ok(())
    }

    /// The same, until what is returned is dropped.
    ///
    /// # Errors
    /// The same.
    pub fn hold(&self, bytes: usize) -> Result<HeapShare, OutOfMemory> {
        self.charge(bytes)?;
        Ok(HeapShare {
            budget: self.clone(),
            bytes,
        })
    }

    /// Bytes that are free.
    pub fn left(&self) -> usize {
        self.0.max - self.0.used.get()
    }

    /// Whether so many bytes are free.
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.0.max - self.0.used.get()
    }

    /// Whether half of the budget stays free beside what is used and so many bytes more.
    pub fn is_half_free_beside(&self, bytes: usize) -> bool {
        let Budget { used, max, .. } = &*self.0;
        used.get().saturating_add(bytes) <= max / 2
    }

    /// Refunds bytes that were charged.
    pub fn refund(&self, bytes: usize) {
        let used = self.0.used.get();
        assert!(bytes <= used, "refund of {bytes} bytes, {used} charged");
        self.0.used.set(used - bytes);
    }

    /// An empty buffer with room for `bytes`, and perhaps for twice as many: from the reserve, or new. It is not
    /// charged yet; charge its capacity, or put it back.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        if let Some(buffer) = self.0.reserve.borrow_mut().take(bytes) {
            return buffer;
        }
        let capacity = Reserve::capacity_for(bytes);
        self.shrink_reserve(capacity);
        Vec::with_capacity(capacity)
    }

    /// Takes a buffer back of which nothing is charged any more. It joins the reserve if it has the capacity of a size
    /// class and there is room, and is freed otherwise.
    pub fn put(&self, buffer: Vec<u8>) {
        let Budget { used, max, reserve } = &*self.0;
        let mut reserve = reserve.borrow_mut();
        if buffer.capacity() <= (max - used.get()).saturating_sub(reserve.bytes()) {
            reserve.put(buffer);
        }
    }

    /// Frees the buffers of the reserve that were not needed since the last call.
    pub fn release_unneeded(&self) {
        self.0.reserve.borrow_mut().release_unneeded();
    }

    /// Frees as much of the reserve as is necessary beside what is used and `coming` bytes.
    fn shrink_reserve(&self, coming: usize) {
        let Budget { used, max, reserve } = &*self.0;
        let room = (max - used.get()).saturating_sub(coming);
        let mut reserve = reserve.borrow_mut();
        if reserve.bytes() > room {
            reserve.shrink_to(room);
        }
    }

    /// Bytes in reserve now.
    #[cfg(test)]
    pub fn reserved(&self) -> usize {
        self.0.reserve.borrow().bytes()
    }

    /// Bytes charged now.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.0.used.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER_BYTES: usize = 64 << 10;

    #[test]
    fn a_buffer_that_comes_back_is_lent_again_and_counts_meanwhile() {
        let budget = HeapBudget::new(2 * BUFFER_BYTES);
        let buffer = budget.take(BUFFER_BYTES);
        let address = buffer.as_ptr();
        budget.charge(buffer.capacity()).unwrap();
        budget.refund(buffer.capacity());
        budget.put(buffer);
        assert_eq!((budget.used(), budget.reserved()), (0, BUFFER_BYTES));
        assert!(budget.has_room(2 * BUFFER_BYTES), "a reserve is in nobody's way");
        let again = budget.take(BUFFER_BYTES - 100);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn a_share_is_refunded_unless_it_is_kept() {
        let budget = HeapBudget::new(100);
        let share = budget.hold(60).unwrap();
        budget.hold(41).unwrap_err();
        assert_eq!(budget.used(), 60);
        drop(share);
        assert_eq!(budget.used(), 0);
        assert_eq!(budget.hold(60).unwrap().keep(), 60);
        assert_eq!(budget.used(), 60);
        budget.refund(60);
    }

    #[test]
    fn the_reserve_gives_way_to_what_is_charged() {
        let budget = HeapBudget::new(3 * BUFFER_BYTES);
        for buffer in [(); 3].map(|()| budget.take(BUFFER_BYTES)) {
            budget.put(buffer);
        }
        assert_eq!(budget.reserved(), 3 * BUFFER_BYTES);
        budget.charge(BUFFER_BYTES + 1).unwrap();
        assert_eq!(budget.reserved(), BUFFER_BYTES);
        budget.charge(2 * BUFFER_BYTES - 1).unwrap();
        assert_eq!(budget.reserved(), 0);
        budget.charge(1).unwrap_err();
        budget.put(Vec::with_capacity(BUFFER_BYTES));
        assert_eq!(budget.reserved(), 0, "there is no room to keep it");
    }

    #[test]
    fn a_new_buffer_takes_the_place_of_others_in_reserve() {
        let budget = HeapBudget::new(4 * BUFFER_BYTES);
        for buffer in [(); 4].map(|()| budget.take(BUFFER_BYTES)) {
            budget.put(buffer);
        }
        let large = budget.take(3 * BUFFER_BYTES);
        assert_eq!(
            (large.capacity(), budget.reserved()),
            (3 * BUFFER_BYTES, BUFFER_BYTES)
        );
    }

    /// Seeded: whatever is lent, charged and given back in whatever order, use and reserve stay within the budget.
    #[test]
    fn the_budget_is_never_exceeded_and_all_of_it_comes_back() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let max = 1 << 20;
        let budget = HeapBudget::new(max);
        let mut lent: Vec<Vec<u8>> = Vec::new();
        for _ in 0..5_000 {
            if random.bool() {
                let buffer = budget.take(random.usize(1..300_000));
                match budget.charge(buffer.capacity()) {
                    Ok(()) => lent.push(buffer),
                    Err(_) => budget.put(buffer),
                }
            } else if !lent.is_empty() {
                let buffer = lent.swap_remove(random.usize(..lent.len()));
                budget.refund(buffer.capacity());
                budget.put(buffer);
            }
            let owned: usize = lent.iter().map(Vec::capacity).sum();
            assert_eq!(budget.used(), owned, "seed {seed}");
            assert!(budget.used() + budget.reserved() <= max, "seed {seed}");
        }
        for buffer in lent {
            budget.refund(buffer.capacity());
            budget.put(buffer);
        }
        budget.release_unneeded();
        budget.release_unneeded();
        assert_eq!((budget.used(), budget.reserved()), (0, 0), "seed {seed}");
    }
}
