//! Whether a modern child tells of changes, which it does only to who listens.

use std::time::Instant;

/// Whether a child was asked to tell of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Listening {
    #[default]
    No,
    /// Under this id.
    Open(u64),
    /// The child has ended it then.
    Ended(Instant),
}

impl Listening {
    /// Whether it is open under this id.
    pub(super) fn is_at(self, id: u64) -> bool {
        self == Listening::Open(id)
    }
}
