//! Calls whose results are fetched later.

use std::time::Duration;

use crate::config::kind::DAY_MS;
use crate::config::kind::Kind::{self, Count};
use crate::config::section::section;
use crate::config::spec::option;

/// The most tasks; each has an id, a result and a place in the store.
const TASKS_MAX: u64 = 1_000_000;
/// The time is longer than any bounded time to answer, and shorter than a tick counter's range.
const TASK_TTL: Kind = Kind::Duration {
    min_ms: 1_000,
    max_ms: 365 * DAY_MS,
};
/// The time for a task that asks for none, unless the most is less.
const TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);

section! {
    /// Tasks and how long they are kept.
    #[derive(Copy, Eq)]
    pub struct TaskSettings {
        /// Tasks of the process, running or ended; 0 means that there are no tasks.
        pub tasks_max: usize = 4096 => option("tasks-max", "N", Count { min: 0, max: TASKS_MAX },
            "Tasks kept, over all clients; 0 for none"),
        /// Tasks of one client: a principal, or a session if the client is anonymous. Anonymous clients without a
        /// session cannot be told apart and share `tasks_max`.
        pub per_client_max: usize = 256 => option("tasks-per-client-max", "N", Count { min: 1, max: TASKS_MAX },
            "Tasks kept for one client"),
        /// How long a task that asks for no time is kept; see [`TaskSettings::ttl`].
        pub ttl_given: Option<Duration> = None => option("task-ttl", "TIME", TASK_TTL,
            "How long a task that asks for no time is kept").derived("15m, or task-ttl-max if that is shorter"),
        /// The longest time for which a task is kept, whatever it asks for.
        pub ttl_max: Duration = Duration::from_secs(24 * 60 * 60) => option("task-ttl-max", "TIME", TASK_TTL,
            "The longest time for which a task is kept"),
    }
}

impl TaskSettings {
    /// How long a task that asks for no time is kept.
    pub fn ttl(&self) -> Duration {
        self.ttl_given.unwrap_or(TTL_DEFAULT.min(self.ttl_max))
    }
}
