//! What a child has to know of a call besides its text.

use std::time::Instant;

/// What a child has to know of a call besides its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTerms {
    /// Its tool runs as a task of the child's, and in no other way.
    pub needs_task: bool,
    /// Since when its time runs, if that is not from when it is given to the child: another one had it before.
    pub began: Option<Instant>,
}

/// How the terms of callers are found out.
pub(super) type TermsOf<C> = fn(&C) -> CallTerms;
