//! The answer to an operation that ended, as the client's revision has it.
//!
//! Everything is appended to the caller's buffer; parts that a revision does not know are replaced or left out here and
//! nowhere else.

use std::borrow::Cow;

use crate::jsonrpc::{Id, RequestId, write_json, write_kept_result_head, write_string};
use crate::metrics;
use crate::registry::{
    Caching, Completion, Meta, Operation, Outcome, Output, PromptOutput, ResourceInfo, StartError, ToolError,
    ToolOutput,
};

use crate::mcp::call::Ticket;
use crate::mcp::error::{
    write_internal_error, write_invalid_params, write_overload, write_resource_not_found, write_violations,
};
use crate::mcp::lists::cursor::Cursor;
use crate::mcp::lists::describe;
use crate::mcp::lists::prepared::{Listed, list_caching};
use crate::mcp::overload::Overload;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::revision::{Era, Revision};
use crate::mcp::writing::content::{write_block, write_content, write_structured};
use crate::mcp::writing::input_required::places_text;

impl Protocol {
    /// Appends the answer to an operation that ended. The status is 200, because HTTP has no interest in what user code
    /// returns; but a modern client that lacks a capability gets 400, as the specification says.
    pub fn answer(&self, ticket: &Ticket, outcome: &Outcome, out: &mut Vec<u8>) -> Reply {
        match outcome {
            Ok(Output::Tool(output)) => {
                let meta = output.meta_members();
                self.write_result(ticket.id(), ticket.revision(), meta, out, |out| {
                    out.extend_from_slice(br#""content":"#);
                    write_content(output, ticket.revision(), out);
                    write_structured(output, ticket.revision(), out);
                });
            }
            Ok(output) => self.write_feature_result(ticket, output, out),
            Err(error) if let Some(reply) = self.write_client_needed(ticket, error, out) => return reply,
            Err(error) if ticket.operation().tool().is_none() || is_clients_fault(error, ticket) => {
                return self.write_failure(ticket, error, out);
            }
            Err(error @ (ToolError::Panicked | ToolError::Internal(_) | ToolError::InputRequired)) => {
                write_internal_error(out, ticket.id().as_id(), &error.to_string());
            }
            Err(ToolError::UrlElicitationRequired(places)) => {
                let error = ToolError::Message(places_text(places));
                self.write_tool_result(ticket, true, out, |out| error.write_content(out));
            }
            Err(error) => self.write_tool_result(ticket, true, out, |out| error.write_content(out)),
        }
        Reply::answered().with_outcome(outcome_label(outcome))
    }

    /// Appends the answer to a tool's call that came to nothing but a text, without the text: that is to stand, as the
    /// inside of a JSON string, at the index which is returned.
    pub fn answer_around_text(&self, ticket: &Ticket, out: &mut Vec<u8>) -> (Reply, usize) {
        let mut at = 0;
        self.write_tool_result(ticket, false, out, |out| at = ToolOutput::write_around_text(out));
        (Reply::answered().with_outcome(metrics::Outcome::Ok), at)
    }

    /// Appends the answer to an operation whose result is streamed, without what is: that is to stand, as the inside of
    /// a JSON string, at the index which is returned.
    pub fn answer_around_source(
        &self,
        ticket: &Ticket,
        output: &Output,
        out: &mut Vec<u8>,
    ) -> (Reply, usize) {
        let (mut at, revision) = (0, ticket.revision());
        match output {
            Output::Tool(output) => {
                self.write_result(ticket.id(), revision, output.meta_members(), out, |out| {
                    out.extend_from_slice(br#""content":"#);
                    at = output.write_around_source(out);
                });
            }
            Output::Read(contents) => {
                let info = self.resource_of(ticket.operation());
                self.write_result(ticket.id(), revision, contents.meta_members(), out, |out| {
                    out.extend_from_slice(br#""contents":"#);
                    let has_meta = revision.has_item_meta();
                    at = contents.write_around_source(self.uri_of(ticket), info, has_meta, out);
                    write_caching(info.map(ResourceInfo::caching).unwrap_or_default(), revision, out);
                });
            }
            // Nothing else is streamed.
            Output::Resources(_) | Output::Prompt(_) | Output::Completion(_) => {
                at = out.len();
            }
        }
        (Reply::answered().with_outcome(metrics::Outcome::Ok), at)
    }

    /// Appends the answer to an operation that could not start. A tool since 2025-11-25 gives an `isError` result,
    /// which a model can act on; everything else, and every tool before, gives a protocol error.
    pub fn answer_start_error(&self, ticket: &Ticket, error: &StartError, out: &mut Vec<u8>) -> Reply {
        let StartError::Violations(violations) = error;
        match ticket.operation() {
            // A client that asked for a task expects a task or an error.
            Operation::Tool(_)
                if ticket.revision().has_argument_faults_as_results()
                    && !(ticket.is_task() && ticket.revision().has_requested_tasks()) =>
            {
                self.write_tool_result(ticket, true, out, |out| {
                    out.extend_from_slice(br#"[{"type":"text","text":"#);
                    write_string(out, &violations.text());
                    out.extend_from_slice(b"}]");
                });
                Reply::answered().with_outcome(metrics::Outcome::ToolError)
            }
            // No resource is at a URI that the function's type refuses.
            Operation::Template(_) => self.write_failure(ticket, &ToolError::not_found("not found"), out),
            _ => {
                write_violations(out, ticket.id().as_id(), violations);
                Reply::answered().with_outcome(metrics::Outcome::InvalidParams)
            }
        }
    }

    /// Appends the refusal of a call that found no handler, worker or memory: 503, to be retried.
    pub fn answer_overload(&self, ticket: &Ticket, overload: &Overload, out: &mut Vec<u8>) -> Reply {
        self.refuse(Some(ticket.id().as_id()), overload, out)
    }

    /// Appends the refusal of a request of which at most the id is known.
    pub fn refuse(&self, id: Option<Id<'_>>, overload: &Overload, out: &mut Vec<u8>) -> Reply {
        write_overload(out, id, overload);
        Reply::overloaded(overload)
    }

    /// The error of an operation that has no `isError` result.
    fn write_failure(&self, ticket: &Ticket, error: &ToolError, out: &mut Vec<u8>) -> Reply {
        let (id, era) = (ticket.id().as_id(), ticket.revision().era());
        let label = match (error, ticket.operation()) {
            (ToolError::NotFound(text), Operation::Resource(_) | Operation::Template(_)) => {
                write_resource_not_found(out, Some(id), era, self.uri_of(ticket), Some(text));
                match era {
                    Era::Legacy => metrics::Outcome::ResourceNotFound,
                    Era::Modern => metrics::Outcome::InvalidParams,
                }
            }
            (ToolError::NotFound(_) | ToolError::InvalidArguments(_), _) => {
                write_invalid_params(out, id, &error.to_string());
                metrics::Outcome::InvalidParams
            }
            (ToolError::TimedOut, _) => {
                write_internal_error(out, id, &error.to_string());
                metrics::Outcome::Timeout
            }
            (ToolError::Cancelled, _) => {
                write_internal_error(out, id, &error.to_string());
                metrics::Outcome::Cancelled
            }
            (ToolError::InvalidAnswer(_), _) => {
                write_invalid_params(out, id, &error.to_string());
                metrics::Outcome::InvalidParams
            }
            (
                ToolError::Message(_)
                | ToolError::Panicked
                | ToolError::Internal(_)
                | ToolError::InputRequired
                | ToolError::MissingCapability(_)
                | ToolError::UrlElicitationRequired(_),
                _,
            ) => {
                write_internal_error(out, id, &failure_text(error));
                metrics::Outcome::InternalError
            }
        };
        Reply::answered().with_outcome(label)
    }

    /// The URI that a resource's operation reads.
    pub(in crate::mcp) fn uri_of<'a>(&'a self, ticket: &'a Ticket) -> &'a str {
        match ticket.operation() {
            Operation::Resource(index) => self.registry().resource(index).address(),
            _ => ticket.uri().unwrap_or_default(),
        }
    }

    /// The description under which a resource's operation is registered.
    fn resource_of(&self, operation: Operation) -> Option<&ResourceInfo> {
        match operation {
            Operation::Resource(index) => Some(self.registry().resource(index)),
            Operation::Template(index) => Some(self.registry().template(index)),
            _ => None,
        }
    }

    fn write_feature_result(&self, ticket: &Ticket, output: &Output, out: &mut Vec<u8>) {
        let revision = ticket.revision();
        let meta = match output {
            Output::Read(contents) => contents.meta_members(),
            Output::Prompt(prompt) => &prompt.meta,
            Output::Tool(_) | Output::Resources(_) | Output::Completion(_) => &Meta::NONE,
        };
        self.write_result(ticket.id(), revision, meta, out, |out| match output {
            Output::Tool(_) => {}
            Output::Read(contents) => {
                let info = self.resource_of(ticket.operation());
                out.extend_from_slice(br#""contents":"#);
                contents.write_contents(self.uri_of(ticket), info, revision.has_item_meta(), out);
                write_caching(info.map(ResourceInfo::caching).unwrap_or_default(), revision, out);
            }
            Output::Resources(page) => {
                out.extend_from_slice(br#""resources":["#);
                if ticket.has_tail() {
                    out.extend_from_slice(self.lists().tail(revision));
                }
                for info in &page.resources {
                    write_json(&mut *out, &describe::resource(info, revision));
                    out.push(b',');
                }
                if out.last() == Some(&b',') {
                    out.pop();
                }
                out.push(b']');
                if let Some(next) = self.next_cursor(ticket.operation(), page.next.as_deref()) {
                    out.extend_from_slice(br#","nextCursor":"#);
                    write_string(out, &next);
                }
                write_caching(list_caching(Listed::Resources, self.registry()), revision, out);
            }
            Output::Prompt(prompt) => self.write_prompt(ticket, prompt, out),
            Output::Completion(completion) => {
                out.extend_from_slice(br#""completion":"#);
                write_json(&mut *out, completion);
            }
        });
    }

    fn write_prompt(&self, ticket: &Ticket, prompt: &PromptOutput, out: &mut Vec<u8>) {
        let registered = match ticket.operation() {
            Operation::Prompt(index) => self.registry().prompt(index).description(),
            _ => None,
        };
        if let Some(description) = prompt.description.as_deref().or(registered) {
            out.extend_from_slice(br#""description":"#);
            write_string(out, description);
            out.push(b',');
        }
        out.extend_from_slice(br#""messages":["#);
        for (at, message) in prompt.messages.iter().enumerate() {
            out.extend_from_slice(if at == 0 { br#"{"role":"# } else { br#",{"role":"# });
            write_json(&mut *out, &message.role);
            out.extend_from_slice(br#","content":"#);
            write_block(&message.content, ticket.revision(), out);
            out.push(b'}');
        }
        out.push(b']');
    }

    /// The place at which a list goes on behind one page of a lister: in the same lister, or in the next.
    fn next_cursor(&self, operation: Operation, next: Option<&str>) -> Option<String> {
        let Operation::ResourceList(lister) = operation else {
            return None;
        };
        let at = lister.as_usize();
        let cursor = match next.filter(|next| !next.is_empty()) {
            Some(next) => Cursor::Lister {
                at,
                after: Some(next),
            },
            None if at + 1 < self.registry().listers().len() => Cursor::Lister {
                at: at + 1,
                after: None,
            },
            None => return None,
        };
        Some(cursor.to_string())
    }

    /// Appends the answer to a completion for which nothing is registered.
    pub(in crate::mcp) fn write_no_completion(&self, id: Id<'_>, revision: Revision, out: &mut Vec<u8>) {
        self.write_result(&id.into(), revision, &Meta::NONE, out, |out| {
            out.extend_from_slice(br#""completion":"#);
            write_json(&mut *out, &Completion::all(Vec::new()));
        });
    }

    /// Appends a result with these members, at least one, and those that every result of the revision has.
    fn write_result(
        &self,
        id: &RequestId,
        revision: Revision,
        meta: &Meta,
        out: &mut Vec<u8>,
        write_members: impl FnOnce(&mut Vec<u8>),
    ) {
        let is_modern = revision.era() == Era::Modern;
        write_kept_result_head(out, id);
        out.push(b'{');
        if is_modern {
            out.extend_from_slice(br#""resultType":"complete","#);
        }
        write_members(out);
        if is_modern {
            out.extend_from_slice(br#","_meta":"#);
            out.extend_from_slice(self.lists().meta());
        }
        if !meta.is_empty() {
            write_more_meta(meta, is_modern, out);
        }
        out.extend_from_slice(b"}}");
    }

    fn write_tool_result(
        &self,
        ticket: &Ticket,
        is_error: bool,
        out: &mut Vec<u8>,
        write_content: impl FnOnce(&mut Vec<u8>),
    ) {
        self.write_result(ticket.id(), ticket.revision(), &Meta::NONE, out, |out| {
            out.extend_from_slice(br#""content":"#);
            write_content(out);
            if is_error {
                out.extend_from_slice(br#","isError":true"#);
            }
        });
    }
}

/// Appends a result's own `_meta`: behind the members of the server's, if that has just been written.
fn write_more_meta(meta: &Meta, has_servers: bool, out: &mut Vec<u8>) {
    if has_servers {
        out.pop();
    } else {
        out.extend_from_slice(br#","_meta":{"#);
    }
    for (at, (key, value)) in meta.members().enumerate() {
        if has_servers || at > 0 {
            out.push(b',');
        }
        write_string(out, key);
        out.push(b':');
        write_json(&mut *out, value);
    }
    out.push(b'}');
}

/// Whether the client is at fault for an answer that cannot be used. An answer that came with the request is one of its
/// parameters; one that came while the call ran is reported to the model.
fn is_clients_fault(error: &ToolError, ticket: &Ticket) -> bool {
    matches!(error, ToolError::InvalidAnswer(_))
        && ticket.revision().era() == Era::Modern
        && !ticket.is_task()
}

/// The text of a failure that a client reads: the author's own words, if they are meant for it.
pub(in crate::mcp) fn failure_text(error: &ToolError) -> Cow<'_, str> {
    match error {
        ToolError::Message(text) => Cow::Borrowed(text),
        ToolError::UrlElicitationRequired(places) => Cow::Owned(places_text(places)),
        ToolError::Panicked => Cow::Borrowed("the server failed unexpectedly"),
        other => Cow::Owned(other.to_string()),
    }
}

/// Since 2026-07-28 a result says how long it may be kept.
fn write_caching(caching: Caching, revision: Revision, out: &mut Vec<u8>) {
    if revision.era() == Era::Modern {
        out.extend_from_slice(br#","ttlMs":"#);
        out.extend_from_slice(itoa::Buffer::new().format(caching.ttl_ms()).as_bytes());
        out.extend_from_slice(br#","cacheScope":"#);
        write_string(out, caching.scope().as_str());
    }
}

fn outcome_label(outcome: &Outcome) -> metrics::Outcome {
    match outcome {
        Ok(_) => metrics::Outcome::Ok,
        Err(ToolError::TimedOut) => metrics::Outcome::Timeout,
        Err(ToolError::Cancelled) => metrics::Outcome::Cancelled,
        Err(ToolError::Panicked | ToolError::Internal(_) | ToolError::InputRequired) => {
            metrics::Outcome::InternalError
        }
        Err(_) => metrics::Outcome::ToolError,
    }
}
