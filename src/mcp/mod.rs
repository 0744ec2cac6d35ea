//! The Model Context Protocol, as values: a request's facts and bytes in, an answer or an operation to run out.
//!
//! Both eras live on one endpoint and are told apart by the envelope, never by the method's name: a request
//! whose `params._meta` carries a protocol version is *modern* (2026-07-28, stateless), any other is *legacy*
//! (up to 2025-11-25, `initialize`). [`Protocol::decode`] answers *control* completely, without user code, and
//! hands out *work* ([`Work`]) for the caller to start when a handler is free; decoding work again has no effects.
//! What a call says meanwhile ([`Protocol::write_emission`]) and what whoever listens hears ([`write_announcement`])
//! get their words here too; streams and their clients are the caller's.
//!
//! It has no clock, no I/O and no idea of connections; HTTP appears only as [`HttpHead`]; an answer has a [`ReplyKind`], which `transport` turns into a
//! status. What is
//! remembered beyond a request is behind [`State`].
//! Invariant: every decoded body ends in exactly one [`Step`], and whatever is appended for it is valid JSON.

mod announce;
mod answer;
mod batch;
mod binding;
mod call;
mod cursor;
mod decode;
mod describe;
mod emission;
mod error;
mod facts;
mod features;
mod headers;
mod input_required;
mod input_responses;
mod legacy;
mod listen;
mod lists;
mod live;
mod modern;
mod overload;
mod param_headers;
mod params;
mod posted;
mod protocol;
mod question_words;
mod related_task;
mod remembered;
mod reply;
mod revision;
mod routed;
mod session_context;
mod sessions;
mod standing;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod time;
mod unread;

pub use crate::registry::ClientCapabilities;
pub use announce::{Announced, Announcement, write_announcement};
pub use batch::{BATCH_ELEMENTS_MAX, Batch};
pub use call::{Ticket, Work};
pub use decode::Step;
pub use facts::{ChannelFacts, Facts, HttpHead, ParamHeaders, Via};
pub use listen::{Interest, LISTEN_TASKS_MAX, LISTEN_URI_BYTES_MAX, LISTEN_URIS_MAX, Listen};
pub use lists::Identity;
pub use live::{LiveRefused, LiveState, State, StateSeal};
pub use overload::{Overload, OverloadReason};
pub use posted::{NoChannel, Posted};
pub use protocol::{Options, Protocol};
pub use reply::{Labels, Reply, ReplyKind};
pub use revision::{Era, Revision};
pub use sessions::{
    EndSession, OpenSession, Principal, Session, SessionId, SessionToken, SessionUnavailable, Sessions,
};
pub use standing::{NoStream, Opening, StreamRequest};
pub use task::{
    AwaitTask, CancelTask, TaskEnd, TaskEnding, TaskId, TaskOwner, TaskStatus, TaskTerms, TaskView, Tasks,
};
pub use tasks::{write_task_end, write_task_notification};
pub use time::{UnixMillis, UnixSeconds};
