//! The Model Context Protocol, as values: a request's facts and bytes in, an answer or an operation to run out.
//!
//! Both eras live on one endpoint and are told apart by the envelope, never by the method's name: a request
//! whose `params._meta` carries a protocol version is *modern* (2026-07-28, stateless), any other is *legacy*
//! (up to 2025-11-25, `initialize`). [`Protocol::decode`] answers *control* completely, without user code, and
//! hands out *work* ([`Work`]) for the caller to start when a handler is free; decoding again is free of effects.
//!
//! It has no clock, no I/O and no idea of connections; HTTP appears only as [`HttpFacts`] and status codes.
//! Deliberately absent so far: streams, subscriptions, questions to the client.
//! Invariant: every decoded body ends in exactly one [`Step`], and whatever is appended for it is valid JSON.

mod answer;
mod batch;
mod call;
mod capabilities;
mod cursor;
mod describe;
mod error;
mod facts;
mod features;
mod headers;
mod legacy;
mod lists;
mod modern;
mod overload;
mod params;
mod protocol;
mod revision;
mod sessions;
#[cfg(test)]
mod tests;

pub use batch::{BATCH_ELEMENTS_MAX, Batch};
pub use call::{Ticket, Work};
pub use capabilities::ClientCapabilities;
pub use facts::{HttpFacts, UnixSeconds};
pub use lists::Identity;
pub use overload::{Overload, OverloadReason};
pub use protocol::{Labels, Options, Protocol, Reply, Step};
pub use revision::{Era, Revision};
pub use sessions::{EndSession, Principal, Session, SessionId, SessionUnavailable, Sessions};
