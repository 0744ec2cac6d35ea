//! What is wrong with a request's bytes. It is always the peer's fault, and always ends the connection: after any of
//! these errors the start of the next request is unknown, or not worth finding.
//!
//! The texts are for the client: they name the rule and repeat nothing of what was sent.

use super::Status;

/// A request head that cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A CR without LF or an LF without CR (RFC 9112, section 2.2).
    #[error("every line must end in CRLF")]
    LineEnd,
    /// A NUL anywhere (RFC 9110, section 5.5).
    #[error("NUL in the request head")]
    Nul,
    /// More empty lines before the request line than are tolerated.
    #[error("too many empty lines before the request line")]
    EmptyLines,
    /// Not `method SP target SP version` (RFC 9112, section 3).
    #[error("malformed request line")]
    RequestLine,
    /// The request line is longer than its limit.
    #[error("request line too long")]
    RequestLineTooLong,
    /// The target is in none of the four forms, or in one its method does not go with (section 3.2).
    #[error("malformed request target")]
    Target,
    /// An HTTP version other than 1.x.
    #[error("only HTTP/1.1 and HTTP/1.0 are spoken here")]
    Version,
    /// The head is longer than its limit.
    #[error("request head too large")]
    HeadTooLarge,
    /// More header fields than the limit.
    #[error("too many header fields")]
    TooManyFields,
    /// A field line that is not `token ":" value`: folding, space before the colon, control characters.
    #[error("malformed header field")]
    FieldSyntax,
    /// No `Host` on HTTP/1.1 (RFC 9112, section 3.2).
    #[error("Host is missing")]
    HostMissing,
    /// More than one `Host`.
    #[error("Host occurs more than once")]
    HostRepeated,
    /// `Host` is not `host [":" port]`.
    #[error("Host is malformed")]
    HostMalformed,
    /// Both lengths at once, the classic means of request smuggling (RFC 9112, section 6.1).
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    LengthConflict,
    /// `Content-Length` is repeated, not a plain number, or past 2^63.
    #[error("Content-Length must be one decimal number")]
    ContentLength,
    /// `Transfer-Encoding` is repeated, malformed, does not end in `chunked`, or came with HTTP/1.0.
    #[error("Transfer-Encoding must be chunked, once, on HTTP/1.1")]
    TransferEncoding,
    /// A transfer coding before the final `chunked`.
    #[error("no transfer coding but chunked is implemented")]
    TransferCodingUnknown,
}

impl HeadError {
    /// The status to refuse with, before closing.
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
    /// A chunk-size line that breaks the grammar (RFC 9112, section 7.1).
    #[error("malformed chunk size line")]
    ChunkLine,
    /// Chunk data that is not followed by CRLF: the size was wrong.
    #[error("chunk data is not followed by CRLF")]
    ChunkEnd,
    /// A trailer that is not a field line.
    #[error("malformed trailer")]
    Trailer,
    /// More framing (sizes, extensions, trailers) than any honest sender needs.
    #[error("too much chunk framing")]
    FramingTooLarge,
    /// More data than the body limit, sent or announced.
    #[error("request body too large")]
    TooLarge,
}

impl BodyError {
    /// The status to refuse with, before closing.
    pub const fn status(self) -> Status {
        match self {
            BodyError::TooLarge => Status::ContentTooLarge,
            _ => Status::BadRequest,
        }
    }
}
