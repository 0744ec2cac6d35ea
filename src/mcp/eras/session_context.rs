//! The context in which a legacy message is read: its revision, its session and its sender.
//!
//! The revision is that of the session; without a session, that of the header; without either, 2025-03-26 is assumed,
//! as the specification says. No message is ever given another's session.

use crate::registry::ClientCapabilities;
use crate::wire::http1::Field;

use crate::mcp::child_client::Sender;
use crate::mcp::error::Failure;
use crate::mcp::protocol::Protocol;
use crate::mcp::request_context::{ChannelContext, HttpHead, RequestContext, Via};
use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{OpenSession, Principal, SessionToken, Sessions};
use crate::mcp::task::TaskOwner;

/// What a request's head says about the conversation it belongs to.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Context {
    pub(in crate::mcp) revision: Revision,
    pub(in crate::mcp) capabilities: ClientCapabilities,
    pub(in crate::mcp) principal: Principal,
    pub(in crate::mcp) session: Option<OpenSession>,
    /// The session or channel in which its requests can be cancelled.
    pub(in crate::mcp) conversation: Option<SessionToken>,
    pub(in crate::mcp) is_on_channel: bool,
}

/// What a message's head, or its channel, says about session and version.
pub(in crate::mcp) fn context<'s>(
    protocol: &Protocol,
    request_context: &RequestContext<'_>,
    sessions: &dyn Sessions,
) -> Result<Context, Failure<'s>> {
    let head = match &request_context.via {
        Via::Http(head) => head,
        Via::Channel(channel) => return context_of_channel(protocol, request_context, channel),
    };
    let header = header_revision(head)?;
    match head.session_id {
        Field::One(id) => {
            let open = sessions
                .open(id, request_context.principal, request_context.now)
                .ok_or(Failure::SessionUnknown)?;
            // Clients only SHOULD send the negotiated version, and some send another supported one: the session decides
            // (MCP 2025-11-25, Transports, Protocol Version Header).
            Ok(Context::of_session(open, request_context))
        }
        Field::Repeated => Err(Failure::VersionHeader("Mcp-Session-Id is sent more than once")),
        Field::Absent if protocol.options().require_session => Err(Failure::SessionRequired),
        Field::Absent => Ok(Context::without_session(header, request_context)),
    }
}

/// A channel's session is the one that was initialized on it.
fn context_of_channel<'s>(
    protocol: &Protocol,
    request_context: &RequestContext<'_>,
    channel: &ChannelContext,
) -> Result<Context, Failure<'s>> {
    match channel.session {
        Some(open) => Ok(Context::of_session(open, request_context)),
        None if protocol.options().require_session => Err(Failure::SessionRequired),
        None => Ok(Context {
            conversation: Some(channel.token),
            ..Context::without_session(None, request_context)
        }),
    }
}

impl Context {
    /// What it shows of the client.
    pub(in crate::mcp) fn sender(&self) -> Sender {
        Sender {
            principal: self.principal,
            conversation: self.conversation,
            is_on_channel: self.is_on_channel,
            revision: self.revision,
            capabilities: self.capabilities,
        }
    }

    /// The owner of the tasks that its requests are about.
    pub(in crate::mcp) fn task_owner(&self) -> TaskOwner {
        TaskOwner {
            principal: self.principal,
            session: self.conversation,
            era: Era::Legacy,
        }
    }

    fn of_session(open: OpenSession, request_context: &RequestContext<'_>) -> Self {
        Self {
            revision: open.session.revision,
            capabilities: open.session.capabilities,
            principal: request_context.principal,
            session: Some(open),
            conversation: Some(open.token),
            is_on_channel: request_context.channel().is_some(),
        }
    }

    fn without_session(header: Option<Revision>, request_context: &RequestContext<'_>) -> Self {
        Self {
            revision: header.unwrap_or(Revision::ASSUMED),
            capabilities: ClientCapabilities::NONE,
            principal: request_context.principal,
            session: None,
            conversation: None,
            is_on_channel: request_context.channel().is_some(),
        }
    }
}

pub(in crate::mcp) fn header_revision<'s>(head: &HttpHead<'_>) -> Result<Option<Revision>, Failure<'s>> {
    match head.protocol_version {
        Field::Absent => Ok(None),
        Field::Repeated => Err(Failure::VersionHeader(
            "MCP-Protocol-Version is sent more than once",
        )),
        Field::One(value) => match Revision::parse(value).filter(|revision| revision.era() == Era::Legacy) {
            Some(revision) => Ok(Some(revision)),
            None => Err(Failure::UnsupportedVersionHeader),
        },
    }
}
