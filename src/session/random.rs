//! Random bytes for session ids, asked of the kernel for many ids at a time.
//!
//! A system call costs as much as the sealing of an id, so a shard fetches the bytes of some dozens of ids at once.
//! What was handed out is wiped, and never handed out again.

/// Bytes that are fetched at a time: those of 36 ids.
const BYTES: usize = 1_008;

/// Random bytes of one shard.
pub(super) struct RandomBytes {
    bytes: [u8; BYTES],
    /// The bytes before this one are used up.
    used: usize,
}

impl RandomBytes {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            used: BYTES,
        }
    }

    /// So many bytes that nobody else gets; `None` when the system gives no randomness.
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        const { assert!(N <= BYTES) };
        if BYTES - self.used < N {
            // Nothing is handed out of a buffer that could not be filled.
            self.used = BYTES;
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let fresh = self.bytes.get_mut(self.used..)?.first_chunk_mut::<N>()?;
        self.used += N;
        Some(std::mem::replace(fresh, [0; N]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_handed_out_twice_or_kept() {
        let mut random = RandomBytes::new();
        // A size that does not divide the buffer's.
        let taken: HashSet<[u8; 30]> = (0..1_000).map(|_| random.take().unwrap()).collect();
        assert_eq!(taken.len(), 1_000);
        assert!(taken.iter().all(|bytes| bytes.iter().any(|byte| *byte != 0)));
        assert!(random.bytes[..random.used].iter().all(|byte| *byte == 0));
    }
}
