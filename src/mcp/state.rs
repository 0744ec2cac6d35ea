//! What a server remembers of its clients beyond one request, as the protocol sees it.
//!
//! Legacy sessions have a log level, subscriptions, requests that can be cancelled and questions that wait for an
//! answer; the modern era has sealed state that travels with the client. How any of it is kept, and how it finds its
//! way from one shard to another, is the implementor's business. Nothing here waits.

use crate::jsonrpc::RequestId;
use crate::mcp::sessions::{OpenSession, SessionToken, Sessions};
use crate::mcp::task::Tasks;
use crate::mcp::time::UnixSeconds;
use crate::registry::{AnswerError, LogLevel};

/// There is no room to remember more; answered as overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveRefused {
    /// A limit is reached.
    #[error("no room to remember more")]
    Full,
}

/// What legacy sessions hold while they last.
pub trait LiveState {
    /// `logging/setLevel`: from now on only messages at least this severe.
    ///
    /// # Errors
    /// See [`LiveRefused`].
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), LiveRefused>;

    /// The level that was set; none if none ever was.
    fn log_level(&self, session: SessionToken) -> Option<LogLevel>;

    /// `resources/subscribe`; twice is as good as once.
    ///
    /// # Errors
    /// See [`LiveRefused`].
    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), LiveRefused>;

    /// `resources/unsubscribe`; of what was never subscribed too.
    fn unsubscribe(&self, session: &OpenSession, uri: &str);

    /// `notifications/cancelled`: ends the session's request of this id, if it still runs, wherever it does.
    fn cancel(&self, session: SessionToken, request: &RequestId);

    /// A client's answer to a question of ours. Ids that nobody waits for, and other sessions' ids, are ignored.
    fn answer(&self, session: SessionToken, question: &str, answer: Result<serde_json::Value, AnswerError>);
}

/// Seals what a client carries for us from one request to the next (`requestState`, since 2026-07-28).
pub trait StateSeal {
    /// `plain`, sealed as text that opens only together with `bound` and not for long. None without randomness.
    fn seal(&self, plain: &[u8], bound: &[u8], now: UnixSeconds) -> Option<String>;

    /// What was sealed. None for everything that was tampered with, is too old, or is bound to something else.
    fn open(&self, text: &str, bound: &[u8], now: UnixSeconds) -> Option<Vec<u8>>;
}

/// Everything of a process that requests of any shard touch.
pub trait State: Sessions + LiveState + StateSeal + Tasks {}

impl<T: Sessions + LiveState + StateSeal + Tasks + ?Sized> State for T {}
