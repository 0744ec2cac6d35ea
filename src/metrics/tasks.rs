//! Figures of the task store, which it keeps itself.

use std::ops::Add;

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

impl Add for TaskFigures {
    type Output = Self;

    /// Those of several stores together.
    fn add(self, other: Self) -> Self {
        Self {
            tasks: self.tasks + other.tasks,
            running: self.running + other.running,
            working: self.working + other.working,
            input_required: self.input_required + other.input_required,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            bytes: self.bytes + other.bytes,
            created_total: self.created_total + other.created_total,
            expired_total: self.expired_total + other.expired_total,
            evicted_total: self.evicted_total + other.evicted_total,
            refused_total: self.refused_total + other.refused_total,
        }
    }
}
