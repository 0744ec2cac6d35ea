//! Log records that were dropped because stderr took them too slowly. One number for the process, as there is one
//! stderr.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// A record found no room.
pub fn on_log_record_dropped() {
    DROPPED.fetch_add(1, Relaxed);
}

/// Records dropped since the process started.
pub(super) fn log_records_dropped() -> u64 {
    DROPPED.load(Relaxed)
}
