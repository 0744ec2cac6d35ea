//! How an answer goes out, for whoever carries it: HTTP tells its kind by a status, a channel does not tell it at all.

use crate::metrics;

use crate::mcp::overload::Overload;
use crate::mcp::revision::Era;
use crate::mcp::sessions::SessionId;

/// What kind of answer it is. `transport::http` alone knows the statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// A result, or an error that came of doing what was asked.
    Answered,
    /// A message that wants no answer was taken.
    Accepted,
    /// The session has ended, as its client wished.
    SessionEnded,
    /// The message cannot be served as it is: it is malformed, or at odds with its revision.
    Invalid,
    /// There is no such method. Only the modern era has a status for that.
    MethodNotFound,
    /// What the message belongs to, a session or a channel, is not there or no longer.
    Gone,
    /// There is no such way to ask for whoever asks: no stream without a session, nothing but POST in the modern era.
    NotOffered,
    /// The session's stream has a connection already.
    StreamTaken,
    /// Not now; the same may succeed later.
    Unavailable,
}

/// How an answer goes out; its body was appended to `out`.
#[must_use = "a reply is what the client waits for"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What kind of answer it is.
    pub kind: ReplyKind,
    /// Whether a JSON body was appended.
    pub has_body: bool,
    /// The id of a session just made.
    pub session: Option<SessionId>,
    /// When to try again, if it is not for now.
    pub retry_after_seconds: Option<u64>,
    /// What metrics say of it.
    pub labels: Labels,
}

/// What an answer is counted under. A batch is one answer, of no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The era of the request.
    pub era: metrics::Era,
    /// Its method.
    pub method: metrics::Method,
    /// How it ended.
    pub outcome: metrics::Outcome,
}

impl Reply {
    /// A result, or an error that came of doing what was asked.
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
    pub const fn of_control(labels: Labels) -> Self {
        Self {
            labels,
            ..Self::answered()
        }
    }

    /// The same, counted under this era and method.
    pub(super) fn about(mut self, era: Era, method: &str) -> Self {
        self.labels.era = match era {
            Era::Legacy => metrics::Era::Legacy,
            Era::Modern => metrics::Era::Modern,
        };
        self.labels.method = metrics::Method::from_name(method);
        self
    }

    /// The same, counted as ended so.
    pub(super) fn with_outcome(mut self, outcome: metrics::Outcome) -> Self {
        self.labels.outcome = outcome;
        self
    }

    /// An answer that says no more than its kind.
    pub(super) const fn without_body(kind: ReplyKind) -> Self {
        Self {
            has_body: false,
            ..Self::with_body(kind)
        }
    }

    /// Not now, and when to come back.
    pub(super) fn overloaded(overload: &Overload) -> Self {
        Self {
            retry_after_seconds: Some(overload.retry_after_seconds()),
            ..Self::with_body(ReplyKind::Unavailable)
        }
        .with_outcome(metrics::Outcome::Overload)
    }
}
