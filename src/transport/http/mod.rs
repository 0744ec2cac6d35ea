//! One HTTP/1.1 connection's conversation: who is let in (`admission`), requests out of a growing window of bytes
//! (`intake`), and responses into a buffer (`response`).
//!
//! Holds no bytes and no clock. Nobody above composes a head or chooses a status: the shard says what it answers, by a
//! [`Response`], and what of the request the response depends on is kept beside the connection, in a
//! [`ResponseContext`].

pub mod admission;
mod fields;
mod health;
mod intake;
mod origins;
mod response;
mod status;

pub use fields::{Head, facts_of, parse_head};
pub use health::{HealthSlot, HealthSource, answer_probe};
pub use intake::{HttpLimits, Intake, Progress, Refusal, Refused, Request, peek_head};
pub use origins::Origins;
pub use response::{Response, ResponseContext, append_events_head, write_stream_head_before};
pub use status::status_of;

pub use crate::wire::http1::{CONTINUE, Connection as Persistence, HEAD_RESERVE};
