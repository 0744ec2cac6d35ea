//! What a call that has asked its client something is known by.

use crate::slab::SlabKey;

/// Where a call that has asked something is known: its place, and which of its uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::shard) struct AskerKey {
    index: u32,
    generation: u32,
}

impl AskerKey {
    pub(in crate::shard) fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Its place.
    pub(super) fn index(self) -> u32 {
        self.index
    }

    pub(in crate::shard) fn from_number(number: u64) -> AskerKey {
        AskerKey {
            index: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

impl SlabKey for AskerKey {
    const GENERATION_MAX: u32 = u32::MAX;

    fn new(index: u32, generation: u32) -> AskerKey {
        AskerKey { index, generation }
    }

    fn slot(self) -> u32 {
        self.index
    }

    fn generation(self) -> u32 {
        self.generation
    }
}
