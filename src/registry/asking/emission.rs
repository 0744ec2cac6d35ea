//! What a running call says to its client, as values.
//!
//! No words of any revision: the protocol layer finds those, and knows which revision has which.

use std::time::Duration;

use serde_json::Value;

use super::log_level::LogLevel;
use super::question::NotedQuestion;

/// Something to be said on the stream of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Emission {
    /// How far the call has come. Only for a client that wants to know; `progress` increases from one to the next.
    Progress {
        /// How much is done, in the tool's own unit.
        progress: f64,
        /// How much there is to do, if known.
        total: Option<f64>,
        /// What is going on. Since 2025-03-26.
        message: Option<String>,
    },
    /// A log message, at least as severe as the client wants.
    Log {
        /// How severe.
        level: LogLevel,
        /// Which part of the server says so.
        logger: Option<String>,
        /// What it says: any JSON.
        data: Value,
    },
    /// A question on the stream, to which the call waits for an answer.
    Question(NotedQuestion),
    /// The stream's connection may be closed; the client comes back for the rest after `retry` (2025-11-25).
    CloseStream {
        /// How long the client waits before it comes back.
        retry: Duration,
    },
    /// What the user was sent to a URL for is done (2025-11-25 only).
    ElicitationComplete {
        /// That of the question.
        elicitation_id: String,
    },
}

/// What an emission is counted as beside its texts: the names and brackets around them.
const FRAME_BYTES: usize = 64;

impl Emission {
    /// About how long it is once it is written, in bytes.
    pub(super) fn weight_bytes(&self) -> usize {
        let inner = match self {
            Self::Progress { message, .. } => message.as_ref().map_or(0, String::len),
            Self::Log { logger, data, .. } => logger.as_ref().map_or(0, String::len) + weight_bytes(data),
            Self::Question(question) => question.key.len() + weight_bytes(&question.request.params),
            Self::CloseStream { .. } => 0,
            Self::ElicitationComplete { elicitation_id } => elicitation_id.len(),
        };
        FRAME_BYTES + inner
    }

    /// Whether it may be left out when there is too much to say.
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
    /// This much is done, in any unit.
    pub fn new(progress: f64) -> Self {
        Self {
            progress,
            total: None,
            message: None,
        }
    }

    /// How much there is to do, in the same unit.
    pub fn total(mut self, total: f64) -> Self {
        self.total = Some(total);
        self
    }

    /// What is going on. Clients know it since 2025-03-26.
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

/// So much done of so much.
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

            /// So much done of so much.
            impl From<($integer, $integer)> for Progress {
                fn from((progress, total): ($integer, $integer)) -> Self {
                    Self::new(progress as f64).total(total as f64)
                }
            }
        )+
    };
}

from_integers!(i32, u32, u64, usize);
