//! The two eras, each with its envelope and its rules.
//!
//! `modern` and `legacy` read requests; `batch`, `session_requests`, `get_stream` and `sse_post` are the legacy era's
//! alone. `unreadable` refuses what could not be read.

pub(in crate::mcp) mod batch;
pub(in crate::mcp) mod get_stream;
pub(in crate::mcp) mod input_responses;
pub(in crate::mcp) mod legacy;
pub(in crate::mcp) mod modern;
pub(in crate::mcp) mod routed;
pub(in crate::mcp) mod session_context;
pub(in crate::mcp) mod session_requests;
pub(in crate::mcp) mod sse_post;
pub(in crate::mcp) mod unreadable;
