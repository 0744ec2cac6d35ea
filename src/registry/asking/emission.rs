//! The messages of a running call to its client, as values.
//!
//! The protocol layer writes them, because it knows which revision has which message.

use std::time::Duration;

use serde_json::Value;

use super::log_level::LogLevel;
use super::question::AskedQuestion;

/// A message for the stream of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Emission {
    /// The progress of the call. It is sent only to a client that wants it; `progress` increases from one to the next.
    Progress {
        /// The amount done, in the tool's own unit.
        progress: f64,
        /// The amount to do, if known.
        total: Option<f64>,
        /// A message for people. Since 2025-03-26.
        message: Option<String>,
    },
    /// A log message, at least as severe as the client wants.
    Log {
        /// The severity.
        level: LogLevel,
        /// The part of the server that logs.
        logger: Option<String>,
        /// The message: any JSON.
        data: Value,
    },
    /// A question on the stream; the call waits for its answer.
    Question(AskedQuestion),
    /// The stream's connection may be closed; the client comes back for the rest after `retry` (2025-11-25).
    CloseStream {
        /// How long the client waits before it comes back.
        retry: Duration,
    },
    /// The user has finished what a URL was for (2025-11-25 only).
    ElicitationComplete {
        /// The elicitation id of the question.
        elicitation_id: String,
    },
    /// The call has its outcome, from another thread: it is to be polled. Nothing is sent.
    Returned,
}

/// Bytes that an emission is counted with beside its strings: the names and brackets around them.
const FRAME_BYTES: usize = 64;

impl Emission {
    /// The approximate length in bytes of the written message.
    pub(super) fn weight_bytes(&self) -> usize {
        let inner = match self {
            Self::Progress { message, .. } => message.as_ref().map_or(0, String::len),
            Self::Log { logger, data, .. } => logger.as_ref().map_or(0, String::len) + weight_bytes(data),
            Self::Question(question) => question.key.len() + weight_bytes(&question.request.params),
            Self::CloseStream { .. } | Self::Returned => 0,
            Self::ElicitationComplete { elicitation_id } => elicitation_id.len(),
        };
        FRAME_BYTES + inner
    }

    /// Whether it may be dropped when too many messages are unsent.
    pub(crate) fn is_droppable(&self) -> bool {
        matches!(
            self,
            Self::Progress { .. } | Self::Log { .. } | Self::ElicitationComplete { .. }
        )
    }
}

fn weight_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 12,
        Value::String(text) => text.len() + 3,
        Value::Array(elements) => 2 + elements.iter().map(weight_bytes).sum::<usize>(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| name.len() + 4 + weight_bytes(value);
            2 + members.iter().map(member).sum::<usize>()
        }
    }
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub(in crate::registry) progress: f64,
    pub(in crate::registry) total: Option<f64>,
    pub(in crate::registry) message: Option<String>,
}

impl Progress {
    /// So much is done, in any unit.
    pub fn new(progress: f64) -> Self {
        Self {
            progress,
            total: None,
            message: None,
        }
    }

    /// The amount to do, in the same unit.
    pub fn total(mut self, total: f64) -> Self {
        self.total = Some(total);
        self
    }

    /// A message for people. Clients know it since 2025-03-26.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

impl From<f64> for Progress {
    fn from(progress: f64) -> Self {
        Self::new(progress)
    }
}

/// The first number is done, out of the second.
impl From<(f64, f64)> for Progress {
    fn from((progress, total): (f64, f64)) -> Self {
        Self::new(progress).total(total)
    }
}

/// Integers, exact up to 2^53.
macro_rules! from_integers {
    ($($integer:ty),+) => {
        $(
            impl From<$integer> for Progress {
                fn from(progress: $integer) -> Self {
                    Self::new(progress as f64)
                }
            }

            /// The first number is done, out of the second.
            impl From<($integer, $integer)> for Progress {
                fn from((progress, total): ($integer, $integer)) -> Self {
                    Self::new(progress as f64).total(total as f64)
                }
            }
        )+
    };
}

from_integers!(i32, u32, u64, usize);
