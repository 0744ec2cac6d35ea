//! What of a request's HTTP head the protocol looks at.

use crate::wire::http1::{Field, Fields};

use super::revision::{Era, Revision};
use super::sessions::Principal;

/// Seconds since 1970, from the caller's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

/// Facts about one POST or DELETE.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpFacts<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Field<'a>,
    /// `Mcp-Method`.
    pub method: Field<'a>,
    /// `Mcp-Name`.
    pub name: Field<'a>,
    /// `Mcp-Session-Id`.
    pub session_id: Field<'a>,
    /// Who asks.
    pub principal: Principal,
    /// When the request was decoded.
    pub now: UnixSeconds,
}

impl<'a> HttpFacts<'a> {
    /// The facts of a request head.
    pub fn new(fields: &Fields<'a>, principal: Principal, now: UnixSeconds) -> Self {
        Self {
            protocol_version: fields.mcp_protocol_version,
            method: fields.mcp_method,
            name: fields.mcp_name,
            session_id: fields.mcp_session_id,
            principal,
            now,
        }
    }

    /// Whether the version header names a modern revision.
    pub(super) fn names_modern_revision(&self) -> bool {
        let named = self.protocol_version.value().and_then(Revision::parse);
        named.is_some_and(|revision| revision.era() == Era::Modern)
    }
}
