//! The facts that a call has about its client.

use serde_json::{Map, Value};

use super::capabilities::ClientCapabilities;
use super::log_level::LogLevel;

/// What may be sent to the client of one call, and how. By default there is no client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientFacts {
    /// What the client can be asked.
    pub capabilities: ClientCapabilities,
    /// Whether the request had a progress token.
    pub wants_progress: bool,
    /// The least severe level that the client wants; `None` if it wants no log messages.
    pub log_level: Option<LogLevel>,
    /// How a question reaches the client.
    pub asking: Asking,
    /// With [`Asking::ByRetry`], the answers that came with the request, by the question's key.
    pub answers: Option<Box<Map<String, Value>>>,
}

/// How a call's questions reach its client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asking {
    /// Questions do not reach it: the client is unknown, or this kind of request does not ask.
    #[default]
    Never,
    /// They go out on the call's stream while the call waits (until 2025-11-25).
    OnStream,
    /// They are the call's answer; the client calls again with their answers (since 2026-07-28).
    ByRetry,
}
