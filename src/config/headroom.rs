//! The ratio between the size of a pool and the number of its busy members.

/// A pool is sized so that three quarters of it are busy: 4 handlers for every 3 busy ones.
const HANDLERS_FOR: (u64, u64) = (4, 3);

/// Which advice on the size of a pool to believe. Three commands give one, from different evidence.
pub const WHICH_ADVICE: &str = "Where advice on a pool differs, believe `weir tune` first, which measures under load; then `weir \
                                size`, which predicts from a rate and a time; then the report at exit, which knows the peak \
                                of one run. All leave a quarter of the handlers free, unless `weir tune` measured that fewer \
                                are enough.";

/// For example, three busy ones need four.
pub fn with_headroom(busy: u64) -> u64 {
    let (handlers, busy_of_them) = HANDLERS_FOR;
    busy.saturating_mul(handlers).div_ceil(busy_of_them)
}
