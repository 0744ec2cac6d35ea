//! Settings that make the C library's allocator give memory back.
//!
//! By default it raises its own threshold whenever a large block is freed, and from then on keeps blocks of that size
//! in its heaps: one client's 4 MiB body would stay resident for good. Fixed thresholds make large blocks come from the
//! kernel and go back to it. The hot path allocates nothing, so this costs it nothing.
//!
//! Smaller blocks lie in heaps that shrink only from the top, and one block in use up there keeps all the free ones
//! below. So after a flood, once the process is idle, a thread searches the heaps for free pages. It does not search
//! while the process is busy, because a shard that allocates would wait for the search.
#![allow(unsafe_code, reason = "the allocator's own settings have no safe wrapper")]

use std::thread;
use std::time::Duration;

use crate::metrics::ProcessUse;

/// Blocks from this size on are mapped, and unmapped when freed.
const MAPPED_BYTES_MIN: libc::c_int = 128 << 10;
/// Free memory at a heap's top beyond this goes back to the kernel.
const TRIM_BYTES: libc::c_int = 256 << 10;

/// How often the thread checks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The process is idle if it used less CPU time than this since the last check: ticks and scrapes take a tenth of it.
const IDLE_CPU_SECONDS_MAX: f64 = 0.02;
/// The least growth that is worth a search.
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

/// Trims whenever it makes sense. Returns only where the process's use cannot be measured.
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
