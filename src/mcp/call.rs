//! One `tools/call`: checked, waiting for a handler, started, answered.
//!
//! [`Work`] borrows the scratch it was decoded in and is short-lived: it is started at once or dropped, and then
//! decoded again when a handler is free. [`Ticket`] is what outlives it: all that an answer needs.

use serde::Serialize;
use simd_json::tape;

use crate::jsonrpc::{Document, Id, RequestId, Value, write_result_head, write_string};
use crate::metrics;
use crate::registry::{
    CallContext, Content, ContentBlock, Outcome, ShardTools, StartError, Started, ToolError, ToolIndex,
    ToolOutput,
};

use super::capabilities::ClientCapabilities;
use super::error::{Failure, write_internal_error, write_overload, write_violations};
use super::overload::Overload;
use super::params::members;
use super::protocol::{Protocol, Reply};
use super::revision::{Era, Revision};

/// The parameters of `tools/call`.
pub(super) struct CallParams<'s> {
    pub(super) name: &'s str,
}

impl<'s> CallParams<'s> {
    /// `arguments` may be absent or `null`, as several clients send it.
    pub(super) fn read(params: Option<Value<'_, 's>>) -> Result<Self, Failure<'s>> {
        let [name, arguments] = members(params, ["name", "arguments"])?;
        let name = name
            .and_then(Value::as_str)
            .ok_or(Failure::Parameter("`params.name` must be a tool's name"))?;
        match arguments.is_none_or(|value| value.is_null() || value.is_object()) {
            true => Ok(Self { name }),
            false => Err(Failure::Parameter("`params.arguments` must be an object")),
        }
    }
}

/// What is known of a call once it passed every check but its tool's own.
pub(super) struct Call<'s> {
    pub(super) id: Id<'s>,
    pub(super) tool: ToolIndex,
    pub(super) revision: Revision,
    pub(super) capabilities: ClientCapabilities,
}

/// A `tools/call` that passed all checks of envelope and headers and was not started yet.
#[must_use = "dropped work leaves its request without an answer"]
pub struct Work<'s> {
    document: Document<'s>,
    call: Call<'s>,
}

impl<'s> Work<'s> {
    pub(super) fn new(document: Document<'s>, call: Call<'s>) -> Self {
        Self { document, call }
    }

    /// The request's id.
    pub fn id(&self) -> Id<'s> {
        self.call.id
    }

    /// The tool that is called.
    pub fn tool(&self) -> ToolIndex {
        self.call.tool
    }

    /// The revision the client speaks.
    pub fn revision(&self) -> Revision {
        self.call.revision
    }

    /// What the client can do when asked.
    pub fn capabilities(&self) -> ClientCapabilities {
        self.call.capabilities
    }

    /// The arguments, always an object; none if there were none.
    pub fn arguments(&self) -> Option<tape::Value<'_, 's>> {
        // Decoding saw to it that each stands once, and that the arguments are an object or `null`.
        let params = self.document.tape().as_object()?.get("params")?;
        let arguments = params.as_object()?.get("arguments")?;
        arguments.is_object().then_some(arguments)
    }

    /// What answering needs after this is gone. Allocates only for an id of more than 46 bytes.
    pub fn ticket(&self) -> Ticket {
        Ticket {
            id: self.call.id.into(),
            revision: self.call.revision,
            tool: self.call.tool,
        }
    }

    /// Checks the arguments without starting the call.
    ///
    /// # Errors
    /// When they break the tool's schema; answered by [`Protocol::answer_start_error`].
    pub fn check(&self, tools: &ShardTools) -> Result<(), StartError> {
        tools.check(self.call.tool, self.arguments())
    }

    /// Checks the arguments and starts the call.
    ///
    /// # Errors
    /// When the arguments break the tool's schema; answered by [`Protocol::answer_start_error`].
    pub fn start(&self, tools: &ShardTools, context: CallContext) -> Result<Started, StartError> {
        tools.start(self.call.tool, self.arguments(), context)
    }
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("id", &self.call.id)
            .field("tool", &self.call.tool)
            .field("revision", &self.call.revision)
            .finish_non_exhaustive()
    }
}

/// What is needed to answer a call when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: RequestId,
    revision: Revision,
    tool: ToolIndex,
}

impl Ticket {
    /// The request's id.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The revision to answer in.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The tool that was called.
    pub fn tool(&self) -> ToolIndex {
        self.tool
    }
}

