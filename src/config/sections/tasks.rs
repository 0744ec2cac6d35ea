//! Calls whose results are fetched later.

use std::time::Duration;

use crate::config::kind::DAY_MS;
use crate::config::kind::Kind::{self, Count};
use crate::config::section::section;
use crate::config::spec::option;

/// Tasks, each with an id, a result and a place in the store.
const TASKS_MAX: u64 = 1_000_000;
/// Longer than any bounded answer time, shorter than a tick counter's range.
const TASK_TTL: Kind = Kind::Duration {
    min_ms: 1_000,
    max_ms: 365 * DAY_MS,
};
/// For a task that asks for no time, unless the most is less.
const TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);

section! {
    /// Tasks and how long they are kept.
    #[derive(Copy, Eq)]
    pub struct TaskSettings {
        /// Tasks over the process, running or over; 0: none at all.
        pub tasks_max: usize = 4096 => option("tasks-max", "N", Count { min: 0, max: TASKS_MAX },
            "Tasks kept, over all clients; 0 for none"),
        /// The same of one client: a principal, or a session if that is anonymous. Anonymous clients without a session
        /// cannot be told apart and are bounded together, by `tasks_max`.
        pub per_client_max: usize = 256 => option("tasks-per-client-max", "N", Count { min: 1, max: TASKS_MAX },
            "Tasks kept for one client"),
        /// For a task that asks for no time, see [`TaskSettings::ttl`].
        pub ttl_given: Option<Duration> = None => option("task-ttl", "TIME", TASK_TTL,
            "How long a task is kept that asks for no time").derived("15m, or task-ttl-max if that is shorter"),
        /// The most a task gets, whatever it asks for.
        pub ttl_max: Duration = Duration::from_secs(24 * 60 * 60) => option("task-ttl-max", "TIME", TASK_TTL,
            "How long a task is kept at most"),
    }
}

impl TaskSettings {
    /// How long a task is kept that asks for no time.
    pub fn ttl(&self) -> Duration {
        self.ttl_given.unwrap_or(TTL_DEFAULT.min(self.ttl_max))
    }
}
