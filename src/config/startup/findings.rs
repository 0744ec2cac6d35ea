//! The findings about this machine.

use crate::config::host::Host;

/// The findings about this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Limits and figures.
    pub host: Host,
    /// Whether a ring with the flags and operations Weir uses can be made.
    pub io_uring: Result<(), RingProblem>,
    /// Whether everything that a server starts could be started together, if that was tried.
    pub start: Option<Result<(), StartProblem>>,
    /// Other processes of this user that have rings, as shown to an operator; they are looked for when locked memory
    /// ran out.
    pub ring_users: Vec<String>,
}

/// Why a server could not start everything together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartProblem {
    /// Whether there was too little memory that may be locked.
    pub is_locked_memory: bool,
    /// A sentence with its own next step.
    pub text: String,
}

/// Why there can be no data ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingProblem {
    /// A policy forbids the ring; the text is the kernel's. Which policy it is, is found out here.
    Refused(String),
    /// No more memory may be locked, not even for a small ring; the text is the kernel's.
    LockedMemory(String),
    /// Something else is missing; the text is a sentence with its own next step.
    Lacking(String),
}
