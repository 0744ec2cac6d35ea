//! How requests end: every one has exactly one [`Outcome`].

use std::fmt;

/// The outcome of a request, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// A JSON-RPC result that is what was expected; a tool error if one was expected.
    Ok,
    /// The server said "not now": 503, 429, or the same error without HTTP.
    Refused(Refusal),
    /// A JSON-RPC error.
    Failed,
    /// A result with `isError`.
    ToolError,
    /// A result, but not what it should be.
    Wrong,
    /// A result that is not what its tool's output schema promises.
    OffSchema,
    /// The answer to another request.
    WrongId,
    /// Another answer to a request that has had its own.
    Twice,
    /// A status that says it all, such as 404 or 202.
    Status(u16),
    /// Bytes that are not the protocol as it is understood here, or that nobody asked for.
    Malformed,
    /// More than is kept of one answer.
    TooLarge,
    /// The connection ended in the middle of an answer.
    Cut,
    /// The connection ended before an answer began.
    Reset,
    /// There was none: nobody listened, or nobody was reached.
    NoConnection,
    /// The client's patience was over.
    TimedOut,
    /// Nothing came while the measurement lasted.
    Unanswered,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// There was no handler, and no place to wait for one.
    Handlers,
    /// The request waited past its deadline.
    QueueTimeout,
    Workers,
    Children,
    Memory,
    Connections,
    Draining,
    /// 429: the caller has had too much.
    TooMany,
    /// Another reason, or none in the body.
    Other,
    /// 503 without `Retry-After`, whatever the reason.
    NoRetryAfter,
}

impl Refusal {
    /// The refusal of an overload error with this reason.
    pub(crate) fn of(reason: Option<&str>) -> Refusal {
        match reason {
            Some("handlers") => Refusal::Handlers,
            Some("queue_timeout") => Refusal::QueueTimeout,
            Some("workers") => Refusal::Workers,
            Some("children") => Refusal::Children,
            Some("memory") => Refusal::Memory,
            Some("connections") => Refusal::Connections,
            Some("draining") => Refusal::Draining,
            _ => Refusal::Other,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Refusal::Handlers => "handlers",
            Refusal::QueueTimeout => "queue_timeout",
            Refusal::Workers => "workers",
            Refusal::Children => "children",
            Refusal::Memory => "memory",
            Refusal::Connections => "connections",
            Refusal::Draining => "draining",
            Refusal::TooMany => "too_many",
            Refusal::Other => "other",
            Refusal::NoRetryAfter => "no_retry_after",
        }
    }
}

impl Outcome {
    /// Whether the connection can be used no further.
    pub(crate) fn is_end(self) -> bool {
        matches!(
            self,
            Outcome::WrongId
                | Outcome::Twice
                | Outcome::Malformed
                | Outcome::TooLarge
                | Outcome::Cut
                | Outcome::Reset
                | Outcome::NoConnection
                | Outcome::TimedOut
        )
    }

    /// What it means, for people.
    pub(crate) fn meaning(self) -> String {
        match self {
            Outcome::Ok => "good answers".to_owned(),
            Outcome::Refused(Refusal::TooMany) => "refused with 429".to_owned(),
            Outcome::Refused(Refusal::Other) => "refused for another reason".to_owned(),
            Outcome::Refused(Refusal::NoRetryAfter) => "refused without Retry-After".to_owned(),
            Outcome::Refused(refusal) => format!("refused: {}", refusal.as_str()),
            Outcome::Failed => "JSON-RPC errors".to_owned(),
            Outcome::ToolError => "results that are tool errors (isError)".to_owned(),
            Outcome::Wrong => "results that are not as expected".to_owned(),
            Outcome::OffSchema => "results that do not fit the tool's output schema".to_owned(),
            Outcome::WrongId => "answers with another request's id".to_owned(),
            Outcome::Twice => "requests answered twice".to_owned(),
            Outcome::Status(status) => format!("answers with status {status}"),
            Outcome::Malformed => "answers that are not HTTP or JSON-RPC".to_owned(),
            Outcome::TooLarge => "answers of more than 32 MiB".to_owned(),
            Outcome::Cut => "connections that ended in the middle of an answer".to_owned(),
            Outcome::Reset => "connections that ended before an answer".to_owned(),
            Outcome::NoConnection => "connections that could not be made".to_owned(),
            Outcome::TimedOut => "requests given up after --timeout".to_owned(),
            Outcome::Unanswered => "requests without an answer at the end".to_owned(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok => f.write_str("ok"),
            Outcome::Refused(refusal) => write!(f, "refused_{}", refusal.as_str()),
            Outcome::Failed => f.write_str("failed"),
            Outcome::ToolError => f.write_str("tool_error"),
            Outcome::Wrong => f.write_str("wrong"),
            Outcome::OffSchema => f.write_str("off_schema"),
            Outcome::WrongId => f.write_str("wrong_id"),
            Outcome::Twice => f.write_str("twice"),
            Outcome::Status(status) => write!(f, "status_{status}"),
            Outcome::Malformed => f.write_str("malformed"),
            Outcome::TooLarge => f.write_str("too_large"),
            Outcome::Cut => f.write_str("cut"),
            Outcome::Reset => f.write_str("reset"),
            Outcome::NoConnection => f.write_str("no_connection"),
            Outcome::TimedOut => f.write_str("timed_out"),
            Outcome::Unanswered => f.write_str("unanswered"),
        }
    }
}
