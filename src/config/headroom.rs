//! How much larger a pool is than what is busy in it.

/// A pool sized for three quarters of itself: 4 handlers for every 3 that are busy.
const HANDLERS_FOR: (u64, u64) = (4, 3);

/// Three busy ones need four.
pub fn with_headroom(busy: u64) -> u64 {
    let (handlers, busy_of_them) = HANDLERS_FOR;
    busy.saturating_mul(handlers).div_ceil(busy_of_them)
}
