//! Figures of the worker pool, as its owner hands them over.
//!
//! The pool counts for itself and converts; this is only the shape in which the exposition and the report take them.

/// The worker pool at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerFigures {
    /// Threads there are, spares included.
    pub threads: u64,
    /// Threads that were asked for: as many calls run at once.
    pub threads_configured: u64,
    /// Threads that run a call now, abandoned ones included.
    pub busy: u64,
    /// Calls that wait for a thread.
    pub queued: u64,
    /// Calls that may wait.
    pub queue_depth_max: u64,
    /// Calls that still run although their timeout has passed or their client has left.
    pub abandoned: u64,
    /// Calls that ended, in whatever way.
    pub completed_total: u64,
    /// Calls cancelled before they ended.
    pub cancelled_total: u64,
    /// Calls that found the queue full.
    pub refused_total: u64,
    /// Calls that panicked.
    pub panicked_total: u64,
}
