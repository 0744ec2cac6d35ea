//! The interface of a shard's cells: their numbers, how those are summed, and how they are exposed.

use super::counter::{Counter, Counts, Family, Gauge};
use super::duration::{DurationBuckets, DurationCounts};
use super::exposition::{Exposition, FamilyWriter, Kind};
use super::labels::{Era, Label, RequestClass};

/// A cell that a shard writes and anybody reads.
pub trait Cell {
    /// The plain numbers of the cell.
    type Numbers: Numbers;

    /// The type of such numbers in Prometheus.
    const KIND: Kind;

    /// The numbers now.
    fn numbers(&self) -> Self::Numbers;
}

/// The numbers of a cell at one moment, or of several shards' cells together.
pub trait Numbers: Default {
    /// Adds another moment's or shard's numbers.
    fn merge(&mut self, other: &Self);

    /// Writes a sample for each number; `label` is the name of the members' label, if there are members.
    fn write(&self, family: &mut FamilyWriter<'_>, labels: &[(&str, &str)], label: &'static str);
}

/// How a cell is exposed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    name: &'static str,
    help: &'static str,
    spread: Spread,
    /// The label of the members of a family of cells.
    member: &'static str,
    /// A label that tells this cell from others of the same name, with its value.
    label: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    /// One sample for each shard, for a number whose spread over the cores means something.
    ByShard,
    /// The sum over the shards.
    Summed,
    /// The cell is not exposed.
    Hidden,
}

/// Exposed with the label `shard`.
pub(super) const fn by_shard(name: &'static str, help: &'static str) -> Shown {
    shown(name, help, Spread::ByShard)
}

/// Exposed as a sum over the shards.
pub(super) const fn summed(name: &'static str, help: &'static str) -> Shown {
    shown(name, help, Spread::Summed)
}

/// Only the process itself reads the cell.
pub(super) const fn hidden() -> Shown {
    shown("", "", Spread::Hidden)
}

const fn shown(name: &'static str, help: &'static str, spread: Spread) -> Shown {
    Shown {
        name,
        help,
        spread,
        member: "",
        label: None,
    }
}

impl Shown {
    /// The label whose values are the members of the family.
    pub(super) const fn members(self, member: &'static str) -> Self {
        Self { member, ..self }
    }

    /// One of several cells of this name, told apart by a label.
    pub(super) const fn labelled(self, label: &'static str, value: &'static str) -> Self {
        Self {
            label: Some((label, value)),
            ..self
        }
    }

    /// Writes the numbers of the cells of all shards; `all` is their sum.
    pub(super) fn write<'a, N: Numbers + 'a>(
        &self,
        exposition: &mut Exposition,
        kind: Kind,
        shards: impl Iterator<Item = (&'a str, &'a N)>,
        all: &N,
    ) {
        exposition.family(kind, self.name, self.help, |family| {
            let own = self.label.as_slice();
            match self.spread {
                Spread::ByShard => shards.for_each(|(shard, numbers)| {
                    let labels = [&[("shard", shard)], own].concat();
                    numbers.write(family, &labels, self.member);
                }),
                Spread::Summed => all.write(family, own, self.member),
                Spread::Hidden => {}
            }
        });
    }
}

impl Cell for Counter {
    type Numbers = u64;
    const KIND: Kind = Kind::Counter;

    fn numbers(&self) -> u64 {
        self.value()
    }
}

impl Cell for Gauge {
    type Numbers = u64;
    const KIND: Kind = Kind::Gauge;

    fn numbers(&self) -> u64 {
        self.value()
    }
}

impl Numbers for u64 {
    fn merge(&mut self, other: &Self) {
        *self += other;
    }

    fn write(&self, family: &mut FamilyWriter<'_>, labels: &[(&str, &str)], _: &'static str) {
        family.sample(labels, *self);
    }
}

impl<E: Label, const N: usize> Cell for Family<E, Counter, N> {
    type Numbers = Counts<E, N>;
    const KIND: Kind = Kind::Counter;

    fn numbers(&self) -> Counts<E, N> {
        self.values()
    }
}

impl<E: Label, const N: usize> Cell for Family<E, Gauge, N> {
    type Numbers = Counts<E, N>;
    const KIND: Kind = Kind::Gauge;

    fn numbers(&self) -> Counts<E, N> {
        self.values()
    }
}

impl<E: Label, const N: usize> Numbers for Counts<E, N> {
    fn merge(&mut self, other: &Self) {
        Counts::merge(self, other);
    }

    fn write(&self, family: &mut FamilyWriter<'_>, labels: &[(&str, &str)], label: &'static str) {
        for (member, count) in self.iter() {
            family.sample(&[labels, &[(label, member.as_str())]].concat(), count);
        }
    }
}

/// Requests by era, then class.
pub(super) type Requests =
    Family<Era, Family<RequestClass, Counter, { RequestClass::COUNT }>, { Era::COUNT }>;

/// Requests of one moment, by era, then class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCounts(pub Vec<(Era, Counts<RequestClass, { RequestClass::COUNT }>)>);

impl Default for RequestCounts {
    fn default() -> Self {
        Self(Era::ALL.iter().map(|&era| (era, Counts::default())).collect())
    }
}

impl Cell for Requests {
    type Numbers = RequestCounts;
    const KIND: Kind = Kind::Counter;

    fn numbers(&self) -> RequestCounts {
        RequestCounts(Era::ALL.iter().map(|&era| (era, self.of(era).values())).collect())
    }
}

impl Numbers for RequestCounts {
    fn merge(&mut self, other: &Self) {
        for ((_, own), (_, theirs)) in self.0.iter_mut().zip(&other.0) {
            own.merge(theirs);
        }
    }

    fn write(&self, family: &mut FamilyWriter<'_>, labels: &[(&str, &str)], label: &'static str) {
        for (era, classes) in &self.0 {
            classes.write(family, &[labels, &[("era", era.as_str())]].concat(), label);
        }
    }
}

impl Cell for DurationBuckets {
    type Numbers = DurationCounts;
    const KIND: Kind = Kind::Histogram;

    fn numbers(&self) -> DurationCounts {
        self.values()
    }
}

impl Numbers for DurationCounts {
    fn merge(&mut self, other: &Self) {
        DurationCounts::merge(self, other);
    }

    fn write(&self, family: &mut FamilyWriter<'_>, labels: &[(&str, &str)], _: &'static str) {
        family.histogram(labels, self);
    }
}

/// A length of time in nanoseconds, of which the longest counts; exposed in seconds.
#[derive(Debug, Default)]
pub struct LongestNanos(pub(super) Gauge);

/// The longest time at one moment, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nanos(pub u64);

impl Cell for LongestNanos {
    type Numbers = Nanos;
    const KIND: Kind = Kind::Gauge;

    fn numbers(&self) -> Nanos {
        Nanos(self.0.value())
    }
}

impl Numbers for Nanos {
    fn merge(&mut self, other: &Self) {
        self.0 = self.0.max(other.0);
    }

    fn write(&self, family: &mut FamilyWriter<'_>, labels: &[(&str, &str)], _: &'static str) {
        family.sample(labels, self.0 as f64 / 1e9);
    }
}
