//! Figures of the task store, as its owner hands them over.
//!
//! The store counts for itself; this is only the shape in which the exposition takes them.

/// The tasks at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskFigures {
    /// Tasks that run.
    pub working: u64,
    /// Tasks that wait for their clients.
    pub input_required: u64,
    /// Tasks that have their results.
    pub completed: u64,
    /// Tasks that ended with errors.
    pub failed: u64,
    /// Tasks their clients cancelled.
    pub cancelled: u64,
    /// Bytes counted for them all.
    pub bytes: u64,
    /// Tasks made so far.
    pub created_total: u64,
    /// Tasks forgotten because their time was over.
    pub expired_total: u64,
    /// Tasks forgotten to make room for others.
    pub evicted_total: u64,
    /// Tasks refused for want of room.
    pub refused_total: u64,
}
