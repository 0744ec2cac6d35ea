//! Lists of what is registered, written once for every revision, and the announcements of changes to them.

pub(in crate::mcp) mod announce;
pub(in crate::mcp) mod cursor;
pub(in crate::mcp) mod describe;
mod foreign;
pub(in crate::mcp) mod has;
pub(in crate::mcp) mod introduction;
pub(in crate::mcp) mod prepared;
