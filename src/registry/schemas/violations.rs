//! The faults of a call's arguments, in a form that a model can act on.
//!
//! Their number and bytes are bounded, whatever a peer sends: the answer to a huge request stays small, and a value is
//! never echoed.

use std::fmt;

/// Violations named one by one; the others are counted.
pub(super) const VIOLATIONS_MAX: usize = 16;
/// Bytes of one path or message, chosen so that 16 of each fit a handler's 16 KiB buffer twice.
pub(super) const TEXT_BYTES_MAX: usize = 256;

/// One place where arguments break the tool's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    path: String,
    message: String,
}

impl Violation {
    /// A violation at a JSON pointer (RFC 6901); empty is the arguments object itself. Overlong texts are cut.
    pub(in crate::registry) fn new(path: &str, message: &str) -> Self {
        Self {
            path: cut(path),
            message: cut(message),
        }
    }

    /// The JSON pointer of the failing value within the arguments.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The fault there.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// All places where arguments break the tool's schema, the first few by name. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations {
    named: Vec<Violation>,
    more: usize,
    more_is_exact: bool,
}

impl Violations {
    pub(in crate::registry) fn one(violation: Violation) -> Self {
        Self {
            named: vec![violation],
            more: 0,
            more_is_exact: true,
        }
    }

    /// Names the first of `found` and counts the rest; afterwards `is_complete` says whether that was all. `None` if
    /// none was found.
    pub(super) fn first_of(
        found: impl Iterator<Item = Violation>,
        is_complete: impl FnOnce() -> bool,
    ) -> Option<Self> {
        let mut found = found.fuse();
        let named: Vec<Violation> = found.by_ref().take(VIOLATIONS_MAX).collect();
        let violations = Self {
            more: found.count(),
            more_is_exact: is_complete(),
            named,
        };
        (!violations.named.is_empty()).then_some(violations)
    }

    /// The named violations, in document order where the schema allows.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.named.iter()
    }

    /// The number of further violations; at least that many if the search was given up.
    pub fn more(&self) -> usize {
        self.more
    }

    /// The violations as one text of at most about 8 KiB, for an `isError` result.
    pub fn text(&self) -> String {
        self.to_string()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid arguments: ")?;
        for (at, violation) in self.named.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        match (self.more, self.more_is_exact) {
            (0, true) => Ok(()),
            (0, false) => f.write_str("; perhaps more"),
            (more, true) => write!(f, "; and {more} more"),
            (more, false) => write!(f, "; and at least {more} more"),
        }
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX - "…".len());
    format!("{}…", &text[..end])
}
