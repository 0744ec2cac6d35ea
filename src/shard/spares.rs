//! Buffers for answers that no handler holds: control, refusals, interim answers.
//!
//! A spare is in use only while its send is in flight, so a handful serve a shard. More may exist for a
//! moment; what comes back beyond the bound, or larger than the standard size, is freed.

use crate::wire::http1::HEAD_RESERVE;

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

    /// A buffer with room for a head in front, which may be zeroed or not, and nothing behind it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| self.fresh())
    }

    fn fresh(&self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(self.buffer_bytes);
        buffer.resize(HEAD_RESERVE, 0);
        buffer
    }

    /// Takes a buffer back.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        if self.free.len() < SPARES_KEPT_MAX && buffer.capacity() == self.buffer_bytes {
            // What is left of the head before is overwritten before anything is sent.
            buffer.resize(HEAD_RESERVE, 0);
            self.free.push(buffer);
        }
    }
}
