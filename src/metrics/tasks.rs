//! Figures of the task store, which it keeps itself.

use super::figures::{HIDDEN, Shown, counter, figures, gauge, labelled};

const KEPT: Option<Shown> = gauge("weir_tasks", "Tasks that are kept, by status.");

figures! {
    /// The tasks at one moment.
    #[derive(Eq)]
    pub struct TaskFigures {
        /// Tasks that are kept.
        pub tasks: u64 => HIDDEN,
        /// Kept tasks that are not over.
        pub running: u64 => HIDDEN,
        /// Tasks that run.
        pub working: u64 => labelled(KEPT, "status", "working"),
        /// Tasks that wait for their clients.
        pub input_required: u64 => labelled(KEPT, "status", "input_required"),
        /// Tasks that have their results.
        pub completed: u64 => labelled(KEPT, "status", "completed"),
        /// Tasks that ended with errors.
        pub failed: u64 => labelled(KEPT, "status", "failed"),
        /// Tasks their clients cancelled.
        pub cancelled: u64 => labelled(KEPT, "status", "cancelled"),
        /// Bytes counted for them all.
        pub bytes: u64 => gauge("weir_tasks_bytes", "Bytes of the tasks that are kept."),
        /// Tasks made so far.
        pub created_total: u64 => counter("weir_tasks_created_total", "Tasks made."),
        /// Tasks forgotten because their time was over.
        pub expired_total: u64 => counter("weir_tasks_expired_total", "Tasks forgotten because their time was over."),
        /// Tasks forgotten to make room for others.
        pub evicted_total: u64 => counter("weir_tasks_evicted_total", "Tasks forgotten to make room for others."),
        /// Tasks refused because there was no room.
        pub refused_total: u64 => counter("weir_tasks_refused_total", "Tasks refused for want of room."),
    }
}
