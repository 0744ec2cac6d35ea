//! The modern era, 2026-07-28: every request carries its envelope, headers repeat it, and nothing is remembered.
//!
//! The checks run in the order of the reference server, so that a request with several faults is told of the same one:
//! version, envelope, method, parameters, headers, tool.

use crate::jsonrpc::{Id, Notification, Request, Value, write_result};
use crate::registry::{ClientCapabilities, ClientPlaces, LogLevel, Operation};

use crate::mcp::call::{Brought, CLIENT_INFO_KEY, Call, Requester};
use crate::mcp::child_client::Sender;
use crate::mcp::eras::input_responses;
use crate::mcp::eras::routed::Routed;
use crate::mcp::eras::session_requests;
use crate::mcp::error::Failure;
use crate::mcp::features::listen::{self, LISTEN, Listener};
use crate::mcp::features::methods::{FeatureRequest, Found};
use crate::mcp::headers::Mirrored;
use crate::mcp::param_headers;
use crate::mcp::params::{self, members, present};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::Revision;
use crate::mcp::state::State;
use crate::mcp::task::TaskOwner;
use crate::mcp::tasks;

/// The method that only this era has, and that a client without an envelope may try first.
pub(in crate::mcp) const DISCOVER: &str = "server/discover";

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
const PROGRESS_TOKEN_KEY: &str = "progressToken";

/// What a request says about itself in `_meta`, and the parameters that are the same for every method.
struct Envelope<'t, 's> {
    capabilities: ClientCapabilities,
    log_level: Option<LogLevel>,
    progress_token: Option<Id<'s>>,
    /// The client's name and version.
    client: ClientPlaces,
    input_responses: Option<Value<'t, 's>>,
    request_state: Option<Value<'t, 's>>,
}

/// Whether any `_meta` of these parameters names a protocol version, of whatever type.
pub(in crate::mcp) fn claims_version(params: Value<'_, '_>) -> bool {
    params
        .members()
        .any(|(name, value)| name == "_meta" && value.member(VERSION_KEY).is_some())
}

/// Answers control, or hands out a call.
pub(in crate::mcp) fn request<'p, 's: 'p>(
    protocol: &'p Protocol,
    request_context: &RequestContext<'_>,
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'p>> {
    let envelope = envelope(request_context, request)?;
    if request.method == DISCOVER {
        Mirrored::Method.check_in(request_context, request.method)?;
        write_result(out, request.id, protocol.lists().discover());
        return Ok(Routed::Reply(Reply::answered()));
    }
    if request.method == LISTEN && listen::is_offered(protocol) {
        Mirrored::Method.check_in(request_context, request.method)?;
        let listener = Listener {
            owner: TaskOwner::modern(request_context),
            sender: Sender {
                principal: request_context.principal,
                conversation: request_context.channel().map(|channel| channel.token),
                is_on_channel: request_context.channel().is_some(),
                revision: Revision::V2026_07_28,
                capabilities: envelope.capabilities,
            },
            heads: request_context,
        };
        let listen = listen::listen(protocol, request, &listener, state, out)?;
        return Ok(Routed::Listen(Box::new(listen)));
    }
    if protocol.lists().makes_tasks()
        && let Some(asked) = tasks::ModernRequest::named(request.method)
    {
        let reply = asked.answer(
            protocol,
            request_context,
            request,
            envelope.capabilities,
            state,
            out,
        );
        return reply.map(Routed::Reply);
    }
    let feature = FeatureRequest::read(protocol, request)?;
    Mirrored::Method.check_in(request_context, request.method)?;
    if let Some(name) = feature.name() {
        Mirrored::Name.check_in(request_context, name)?;
    }
    let requester = Requester {
        id: request.id,
        revision: Revision::V2026_07_28,
        capabilities: envelope.capabilities,
        principal: request_context.principal,
        conversation: request_context.channel().map(|channel| channel.token),
        is_on_channel: request_context.channel().is_some(),
        progress_token: envelope.progress_token,
        client: envelope.client,
        has_meta: true,
        log_level: envelope.log_level,
        has_stream: true,
    };
    match feature.find(protocol, requester, out)? {
        Found::Call(call) => {
            checked(protocol, request_context, request, &envelope, call, state).map(Routed::Call)
        }
        Found::Reply(reply) => Ok(Routed::Reply(reply)),
    }
}

