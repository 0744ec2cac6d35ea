//! What is registered, written once for every revision, and what is announced when it changes.

pub(in crate::mcp) mod announce;
pub(in crate::mcp) mod cursor;
pub(in crate::mcp) mod describe;
pub(in crate::mcp) mod prepared;
