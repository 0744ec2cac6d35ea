//! Numbers with one writer and any number of readers.
//!
//! A cell is written by its shard's thread alone, so an update is a relaxed load and a relaxed store: no locked
//! instruction, no fence. Two writers would lose updates (never more than that); nothing here prevents it, ownership
//! of the shard does. A reader sees each cell whole, but not several cells of one moment.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::labels::Label;

/// A sum that only grows (until it wraps past 2⁶⁴).
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The sum so far.
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the level.
    #[inline]
    pub fn set(&self, level: u64) {
        self.0.store(level, Relaxed);
    }

    /// Raises the level by one.
    #[inline]
    pub fn up(&self) {
        self.set(self.value().wrapping_add(1));
    }

    /// Lowers the level by one; a level of zero stays.
    #[inline]
    pub fn down(&self) {
        let level = self.value();
        debug_assert!(level > 0, "a gauge went below zero: more was returned than taken");
        self.set(level.saturating_sub(1));
    }

    /// Sets the level if it is above the present one: a high-water mark.
    #[inline]
    pub fn raise_to(&self, level: u64) {
        if level > self.value() {
            self.set(level);
        }
    }

    /// The level.
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One cell for each member of a closed set. `N` is the set's `COUNT`.
#[derive(Debug)]
pub struct Family<E, C, const N: usize> {
    cells: [C; N],
    label: PhantomData<E>,
}

impl<E: Label, C: Default, const N: usize> Default for Family<E, C, N> {
    fn default() -> Self {
        const { assert!(N > 0) };
        assert_eq!(
            N,
            E::all().len(),
            "a family has one cell for each member of its set"
        );
        Self {
            cells: std::array::from_fn(|_| C::default()),
            label: PhantomData,
        }
    }
}

impl<E: Label, C, const N: usize> Family<E, C, N> {
    /// The cell of `member`.
    #[inline]
    pub fn of(&self, member: E) -> &C {
        // `Default`, the only constructor, made sure that every index of the set has its cell.
        &self.cells[member.index()]
    }
}

impl<E: Label, const N: usize> Family<E, Counter, N> {
    /// Adds one to the counter of `member`.
    #[inline]
    pub fn increment(&self, member: E) {
        self.of(member).increment();
    }

    /// All counters now.
    pub fn values(&self) -> Counts<E, N> {
        Counts::from_fn(|member| self.of(member).value())
    }
}

impl<E: Label, const N: usize> Family<E, Gauge, N> {
    /// All levels now.
    pub fn values(&self) -> Counts<E, N> {
        Counts::from_fn(|member| self.of(member).value())
    }
}

/// The values of a [`Family`] at one moment, as plain numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts<E, const N: usize> {
    numbers: [u64; N],
    label: PhantomData<E>,
}

impl<E: Label, const N: usize> Counts<E, N> {
    fn from_fn(value: impl Fn(E) -> u64) -> Self {
        let mut numbers = [0; N];
        for (number, &member) in numbers.iter_mut().zip(E::all()) {
            *number = value(member);
        }
        Self {
            numbers,
            label: PhantomData,
        }
    }

    /// The number of `member`.
    pub fn of(&self, member: E) -> u64 {
        self.numbers.get(member.index()).copied().unwrap_or(0)
    }

    /// Every member with its number.
    pub fn iter(&self) -> impl Iterator<Item = (E, u64)> + '_ {
        E::all().iter().copied().zip(self.numbers.iter().copied())
    }

    /// The sum over all members.
    pub fn total(&self) -> u64 {
        self.numbers.iter().sum()
    }

    /// Adds another moment's or shard's numbers.
    pub fn merge(&mut self, other: &Self) {
        for (number, add) in self.numbers.iter_mut().zip(other.numbers) {
            *number += add;
        }
    }
}

impl<E: Label, const N: usize> Default for Counts<E, N> {
    fn default() -> Self {
        Self::from_fn(|_| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::labels::OverloadReason;

    type Refusals = Family<OverloadReason, Counter, { OverloadReason::COUNT }>;

    #[test]
    fn a_family_counts_each_member_apart() {
        let refusals = Refusals::default();
        refusals.increment(OverloadReason::Handlers);
        refusals.increment(OverloadReason::Handlers);
        refusals.of(OverloadReason::Draining).add(5);
        let mut counts = refusals.values();
        assert_eq!(counts.of(OverloadReason::Handlers), 2);
        assert_eq!(counts.of(OverloadReason::Memory), 0);
        assert_eq!(counts.total(), 7);
        counts.merge(&refusals.values());
        assert_eq!(counts.of(OverloadReason::Draining), 10);
    }

    #[test]
    #[should_panic(expected = "one cell for each member")]
    fn a_family_of_the_wrong_size_is_refused() {
        let _ = Family::<OverloadReason, Counter, 3>::default();
    }

    #[test]
    fn a_gauge_keeps_its_high_water_mark() {
        let mark = Gauge::default();
        for level in [3, 9, 4] {
            mark.raise_to(level);
        }
        assert_eq!(mark.value(), 9);
    }

    #[test]
    fn a_reader_on_another_thread_sees_a_counter_grow_to_its_end() {
        const LAST: u64 = 100_000;
        let counter = Counter::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..LAST).for_each(|_| counter.increment()));
            let mut seen = 0;
            while seen < LAST {
                let now = counter.value();
                assert!(now >= seen, "{now} after {seen}");
                seen = now;
                std::thread::yield_now();
            }
        });
    }
}
