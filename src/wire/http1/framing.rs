//! How a message ends, and what it says of the connection: the same for requests and responses.

/// How the body behind the head is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// No body.
    None,
    /// Exactly so many bytes, below 2^63.
    Length(u64),
    /// Chunks up to the last one.
    Chunked,
}

/// What the answer says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing: HTTP/1.1 goes on.
    Persist,
    /// `Connection: keep-alive`, which an HTTP/1.0 client that asked for it needs to hear.
    KeepAlive,
    /// `Connection: close`.
    Close,
}
