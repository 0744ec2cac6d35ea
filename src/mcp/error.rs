//! The one table from failures to JSON-RPC codes, kinds of answers and texts (2026-07-28, basic protocol, errors).
//!
//! An error repeats a peer's own text only where it helps (a method, a tool, a version), cut to a bounded length and
//! escaped as JSON. No error names files, addresses or source lines.

use std::borrow::Cow;
use std::time::Duration;

use crate::jsonrpc::{EnvelopeFault, Id, ParseError, write_error, write_error_with_data, write_string};
use crate::metrics;
use crate::registry::{ClientCapabilities, QuestionRequest, Violations};

use crate::mcp::overload::{Overload, OverloadReason};
use crate::mcp::reply::{Reply, ReplyKind};
use crate::mcp::revision::{Era, Revision};
use crate::mcp::unresumed::Unresumed;

/// Codes of JSON-RPC 2.0, of MCP and, outside the reserved range, our own.
mod code {
    pub(super) const PARSE_ERROR: i32 = -32700;
    pub(super) const INVALID_REQUEST: i32 = -32600;
    pub(super) const METHOD_NOT_FOUND: i32 = -32601;
    pub(super) const INVALID_PARAMS: i32 = -32602;
    pub(super) const INTERNAL_ERROR: i32 = -32603;
    /// Used up to 2025-11-25; since then the code is `INVALID_PARAMS`.
    pub(super) const RESOURCE_NOT_FOUND: i32 = -32002;
    pub(super) const HEADER_MISMATCH: i32 = -32020;
    pub(super) const MISSING_REQUIRED_CLIENT_CAPABILITY: i32 = -32021;
    pub(super) const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
    /// Used in 2025-11-25 only.
    pub(super) const URL_ELICITATION_REQUIRED: i32 = -32042;
    pub(super) const OVERLOADED: i32 = -31503;
}

/// The prefix of the name that a tool chose for a header that repeats an argument.
pub(super) const PARAM_HEADER_PREFIX: &str = "Mcp-Param-";

/// Bytes of a peer's own text that an error repeats. Tool names have at most 128.
const ECHO_BYTES_MAX: usize = 128;

