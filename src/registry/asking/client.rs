//! What a call knows of the client behind it.

use serde_json::{Map, Value};

use super::capabilities::ClientCapabilities;
use super::log_level::LogLevel;

/// What is said to the client of one call, and how. The default is nobody to speak to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientFacts {
    /// What it can be asked.
    pub capabilities: ClientCapabilities,
    /// The request had a progress token.
    pub wants_progress: bool,
    /// The least severe level it wants; none: no log messages.
    pub log_level: Option<LogLevel>,
    /// How a question reaches it.
    pub asking: Asking,
    /// With [`Asking::ByRetry`], the answers that came with the request, by the question's key.
    pub answers: Option<Box<Map<String, Value>>>,
}

/// How a call's questions reach its client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asking {
    /// Not at all: the client is unknown, or this kind of request does not ask.
    #[default]
    Never,
    /// On the call's stream, while the call waits (until 2025-11-25).
    OnStream,
    /// As the call's answer; the client calls again with the answers (since 2026-07-28).
    ByRetry,
}
