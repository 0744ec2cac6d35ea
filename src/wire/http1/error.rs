//! The faults of a request's bytes. They are always the peer's, and always end the connection: after any of these
//! errors the start of the next request is unknown, or not worth finding.
//!
//! The messages are for the client: they name the rule and repeat nothing that was sent.

use super::Status;

/// A request head that cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A CR is without LF, or an LF without CR (RFC 9112, section 2.2).
    #[error("every line must end in CRLF")]
    LineEnd,
    /// There is a NUL (RFC 9110, section 5.5).
    #[error("NUL in the request head")]
    Nul,
    /// There are more empty lines before the request line than are tolerated.
    #[error("too many empty lines before the request line")]
    EmptyLines,
    /// The line is not `method SP target SP version` (RFC 9112, section 3).
    #[error("malformed request line")]
    RequestLine,
    /// The request line is longer than its limit.
    #[error("request line too long")]
    RequestLineTooLong,
    /// The target has none of the four forms, or one that its method does not allow (section 3.2).
    #[error("malformed request target")]
    Target,
    /// The HTTP version is not 1.x.
    #[error("this server speaks only HTTP/1.1 and HTTP/1.0")]
    Version,
    /// The head is longer than its limit.
    #[error("request head too large")]
    HeadTooLarge,
    /// There are more header fields than the limit.
    #[error("too many header fields")]
    TooManyFields,
    /// A field line is not `token ":" value`: folding, space before the colon, control characters.
    #[error("malformed header field")]
    FieldSyntax,
    /// `Host` is missing on HTTP/1.1 (RFC 9112, section 3.2).
    #[error("Host is missing")]
    HostMissing,
    /// There is more than one `Host`.
    #[error("Host occurs more than once")]
    HostRepeated,
    /// `Host` is not `host [":" port]`.
    #[error("Host is malformed")]
    HostMalformed,
    /// Both lengths are there, the classic means of request smuggling (RFC 9112, section 6.1).
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    LengthConflict,
    /// `Content-Length` is repeated, not a plain number, or past 2^63.
    #[error("Content-Length must be one decimal number")]
    ContentLength,
    /// `Transfer-Encoding` is repeated, malformed, does not end in `chunked`, or came with HTTP/1.0.
    #[error("Transfer-Encoding must be chunked, once, on HTTP/1.1")]
    TransferEncoding,
    /// There is a transfer coding before the final `chunked`.
    #[error("no transfer coding but chunked is implemented")]
    TransferCodingUnknown,
}

impl HeadError {
    /// The status with which the request is refused before the connection is closed.
    pub const fn status(self) -> Status {
        match self {
            HeadError::RequestLineTooLong => Status::UriTooLong,
            HeadError::HeadTooLarge | HeadError::TooManyFields => Status::RequestHeaderFieldsTooLarge,
            HeadError::Version => Status::HttpVersionNotSupported,
            HeadError::TransferCodingUnknown => Status::NotImplemented,
            _ => Status::BadRequest,
        }
    }
}

/// A chunked body that cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A chunk-size line breaks the grammar (RFC 9112, section 7.1).
    #[error("malformed chunk size line")]
    ChunkLine,
    /// No CRLF follows the chunk's data: the size was wrong.
    #[error("chunk data is not followed by CRLF")]
    ChunkEnd,
    /// A trailer is not a field line.
    #[error("malformed trailer")]
    Trailer,
    /// There is more framing (sizes, extensions, trailers) than any honest sender needs.
    #[error("too much chunk framing")]
    FramingTooLarge,
    /// There is more data than the body limit, sent or announced.
    #[error("request body too large")]
    TooLarge,
}

impl BodyError {
    /// The status with which the request is refused before the connection is closed.
    pub const fn status(self) -> Status {
        match self {
            BodyError::TooLarge => Status::ContentTooLarge,
            _ => Status::BadRequest,
        }
    }
}
