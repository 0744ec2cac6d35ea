//! Buffers for answers that no handler holds: control, refusals, interim answers.
//!
//! A spare is in use only while its send is in flight, so a handful serve a shard. More may exist for a
//! moment; what comes back beyond the bound, or larger than the standard size, is freed.

const SPARES_KEPT_MAX: usize = 64;

/// Reused response buffers.
pub(super) struct Spares {
    free: Vec<Vec<u8>>,
    buffer_bytes: usize,
}

impl Spares {
    pub(super) fn new(buffer_bytes: usize) -> Spares {
        Spares {
            free: Vec::with_capacity(SPARES_KEPT_MAX),
            buffer_bytes,
        }
    }

    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.free
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(self.buffer_bytes))
    }

    /// Takes a buffer back.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        if self.free.len() < SPARES_KEPT_MAX && buffer.capacity() == self.buffer_bytes {
            buffer.clear();
            self.free.push(buffer);
        }
    }
}
