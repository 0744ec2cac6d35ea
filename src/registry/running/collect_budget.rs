//! How much the sources of a shard's answers hold together: those that are read as a whole, since their answer cannot
//! leave in pieces, and those whose authors hand over large pieces.
//!
//! Workers read them, several at a time and for as long as a source likes, so each takes what it needs as it grows.
//! Invariant: `used` is the sum of the shares that exist, and never more than `bytes_max`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that sources of one shard may hold.
#[derive(Debug)]
pub struct CollectBudget {
    used: AtomicUsize,
    bytes_max: usize,
}

/// What one source holds of it, until it is dropped.
#[derive(Debug)]
pub struct CollectShare {
    budget: Arc<CollectBudget>,
    bytes: usize,
}

impl CollectBudget {
    /// A budget of which nothing is used.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            bytes_max,
        }
    }

    /// The share of a source that holds nothing yet.
    pub fn share(budget: &Arc<Self>) -> CollectShare {
        CollectShare {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Bytes that are held now.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl CollectShare {
    /// Whether it may be of so many bytes if there is no other.
    pub fn could_be(&self, bytes: usize) -> bool {
        bytes <= self.budget.bytes_max
    }

    /// Makes it one of so many bytes; false, and it stays as it is, if there are not as many.
    #[must_use]
    pub fn set(&mut self, bytes: usize) -> bool {
        let used = &self.budget.used;
        if bytes <= self.bytes {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return true;
        }
        let missing = bytes - self.bytes;
        let taken = used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(missing)
                .filter(|used| *used <= self.budget.bytes_max)
        });
        if taken.is_ok() {
            self.bytes = bytes;
        }
        taken.is_ok()
    }
}

impl Drop for CollectShare {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let budget = Arc::new(CollectBudget::new(100));
        let (mut one, mut other) = (CollectBudget::share(&budget), CollectBudget::share(&budget));
        assert!(one.set(60));
        assert!(!other.set(41));
        assert!(other.set(40));
        assert!(!one.set(61));
        assert!(!one.set(usize::MAX));
        assert_eq!(budget.used(), 100);
        assert!(one.set(50));
        assert_eq!(budget.used(), 90);
        drop(one);
        assert!(other.set(100));
        assert!(other.could_be(100) && !other.could_be(101));
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
