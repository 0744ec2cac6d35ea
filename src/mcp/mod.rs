//! The Model Context Protocol as values: a request's context and bytes go in, an answer or an operation to run comes
//! out.
//!
//! Both eras live on one endpoint and are told apart by the envelope, never by the method's name: a request whose
//! `params._meta` carries a protocol version is *modern* (2026-07-28, stateless), any other is *legacy* (up to
//! 2025-11-25, `initialize`). [`Protocol::decode`] answers *control* completely, without user code, and hands out
//! *work* ([`Work`]) for the caller to start when a handler is free; decoding work again has no effects. The messages
//! that a running call sends ([`Protocol::write_emission`]) and the announcements to listening clients
//! ([`write_announcement`]) are written here too; the caller owns streams and their clients.
//!
//! The module has no clock, no I/O and no idea of connections. HTTP appears only as [`HttpHead`]; an answer has a
//! [`ReplyKind`], which `transport` turns into a status. State that outlives a request is behind [`State`].
//!
//! | part | what it does |
//! |---|---|
//! | `decode` | the front door: a body goes in, a [`Step`] comes out |
//! | `eras` | the rules for modern and for legacy messages, and where each message leads |
//! | `features`, `tasks` | the methods of a server |
//! | `writing` | answers, emissions and questions as each revision has them |
//! | `lists` | the lists of what is registered, written once |
//! | `error`, `reply` and the other files here | values that all of them use |
//!
//! Invariant: every decoded body ends in exactly one [`Step`], and whatever is appended for it is valid JSON.

mod binding;
mod call;
mod child_client;
mod decode;
mod eras;
mod error;
mod features;
mod headers;
mod lists;
mod overload;
mod param_headers;
mod params;
mod protocol;
mod reply;
mod request_context;
mod revision;
mod sessions;
mod state;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod time;
mod unresumed;
mod writing;

pub use crate::registry::ClientCapabilities;
pub use call::{Resumed, Ticket, Work};
pub use child_client::{
    ChildOwner, Client, ClientKey, ClientProfile, ClientValues, Heads, KeptFields, Sender,
};
pub use decode::Step;
pub use eras::batch::{BATCH_ELEMENTS_MAX, Batch};
pub use eras::get_stream::{NoStream, Opening, StreamRequest};
pub use eras::sse_post::{NoChannel, SsePost};
pub use features::listen::{Interest, LISTEN_TASKS_MAX, LISTEN_URI_BYTES_MAX, LISTEN_URIS_MAX, Listen};
pub use features::methods::server_watching;
pub use headers::wrapped;
pub use lists::announce::{Announced, Announcement, SUBSCRIPTION_KEY, write_announcement};
pub use lists::introduction::{Identity, SERVER_INFO_KEY};
pub use overload::{Overload, OverloadReason};
pub use protocol::{Options, Protocol};
pub use reply::{Labels, Reply, ReplyKind};
pub use request_context::{ChannelContext, HttpHead, ParamHeaders, RequestContext, Via};
pub use revision::{Era, Revision};
pub use sessions::{
    EndSession, OpenSession, Principal, Session, SessionId, SessionToken, SessionUnavailable, Sessions,
};
pub use state::{FeatureState, State, StateRefused, StateSeal};
pub use task::{
    AwaitTask, CancelTask, TaskEnd, TaskEnding, TaskId, TaskOwner, TaskStatus, TaskTerms, TaskView, Tasks,
};
pub use tasks::{write_task_end, write_task_notification};
pub use time::{UnixMillis, UnixSeconds};
pub use unresumed::Unresumed;
pub use writing::emission::log_level_of;
pub use writing::foreign::ServerFault;
pub use writing::question_compat::older_question;
pub use writing::related_task::write_related_message;
