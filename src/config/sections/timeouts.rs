//! Deadlines of connections and calls.

use std::time::Duration;

use crate::config::kind::Kind;
use crate::config::kind::{DAY_MS, DEADLINE, TICK_MS};
use crate::config::section::section;
use crate::config::spec::option;
use crate::units::Patience;

section! {
    /// Deadlines of connections and calls.
    #[derive(Copy, Eq)]
    pub struct Timeouts {
        /// From a head's first byte to its last.
        pub head: Duration = Duration::from_secs(10) => option("head-timeout", "TIME", DEADLINE,
            "From a request head's first byte to its last").for_listeners(),
        /// From a body's first expected byte to its last.
        pub body: Duration = Duration::from_secs(60) => option("body-timeout", "TIME", DEADLINE,
            "From a request body's first byte to its last").for_listeners(),
        /// Silence while bytes of a begun request are still owed; never while a call runs.
        pub read: Duration = Duration::from_secs(30) => option("read-timeout", "TIME", DEADLINE,
            "Silence in the middle of a request").for_listeners(),
        /// Silence between requests of a kept connection.
        pub idle: Patience = Patience::For(Duration::from_secs(75)) => option("idle-timeout", "TIME|forever",
            Kind::Patience { min_ms: TICK_MS, max_ms: 365 * DAY_MS },
            "Silence between requests").for_listeners(),
        /// No progress on bytes a client has yet to take.
        pub write: Duration = Duration::from_secs(30) => option("write-timeout", "TIME", DEADLINE,
            "A client that takes none of its answer").for_listeners(),
        /// From a call's start to its answer, but for the time it waits for its client.
        pub call: Duration = Duration::from_secs(60) => option("call-timeout", "TIME", DEADLINE,
            "From a tool call's start to its answer"),
        /// From a call's question to its client's answer.
        pub ask: Duration = Duration::from_secs(300) => option("ask-timeout", "TIME", DEADLINE,
            "How long a call waits for what it asked its client"),
        /// From a call's start to the stream that it is given while it has no answer.
        pub stream_after: Duration = Duration::from_secs(10) => option("stream-after", "TIME", DEADLINE,
            "When a call without an answer is given a stream with signs of life"),
        /// Between signs of life on a stream with nothing else to send.
        pub keep_alive: Duration = Duration::from_secs(15) => option("stream-keep-alive", "TIME", DEADLINE,
            "Between signs of life on a silent stream"),
    }
}
