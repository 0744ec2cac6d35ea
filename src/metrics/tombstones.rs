//! Figures of the memory of ended sessions: once for those that their clients ended, and once for those that were
//! evicted.

use std::ops::Add;

use super::figures::{counter, figures, gauge};

figures! {
    /// Sessions that have ended though their ids are still valid, at one moment.
    #[derive(Eq)]
    pub struct TombstoneFigures {
        /// Ended sessions that are remembered.
        pub remembered: u64 => gauge(
            "weir_session_tombstones",
            "Sessions remembered as being no more, by what they came to.",
        ),
        /// Ended sessions that were forgotten to make room for others.
        pub forgotten_total: u64 => counter(
            "weir_session_tombstones_forgotten_total",
            "Sessions no longer remembered as being no more, though their ids are valid.",
        ),
    }
}

impl Add for TombstoneFigures {
    type Output = Self;

    /// Those of several stores together.
    fn add(self, other: Self) -> Self {
        Self {
            remembered: self.remembered + other.remembered,
            forgotten_total: self.forgotten_total + other.forgotten_total,
        }
    }
}
