//! Figures of the worker pool, which it keeps itself, for the exposition and the report.

use super::figures::{HIDDEN, counter, figures, gauge};

figures! {
    /// The worker pool at one moment.
    #[derive(Eq)]
    pub struct WorkerFigures {
        /// The number of threads, additional ones included.
        pub threads: u64 => gauge("weir_worker_threads", "Worker threads."),
        /// The configured number of threads: as many calls run at once.
        pub threads_configured: u64 => HIDDEN,
        /// Calls that may run at once now: fewer than configured when more are stuck than there are spare threads.
        pub jobs_max: u64 => gauge("weir_worker_calls_max", "Calls that worker threads may run at once now."),
        /// Threads that run a call now, abandoned ones included.
        pub busy: u64 => gauge("weir_worker_busy", "Worker threads that run a call."),
        /// Calls that wait for a thread.
        pub queued: u64 => gauge("weir_worker_queued", "Calls that wait for a worker thread."),
        /// Calls that may wait.
        pub queue_depth_max: u64 => gauge("weir_worker_queue_depth_max", "Calls that may wait for a worker thread."),
        /// Calls that still run although their timeout has passed or their client has left.
        pub abandoned: u64 => gauge("weir_worker_abandoned", "Calls that run on although nobody waits for them."),
        /// Calls that were abandoned while they ran.
        pub abandoned_total: u64 => HIDDEN,
        /// Threads that could not be placed on the configured CPUs.
        pub pin_failures_total: u64 => HIDDEN,
        /// Calls that ran and were replied to, panicked ones included.
        pub completed_total: u64 => counter("weir_worker_completed_total", "Calls that ended on a worker thread."),
        /// Calls cancelled before they ended.
        pub cancelled_total: u64 => counter("weir_worker_cancelled_total", "Calls cancelled before they ended."),
        /// Calls that found the queue full.
        pub refused_total: u64 => counter("weir_worker_refused_total", "Calls that found the workers' queue full."),
        /// Calls that panicked.
        pub panicked_total: u64 => counter("weir_worker_panicked_total", "Calls that panicked on a worker thread."),
    }
}
