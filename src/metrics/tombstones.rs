//! Figures of what is remembered of sessions that are no more, as their store hands them over.

/// Sessions that are no more though their ids are valid still, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TombstoneFigures {
    /// Those their clients ended.
    pub ended: u64,
    /// Of these, forgotten to make room for others.
    pub ended_forgotten_total: u64,
    /// Those that were evicted: idle, or in the way of others.
    pub evicted: u64,
    /// Of these, forgotten to make room for others.
    pub evicted_forgotten_total: u64,
}
