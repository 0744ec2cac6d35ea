//! The one kind of memory that shards write together: a word, sequentially consistent.
//!
//! Protocols between shards are written against the trait, so that a model checker's words can stand in for the
//! machine's, and what is checked is what runs. The protocols need sequential consistency: they write one word and then
//! read another, and of two shards that do this at once one must see the other.

use std::sync::atomic::{AtomicU32, Ordering};

/// A word that several shards read and write. Implemented for the standard library's atomics, and in tests for a
/// model checker's.
pub trait Word: Send + Sync {
    /// A word that holds `value`.
    fn new(value: u32) -> Self;
    /// The value.
    fn load(&self) -> u32;
    /// Sets the value; returns the one before.
    fn swap(&self, value: u32) -> u32;
    /// Adds, wrapping around; returns the value before.
    fn fetch_add(&self, count: u32) -> u32;
    /// Subtracts, wrapping around; returns the value before.
    fn fetch_sub(&self, count: u32) -> u32;
    /// Sets bits; returns the value before.
    fn fetch_or(&self, bits: u32) -> u32;
    /// Clears all but these bits; returns the value before.
    fn fetch_and(&self, bits: u32) -> u32;
    /// Replaces `current` by `new`; returns the value before.
    ///
    /// # Errors
    /// Returns the value found, if it was another.
    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, u32>;

    /// Replaces the value by the result of `next`; false if that is `None`.
    fn update(&self, next: impl Fn(u32) -> Option<u32>) -> bool {
        let mut value = self.load();
        while let Some(new) = next(value) {
            match self.compare_exchange(value, new) {
                Ok(_) => return true,
                Err(found) => value = found,
            }
        }
        false
    }
}

impl Word for AtomicU32 {
    fn new(value: u32) -> Self {
        AtomicU32::new(value)
    }

    fn load(&self) -> u32 {
        AtomicU32::load(self, Ordering::SeqCst)
    }

    fn swap(&self, value: u32) -> u32 {
        AtomicU32::swap(self, value, Ordering::SeqCst)
    }

    fn fetch_add(&self, count: u32) -> u32 {
        AtomicU32::fetch_add(self, count, Ordering::SeqCst)
    }

    fn fetch_sub(&self, count: u32) -> u32 {
        AtomicU32::fetch_sub(self, count, Ordering::SeqCst)
    }

    fn fetch_or(&self, bits: u32) -> u32 {
        AtomicU32::fetch_or(self, bits, Ordering::SeqCst)
    }

    fn fetch_and(&self, bits: u32) -> u32 {
        AtomicU32::fetch_and(self, bits, Ordering::SeqCst)
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, u32> {
        AtomicU32::compare_exchange(self, current, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}
