//! Ring buffers: fixed-size buffers in one mapping, lent out one at a time as guards.
//!
//! The pool does not know who fills its buffers: the kernel backend registers them as provided buffers,
//! the simulator copies into them. Nothing here publishes returned buffers; the ring collects them once
//! per flush.
//!
//! Invariant: each buffer is in exactly one place: with the filler, lent, or on the returned list.
#![allow(
    unsafe_code,
    reason = "hands out parts of one mapping that the kernel writes to"
)]

use super::mapping::{Mapping, Residence};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Buffers of equal size, all mapped at start.
pub(super) struct BufferPool {
    memory: Mapping,
    buffer_bytes: usize,
    count: u16,
    lent: Cell<usize>,
    /// Capacity for all buffers, so that a guard's drop never allocates.
    returned: RefCell<Vec<u16>>,
}

impl BufferPool {
    pub(super) fn new(count: u16, buffer_bytes: usize, residence: Residence) -> io::Result<Rc<Self>> {
        let bytes = usize::from(count).checked_mul(buffer_bytes);
        let bytes = bytes.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Rc::new(BufferPool {
            memory: Mapping::new(bytes, residence)?,
            buffer_bytes,
            count,
            lent: Cell::new(0),
            returned: RefCell::new(Vec::with_capacity(usize::from(count))),
        }))
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    #[cfg(any(test, feature = "internals", feature = "testing"))]
    pub(super) fn lent(&self) -> usize {
        self.lent.get()
    }

    /// Where buffer `id` begins.
    pub(super) fn address(&self, id: u16) -> *mut u8 {
        assert!(id < self.count, "buffer {id} of {}", self.count);
        // SAFETY: `id < count`, so the offset lies within the mapping of `count * buffer_bytes`.
        unsafe { self.memory.as_ptr().add(usize::from(id) * self.buffer_bytes) }
    }

    /// Lends buffer `id` with its first `bytes` filled.
    ///
    /// # Safety
    /// The filler has finished with `id`, and `id` is neither lent nor on the returned list.
    pub(super) unsafe fn lend(self: &Rc<Self>, id: u16, bytes: usize) -> RingBuffer {
        assert!(
            id < self.count && bytes <= self.buffer_bytes,
            "{bytes} bytes in buffer {id}"
        );
        self.lent.set(self.lent.get() + 1);
        RingBuffer {
            pool: Rc::clone(self),
            id,
            bytes: bytes as u32,
        }
    }

    /// Gives the pages of buffers that nobody uses back to the kernel, in as few calls as there are gaps between them.
    ///
    /// # Safety
    /// None of these buffers is lent or with the filler.
    pub(super) unsafe fn release(&self, ids: &mut [u16]) {
        ids.sort_unstable();
        for run in ids.chunk_by(|id, next| id + 1 == *next) {
            let first = usize::from(run[0]) * self.buffer_bytes;
            self.memory.release(first..first + run.len() * self.buffer_bytes);
        }
    }

    /// Bytes of buffers that are resident.
    #[cfg(test)]
    pub(super) fn resident_bytes(&self) -> usize {
        self.memory.resident_bytes()
    }

    pub(super) fn has_returned(&self) -> bool {
        !self.returned.borrow().is_empty()
    }

    /// Buffers that came back and have not been handed out since.
    pub(super) fn returned(&self) -> usize {
        self.returned.borrow().len()
    }

    /// Hands every buffer that came back to `refill`.
    pub(super) fn take_returned(&self, mut refill: impl FnMut(u16)) {
        for id in self.returned.borrow_mut().drain(..) {
            refill(id);
        }
    }
}

/// Received bytes, where they arrived. Dropping it gives the buffer back to the ring.
///
/// The bytes are mutable, because the parser works in place. Never hold a guard across an await: the shard's receives
/// starve when all buffers are lent.
pub struct RingBuffer {
    pool: Rc<BufferPool>,
    id: u16,
    bytes: u32,
}

impl Deref for RingBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `lend`'s caller gave this guard buffer `id` alone until its drop, with `bytes`
        // (checked against the buffer's size) filled; the pool outlives the guard.
        unsafe { std::slice::from_raw_parts(self.pool.address(self.id), self.bytes as usize) }
    }
}

impl DerefMut for RingBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.pool.address(self.id), self.bytes as usize) }
    }
}

impl Drop for RingBuffer {
    fn drop(&mut self) {
        self.pool.lent.set(self.pool.lent.get() - 1);
        self.pool.returned.borrow_mut().push(self.id);
    }
}

impl fmt::Debug for RingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBuffer")
            .field("id", &self.id)
            .field("bytes", &self.bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_reads_writes_and_goes_home() {
        let pool = BufferPool::new(4, 4096, Residence::AtStart).unwrap();
        // SAFETY: nothing fills this pool's buffers, and 2 is lent once.
        let mut buffer = unsafe { pool.lend(2, 5) };
        buffer.copy_from_slice(b"hello");
        assert_eq!(&*buffer, b"hello");
        assert_eq!((pool.lent(), pool.has_returned()), (1, false));
        drop(buffer);
        assert_eq!((pool.lent(), pool.has_returned()), (0, true));
        let mut home = Vec::new();
        pool.take_returned(|id| home.push(id));
        assert_eq!(home, [2]);
        assert!(!pool.has_returned());
    }

    #[test]
    fn pages_go_back_and_are_zeroes_when_they_are_used_again() {
        let pool = BufferPool::new(8, 4096, Residence::WithUse).unwrap();
        for id in 0..8 {
            // SAFETY: nothing fills this pool's buffers, and each is lent once.
            unsafe { pool.lend(id, 4096) }.fill(7);
        }
        assert_eq!(pool.resident_bytes(), 8 * 4096);
        // SAFETY: all buffers have come back, and nothing fills them.
        unsafe { pool.release(&mut [6, 2, 1, 5]) };
        assert_eq!(pool.resident_bytes(), 4 * 4096);
        // SAFETY: as before.
        let read = |id| unsafe { pool.lend(id, 4096) }.to_vec();
        assert_eq!((read(2), read(3)), (vec![0; 4096], vec![7; 4096]));
    }

    #[test]
    fn parts_of_pages_stay() {
        let pool = BufferPool::new(8, 1024, Residence::AtStart).unwrap();
        // SAFETY: nothing fills this pool's buffers.
        unsafe { pool.release(&mut [0, 1, 4]) };
        assert_eq!(pool.resident_bytes(), 8 * 1024);
    }

    #[test]
    fn a_guard_outlives_its_ring() {
        let pool = BufferPool::new(1, 4096, Residence::WithUse).unwrap();
        // SAFETY: nothing fills this pool's buffers, and 0 is lent once.
        let buffer = unsafe { pool.lend(0, 4096) };
        drop(pool);
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
}
