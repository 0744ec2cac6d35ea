//! One HTTP/1.1 connection's conversation: `admission` admits requests, `intake` takes them out of a growing window of
//! bytes, `known_heads` recalls the heads that it parsed lately, and `response` writes responses into a buffer.
//!
//! The module holds no bytes and no clock. Nobody above composes a head or chooses a status: the shard says what it
//! answers, by a [`Response`], and a [`ResponseContext`] beside the connection keeps what the response depends on.

pub mod admission;
mod fields;
mod health;
mod intake;
mod known_heads;
mod origins;
mod response;
mod status;

pub use fields::{Head, parse_head, request_context};
pub use health::{HealthSlot, HealthSource, answer_probe};
pub use intake::{HttpLimits, Intake, MissingBody, Progress, Refusal, Refused, Request, peek_head};
pub use known_heads::KnownHeads;
pub use origins::Origins;
pub use response::{
    Response, ResponseContext, append_events_head, write_chunked_head_before, write_stream_head_before,
};
pub use status::status_of;

pub use crate::wire::http1::{CONTINUE, Connection as Persistence, HEAD_RESERVE};
