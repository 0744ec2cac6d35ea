//! Words of the protocol and the registry that the live store speaks, until those modules define them.

use serde_json::Value;

use crate::jsonrpc::RequestId;
use crate::mcp::Session;

/// What distinguishes one session from all others: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionToken(pub [u8; 16]);

/// A session whose id was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// What was agreed.
    pub session: Session,
    /// Its name in the live store.
    pub token: SessionToken,
}

/// Severity of a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "RFC 5424")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerError {
    /// The client answered with an error.
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// Nobody waits for it any more.
    Cancelled,
    /// It took too long.
    TimedOut,
}

/// No room for live state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveRefused {
    /// A limit is reached and nothing idle is left to evict.
    Full,
}

/// What a stream wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the list of resources.
    pub resources: bool,
    /// Updates of these resources.
    pub uris: Vec<Box<str>>,
}

/// Something that clients may want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// `notifications/tools/list_changed`
    ToolsChanged,
    /// `notifications/prompts/list_changed`
    PromptsChanged,
    /// `notifications/resources/list_changed`
    ResourcesChanged,
    /// `notifications/resources/updated`
    ResourceUpdated(Box<str>),
}

/// Live state as the protocol sees it.
pub trait LiveState {
    /// Sets the least severe level of log messages the session wants.
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), LiveRefused>;
    /// That level; none if it was never set.
    fn log_level(&self, session: SessionToken) -> Option<LogLevel>;
    /// Subscribes to updates of a resource.
    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), LiveRefused>;
    /// Undoes [`LiveState::subscribe`].
    fn unsubscribe(&self, session: &OpenSession, uri: &str);
    /// The client cancels its request; best effort.
    fn cancel(&self, session: SessionToken, request: &RequestId);
    /// The client answers a question; unknown ones are ignored.
    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>);
}
