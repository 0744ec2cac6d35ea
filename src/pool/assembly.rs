//! Assembly buffers: where a request lies that arrives in pieces or waits behind another.
//!
//! A fixed number per shard, made at start. A request larger than a buffer grows onto the heap, charged to
//! the shard's [`HeapBudget`]; what is given back is a buffer of the standard size again. A request that
//! arrives whole and is served at once, as most are, never needs one.
//!
//! Invariant: `budget.used` is the sum of what live assemblies and outboxes have charged.

use thiserror::Error;

/// The shard's share of run-time memory is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{asked} bytes asked of a heap budget with {left} of {max} left")]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub asked: usize,
    /// Bytes that were left.
    pub left: usize,
    /// The whole budget, bytes.
    pub max: usize,
}

/// Heap bytes a shard may hold beyond its preallocated buffers: large bodies, outboxes.
#[derive(Debug, Clone, Copy)]
pub struct HeapBudget {
    used: usize,
    max: usize,
}

impl HeapBudget {
    /// A budget of `max` bytes, none used.
    pub fn new(max: usize) -> HeapBudget {
        HeapBudget { used: 0, max }
    }

    /// Charges `bytes`.
    ///
    /// # Errors
    /// [`OutOfMemory`] when they are not left; nothing is charged then.
    pub fn charge(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let left = self.max - self.used;
        if bytes > left {
            return Err(OutOfMemory {
                asked: bytes,
                left,
                max: self.max,
            });
        }
        self.used += bytes;
        Ok(())
    }

    /// Gives back what was charged.
    pub fn refund(&mut self, bytes: usize) {
        assert!(
            bytes <= self.used,
            "refund of {bytes} bytes, {} charged",
            self.used
        );
        self.used -= bytes;
    }

    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.used
    }
}

/// Bytes of one connection that are not served yet, oldest first.
#[derive(Debug)]
pub struct Assembly {
    bytes: Vec<u8>,
    start: usize,
    charged: usize,
}

impl Assembly {
    /// What has not been consumed.
    pub fn window(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether everything was consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Drops `count` bytes from the front.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        assert!(
            self.start <= self.bytes.len(),
            "consumed {} of {}",
            self.start,
            self.bytes.len()
        );
    }
}

/// The shard's assembly buffers.
#[derive(Debug)]
pub struct AssemblyPool {
    /// Boxed, so that a connection without one pays a pointer, and lending one allocates nothing.
    #[allow(clippy::vec_box, reason = "the boxes are what is lent")]
    free: Vec<Box<Assembly>>,
    buffer_bytes: usize,
    total: usize,
}

impl AssemblyPool {
    /// `count` buffers of `buffer_bytes`, touched.
    pub fn new(count: usize, buffer_bytes: usize) -> AssemblyPool {
        let free = (0..count)
            .map(|_| {
                Box::new(Assembly {
                    bytes: super::handlers::touched_buffer(buffer_bytes),
                    start: 0,
                    charged: 0,
                })
            })
            .collect();
        AssemblyPool {
            free,
            buffer_bytes,
            total: count,
        }
    }

    /// An empty assembly, or `None` when all buffers are lent.
    pub fn take(&mut self) -> Option<Box<Assembly>> {
        self.free.pop()
    }

    /// Takes an assembly back and refunds what it had charged.
    pub fn give_back(&mut self, mut assembly: Box<Assembly>, budget: &mut HeapBudget) {
        budget.refund(std::mem::take(&mut assembly.charged));
        assembly.start = 0;
        assembly.bytes.clear();
        if assembly.bytes.capacity() != self.buffer_bytes {
            assembly.bytes = Vec::with_capacity(self.buffer_bytes);
        }
        self.free.push(assembly);
        debug_assert!(
            self.free.len() <= self.total,
            "an assembly buffer was given back twice"
        );
    }

    /// Appends to an assembly, which may grow onto the heap.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the budget does not allow the growth; the assembly is unchanged then.
    pub fn append(
        &self,
        assembly: &mut Assembly,
        piece: &[u8],
        budget: &mut HeapBudget,
    ) -> Result<(), OutOfMemory> {
        if assembly.bytes.len() + piece.len() > assembly.bytes.capacity() && assembly.start > 0 {
            assembly.bytes.drain(..assembly.start);
            assembly.start = 0;
        }
        let needed = assembly.bytes.len() + piece.len();
        if needed > assembly.bytes.capacity() {
            let capacity = needed.max(assembly.bytes.capacity() * 2);
            let beyond = capacity - self.buffer_bytes;
            budget.charge(beyond - assembly.charged)?;
            assembly.charged = beyond;
            assembly.bytes.reserve_exact(capacity - assembly.bytes.len());
        }
        assembly.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Buffers made at start.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Buffers not lent.
    pub fn free(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (AssemblyPool, HeapBudget) {
        (AssemblyPool::new(2, 16), HeapBudget::new(100))
    }

    #[test]
    fn keeps_what_was_not_consumed_in_order() {
        let (mut pool, mut budget) = pool();
        let mut assembly = pool.take().unwrap();
        pool.append(&mut assembly, b"abcdefgh", &mut budget).unwrap();
        assembly.consume(6);
        pool.append(&mut assembly, b"0123456789", &mut budget).unwrap();
        assert_eq!(assembly.window(), b"gh0123456789");
        assert_eq!(
            budget.used(),
            0,
            "there was room once the consumed front was dropped"
        );
    }

    #[test]
    fn growth_is_charged_and_refunded() {
        let (mut pool, mut budget) = pool();
        let mut assembly = pool.take().unwrap();
        pool.append(&mut assembly, &[1; 40], &mut budget).unwrap();
        assert_eq!(budget.used(), 24);
        pool.append(&mut assembly, &[2; 40], &mut budget).unwrap();
        assert_eq!(budget.used(), 64);
        let refused = pool.append(&mut assembly, &[3; 200], &mut budget).unwrap_err();
        assert_eq!((refused.left, refused.max), (36, 100));
        assert_eq!(assembly.window().len(), 80);
        pool.give_back(assembly, &mut budget);
        assert_eq!((budget.used(), pool.free()), (0, 2));
        assert_eq!(pool.take().unwrap().bytes.capacity(), 16);
    }

    #[test]
    fn runs_out_and_recovers() {
        let (mut pool, mut budget) = pool();
        let first = pool.take().unwrap();
        let _second = pool.take().unwrap();
        assert!(pool.take().is_none());
        pool.give_back(first, &mut budget);
        assert!(pool.take().is_some());
    }
}
