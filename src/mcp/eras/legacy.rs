//! The legacy era, up to 2025-11-25: `initialize`, sessions, and HTTP 200 for JSON-RPC errors.
//!
//! A request has the revision of its session; without a session, that of the header; without either, 2025-03-26 is
//! assumed, as the specification says. Sessions are optional unless the operator requires them, and no request is ever
//! given another's session.

use crate::jsonrpc::{Id, Request, Value, write_result};
use crate::registry::{ClientCapabilities, ClientPlaces, ClientText, LogLevel};
use crate::wire::http1::Field;

use crate::mcp::call::Requester;
use crate::mcp::child_client::Heads;
use crate::mcp::eras::routed::Routed;
use crate::mcp::eras::session_context::{Context, context, header_revision};
use crate::mcp::eras::session_requests;
use crate::mcp::error::Failure;
use crate::mcp::features::methods::FeatureRequest;
use crate::mcp::params::{self, members, present};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{EndSession, Session, Sessions};
use crate::mcp::state::State;
use crate::mcp::tasks;

pub(in crate::mcp) const INITIALIZE: &str = "initialize";

/// Answers control, or hands out a call.
pub(in crate::mcp) fn request<'s>(
    protocol: &Protocol,
    request_context: &RequestContext<'_>,
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'s>> {
    if request.method == INITIALIZE {
        return initialize(protocol, request_context, request, state, out).map(Routed::Reply);
    }
    let context = context(protocol, request_context, state)?;
    dispatch(
        protocol,
        (context, Heads::Of(request_context)),
        request,
        state,
        out,
    )
}

/// Does the same within a known context, for requests other than `initialize`, single or in a batch.
pub(in crate::mcp) fn dispatch<'s>(
    protocol: &Protocol,
    (context, heads): (Context, Heads<'_>),
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'s>> {
    if request.method == "ping" || session_requests::request(protocol, (context, heads), request, state)? {
        write_result(out, request.id, b"{}");
        return Ok(Routed::Reply(Reply::answered()));
    }
    if context.revision.has_requested_tasks()
        && let Some(routed) = tasks::legacy_request(
            protocol,
            context.task_owner(),
            context.revision,
            request,
            state,
            out,
        )
    {
        return routed.map(Routed::from);
    }
    call(protocol, context, request, out)
}

/// Does the same for the methods of the features, which need nothing remembered.
pub(in crate::mcp) fn call<'s>(
    protocol: &Protocol,
    context: Context,
    request: &Request<'_, 's>,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'s>> {
    let feature = FeatureRequest::read(protocol, request)?;
    let [meta] = members(request.params, ["_meta"])?;
    let requester = Requester {
        id: request.id,
        revision: context.revision,
        capabilities: context.capabilities,
        principal: context.principal,
        conversation: context.conversation,
        is_on_channel: context.is_on_channel,
        progress_token: progress_token(request, meta)?,
        // It has said so by `initialize`.
        client: ClientPlaces::UNSAID,
        has_meta: meta.is_some(),
        // The level that the session set is looked up when the call logs something.
        log_level: Some(LogLevel::Debug),
        has_stream: true,
    };
    feature.find(protocol, requester, out).map(Routed::from)
}

/// `_meta.progressToken`; `null` counts as absent.
fn progress_token<'s>(
    request: &Request<'_, 's>,
    meta: Option<Value<'_, 's>>,
) -> Result<Option<Id<'s>>, Failure<'s>> {
    let [token] = members(meta, ["progressToken"])?;
    match present(token) {
        None => Ok(None),
        Some(token) => params::progress_token(token, request.text)
            .map(Some)
            .ok_or(Failure::Parameter(
                "`progressToken` must be a string or an integer",
            )),
    }
}

/// Ends the session a DELETE names.
pub(in crate::mcp) fn end_session<'s>(
    request_context: &RequestContext<'_>,
    sessions: &dyn Sessions,
) -> Result<EndSession, Failure<'s>> {
    let head = request_context.head().ok_or(Failure::HttpMethod)?;
    header_revision(head)?;
    match head.session_id {
        Field::One(id) => Ok(sessions.end(id, request_context.principal, request_context.now)),
        Field::Repeated => Err(Failure::VersionHeader("Mcp-Session-Id is sent more than once")),
        Field::Absent => Err(Failure::SessionRequired),
    }
}

