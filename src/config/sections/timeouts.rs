//! Deadlines of connections and calls.

use std::time::Duration;

use crate::config::kind::Kind;
use crate::config::kind::{DAY_MS, DEADLINE, TICK_MS};
use crate::config::section::section;
use crate::config::spec::option;
use crate::units::TimeLimit;

section! {
    /// Deadlines of connections and calls.
    #[derive(Copy, Eq)]
    pub struct Timeouts {
        /// From the first byte of a request's head to the last.
        pub head: Duration = Duration::from_secs(10) => option("head-timeout", "TIME", DEADLINE,
            "Time from a request head's first byte to its last").for_listeners(),
        /// From the first expected byte of a body to the last.
        pub body: Duration = Duration::from_secs(60) => option("body-timeout", "TIME", DEADLINE,
            "Time from a request body's first byte to its last").for_listeners(),
        /// Silence while bytes of an unfinished request are missing; it never counts while a call runs.
        pub read: Duration = Duration::from_secs(30) => option("read-timeout", "TIME", DEADLINE,
            "Silence in the middle of a request").for_listeners(),
        /// Silence between requests of a kept connection.
        pub idle: TimeLimit = TimeLimit::For(Duration::from_secs(75)) => option("idle-timeout", "TIME|forever",
            Kind::TimeLimit { min_ms: TICK_MS, max_ms: 365 * DAY_MS },
            "Silence between requests").for_listeners(),
        /// Time without progress on bytes that a client has yet to take, or the source of its answer to give.
        pub write: Duration = Duration::from_secs(30) => option("write-timeout", "TIME", DEADLINE,
            "Time in which a client takes none of its answer").for_listeners(),
        /// From the start of a call to its answer, less the time in which the call waits for its client.
        pub call: Duration = Duration::from_secs(60) => option("call-timeout", "TIME", DEADLINE,
            "Time from a tool call's start to its answer"),
        /// From a call's question to its client's answer.
        pub ask: Duration = Duration::from_secs(300) => option("ask-timeout", "TIME", DEADLINE,
            "How long a call waits for its client's answer to a question"),
        /// From the start of a call to the stream that it gets if it has no answer yet.
        pub stream_after: Duration = Duration::from_secs(10) => option("stream-after", "TIME", DEADLINE,
            "Time after which a call without an answer gets a stream with signs of life"),
        /// Time between signs of life on a stream with nothing else to send.
        pub keep_alive: Duration = Duration::from_secs(15) => option("stream-keep-alive", "TIME", DEADLINE,
            "Time between signs of life on a silent stream"),
    }
}
