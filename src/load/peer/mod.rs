//! The server's side of things: where it is, connections to it, and the bytes of its answers.
//!
//! A connection has one request at a time. It says when an answer is whole; what it is worth is judged behind it, in
//! [`judge`].

mod address;
mod connection;
mod events;
mod frames;
mod judge;
mod outcome;
mod poll;
mod response;
mod result_schema;

pub(crate) use address::{Address, Source};
pub(crate) use connection::{Connection, Progress};
pub(crate) use frames::{Endpoint, Framing, MASK, framed};
pub(crate) use judge::{Asked, Expectation, Judge};
pub(crate) use outcome::{Outcome, Refusal};
pub(crate) use poll::Poll;
pub(crate) use response::{RetryAfter, header_value};
pub(crate) use result_schema::ResultSchema;
