//! Load on an MCP server, and what it shows: the engine of `weir bench`.
//!
//! A [`Plan`] says what clients there are, what they ask and when; [`run`] does it on threads of its own, with epoll,
//! and gives a [`Measurement`]. In a closed loop every client has one request outstanding, always, which shows what a
//! server can do. In an open loop requests are due by a schedule whatever the server does, and a latency begins when
//! its request was due, which shows what clients see under overload. Every outcome is counted; nothing here judges
//! the figures.
//!
//! | part | knows |
//! |---|---|
//! | `engine` | threads, clients, when who asks |
//! | `figures` | latencies and outcomes; what is reported of them |
//! | `discover` | what a server speaks and has |
//! | `plan`, `script` | what clients say, message by message |
//! | `target`, `peer` | connections, framing, what an answer is worth |
//! | `schedule` | arrivals |
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]

mod discover;
mod engine;
mod figures;
mod peer;
mod plan;
mod schedule;
mod script;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use discover::{Discovered, Listed, discover, discover_within};
pub(crate) use engine::{Live, run};
pub(crate) use figures::{Change, Counts, Hindrance, Measurement, Verdict, compare, write_histogram_log};
pub(crate) use peer::{Address, Endpoint, Expectation, Framing, Outcome, ResultSchema, RetryAfter};
pub(crate) use plan::{OpenLoop, Pace, Plan};
pub(crate) use schedule::{Arrivals, Phase};
pub(crate) use script::{Call, Dialect, Speaker, Template, Work};
pub(crate) use target::{program, target};
