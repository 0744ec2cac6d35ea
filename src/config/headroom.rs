//! The ratio between the size of a pool and the number of its busy members.

/// A pool is sized so that three quarters of it are busy: 4 handlers for every 3 busy ones.
const HANDLERS_FOR: (u64, u64) = (4, 3);

/// For example, three busy ones need four.
pub fn with_headroom(busy: u64) -> u64 {
    let (handlers, busy_of_them) = HANDLERS_FOR;
    busy.saturating_mul(handlers).div_ceil(busy_of_them)
}
