//! HTTP/1.1 messages, strictly: request heads in, chunked bodies in, response heads out (RFC 9110, RFC 9112).
//!
//! A request is read in three steps, each resumable where its bytes may come in pieces: [`HeadScanner`] finds
//! the end of the head, [`parse_head`] turns it into a [`Head`], and the body is `content-length` bytes or goes
//! through a [`ChunkDecoder`]. A request that leaves the end of its message in doubt is refused; nothing is repaired.
//! Deliberately absent: content codings, trailers' values, obsolete line folding, HTTP/0.9.
//! Invariant: a result depends on the bytes alone, never on how they were cut into pieces.

mod chunked;
mod date;
mod error;
mod field;
mod framing;
mod head;
mod response;
mod scan;
mod status;
#[cfg(test)]
mod tests;

pub use chunked::{BodyLimits, ChunkDecoder, Progress};
pub use date::DateCache;
pub use error::{BodyError, HeadError};
pub use field::{
    Field, FieldLines, FieldSet, Fields, LOWER_CASE_BIT, field_of_unparsed, is_name, is_token, split_list,
    trim_whitespace,
};
pub use framing::{BodyLength, Connection};
pub use head::{Expectation, Head, HeadLimits, Method, Version, parse_head, parse_head_with, parse_length};
pub use response::{
    CONTINUE, Cors, HEAD_RESERVE, OwnField, ResponseHead, UpgradeOffer, origin_value, write_bodyless,
    write_head_before, write_switching_protocols,
};
pub use scan::HeadScanner;
pub use status::Status;

pub use crate::units::{Authority, HostName};
