//! How the C library's allocator gives memory back.
//!
//! Left alone, it raises its own threshold whenever a large block is freed, and from then on keeps blocks of
//! that size in its heaps: one client's 4 MiB body would stay resident for good. Fixed thresholds make large
//! blocks come from the kernel and go back to it. The hot path allocates nothing, so this costs it nothing.
#![allow(unsafe_code)]

/// Blocks from this size on are mapped, and unmapped when freed.
const MAPPED_BYTES_MIN: libc::c_int = 128 << 10;
/// Free memory at a heap's top beyond this goes back.
const TRIM_BYTES: libc::c_int = 256 << 10;

/// Fixes the thresholds; called before any thread is started.
pub(super) fn settle() {
    // SAFETY: mallopt takes plain numbers and may be called at any time; unknown parameters are refused by
    // its return value, and then the defaults stay.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_BYTES);
    }
}
