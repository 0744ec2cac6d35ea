//! How much a server can bear, found by raising the load on it: the judgement behind `weir tune`.
//!
//! A [`Search`] says which load to put on next, is told what it did to the server, and knows in the end what there is
//! to know: [`Found`]. It has no clock and no sockets, so a simulated server serves its tests as well as a real one; a
//! [`Driver`] carries its steps out with `load`, and reads the server's metrics with `scrape`.
//!
//! What is searched, in this order:
//!
//! 1. the time of a call in service, with one client;
//! 2. the **saturation rate**, the highest that the server carries. Closed loops of more and more clients show it,
//!    up to as many as keep every handler busy and a few in the queue. Nothing is refused by that, as it would be in an
//!    open loop of such a rate;
//! 3. the curve of P99 against utilization, with open loops below the saturation rate;
//! 4. on it the **knee**, where P99 leaves its plateau, and the highest rate at which P99 holds an objective. Both are
//!    bracketed, and the brackets halved while there is time.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]

mod curve;
mod driver;
mod found;
mod limit;
mod observation;
mod search;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

pub(crate) use driver::{Driver, Place};
pub(crate) use found::{Ended, Found, Recommended, Rule, Saturation};
pub(crate) use limit::Limit;
#[cfg(test)]
pub(crate) use observation::Latency;
pub(crate) use observation::{Inside, Load, Observation, Step};
pub(crate) use search::{Goal, Search};