/// Why a request is answered with an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure<'s> {
    /// The body is not a JSON text.
    Parse(ParseError),
    /// A string has half of a surrogate pair; `pointer` says where.
    Unrepresentable { unit: u16, pointer: &'s str },
    /// A number in an answer is beyond the range of a double; the text says where.
    NumberOutOfRange(&'static str),
    /// The body is JSON, but not a message.
    Envelope(EnvelopeFault),
    /// The body is an array where none is allowed, or one that is not a batch.
    Batch(BatchFault),
    /// The modern envelope lacks something; the text says what.
    ModernEnvelope(&'static str),
    /// A header differs from the body.
    HeaderMismatch {
        header: &'static str,
        what: &'static str,
    },
    /// The header that repeats an argument differs from it.
    ParamHeader { name: &'s str, what: &'static str },
    /// The modern version that the client named is not served.
    UnsupportedVersion { requested: &'s str },
    /// A response came where nobody asked anything.
    UnexpectedResponse,
    /// There is no such method in this era.
    MethodNotFound(&'s str),
    /// A parameter is missing or wrong; the text says which.
    Parameter(&'static str),
    /// There is no such tool.
    UnknownTool(&'s str),
    /// There is no such prompt.
    UnknownPrompt(&'s str),
    /// There is no resource at this URI.
    UnknownResource(&'s str),
    /// A header of a legacy request cannot be right.
    VersionHeader(&'static str),
    /// The version header of a legacy request names a version that is not served.
    UnsupportedVersionHeader,
    /// A legacy request has no session where one is required.
    SessionRequired,
    /// The session does not exist, has ended, has expired or is somebody else's.
    SessionUnknown,
    /// The message is larger than the limit; on HTTP admission refuses it.
    TooLarge,
    /// A POST for a channel does not say for which.
    ChannelUnnamed,
    /// The channel does not exist, is gone or is somebody else's.
    ChannelUnknown,
    /// The client sent a second `initialize` on a channel.
    Initialized,
    /// No session could be made just now.
    SessionUnavailable,
    /// This era does not use the HTTP method.
    HttpMethod,
    /// The stream would belong to no session.
    StreamNeedsSession,
    /// `Last-Event-ID` cannot be one of ours.
    EventId(&'static str),
    /// The session's stream already has a connection.
    StreamTaken,
    /// There is no room to remember what the client asked for.
    LiveFull,
    /// The client did not declare a capability that this needs (2026-07-28).
    MissingCapability(ClientCapabilities),
    /// There is no such task, or it is somebody else's, or it has expired.
    UnknownTask,
    /// The task to be cancelled is over; the text says how it ended.
    TaskEnded(&'static str),
    /// A tool whose calls are tasks was called without one (2025-11-25).
    TaskRequired,
    /// A tool whose calls are never tasks was called with one (2025-11-25).
    TaskForbidden,
}

/// The fault of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchFault {
    NotInThisRevision,
    Empty,
    TooLong { elements_max: usize },
    Initialize,
    Modern,
}

/// A failure, and what is needed to answer it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'s> {
    pub(super) id: Option<Id<'s>>,
    pub(super) era: Era,
    pub(super) failure: Failure<'s>,
}

/// A failure in the legacy era, or before the era matters.
pub(super) fn refused<'s>(id: Option<Id<'s>>, failure: Failure<'s>) -> Refused<'s> {
    Refused {
        id,
        era: Era::Legacy,
        failure,
    }
}

impl Refused<'_> {
    /// Appends the error and returns its kind.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Reply {
        let message = self.failure.message();
        let code = self.failure.code(self.era);
        match self.failure {
            Failure::UnsupportedVersion { requested } => {
                write_error_with_data(out, self.id, code, &message, |out| {
                    out.extend_from_slice(br#"{"supported":[""#);
                    out.extend_from_slice(Revision::V2026_07_28.as_str().as_bytes());
                    out.extend_from_slice(br#""],"requested":"#);
                    write_string(out, cut(requested));
                    out.push(b'}');
                });
            }
            Failure::UnsupportedVersionHeader => write_error_with_data(out, self.id, code, &message, |out| {
                out.extend_from_slice(br#"{"supported":["#);
                for (at, revision) in Revision::ALL.into_iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_string(out, revision.as_str());
                }
                out.extend_from_slice(b"]}");
            }),
            Failure::UnknownResource(uri) => write_resource_not_found(out, self.id, self.era, uri, None),
            Failure::MissingCapability(missing) => write_missing_capability(out, self.id, missing),
            Failure::LiveFull => {
                write_overload(out, self.id, &LIVE_FULL);
                return Reply::overloaded(&LIVE_FULL);
            }
            _ => write_error(out, self.id, code, &message),
        }
        Reply::with_body(self.failure.kind()).with_outcome(metrics::Outcome::from_error_code(code.into()))
    }

    /// Refuses a message that wants no answer, and must not get one: HTTP tells the kind by its status, and a channel
    /// tells nothing.
    pub(super) fn refuse_silently(&self) -> Reply {
        let code = self.failure.code(self.era);
        Reply::without_body(self.failure.kind()).with_outcome(metrics::Outcome::from_error_code(code.into()))
    }
}

impl Failure<'_> {
    fn code(&self, era: Era) -> i32 {
        match self {
            Self::Parse(ParseError::Syntax) => code::PARSE_ERROR,
            Self::Parse(ParseError::TooDeep | ParseError::TooManyValues | ParseError::Surrogate { .. })
            | Self::Unrepresentable { .. }
            | Self::NumberOutOfRange(_)
            | Self::Envelope(_)
            | Self::Batch(_)
            | Self::UnexpectedResponse
            | Self::VersionHeader(_)
            | Self::UnsupportedVersionHeader
            | Self::SessionRequired
            | Self::SessionUnknown
            | Self::ChannelUnnamed
            | Self::ChannelUnknown
            | Self::Initialized
            | Self::TooLarge
            | Self::HttpMethod
            | Self::StreamNeedsSession
            | Self::StreamTaken
            | Self::EventId(_) => code::INVALID_REQUEST,
            Self::ModernEnvelope(_)
            | Self::Parameter(_)
            | Self::UnknownTool(_)
            | Self::UnknownPrompt(_)
            | Self::UnknownTask
            | Self::TaskEnded(_) => code::INVALID_PARAMS,
            Self::MissingCapability(_) => code::MISSING_REQUIRED_CLIENT_CAPABILITY,
            Self::UnknownResource(_) => resource_not_found(era),
            Self::HeaderMismatch { .. } | Self::ParamHeader { .. } => code::HEADER_MISMATCH,
            Self::UnsupportedVersion { .. } => code::UNSUPPORTED_PROTOCOL_VERSION,
            // MCP 2025-11-25, tasks: -32601 under tool-level negotiation (MUST), though -32600 under errors (MAY).
            Self::MethodNotFound(_) | Self::TaskRequired | Self::TaskForbidden => code::METHOD_NOT_FOUND,
            Self::SessionUnavailable => code::INTERNAL_ERROR,
            Self::LiveFull => code::OVERLOADED,
        }
    }

    fn kind(&self) -> ReplyKind {
        match self {
            Self::MethodNotFound(_) => ReplyKind::MethodNotFound,
            Self::SessionUnknown | Self::ChannelUnknown => ReplyKind::Gone,
            Self::Parameter(_)
            | Self::UnknownTool(_)
            | Self::UnknownPrompt(_)
            | Self::UnknownResource(_)
            | Self::UnknownTask
            | Self::TaskEnded(_)
            | Self::TaskRequired
            | Self::TaskForbidden => ReplyKind::Answered,
            Self::SessionUnavailable | Self::LiveFull => ReplyKind::Unavailable,
            Self::HttpMethod | Self::StreamNeedsSession => ReplyKind::NotOffered,
            Self::StreamTaken => ReplyKind::StreamTaken,
            _ => ReplyKind::Invalid,
        }
    }

    pub(super) fn message(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Parse(error) => return error.to_string().into(),
            Self::Unrepresentable { unit, pointer } => {
                return format!(
                    "the string at {pointer:?} has the unpaired surrogate \\u{unit:04x}, which is not text"
                )
                .into();
            }
            Self::Envelope(fault) => return fault.to_string().into(),
            Self::HeaderMismatch { header, what } => {
                return format!("header {header} {what}").into();
            }
            Self::ParamHeader { name, what } => {
                return format!("header {}{} {what}", PARAM_HEADER_PREFIX, cut(name)).into();
            }
            Self::UnsupportedVersion { requested } => {
                let requested = cut(requested);
                return format!(
                    "protocol version {requested:?} is not supported; {}",
                    supported_text()
                )
                .into();
            }
            Self::UnsupportedVersionHeader => {
                return format!(
                    "MCP-Protocol-Version is not a supported version; {}",
                    supported_text()
                )
                .into();
            }
            Self::MethodNotFound(method) => return format!("no method {:?}", cut(method)).into(),
            Self::UnknownPrompt(name) => return format!("no prompt {:?}", cut(name)).into(),
            Self::UnknownResource(_) => "resource not found",
            Self::UnknownTool(name) => return format!("no tool {:?}", cut(name)).into(),
            Self::TaskEnded(status) => return format!("the task is {status} already").into(),
            Self::MissingCapability(missing) => return missing_capability_text(*missing).into(),
            Self::Batch(BatchFault::TooLong { elements_max }) => {
                return format!("a batch has at most {elements_max} messages").into();
            }
            Self::Batch(BatchFault::NotInThisRevision) => "this protocol revision has no batches",
            Self::Batch(BatchFault::Empty) => "the batch is empty",
            Self::Batch(BatchFault::Initialize) => "`initialize` cannot be part of a batch",
            Self::Batch(BatchFault::Modern) => "a request of 2026-07-28 cannot be part of a batch",
            Self::UnexpectedResponse => "this protocol revision has no responses from clients",
            Self::SessionRequired => "header Mcp-Session-Id is missing, or `initialize` on a channel",
            Self::TooLarge => "the message is larger than this server reads",
            Self::ChannelUnnamed => "the query must say once for which stream this is",
            Self::ChannelUnknown => "the stream is unknown or has ended; open another",
            Self::Initialized => "this connection has been initialized",
            Self::SessionUnknown => "the session is unknown or has ended; initialize again",
            Self::SessionUnavailable => "the session could not be made just now",
            Self::HttpMethod => "this protocol revision is served over POST only",
            Self::StreamTaken => "the session has its stream on another connection already",
            Self::StreamNeedsSession => "a stream belongs to a session; header Mcp-Session-Id is missing",
            Self::LiveFull => "there is no room to remember this",
            Self::UnknownTask => "no such task; it may have expired",
            Self::TaskRequired => "this tool runs as a task only",
            Self::TaskForbidden => "this tool does not run as a task",
            Self::ModernEnvelope(text)
            | Self::NumberOutOfRange(text)
            | Self::Parameter(text)
            | Self::VersionHeader(text)
            | Self::EventId(text) => text,
        };
        Cow::Borrowed(text)
    }
}

/// The versions that are served, as text.
fn supported_text() -> String {
    format!("supported are {}", Revision::ALL.map(Revision::as_str).join(", "))
}

/// The state of the sessions takes all the room there is for it; room becomes free as sessions end.
const LIVE_FULL: Overload = Overload {
    reason: OverloadReason::Memory,
    retry_after: Duration::from_secs(10),
    queue_depth: 0,
};

/// Appends the error for a client that lacks the capability to be asked.
pub(super) fn write_missing_capability(out: &mut Vec<u8>, id: Option<Id<'_>>, missing: ClientCapabilities) {
    let message = missing_capability_text(missing);
    let code = code::MISSING_REQUIRED_CLIENT_CAPABILITY;
    write_error_with_data(out, id, code, &message, |out| {
        out.extend_from_slice(br#"{"requiredCapabilities":"#);
        out.extend_from_slice(missing.to_json().to_string().as_bytes());
        out.push(b'}');
    });
}

fn missing_capability_text(missing: ClientCapabilities) -> String {
    format!("this needs a client with: {missing}")
}

/// Appends the error that sends the user to a URL first (2025-11-25).
pub(super) fn write_url_elicitation_required(out: &mut Vec<u8>, id: Id<'_>, places: &[QuestionRequest]) {
    let message = "the user has to open a URL first";
    write_error_with_data(out, Some(id), code::URL_ELICITATION_REQUIRED, message, |out| {
        out.extend_from_slice(br#"{"elicitations":["#);
        for (at, place) in places.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(place.params.to_string().as_bytes());
        }
        out.extend_from_slice(b"]}");
    });
}

/// The code for a resource that does not exist.
fn resource_not_found(era: Era) -> i32 {
    match era {
        Era::Legacy => code::RESOURCE_NOT_FOUND,
        Era::Modern => code::INVALID_PARAMS,
    }
}

/// Appends the error for a resource that does not exist, with the URI as the client sent it.
/// Appends the error, perhaps with what the author of a resource says about it.
pub(super) fn write_resource_not_found(
    out: &mut Vec<u8>,
    id: Option<Id<'_>>,
    era: Era,
    uri: &str,
    text: Option<&str>,
) {
    let mut message = Failure::UnknownResource(uri).message();
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        message = format!("{message}: {text}").into();
    }
    write_error_with_data(out, id, resource_not_found(era), &message, |out| {
        out.extend_from_slice(br#"{"uri":"#);
        write_string(out, uri);
        out.push(b'}');
    });
}

/// Appends the error for arguments that a function found it cannot serve.
pub(super) fn write_invalid_params(out: &mut Vec<u8>, id: Id<'_>, message: &str) {
    write_error(out, Some(id), code::INVALID_PARAMS, message);
}

/// Appends the answer to a call whose tool failed through no fault of its caller.
pub(super) fn write_internal_error(out: &mut Vec<u8>, id: Id<'_>, message: &str) {
    write_error(out, Some(id), code::INTERNAL_ERROR, message);
}

/// Appends the answer to a call that another program had and did not answer.
pub(super) fn write_server_fault(out: &mut Vec<u8>, id: Id<'_>, server: &str, reason: &str) {
    let message = format!("server {server:?} gave no answer: {reason}");
    write_error_with_data(out, Some(id), code::INTERNAL_ERROR, &message, |out| {
        out.extend_from_slice(br#"{"server":"#);
        write_string(out, server);
        out.extend_from_slice(br#","reason":"#);
        write_string(out, reason);
        out.push(b'}');
    });
}

/// Appends the error for a request that was to go on with a call of another program that does not.
pub(super) fn write_unresumed(out: &mut Vec<u8>, id: Id<'_>, why: Unresumed) {
    let message = format!("`params.requestState` {}", why.clause());
    write_error_with_data(out, Some(id), code::INVALID_PARAMS, &message, |out| {
        out.extend_from_slice(br#"{"reason":"#);
        write_string(out, why.name());
        out.push(b'}');
    });
}

/// Appends the protocol error for arguments that break the tool's schema; it names each place.
pub(super) fn write_violations(out: &mut Vec<u8>, id: Id<'_>, violations: &Violations) {
    write_error_with_data(out, Some(id), code::INVALID_PARAMS, &violations.text(), |out| {
        out.extend_from_slice(br#"{"violations":["#);
        for (at, violation) in violations.iter().enumerate() {
            out.extend_from_slice(if at == 0 { br#"{"path":"# } else { br#",{"path":"# });
            write_string(out, violation.path());
            out.extend_from_slice(br#","message":"#);
            write_string(out, violation.message());
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    });
}

/// Appends the overload error.
pub(super) fn write_overload(out: &mut Vec<u8>, id: Option<Id<'_>>, overload: &Overload) {
    write_overload_at(out, id, overload, None);
}

/// Appends the overload error of one server that is another program, with the reason why.
pub(super) fn write_server_overload(
    out: &mut Vec<u8>,
    id: Id<'_>,
    overload: &Overload,
    server_and_why: (&str, &str),
) {
    write_overload_at(out, Some(id), overload, Some(server_and_why));
}

fn write_overload_at(
    out: &mut Vec<u8>,
    id: Option<Id<'_>>,
    overload: &Overload,
    server_and_why: Option<(&str, &str)>,
) {
    let number = |out: &mut Vec<u8>, number: u64| {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    };
    write_error_with_data(
        out,
        id,
        code::OVERLOADED,
        "the server is busy; try again later",
        |out| {
            out.extend_from_slice(br#"{"retryAfterMs":"#);
            number(out, overload.retry_after_ms());
            out.extend_from_slice(br#","queueDepth":"#);
            number(out, overload.queue_depth as u64);
            out.extend_from_slice(br#","reason":"#);
            write_string(out, overload.reason.as_str());
            if let Some((server, why)) = server_and_why {
                out.extend_from_slice(br#","server":"#);
                write_string(out, server);
                out.extend_from_slice(br#","why":"#);
                write_string(out, why);
            }
            out.push(b'}');
        },
    );
}

/// At most `ECHO_BYTES_MAX` bytes of a peer's text.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(ECHO_BYTES_MAX))
        .unwrap_or_default()
}
