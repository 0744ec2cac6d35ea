//! The memory that a shard may hold beyond what it makes at start: large bodies, outboxes.
//!
//! Invariant: what is used of the budget is the sum of what live assemblies and outboxes have charged.

use std::cell::Cell;
use std::rc::Rc;

use thiserror::Error;

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

/// Heap bytes a shard may hold beyond its preallocated buffers: large bodies, outboxes. A clone is the same budget, for
/// another part of the shard that takes memory from it.
#[derive(Debug, Clone)]
pub struct HeapBudget(Rc<Budget>);

#[derive(Debug)]
struct Budget {
    used: Cell<usize>,
    max: usize,
}

impl HeapBudget {
    /// A budget of `max` bytes, none used.
    pub fn new(max: usize) -> HeapBudget {
        HeapBudget(Rc::new(Budget {
            used: Cell::new(0),
            max,
        }))
    }

    /// Charges `bytes`.
    ///
    /// # Errors
    /// [`OutOfMemory`] when fewer are free; nothing is charged then.
    pub fn charge(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let Budget { used, max } = &*self.0;
        let left = max - used.get();
        if bytes > left {
            return Err(OutOfMemory {
                asked: bytes,
                left,
                max: *max,
            });
        }
        used.set(used.get() + bytes);
        Ok(())
    }

    /// Whether so many bytes are free.
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.0.max - self.0.used.get()
    }

    /// Refunds bytes that were charged.
    pub fn refund(&self, bytes: usize) {
        let used = self.0.used.get();
        assert!(bytes <= used, "refund of {bytes} bytes, {used} charged");
        self.0.used.set(used - bytes);
    }

    /// Bytes charged now.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.0.used.get()
    }
}
