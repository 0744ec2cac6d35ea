//! How a handshake with a child fails.

/// Why a child cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It answered `initialize` with an error.
    #[error("it refused `initialize`: {0}")]
    Refused(String),
    /// It speaks no revision that is spoken here.
    #[error("it speaks revision {0:?}, which is not supported")]
    Revision(String),
    /// The answer lacks something.
    #[error("the answer to `initialize` is malformed: {0}")]
    Malformed(&'static str),
}
