//! The protocol's view of what a server remembers of its clients beyond one request.
//!
//! Legacy sessions have a log level, subscriptions, requests that can be cancelled and questions that wait for an
//! answer; the modern era has sealed state that travels with the client. The implementor decides how any of it is kept
//! and how it gets from one shard to another. Nothing here waits.

use crate::jsonrpc::RequestId;
use crate::mcp::child_client::ChildOwner;
use crate::mcp::sessions::{OpenSession, SessionToken, Sessions};
use crate::mcp::task::Tasks;
use crate::mcp::time::UnixSeconds;
use crate::registry::{AnswerError, LogLevel};

/// There is no room to remember more; the client gets an overload error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateRefused {
    /// The limit is reached.
    #[error("no room to remember more")]
    Full,
}

/// What legacy sessions hold while they last.
pub trait FeatureState {
    /// `logging/setLevel`: from now on the session gets only messages that are at least this severe.
    ///
    /// # Errors
    /// See [`StateRefused`].
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), StateRefused>;

    /// The level that the session set; `None` if it never set one.
    fn log_level(&self, session: SessionToken) -> Option<LogLevel>;

    /// `resources/subscribe`, to what is the same for all clients; doing it twice is the same as once.
    ///
    /// # Errors
    /// See [`StateRefused`].
    #[cfg(any(test, feature = "internals"))]
    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), StateRefused> {
        self.subscribe_as(session, uri, None)
    }

    /// The same; if there is an owner, to what its own child tells.
    ///
    /// # Errors
    /// See [`StateRefused`].
    fn subscribe_as(
        &self,
        session: &OpenSession,
        uri: &str,
        owner: Option<ChildOwner>,
    ) -> Result<(), StateRefused>;

    /// `resources/unsubscribe`; a URI that was never subscribed to is fine, too.
    fn unsubscribe(&self, session: &OpenSession, uri: &str);

    /// `notifications/cancelled`: ends the session's request of this id, on whichever shard it runs.
    fn cancel(&self, session: SessionToken, request: &RequestId);

    /// A client's answer to a question that another program asks, which gets it as it was written; `message` is the
    /// whole answer. False if the question is none of those.
    fn pass_on(&self, session: SessionToken, question: &str, message: &[u8]) -> bool;

    /// A client's answer to one of our questions. Ids that nobody waits for, and ids of other sessions, are ignored.
    fn answer(&self, session: SessionToken, question: &str, answer: Result<serde_json::Value, AnswerError>);
}

/// Seals what a client carries for us from one request to the next (`requestState`, since 2026-07-28).
pub trait StateSeal {
    /// Seals `plain` as text that opens only together with `bound`, and only for a while. `None` without randomness.
    fn seal(&self, plain: &[u8], bound: &[u8], now: UnixSeconds) -> Option<String>;

    /// Opens sealed text. `None` for everything that was tampered with, is too old, or is bound to something else.
    fn open(&self, text: &str, bound: &[u8], now: UnixSeconds) -> Option<Vec<u8>>;
}

/// All state of a process that requests of any shard touch.
pub trait State: Sessions + FeatureState + StateSeal + Tasks {}

impl<T: Sessions + FeatureState + StateSeal + Tasks + ?Sized> State for T {}
