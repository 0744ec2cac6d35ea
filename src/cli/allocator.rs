//! How the C library's allocator gives memory back.
//!
//! Left alone, it raises its own threshold whenever a large block is freed, and from then on keeps blocks of
//! that size in its heaps: one client's 4 MiB body would stay resident for good. Fixed thresholds make large
//! blocks come from the kernel and go back to it. The hot path allocates nothing, so this costs it nothing.
//!
//! Smaller blocks lie in heaps that shrink from the top alone, and one that is still in use up there keeps all
//! the free ones below. So after a flood, once the process is idle, a thread has the heaps searched for free
//! pages. Not while it is busy: a shard that allocates would wait for the search.
#![allow(unsafe_code, reason = "the allocator's own settings have no safe wrapper")]

use std::thread;
use std::time::Duration;

use crate::metrics::ProcessUse;

/// Blocks from this size on are mapped, and unmapped when freed.
const MAPPED_BYTES_MIN: libc::c_int = 128 << 10;
/// Free memory at a heap's top beyond this goes back.
const TRIM_BYTES: libc::c_int = 256 << 10;

/// How often the thread looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The process is idle if it used less CPU than this since the last look: ticks and scrapes take a tenth of it.
const IDLE_CPU_SECONDS_MAX: f64 = 0.02;
/// Growth worth a search.
const GROWN_BYTES_MIN: u64 = 1 << 20;

/// Fixes the thresholds; called before any thread is started.
pub(super) fn settle() {
    // SAFETY: mallopt takes plain numbers and may be called at any time; unknown parameters are refused by
    // its return value, and then the defaults stay.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_BYTES);
    }
}

/// Starts the thread that gives free pages back when the process is idle and has grown.
pub(super) fn trim_when_idle() {
    let started = thread::Builder::new()
        .name("weir-trim".to_owned())
        .spawn(trim_for_ever);
    if let Err(error) = started {
        tracing::warn!(%error, "no thread to give memory back; the heaps keep what a flood leaves behind");
    }
}

/// Ends only where it cannot see what the process uses.
#[allow(clippy::disallowed_methods, reason = "this thread is no shard")]
fn trim_for_ever() {
    let mut kept_bytes = u64::MAX;
    let mut cpu_seconds = 0.0;
    while let Some(now) = ProcessUse::read() {
        let is_idle = now.cpu_seconds - cpu_seconds < IDLE_CPU_SECONDS_MAX;
        cpu_seconds = now.cpu_seconds;
        kept_bytes = kept_bytes.min(now.resident_memory_bytes);
        if is_idle && now.resident_memory_bytes >= kept_bytes + GROWN_BYTES_MIN {
            // SAFETY: malloc_trim takes a plain number, may be called from any thread at any time, and returns
            // only memory that nobody holds.
            unsafe { libc::malloc_trim(0) };
            kept_bytes = ProcessUse::read().map_or(u64::MAX, |now| now.resident_memory_bytes);
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
