//! How much the sources that are read as a whole hold together: those of a shard's answers that cannot leave in pieces.
//!
//! Workers read them, several at a time and for as long as a source likes, so each takes what it needs as it grows.
//! Invariant: `used` is the sum of the shares that exist, and never more than `bytes_max`.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that sources of one shard may hold.
#[derive(Debug)]
pub struct CollectBudget {
    used: AtomicUsize,
    bytes_max: usize,
}

/// What one source holds of it, until it is dropped.
#[derive(Debug)]
pub struct CollectShare<'b> {
    budget: &'b CollectBudget,
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
    pub fn share(&self) -> CollectShare<'_> {
        CollectShare {
            budget: self,
            bytes: 0,
        }
    }

    /// Whether one source may hold so many bytes, if no other holds any.
    pub fn can_hold(&self, bytes: usize) -> bool {
        bytes <= self.bytes_max
    }

    /// Bytes that are held now.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl CollectShare<'_> {
    /// Takes what is missing to so many bytes; false if there is not as much.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.bytes);
        let taken = self
            .budget
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(missing)
                    .filter(|used| *used <= self.budget.bytes_max)
            });
        if taken.is_ok() {
            self.bytes += missing;
        }
        taken.is_ok()
    }
}

impl Drop for CollectShare<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let budget = CollectBudget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.grow_to(60));
        assert!(!other.grow_to(41));
        assert!(other.grow_to(40));
        assert!(one.grow_to(50), "it has as much");
        assert!(!one.grow_to(61));
        assert!(!one.grow_to(usize::MAX));
        assert_eq!(budget.used(), 100);
        drop(one);
        assert!(other.grow_to(100));
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
