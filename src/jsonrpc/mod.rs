//! JSON-RPC 2.0 messages on a parsed tape: bytes in, borrowed values out, answers appended to a buffer.
//!
//! Each body takes one `simd-json` pass, on storage that is reused and gives large allocations back; or none, if it has
//! the names and the nesting of one before (`known_structures`). This layer knows nothing of MCP: `mcp` decides which
//! methods exist, what their parameters mean and which code a fault maps to.
//! Deliberately absent: streaming parses, arbitrary-precision numbers. An integer that fits neither `i64` nor `u64`
//! becomes the nearest double; a number beyond the range of a double becomes an infinite one, which its reader refuses
//! by name.
//!
//! The parser refuses some valid JSON texts. They get a second look, which is slow and tells which limit they exceed
//! (`walk`); where they stay refused, the answer's id is found without a parse (`outline`). Messages that come as lines
//! are told apart by `lines`.
//!
//! Invariant: the peer's bytes are never modified (strings are unescaped in the scratch's own copy), so that a
//! request that has to wait can be decoded again elsewhere.

mod edits;
mod elements;
mod envelope;
mod id;
mod known_structures;
mod lines;
mod members;
mod outline;
mod parse_error;
mod prescan;
mod scratch;
mod span;
mod string;
mod value;
mod walk;
mod write;

pub use edits::Edits;
pub use elements::{ElementSpan, element_spans};
pub use envelope::{EnvelopeFault, Malformed, Message, Notification, Request, Response, echoable};
pub use id::{Id, RequestId};
pub use lines::{LineProgress, Lines};
pub use members::{Member, members, places_without};
pub use outline::{Outline, OutlineScanner, Shape};
pub use parse_error::{DEPTH_MAX, ParseError, VALUES_MAX};
pub use scratch::{Document, Scratch};
pub use span::{Span, plain_text};
pub use string::{escaped_bytes, write_string, write_string_part};
pub use value::Value;
pub use walk::{NotJson, Step, Token, Walk, number_text, pointer_to};
pub use write::{
    write_error, write_error_with_data, write_json, write_kept_result_head, write_result, write_result_head,
};
