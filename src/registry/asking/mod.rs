//! The way from one call to its client and its server: messages, questions, answers and errors.
//!
//! Nothing here knows the protocol's text or a connection: the server of the call takes the messages out and writes
//! them.

pub(super) mod ask;
pub(super) mod capabilities;
pub(super) mod client;
pub(super) mod client_link;
pub(super) mod elicit;
pub(super) mod emission;
mod form_schema;
pub(super) mod link;
pub(super) mod log_level;
pub(super) mod property;
pub(super) mod question;
pub(super) mod roots;
pub(super) mod sample;
pub(super) mod server_handle;
pub(super) mod tool_error;
