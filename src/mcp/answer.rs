//! What becomes of an operation that ended: its answer in the words of its revision.
//!
//! Everything is appended to the caller's buffer; what a revision does not know is replaced or left out here and
//! nowhere else.

use serde::Serialize;

use crate::jsonrpc::{Id, write_result_head, write_string};
use crate::metrics;
use crate::registry::{Content, ContentBlock, Outcome, Output, StartError, ToolError, ToolOutput};

use super::call::Ticket;
use super::error::{write_internal_error, write_overload, write_violations};
use super::overload::Overload;
use super::protocol::{Protocol, Reply};
use super::revision::{Era, Revision};

impl Protocol {
    /// Appends the answer to an operation that ended. The status is always 200: what a tool says is not HTTP's affair.
    pub fn answer(&self, ticket: &Ticket, outcome: &Outcome, out: &mut Vec<u8>) -> Reply {
        match outcome {
            Ok(Output::Tool(output)) => self.write_tool_result(ticket, false, out, |out| {
                write_content(output, ticket.revision(), out);
                write_structured(output, ticket.revision(), out);
            }),
            Err(error @ (ToolError::Panicked | ToolError::Internal(_))) => {
                write_internal_error(out, ticket.id().as_id(), &error.to_string());
            }
            Err(error) => self.write_tool_result(ticket, true, out, |out| error.write_content(out)),
        }
        Reply::with_body(200).with_outcome(outcome_label(outcome))
    }

    /// Appends the answer to a call that could not start: an `isError` result that a model can act on since
    /// 2025-11-25, a protocol error before.
    pub fn answer_start_error(&self, ticket: &Ticket, error: &StartError, out: &mut Vec<u8>) -> Reply {
        match error {
            StartError::Violations(violations) if ticket.revision().has_argument_faults_as_results() => {
                self.write_tool_result(ticket, true, out, |out| {
                    out.extend_from_slice(br#"[{"type":"text","text":"#);
                    write_string(out, &violations.text());
                    out.extend_from_slice(b"}]");
                });
                Reply::with_body(200).with_outcome(metrics::Outcome::ToolError)
            }
            StartError::Violations(violations) => {
                write_violations(out, ticket.id().as_id(), violations);
                Reply::with_body(200).with_outcome(metrics::Outcome::InvalidParams)
            }
        }
    }

    /// Appends the refusal of a call that found no handler, worker or memory: 503, to be retried.
    pub fn answer_overload(&self, ticket: &Ticket, overload: &Overload, out: &mut Vec<u8>) -> Reply {
        self.refuse(Some(ticket.id().as_id()), overload, out)
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
        let is_modern = ticket.revision().era() == Era::Modern;
        write_result_head(out, ticket.id().as_id());
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
