//! What the protocol knows of a message beside its bytes: its transport, its sender and its time.

use crate::wire::http1::{Field, FieldLines};

use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{OpenSession, Principal, SessionId, SessionToken};
use crate::mcp::time::UnixSeconds;

/// The `Mcp-Param-*` fields of a head. They are looked at only for tools that declare such headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParamHeaders<'a>(FieldLines<'a>);

impl<'a> ParamHeaders<'a> {
    /// The `Mcp-Param-*` fields among the fields of a head.
    pub fn new(lines: FieldLines<'a>) -> Self {
        Self(lines)
    }

    /// Finds the field of this whole name, in any case. Walks the head.
    pub(super) fn find(self, name: &str) -> Field<'a> {
        self.0.field(name)
    }
}

/// The request_context about a message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// How the message came.
    pub via: Via<'a>,
    /// The principal that sent it.
    pub principal: Principal,
    /// When the message was decoded.
    pub now: UnixSeconds,
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub enum Via<'a> {
    /// The message came as a request of HTTP, whose head repeats what the body says.
    Http(HttpHead<'a>),
    /// The message came on a channel, which carries messages both ways and has no heads.
    Channel(ChannelContext),
}

/// The fields of a request's HTTP head that the protocol looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpHead<'a> {
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
}

/// The request_context about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelContext {
    /// The token in whose name its requests are cancelled: that of its session once it has one.
    pub token: SessionToken,
    /// The session that `initialize` made on it.
    pub session: Option<OpenSession>,
}

impl<'a> RequestContext<'a> {
    /// The head, if it came with one.
    pub(super) fn head(&self) -> Option<&HttpHead<'a>> {
        match &self.via {
            Via::Http(head) => Some(head),
            Via::Channel(_) => None,
        }
    }

    /// The field of this whole name, in any case, if the message came with a head. Walks the head.
    pub fn header(&self, name: &str) -> Option<Field<'a>> {
        self.head().map(|head| head.params.find(name))
    }

    /// All fields, if the message came with a head.
    pub fn lines(&self) -> Option<FieldLines<'a>> {
        self.head().map(|head| head.params.0)
    }

    /// What the client has said of itself by `initialize`, if the message came with the id of its session, which was
    /// opened: a [`ClientText`](crate::registry::ClientText).
    pub fn client_text(&self) -> &'a [u8] {
        let id = self.head().and_then(|head| head.session_id.value());
        id.map_or(&[], SessionId::client_text)
    }

    /// The channel, if it came on one.
    pub(super) fn channel(&self) -> Option<&ChannelContext> {
        match &self.via {
            Via::Http(_) => None,
            Via::Channel(channel) => Some(channel),
        }
    }

    /// Whether the version header names a modern revision.
    pub(super) fn names_modern_revision(&self) -> bool {
        let named = self.head().and_then(|head| head.protocol_version.value());
        let named = named.and_then(Revision::parse);
        named.is_some_and(|revision| revision.era() == Era::Modern)
    }
}