impl Protocol {
    /// Appends the answer to a call that ended. The status is always 200: what a tool says is not HTTP's affair.
    pub fn answer(&self, ticket: &Ticket, outcome: &Outcome, out: &mut Vec<u8>) -> Reply {
        match outcome {
            Ok(output) => self.write_tool_result(ticket, false, out, |out| {
                write_content(output, ticket.revision, out);
                write_structured(output, ticket.revision, out);
            }),
            Err(error @ (ToolError::Panicked | ToolError::Internal(_))) => {
                write_internal_error(out, ticket.id.as_id(), &error.to_string());
            }
            Err(error) => self.write_tool_result(ticket, true, out, |out| error.write_content(out)),
        }
        Reply::with_body(200).with_outcome(outcome_label(outcome))
    }

    /// Appends the answer to a call that could not start: an `isError` result that a model can act on since
    /// 2025-11-25, a protocol error before.
    pub fn answer_start_error(&self, ticket: &Ticket, error: &StartError, out: &mut Vec<u8>) -> Reply {
        match error {
            StartError::Violations(violations) if ticket.revision.has_argument_faults_as_results() => {
                self.write_tool_result(ticket, true, out, |out| {
                    out.extend_from_slice(br#"[{"type":"text","text":"#);
                    write_string(out, &violations.text());
                    out.extend_from_slice(b"}]");
                });
                Reply::with_body(200).with_outcome(metrics::Outcome::ToolError)
            }
            StartError::Violations(violations) => {
                write_violations(out, ticket.id.as_id(), violations);
                Reply::with_body(200).with_outcome(metrics::Outcome::InvalidParams)
            }
        }
    }

    /// Appends the refusal of a call that found no handler, worker or memory: 503, to be retried.
    pub fn answer_overload(&self, ticket: &Ticket, overload: &Overload, out: &mut Vec<u8>) -> Reply {
        self.refuse(Some(ticket.id.as_id()), overload, out)
    }

    /// Appends the refusal of a request of which no more than its id, if that, is known.
    pub fn refuse(&self, id: Option<Id<'_>>, overload: &Overload, out: &mut Vec<u8>) -> Reply {
        write_overload(out, id, overload);
        Reply::overloaded(overload)
    }

    fn write_tool_result(
        &self,
        ticket: &Ticket,
        is_error: bool,
        out: &mut Vec<u8>,
        write_content: impl FnOnce(&mut Vec<u8>),
    ) {
        let is_modern = ticket.revision.era() == Era::Modern;
        write_result_head(out, ticket.id.as_id());
        out.push(b'{');
        if is_modern {
            out.extend_from_slice(br#""resultType":"complete","#);
        }
        out.extend_from_slice(br#""content":"#);
        write_content(out);
        if is_error {
            out.extend_from_slice(br#","isError":true"#);
        }
        if is_modern {
            out.extend_from_slice(br#","_meta":"#);
            out.extend_from_slice(self.lists().meta());
        }
        out.extend_from_slice(b"}}");
    }
}

fn outcome_label(outcome: &Outcome) -> metrics::Outcome {
    match outcome {
        Ok(_) => metrics::Outcome::Ok,
        Err(ToolError::TimedOut) => metrics::Outcome::Timeout,
        Err(ToolError::Cancelled) => metrics::Outcome::Cancelled,
        Err(ToolError::Panicked | ToolError::Internal(_)) => metrics::Outcome::InternalError,
        Err(_) => metrics::Outcome::ToolError,
    }
}

/// The content blocks, those the revision does not know replaced by a line of text.
fn write_content(output: &ToolOutput, revision: Revision, out: &mut Vec<u8>) {
    match output.content() {
        Content::Blocks(blocks) if blocks.iter().any(|block| !is_known(block, revision)) => {
            for (at, block) in blocks.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                match stand_in(block, revision) {
                    Some(text) => write_json(out, &ContentBlock::text(text)),
                    None => write_json(out, block),
                }
            }
            out.push(b']');
        }
        _ => output.write_content(out),
    }
}

fn is_known(block: &ContentBlock, revision: Revision) -> bool {
    stand_in(block, revision).is_none()
}

/// What a client of an older revision reads instead of a block it cannot know.
fn stand_in(block: &ContentBlock, revision: Revision) -> Option<String> {
    match block {
        ContentBlock::Audio { mime_type, .. } if !revision.has_audio() => {
            Some(format!("[audio, {mime_type}]"))
        }
        ContentBlock::ResourceLink { uri, name, .. } if !revision.has_resource_links() => {
            Some(format!("{name}: {uri}"))
        }
        _ => None,
    }
}

fn write_structured(output: &ToolOutput, revision: Revision, out: &mut Vec<u8>) {
    let is_offered = |value: &serde_json::Value| {
        revision.has_any_structured_result() || revision.has_structured_results() && value.is_object()
    };
    if output.structured_content().is_some_and(is_offered) {
        out.extend_from_slice(br#","structuredContent":"#);
        output.write_structured(out);
    }
}

/// Writing to a `Vec` cannot fail, and neither can content blocks.
fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    let _ = serde_json::to_writer(out, value);
}
