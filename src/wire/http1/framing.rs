//! How a message ends, and what it says about the connection: the same for requests and responses.

/// How the body behind the head is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    #[default]
    None,
    /// The body has exactly so many bytes, below 2^63.
    Length(u64),
    /// The body comes in chunks up to the last one.
    Chunked,
}

/// What an answer says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It says nothing: HTTP/1.1 goes on.
    Persist,
    /// `Connection: keep-alive`, which an HTTP/1.0 client expects if it asked for it.
    KeepAlive,
    /// `Connection: close`.
    Close,
}
