//! Response buffers: answers are written into them, and they are the ring's until the answers are sent.
//!
//! There is one for each handler, made when it is first needed. An answer's buffer is in use from when it is written
//! until its send is over. Sends are begun, and their buffers taken back, after every few of them, so few buffers are
//! ever out at a time, and they are always the same few. More may exist for a moment; one that comes back beyond the
//! bound is freed. A buffer larger than the standard size is the heap's, lent for one answer.

use crate::pool::{HeapBudget, touch};
use crate::transport::http::HEAD_RESERVE;

/// Kept at least, however few handlers there are: as many answers as go out together.
const BUFFERS_KEPT_MIN: usize = SENDS_PER_FLUSH_MAX;

/// Sends that wait to be begun, at most: then they are, and what is over is taken back.
pub(in crate::shard) const SENDS_PER_FLUSH_MAX: usize = 64;

/// Bytes that wait to be sent, at most: few large answers at a time, so that each is sent while it is in the cache.
pub(super) const SEND_BYTES_PER_FLUSH_MAX: usize = 256 << 10;

/// What is around an answer's text beside its head: envelope and `_meta` (an estimate; a buffer may grow).
const AROUND_TEXT_BYTES: usize = 1 << 10;

/// Reused response buffers.
pub(super) struct BufferPool {
    /// Last used on top: it is still in the cache.
    free: Vec<Vec<u8>>,
    buffer_bytes: usize,
    kept_max: usize,
    /// How many are counted in the memory plan.
    count: usize,
    /// The fewest free ones since the last release: so many were not needed.
    unneeded: usize,
    is_prefaulted: bool,
    /// Where larger ones come from.
    heap: HeapBudget,
    /// Buffers that are out, large ones included.
    #[cfg(test)]
    out: usize,
    #[cfg(test)]
    pub out_high_water: usize,
}

impl BufferPool {
    /// Up to `count` buffers, which no answer allocates twice.
    pub(super) fn new(count: usize, buffer_bytes: usize, heap: HeapBudget) -> BufferPool {
        let kept_max = count.max(BUFFERS_KEPT_MIN);
        BufferPool {
            free: Vec::with_capacity(kept_max),
            buffer_bytes,
            kept_max,
            count,
            unneeded: 0,
            is_prefaulted: false,
            heap,
            #[cfg(test)]
            out: 0,
            #[cfg(test)]
            out_high_water: 0,
        }
    }

    /// Makes all buffers, and all their pages resident.
    pub(super) fn prefault(&mut self) {
        let buffer_bytes = self.buffer_bytes;
        self.free
            .resize_with(self.count, || Vec::with_capacity(buffer_bytes));
        self.free.iter_mut().for_each(touch);
        self.is_prefaulted = true;
    }

    /// Frees the buffers that were not needed since the last call.
    pub(super) fn release_unneeded(&mut self) {
        if !self.is_prefaulted {
            self.free.drain(..self.unneeded.min(self.free.len()));
        }
        self.unneeded = self.free.len();
    }

    /// A buffer with room for a head in front, which may be zeroed or not, and nothing behind it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.note_taken();
        let buffer = self.free.pop();
        self.unneeded = self.unneeded.min(self.free.len());
        let mut buffer = buffer.unwrap_or_else(|| Vec::with_capacity(self.buffer_bytes));
        // It is there already in one that was used before.
        buffer.resize(HEAD_RESERVE, 0);
        buffer
    }

    /// The same for an answer with a text of so many bytes.
    #[inline]
    pub(super) fn take_for(&mut self, text_bytes: usize) -> Vec<u8> {
        if HEAD_RESERVE + text_bytes + AROUND_TEXT_BYTES <= self.buffer_bytes {
            self.take()
        } else {
            self.take_large(text_bytes)
        }
    }

    /// A buffer of the heap; some room is for escapes.
    fn take_large(&mut self, text_bytes: usize) -> Vec<u8> {
        self.note_taken();
        let bytes = HEAD_RESERVE + text_bytes + text_bytes / 16 + AROUND_TEXT_BYTES;
        let mut buffer = self.heap.take(bytes.max(self.buffer_bytes + 1));
        buffer.resize(HEAD_RESERVE, 0);
        buffer
    }

    fn note_taken(&mut self) {
        #[cfg(test)]
        {
            self.out += 1;
            self.out_high_water = self.out_high_water.max(self.out);
        }
    }

    /// Takes a buffer back.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        #[cfg(test)]
        {
            // What stands for one that was lost on the way, as an outbox does, may come here as well.
            self.out = self.out.saturating_sub(1);
        }
        if self.free.len() < self.kept_max && buffer.capacity() == self.buffer_bytes {
            // What is left of the head before is overwritten before anything is sent.
            buffer.resize(HEAD_RESERVE, 0);
            self.free.push(buffer);
        } else if buffer.capacity() > self.buffer_bytes {
            self.heap.put(buffer);
        }
    }
}
