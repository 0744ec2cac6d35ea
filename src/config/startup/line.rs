//! One line of the check: a need, and how well it is met.

use std::fmt;

/// How well one need is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The need is met.
    Ok,
    /// The server runs, but an operator should know.
    Warning,
    /// The server cannot run.
    Missing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Missing => "missing",
        })
    }
}

/// One need and how it is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How well it is met.
    pub verdict: Verdict,
    /// The topic, in one word.
    pub topic: &'static str,
    /// The fact, the value, the limit and, unless all is well, the next step.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}: {}", self.verdict, self.topic, self.text)
    }
}

pub(super) fn line(verdict: Verdict, topic: &'static str, text: String) -> Line {
    Line { verdict, topic, text }
}
