//! Waiting for a handler, and keeping one.

use std::time::Duration;

use crate::config::kind::Kind::Count;
use crate::config::kind::{DEADLINE, HANDLERS_MAX, LINGER};
use crate::config::section::section;
use crate::config::spec::{option, switch};
use crate::config::values::Linger;

section! {
    /// Waiting for a handler, and keeping one; `None` is derived from the pool.
    #[derive(Copy, Eq)]
    pub struct QueueOptions {
        /// Requests per shard that may wait.
        pub depth_max: Option<u32> = None => option("queue-depth", "N", Count { min: 0, max: 1_000_000 },
            "Requests per shard that may wait for a handler").derived("twice the pool size, at least 32, less if memory is short"),
        /// How long a browser's request may wait.
        pub timeout: Duration = Duration::from_secs(5) => option("queue-timeout", "TIME", DEADLINE,
            "How long a browser's request (one with an Origin) may wait for a handler"),
        /// How long any other request may wait.
        pub timeout_agent: Option<Duration> = None => option("queue-timeout-agent", "TIME", DEADLINE,
            "How long any other request may wait for a handler").derived("queue-timeout"),
        /// Whether shards with free handlers serve requests that wait at other shards.
        pub steal: bool = true => switch("steal",
            "Whether shards with free handlers serve requests that wait at other shards").for_listeners(),
        /// Handlers per shard that clients of other shards may not take.
        pub steal_reserve: Option<u32> = None => option("steal-reserve", "N", Count { min: 0, max: HANDLERS_MAX },
            "Handlers per shard that clients of other shards may not take").for_listeners().derived("a tenth of the pool, 0 below 10 handlers"),
        /// How long a connection keeps its handler after an answer.
        pub linger: Linger = Linger::None => option("linger", "TIME|forever", LINGER,
            "How long a connection keeps its handler after an answer").for_listeners(),
    }
}

impl QueueOptions {
    /// How long a request without an `Origin` may wait.
    pub(crate) fn agent_timeout(&self) -> Duration {
        self.timeout_agent.unwrap_or(self.timeout)
    }

    /// Handlers per shard that clients of other shards may not take, which the settled options always name; at most
    /// the size of the pool.
    pub(crate) fn reserve(&self) -> u32 {
        self.steal_reserve.unwrap_or(0)
    }
}
