//! One HTTP/1.1 connection's conversation.

pub mod admission;
mod intake;

pub use intake::{
    HttpLimits, Intake, Progress, Refusal, Refused, Request, finish_answer, peek_head, persistence,
};

pub use crate::wire::http1::HEAD_RESERVE;
