//! What a child has to know of a call besides its text.

/// What a child has to know of a call besides its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTerms {
    /// Its tool runs as a task of the child's, and in no other way.
    pub needs_task: bool,
}

/// How the terms of callers are found out.
pub(super) type TermsOf<C> = fn(&C) -> CallTerms;
