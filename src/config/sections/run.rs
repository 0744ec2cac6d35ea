//! How shards wait, and how long a drain may take.

use std::time::Duration;

use crate::config::kind::Kind;
use crate::config::kind::{HOUR_MS, TICK_MS};
use crate::config::section::section;
use crate::config::spec::option;

section! {
    /// How shards wait, and how long a drain may take.
    #[derive(Copy)]
    pub struct RunOptions {
        /// How long a drain may take before remaining work is cut off.
        pub drain_timeout: Duration = Duration::from_secs(10) => option("drain-timeout", "TIME",
            Kind::Duration { min_ms: 0, max_ms: HOUR_MS },
            "Time from SIGTERM until remaining work is cut off"),
        /// How long an idle shard waits in its own ring before it parks in the executor's; `None` lets it learn that.
        pub busy_poll: Option<Duration> = None => option("busy-poll", "TIME|auto",
            Kind::DurationOrAuto { min_ms: 0, max_ms: TICK_MS },
            "How long an idle shard waits in its own ring before it parks; `auto` learns it from the load"),
    }
}
