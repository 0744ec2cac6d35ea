//! The bytes of live state in the process: they are counted when something is allocated, and given back when it is
//! dropped.
//!
//! The budget counts what callers ask for plus a fixed share per allocation; it does not measure the allocator. A
//! caller that cannot refuse (it has a message that is already made) may go over the limit; a caller that can refuse
//! asks first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that an allocation costs beyond its own.
const ALLOCATION_BYTES: usize = 16;

/// The count and its limit.
#[derive(Debug)]
pub(super) struct Budget {
    used_bytes: AtomicUsize,
    bytes_max: usize,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            used_bytes: AtomicUsize::new(0),
            bytes_max,
        })
    }

    /// Counts an allocation of so many bytes, even if that is too much.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let bytes = bytes + ALLOCATION_BYTES;
        self.add(bytes);
        Charge {
            budget: Arc::clone(self),
            bytes,
        }
    }

    /// Counts bytes that [`Budget::subtract`] gives back: for entries that are too small to carry a charge.
    pub(super) fn add(&self, bytes: usize) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.used_bytes() > self.bytes_max
    }

    /// Whether so many more bytes are too many.
    pub(super) fn lacks(&self, bytes: usize) -> bool {
        self.used_bytes().saturating_add(bytes) > self.bytes_max
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.subtract(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(200);
        let (first, second) = (budget.charge(84), budget.charge(83));
        assert_eq!(budget.used_bytes(), 199);
        assert!(!budget.is_over() && !budget.lacks(1) && budget.lacks(2));
        let third = budget.charge(0);
        assert!(budget.is_over());
        drop((first, second, third));
        assert_eq!(budget.used_bytes(), 0);
    }
}
