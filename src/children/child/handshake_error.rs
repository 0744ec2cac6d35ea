//! How a handshake with a child fails.

/// Why a child cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It answered the request of this method with an error.
    #[error("it refused `{0}`: {1}")]
    Refused(&'static str, String),
    /// The call that was to make it warm has failed.
    #[error("its call for warmth failed: the tool says that it has an error")]
    Warmup,
    /// It speaks no revision that is spoken here.
    #[error("it speaks revision {0:?}, which is not supported")]
    Revision(String),
    /// The answer to `initialize` lacks something.
    #[error("the answer to `initialize` is malformed: {0}")]
    Malformed(&'static str),
    /// The answer to `server/discover` is none of the modern era.
    #[error("the answer to `server/discover` is not one of 2026-07-28: {0}")]
    NotModern(&'static str),
}
