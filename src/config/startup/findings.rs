//! What was found on this machine.

use crate::config::host::Host;

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Limits and figures.
    pub host: Host,
    /// Whether a ring with the flags and operations Weir uses can be made.
    pub io_uring: Result<(), RingProblem>,
    /// Whether all that a server starts could be started together, if that was tried.
    pub start: Option<Result<(), StartProblem>>,
    /// Who else of this user has rings, as shown to an operator; looked for where locked memory ran out.
    pub ring_users: Vec<String>,
}

/// Why not all that a server starts could be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartProblem {
    /// Whether what is missing is memory that may be locked.
    pub is_locked_memory: bool,
    /// A sentence with its own next step.
    pub text: String,
}

/// Why there can be no data ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingProblem {
    /// A policy forbids it; the kernel's words. Which policy is found out here.
    Refused(String),
    /// No more memory may be locked, not even for a small ring; the kernel's words.
    LockedMemory(String),
    /// Anything else; a sentence with its own next step.
    Lacking(String),
}
