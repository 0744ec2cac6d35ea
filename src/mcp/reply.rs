//! The kind of an answer and its labels, for the transport that carries it: HTTP tells the kind by a status, a channel
//! does not tell it at all.

use crate::metrics;

use crate::mcp::overload::Overload;
use crate::mcp::revision::Era;
use crate::mcp::sessions::SessionId;

/// The kind of an answer. Only `transport::http` knows the statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// A result, or an error that came from doing what the client asked.
    Answered,
    /// A message that wants no answer was accepted.
    Accepted,
    /// The session has ended, as its client wished.
    SessionEnded,
    /// The message cannot be served as it is: it is malformed, or at odds with its revision.
    Invalid,
    /// There is no such method. Only the modern era has a status for that.
    MethodNotFound,
    /// The session or channel that the message belongs to does not exist, or no longer does.
    Gone,
    /// The server does not offer this: no stream without a session, and nothing but POST in the modern era.
    NotOffered,
    /// The session's stream already has a connection.
    StreamTaken,
    /// The request cannot be served now; the same may succeed later.
    Unavailable,
}

/// The outline of an answer; its body was appended to `out`.
#[must_use = "a reply is what the client waits for"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The kind of the answer.
    pub kind: ReplyKind,
    /// Whether a JSON body was appended.
    pub has_body: bool,
    /// The id of a session that was just made. Hardly any answer has one, and every answer is moved a few times.
    pub session: Option<Box<SessionId>>,
    /// When to try again, if the request cannot be served now.
    pub retry_after_seconds: Option<u64>,
    /// The labels that metrics count the answer under.
    pub labels: Labels,
}

/// The labels that an answer is counted under. A batch is one answer, of no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The era of the request.
    pub era: metrics::Era,
    /// Its method.
    pub method: metrics::Method,
    /// How the request ended.
    pub outcome: metrics::Outcome,
}

impl Reply {
    /// A result, or an error that came from doing what the client asked.
    pub(super) const fn answered() -> Self {
        Self::with_body(ReplyKind::Answered)
    }

    /// An answer of this kind with a body.
    pub(super) const fn with_body(kind: ReplyKind) -> Self {
        Self {
            kind,
            has_body: true,
            session: None,
            retry_after_seconds: match kind {
                ReplyKind::Unavailable => Some(1),
                _ => None,
            },
            labels: Labels {
                era: metrics::Era::Unknown,
                method: metrics::Method::Other,
                outcome: metrics::Outcome::Ok,
            },
        }
    }

    /// A body that answers control, counted under these labels.
    pub fn of_control(labels: Labels) -> Self {
        Self {
            labels,
            ..Self::answered()
        }
    }

    /// The same reply, counted under this era and method.
    pub(super) fn about(mut self, era: Era, method: &str) -> Self {
        self.labels.era = match era {
            Era::Legacy => metrics::Era::Legacy,
            Era::Modern => metrics::Era::Modern,
        };
        self.labels.method = metrics::Method::from_name(method);
        self
    }

    /// The same reply, counted with this outcome.
    pub(super) fn with_outcome(mut self, outcome: metrics::Outcome) -> Self {
        self.labels.outcome = outcome;
        self
    }

    /// An answer that says no more than its kind.
    pub(super) fn without_body(kind: ReplyKind) -> Self {
        Self {
            has_body: false,
            ..Self::with_body(kind)
        }
    }

    /// The refusal "not now", with the time to come back.
    pub(super) fn overloaded(overload: &Overload) -> Self {
        Self {
            retry_after_seconds: Some(overload.retry_after_seconds()),
            ..Self::with_body(ReplyKind::Unavailable)
        }
        .with_outcome(metrics::Outcome::Overload)
    }
}
