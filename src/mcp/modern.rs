//! The modern era, 2026-07-28: every request carries its envelope, headers repeat it, nothing is remembered.
//!
//! Checks in the order of the reference server, so that of several faults the same one is named: version,
//! envelope, method, parameters, headers, tool.

use crate::jsonrpc::{Request, Value, write_result};

use super::capabilities::ClientCapabilities;
use super::error::Failure;
use super::facts::HttpFacts;
use super::features::{Asked, Asker};
use super::headers::Mirrored;
use super::params::members;
use super::protocol::{Protocol, Reply, Routed};
use super::revision::Revision;

/// The method that only this era has, and that a client without an envelope may try first.
pub(super) const DISCOVER: &str = "server/discover";

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO_KEY: &str = "io.modelcontextprotocol/clientInfo";
const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
const PROGRESS_TOKEN_KEY: &str = "progressToken";

/// RFC 5424 by way of MCP's `LoggingLevel`.
const LOG_LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// Whether any `_meta` of these parameters names a protocol version, of whatever type.
pub(super) fn claims_version(params: Value<'_, '_>) -> bool {
    params
        .members()
        .any(|(name, value)| name == "_meta" && value.member(VERSION_KEY).is_some())
}

/// Answers control, or hands out a call.
pub(super) fn request<'s>(
    protocol: &Protocol,
    facts: &HttpFacts<'_>,
    request: &Request<'_, 's>,
    out: &mut Vec<u8>,
) -> Result<Routed<'s>, Failure<'s>> {
    let capabilities = envelope(facts, request.params)?;
    if request.method == DISCOVER {
        Mirrored::Method.check(facts.method, request.method)?;
        write_result(out, request.id, protocol.lists().discover());
        return Ok(Routed::Reply(Reply::with_body(200)));
    }
    let asked = Asked::read(protocol, request)?;
    Mirrored::Method.check(facts.method, request.method)?;
    if let Some(name) = asked.name() {
        Mirrored::Name.check(facts.name, name)?;
    }
    let asker = Asker {
        id: request.id,
        revision: Revision::V2026_07_28,
        capabilities,
    };
    asked.route(protocol, asker, out)
}

/// Whether a notification is accepted. Headers are not prescribed for them, beyond the version.
pub(super) fn notification<'s>(
    facts: &HttpFacts<'_>,
    params: Option<Value<'_, 's>>,
) -> Result<(), Failure<'s>> {
    match params.filter(|params| claims_version(*params)) {
        Some(_) => {
            let [meta] = members(params, ["_meta"])?;
            let [version] = members(meta, [VERSION_KEY])?;
            check_version(facts, version)
        }
        None => Ok(()),
    }
}

/// Checks the version and `_meta`; gives what the client can do.
fn envelope<'s>(
    facts: &HttpFacts<'_>,
    params: Option<Value<'_, 's>>,
) -> Result<ClientCapabilities, Failure<'s>> {
    let [meta] = members(params, ["_meta"])?;
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
    check_version(facts, version)?;
    let capabilities = capabilities
        .filter(|value| value.is_object())
        .ok_or(Failure::ModernEnvelope(
            "`params._meta` must have the object `io.modelcontextprotocol/clientCapabilities`",
        ))?;
    if client_info.is_some_and(|value| !is_implementation(value)) {
        return Err(Failure::ModernEnvelope(
            "`io.modelcontextprotocol/clientInfo` must have a name and a version",
        ));
    }
    if log_level.is_some_and(|value| !value.as_str().is_some_and(|level| LOG_LEVELS.contains(&level))) {
        return Err(Failure::ModernEnvelope(
            "`io.modelcontextprotocol/logLevel` is not a log level",
        ));
    }
    if progress_token.is_some_and(|value| value.as_id().is_none()) {
        return Err(Failure::ModernEnvelope(
            "`progressToken` must be a string or an integer",
        ));
    }
    Ok(ClientCapabilities::read(capabilities))
}

fn check_version<'s>(facts: &HttpFacts<'_>, claimed: Option<Value<'_, 's>>) -> Result<(), Failure<'s>> {
    let claimed = claimed.and_then(Value::as_str).ok_or(Failure::ModernEnvelope(
        "`params._meta` must have the string `io.modelcontextprotocol/protocolVersion`",
    ))?;
    Mirrored::ProtocolVersion.check(facts.protocol_version, claimed)?;
    match claimed == Revision::V2026_07_28.as_str() {
        true => Ok(()),
        false => Err(Failure::UnsupportedVersion { requested: claimed }),
    }
}

fn is_implementation(value: Value<'_, '_>) -> bool {
    let is_text = |name| value.member(name).is_some_and(|value| value.as_str().is_some());
    is_text("name") && is_text("version")
}
