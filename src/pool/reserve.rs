//! Large buffers that wait to be used again, by size class.
//!
//! Four classes to each power of two, from 8 KiB to 4 MiB, so that at most a fifth of a buffer is waste. Smaller and
//! larger buffers are made to measure and not kept.
//!
//! Invariant: `bytes` is the sum of the capacities of all buffers in it.

/// The power of two beyond which classes begin.
const BITS_MIN: u32 = 13;
/// The power of two of the largest class.
const BITS_MAX: u32 = 22;
/// Classes from one power of two to the next.
const STEPS: usize = 4;
const CLASSES: usize = (BITS_MAX - BITS_MIN) as usize * STEPS;

/// Buffers in reserve.
#[derive(Debug)]
pub(super) struct Reserve {
    classes: [Class; CLASSES],
    bytes: usize,
}

/// Buffers of one capacity, the last used on top: it is still in the cache.
#[derive(Debug, Default)]
struct Class {
    free: Vec<Vec<u8>>,
    /// The least number of them since the last release: so many were not needed.
    unneeded: usize,
}

impl Default for Reserve {
    fn default() -> Self {
        Reserve {
            classes: std::array::from_fn(|_| Class::default()),
            bytes: 0,
        }
    }
}

impl Reserve {
    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The capacity of a new buffer for so many bytes.
    pub(super) fn capacity_for(bytes: usize) -> usize {
        class_of(bytes).map_or(bytes, |(_, capacity)| capacity)
    }

    /// An empty buffer with room for `bytes`; the next larger ones, up to twice the size, do as well.
    pub(super) fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let (first, _) = class_of(bytes)?;
        let last = (first + STEPS).min(CLASSES - 1);
        let class = self.classes[first..=last]
            .iter_mut()
            .find(|class| !class.free.is_empty())?;
        let buffer = class.free.pop()?;
        class.unneeded = class.unneeded.min(class.free.len());
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps a buffer that has the capacity of a class; others are freed.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if let Some((class, class_capacity)) = class_of(capacity)
            && class_capacity == capacity
        {
            buffer.clear();
            self.bytes += capacity;
            self.classes[class].free.push(buffer);
        }
    }

    /// Frees buffers, the largest first, until no more than so many bytes are left.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for class in self.classes.iter_mut().rev() {
            while self.bytes > bytes
                && let Some(buffer) = class.free.pop()
            {
                self.bytes -= buffer.capacity();
            }
            class.unneeded = class.unneeded.min(class.free.len());
        }
    }

    /// Frees the buffers that were not needed since the last call.
    pub(super) fn release_unneeded(&mut self) {
        for class in &mut self.classes {
            for buffer in class.free.drain(..class.unneeded) {
                self.bytes -= buffer.capacity();
            }
            class.unneeded = class.free.len();
        }
    }
}

/// The class of buffers for so many bytes, and their capacity; `None` for sizes that are not kept.
fn class_of(bytes: usize) -> Option<(usize, usize)> {
    if bytes <= 1 << BITS_MIN || bytes > 1 << BITS_MAX {
        return None;
    }
    let bits = (bytes - 1).ilog2();
    let step = (1 << bits) / STEPS;
    let capacity = bytes.next_multiple_of(step);
    let class = (bits - BITS_MIN) as usize * STEPS + capacity / step - STEPS - 1;
    Some((class, capacity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_rise_by_at_most_a_quarter() {
        let mut before = 1 << BITS_MIN;
        for class in 0..CLASSES {
            let (found, capacity) = class_of(before + 1).unwrap();
            assert_eq!(found, class);
            assert_eq!(class_of(capacity), Some((class, capacity)));
            assert!(
                capacity > before && capacity * 4 <= before * 5,
                "{before} {capacity}"
            );
            before = capacity;
        }
        assert_eq!(before, 1 << BITS_MAX);
        assert_eq!(
            [0, 1, 1 << BITS_MIN, (1 << BITS_MAX) + 1].map(class_of),
            [None; 4]
        );
        assert_eq!(Reserve::capacity_for(5 << 20), 5 << 20);
    }

    #[test]
    fn what_doubles_stays_in_a_class() {
        let (_, capacity) = class_of(100_000).unwrap();
        assert_eq!(class_of(2 * capacity).unwrap().1, 2 * capacity);
    }

    #[test]
    fn a_larger_buffer_does_as_well_but_not_any() {
        let mut reserve = Reserve::default();
        reserve.put(Vec::with_capacity(128 << 10));
        assert!(reserve.take(50_000).is_none());
        assert_eq!(reserve.take(70_000).unwrap().capacity(), 128 << 10);
        reserve.put(Vec::with_capacity(100_001));
        reserve.put(Vec::with_capacity(5 << 20));
        assert_eq!(reserve.bytes(), 0, "of no class");
    }

    #[test]
    fn what_was_needed_meanwhile_stays() {
        let mut reserve = Reserve::default();
        for _ in 0..4 {
            reserve.put(Vec::with_capacity(16 << 10));
        }
        reserve.release_unneeded();
        let out = [(); 3].map(|()| reserve.take(16 << 10).unwrap());
        out.into_iter().for_each(|buffer| reserve.put(buffer));
        assert_eq!(reserve.bytes(), 64 << 10);
        reserve.release_unneeded();
        assert_eq!(reserve.bytes(), 48 << 10, "one of the four was not needed");
        reserve.release_unneeded();
        assert_eq!(reserve.bytes(), 0);
    }
}
