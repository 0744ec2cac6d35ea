//! The legacy era, up to 2025-11-25: `initialize`, sessions, and HTTP 200 for JSON-RPC errors.
//!
//! A request's revision is its session's; without a session, the header's; without either, 2025-03-26 is assumed
//! as the specification says. Sessions are optional unless the operator requires them, and one request is never
//! given another's.

use crate::jsonrpc::{Request, Value, write_result};
use crate::wire::http1::Field;

use super::capabilities::ClientCapabilities;
use super::error::Failure;
use super::facts::HttpFacts;
use super::features::{Asked, Asker};
use super::params::members;
use super::protocol::{Protocol, Reply, Routed};
use super::revision::{Era, Revision};
use super::sessions::{EndSession, Session, Sessions};

pub(super) const INITIALIZE: &str = "initialize";

/// What a request's head says about the conversation it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) revision: Revision,
    pub(super) capabilities: ClientCapabilities,
}

/// Answers control, or hands out a call.
pub(super) fn request<'s>(
    protocol: &Protocol,
    facts: &HttpFacts<'_>,
    request: &Request<'_, 's>,
    sessions: &dyn Sessions,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'s>> {
    if request.method == INITIALIZE {
        return initialize(protocol, facts, request, sessions, out).map(Routed::Reply);
    }
    let context = context(protocol, facts, sessions)?;
    dispatch(protocol, context, request, out)
}

/// The same within a context that is known: for requests but `initialize`, single or in a batch.
pub(super) fn dispatch<'s>(
    protocol: &Protocol,
    context: Context,
    request: &Request<'_, 's>,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'s>> {
    if request.method == "ping" {
        write_result(out, request.id, b"{}");
        return Ok(Routed::Reply(Reply::with_body(200)));
    }
    let asker = Asker {
        id: request.id,
        revision: context.revision,
        capabilities: context.capabilities,
    };
    Asked::read(protocol, request)?.route(protocol, asker, out)
}

/// Reads session and version from the head.
pub(super) fn context<'s>(
    protocol: &Protocol,
    facts: &HttpFacts<'_>,
    sessions: &dyn Sessions,
) -> Result<Context, Failure<'s>> {
    let header = header_revision(facts)?;
    match facts.session_id {
        Field::One(id) => {
            let session = sessions
                .open(id, facts.principal, facts.now)
                .ok_or(Failure::SessionUnknown)?;
            if header.is_some_and(|revision| revision != session.revision) {
                return Err(Failure::VersionHeader(
                    "MCP-Protocol-Version differs from the session's",
                ));
            }
            Ok(Context {
                revision: session.revision,
                capabilities: session.capabilities,
            })
        }
        Field::Repeated => Err(Failure::VersionHeader("Mcp-Session-Id is sent more than once")),
        Field::Absent if protocol.options().require_session => Err(Failure::SessionRequired),
        Field::Absent => Ok(Context {
            revision: header.unwrap_or(Revision::ASSUMED),
            capabilities: ClientCapabilities::NONE,
        }),
    }
}

/// Ends the session a DELETE names.
pub(super) fn end_session<'s>(
    facts: &HttpFacts<'_>,
    sessions: &dyn Sessions,
) -> Result<EndSession, Failure<'s>> {
    header_revision(facts)?;
    match facts.session_id {
        Field::One(id) => Ok(sessions.end(id, facts.principal, facts.now)),
        Field::Repeated => Err(Failure::VersionHeader("Mcp-Session-Id is sent more than once")),
        Field::Absent => Err(Failure::SessionRequired),
    }
}

fn initialize<'s>(
    protocol: &Protocol,
    facts: &HttpFacts<'_>,
    request: &Request<'_, 's>,
    sessions: &dyn Sessions,
    out: &mut Vec<u8>,
) -> Result<Reply, Failure<'s>> {
    header_revision(facts)?;
    let [version, capabilities, client_info] =
        members(request.params, ["protocolVersion", "capabilities", "clientInfo"])?;
    let version = version
        .and_then(Value::as_str)
        .ok_or(Failure::Parameter("`params.protocolVersion` must be a string"))?;
    if capabilities.is_some_and(|value| !value.is_object()) {
        return Err(Failure::Parameter("`params.capabilities` must be an object"));
    }
    if client_info.is_some_and(|value| !value.is_object()) {
        return Err(Failure::Parameter("`params.clientInfo` must be an object"));
    }
    let session = Session {
        revision: negotiated(version),
        capabilities: capabilities.map_or(ClientCapabilities::NONE, ClientCapabilities::read),
        principal: facts.principal,
    };
    let id = sessions
        .mint(&session, facts.now)
        .map_err(|_| Failure::SessionUnavailable)?;
    write_result(out, request.id, protocol.lists().initialize(session.revision));
    Ok(Reply {
        session: Some(id),
        ..Reply::with_body(200)
    })
}

/// The asked revision if `initialize` can give it, else the newest that it can.
fn negotiated(asked: &str) -> Revision {
    Revision::parse(asked.as_bytes())
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::NEWEST_LEGACY)
}

fn header_revision<'s>(facts: &HttpFacts<'_>) -> Result<Option<Revision>, Failure<'s>> {
    match facts.protocol_version {
        Field::Absent => Ok(None),
        Field::Repeated => Err(Failure::VersionHeader(
            "MCP-Protocol-Version is sent more than once",
        )),
        Field::One(value) => match Revision::parse(value).filter(|revision| revision.era() == Era::Legacy) {
            Some(revision) => Ok(Some(revision)),
            None => Err(Failure::VersionHeader(
                "MCP-Protocol-Version is not a supported version",
            )),
        },
    }
}