fn initialize<'s>(
    protocol: &Protocol,
    request_context: &RequestContext<'_>,
    request: &Request<'_, 's>,
    sessions: &dyn Sessions,
    out: &mut Vec<u8>,
) -> Result<Reply, Failure<'s>> {
    if request_context
        .channel()
        .is_some_and(|channel| channel.session.is_some())
    {
        return Err(Failure::Initialized);
    }
    let [version, capabilities, client_info] =
        members(request.params, ["protocolVersion", "capabilities", "clientInfo"])?;
    let (capabilities, client_info) = (present(capabilities), present(client_info));
    let version = version
        .and_then(Value::as_str)
        .ok_or(Failure::Parameter("`params.protocolVersion` must be a string"))?;
    if capabilities.is_some_and(|value| !value.is_object()) {
        return Err(Failure::Parameter("`params.capabilities` must be an object"));
    }
    if client_info.is_some_and(|value| !value.is_object()) {
        return Err(Failure::Parameter("`params.clientInfo` must be an object"));
    }
    let revision = negotiated(version);
    let declared = capabilities.map_or(ClientCapabilities::NONE, ClientCapabilities::read);
    let session = Session {
        revision,
        capabilities: usable(declared, revision),
        principal: request_context.principal,
    };
    let id = sessions
        .mint(&session, &introduced(client_info), request_context.now)
        .map_err(|_| Failure::SessionUnavailable)?;
    write_result(out, request.id, protocol.lists().initialize(session.revision));
    Ok(Reply {
        session: Some(Box::new(id)),
        ..Reply::answered()
    })
}

/// What `clientInfo` says, as far as it says anything: nothing depends on it.
fn introduced(client_info: Option<Value<'_, '_>>) -> ClientText {
    let text = |name| client_info?.member(name)?.as_str();
    let named = text("name").map(|name| ClientText::of(name, text("version")));
    named.unwrap_or(ClientText::NONE)
}

/// The declared capabilities that the revision has, and those that the revision takes for granted.
fn usable(declared: ClientCapabilities, revision: Revision) -> ClientCapabilities {
    type Can = ClientCapabilities;
    let elicits = declared.contains(Can::ELICITATION_FORM) || declared.contains(Can::ELICITATION_URL);
    let samples = declared.contains(Can::SAMPLING);
    let usable = [
        (Can::ROOTS, declared.contains(Can::ROOTS)),
        // Hosts declare the extension in every revision.
        (Can::APPS, declared.contains(Can::APPS)),
        (Can::SAMPLING, samples),
        (
            Can::SAMPLING_TOOLS,
            revision.has_sampling_tools() && declared.contains(Can::SAMPLING_TOOLS),
        ),
        // Tools in sampling are a capability of their own since they exist.
        (
            Can::SAMPLING_CONTEXT,
            samples && !revision.has_sampling_tools() || declared.contains(Can::SAMPLING_CONTEXT),
        ),
        // In revisions without modes, any declaration of elicitation means forms.
        (
            Can::ELICITATION_FORM,
            revision.has_elicitation() && elicits && !revision.has_elicitation_modes()
                || revision.has_elicitation_modes() && declared.contains(Can::ELICITATION_FORM),
        ),
        (
            Can::ELICITATION_URL,
            revision.has_elicitation_modes() && declared.contains(Can::ELICITATION_URL),
        ),
    ];
    let usable = usable.into_iter().filter(|(_, is_usable)| *is_usable);
    usable.fold(Can::NONE, |all, (one, _)| all.with(one))
}

/// The requested revision if `initialize` can negotiate it, else the newest that it can.
fn negotiated(asked: &str) -> Revision {
    Revision::parse(asked.as_bytes())
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::NEWEST_LEGACY)
}