/// A call with the parts that a client adds to it for some tools, and in later rounds.
fn checked<'p, 's: 'p>(
    protocol: &'p Protocol,
    request_context: &RequestContext<'_>,
    request: &Request<'_, 's>,
    envelope: &Envelope<'_, 's>,
    mut call: Call<'s>,
    state: &dyn State,
) -> Result<Call<'s>, Failure<'p>> {
    if let (Operation::Tool(tool), Some(head)) = (call.operation, request_context.head()) {
        let tool = protocol.registry().tool(tool);
        if !tool.param_headers().is_empty() {
            let [arguments] = members(request.params, ["arguments"])?;
            param_headers::check(tool, head.params, arguments)?;
        }
    }
    if envelope.input_responses.is_some() || envelope.request_state.is_some() {
        let (responses, sealed) = (envelope.input_responses, envelope.request_state);
        let now = request_context.now;
        // Another program reads for itself what its client has brought back.
        if protocol.registry().server_of(call.operation).is_some() {
            let resumed = input_responses::resumed(&call, request.params, sealed, state, now)?;
            call.brought = resumed.map(Brought::Resumed).map(Box::new);
        } else {
            let answers = input_responses::read(&call, request.params, responses, sealed, state, now)?;
            call.brought = answers.map(Brought::Answers).map(Box::new);
        }
    }
    tasks::ask_first(protocol, &mut call);
    Ok(call)
}

/// Acts on a notification, if it is accepted. The specification prescribes no header for notifications but the version.
pub(in crate::mcp) fn notification<'s>(
    request_context: &RequestContext<'_>,
    notification: &Notification<'_, 's>,
    state: &dyn State,
) -> Result<(), Failure<'s>> {
    check_notification(request_context, notification.params)?;
    if let Some(channel) = request_context.channel() {
        session_requests::cancel(channel.token, notification, state);
    }
    Ok(())
}

fn check_notification<'s>(
    request_context: &RequestContext<'_>,
    params: Option<Value<'_, 's>>,
) -> Result<(), Failure<'s>> {
    match params.filter(|params| claims_version(*params)) {
        Some(_) => {
            let [meta] = members(params, ["_meta"])?;
            let [version] = members(meta, [VERSION_KEY])?;
            check_version(request_context, version)
        }
        None => Ok(()),
    }
}

/// Checks the version and `_meta`.
fn envelope<'t, 's>(
    request_context: &RequestContext<'_>,
    request: &Request<'t, 's>,
) -> Result<Envelope<'t, 's>, Failure<'s>> {
    let [meta, input_responses, request_state] =
        members(request.params, ["_meta", "inputResponses", "requestState"])?;
    let [version, capabilities, client_info, log_level, progress_token] = members(
        meta,
        [
            VERSION_KEY,
            CAPABILITIES_KEY,
            CLIENT_INFO_KEY,
            LOG_LEVEL_KEY,
            PROGRESS_TOKEN_KEY,
        ],
    )?;
    check_version(request_context, version)?;
    let capabilities = capabilities
        .filter(|value| value.is_object())
        .ok_or(Failure::ModernEnvelope(
            "`params._meta` must have the object `io.modelcontextprotocol/clientCapabilities`",
        ))?;
    let client = present(client_info).map(|client| implementation(client, request.text));
    if client == Some(None) {
        return Err(Failure::ModernEnvelope(
            "`io.modelcontextprotocol/clientInfo` must have a name and a version",
        ));
    }
    let log_level = present(log_level).map(|value| value.as_str().and_then(LogLevel::parse));
    if log_level == Some(None) {
        return Err(Failure::ModernEnvelope(
            "`io.modelcontextprotocol/logLevel` is not a log level",
        ));
    }
    let progress_token = present(progress_token).map(|token| params::progress_token(token, request.text));
    if progress_token == Some(None) {
        return Err(Failure::ModernEnvelope(
            "`progressToken` must be a string or an integer",
        ));
    }
    Ok(Envelope {
        capabilities: ClientCapabilities::read(capabilities),
        log_level: log_level.flatten(),
        progress_token: progress_token.flatten(),
        client: client.flatten().unwrap_or_default(),
        input_responses: present(input_responses),
        request_state: present(request_state),
    })
}

fn check_version<'s>(
    request_context: &RequestContext<'_>,
    claimed: Option<Value<'_, 's>>,
) -> Result<(), Failure<'s>> {
    let claimed = claimed.and_then(Value::as_str).ok_or(Failure::ModernEnvelope(
        "`params._meta` must have the string `io.modelcontextprotocol/protocolVersion`",
    ))?;
    Mirrored::ProtocolVersion.check_in(request_context, claimed)?;
    if claimed == Revision::V2026_07_28.as_str() {
        Ok(())
    } else {
        Err(Failure::UnsupportedVersion { requested: claimed })
    }
}

/// The places of the name and version of an `Implementation` in its message.
fn implementation(value: Value<'_, '_>, message: &[u8]) -> Option<ClientPlaces> {
    let text = |name| value.member(name).and_then(Value::as_str);
    Some(ClientPlaces::of(message, text("name")?, text("version")?))
}
