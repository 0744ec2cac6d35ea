//! The launcher, with real processes: what a child gets, what becomes of it, and that nobody is left, whoever dies.
//!
//! The launcher is that of the real binary. Children are the example `misbehave`, and programs that every machine has.
//! Where a test waits it polls, for a condition that must come about, with a deadline far beyond what it takes.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod attributes;
mod cgroups;
mod deaths;
mod ends;
mod harness;
mod starting;
