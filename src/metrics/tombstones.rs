//! Figures of what is remembered of sessions that are no more, as their store hands them over.

use super::figures::{Shown, counter, figures, gauge, labelled};

const REMEMBERED: Option<Shown> = gauge(
    "weir_session_tombstones",
    "Sessions remembered as being no more, by what they came to.",
);
const FORGOTTEN: Option<Shown> = counter(
    "weir_session_tombstones_forgotten_total",
    "Sessions no longer remembered as being no more, though their ids are valid.",
);

figures! {
    /// Sessions that are no more though their ids are valid still, at one moment.
    pub struct TombstoneFigures {
        /// Those their clients ended.
        pub ended: u64 => labelled(REMEMBERED, "end", "deleted"),
        /// Those that were evicted: idle, or in the way of others.
        pub evicted: u64 => labelled(REMEMBERED, "end", "evicted"),
        /// Of those their clients ended, forgotten to make room for others.
        pub ended_forgotten_total: u64 => labelled(FORGOTTEN, "end", "deleted"),
        /// Of those that were evicted, forgotten to make room for others.
        pub evicted_forgotten_total: u64 => labelled(FORGOTTEN, "end", "evicted"),
    }
}
