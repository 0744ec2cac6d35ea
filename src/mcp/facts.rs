//! What of a request's HTTP head the protocol looks at.

use crate::wire::http1::{Field, FieldLines, Head};

use super::revision::{Era, Revision};
use super::sessions::Principal;

/// Seconds since 1970, from the caller's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

/// `Mcp-Param-*`: whatever a head has of them. Looked at only for tools that ask for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParamHeaders<'a>(FieldLines<'a>);

impl<'a> ParamHeaders<'a> {
    /// Those among the fields of a head.
    pub fn new(lines: FieldLines<'a>) -> Self {
        Self(lines)
    }

    /// The field of this whole name, in any case. Walks the head.
    pub(super) fn find(self, name: &str) -> Field<'a> {
        self.0.field(name)
    }
}

/// Facts about one request of HTTP.
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
    /// `Last-Event-ID`.
    pub last_event_id: Field<'a>,
    /// `Mcp-Param-*`.
    pub params: ParamHeaders<'a>,
    /// Who asks.
    pub principal: Principal,
    /// When the request was decoded.
    pub now: UnixSeconds,
}

impl<'a> HttpFacts<'a> {
    /// The facts of a request head.
    pub fn new(head: &Head<'a>, principal: Principal, now: UnixSeconds) -> Self {
        let fields = &head.fields;
        Self {
            protocol_version: fields.mcp_protocol_version,
            method: fields.mcp_method,
            name: fields.mcp_name,
            session_id: fields.mcp_session_id,
            last_event_id: fields.last_event_id,
            params: ParamHeaders::new(head.lines()),
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
