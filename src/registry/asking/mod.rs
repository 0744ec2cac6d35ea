//! The way from one call to its client and its server: what it says, what it asks, the answers, and why it fails.
//!
//! Knows neither the protocol's words nor a connection: whoever serves the call takes what was said and writes it.

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
