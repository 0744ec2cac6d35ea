//! The end of a task: the answer that its call would have had, and whether that is a success.
//!
//! The eras disagree: in 2025-11-25 a tool's own error fails its task, since 2026-07-28 only a JSON-RPC error does.

use crate::jsonrpc::{Id, members};
use crate::mcp::call::Ticket;
use crate::mcp::error::{write_internal_error, write_overload};
use crate::mcp::overload::{Overload, OverloadReason};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::revision::Era;
use crate::mcp::writing::answer::failure_text;
use crate::metrics;
use crate::registry::{Outcome, ToolError};

use crate::mcp::task::{TaskEnd, TaskEnding, TaskId, TaskStatus};
use crate::mcp::writing::related_task::write_related;

/// The id in answers of which only the contents are wanted.
const ANY_ID: Id<'static> = Id::Unsigned(0);

/// Bytes of an error's text that a task's status repeats.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Why a task fails that is not done when it is to be forgotten.
const OUT_OF_TIME: &str = "the task was not done within its time to live; a longer one is asked for by the client (`ttl`), \
                           or set by the tool (`task_ttl`) or the server (`--task-ttl`)";

impl Protocol {
    /// The end of a task whose call had this outcome.
    pub fn end_task(&self, ticket: &Ticket, task: &TaskId, outcome: &Outcome) -> TaskEnding {
        let out_of_time = Err(ToolError::message(OUT_OF_TIME));
        let outcome = match outcome {
            // The one limit of a task's time is how long it is kept.
            Err(ToolError::TimedOut) => &out_of_time,
            outcome => outcome,
        };
        let mut answer = Vec::new();
        // Nobody sees the HTTP status of this answer.
        let _ = self.answer(ticket, outcome, &mut answer);
        let mut end = TaskEnd::of_answer(&answer, ticket.id().as_id());
        let era = ticket.revision().era();
        let status = match (&end, outcome, era) {
            (TaskEnd::Error(_), ..) | (_, Err(_), Era::Legacy) => TaskStatus::Failed,
            (TaskEnd::Result(_), ..) => TaskStatus::Completed,
        };
        if let (TaskEnd::Result(result), Era::Legacy) = (&mut end, era) {
            relate(result, task);
        }
        let message = outcome.as_ref().err().filter(|_| status == TaskStatus::Failed);
        TaskEnding {
            status,
            end,
            message: message.map(|error| cut(&failure_text(error)).into()),
        }
    }
}

impl TaskEnding {
    /// The end of a task whose call has this `answer`, which was written for the ticket and is counted as `reply` says.
    /// It may be another program's.
    pub fn of_answer(ticket: &Ticket, task: &TaskId, answer: &[u8], reply: &Reply) -> Self {
        let (mut end, mut message) = (None, None);
        for member in members(answer) {
            let value = member.value.of(answer);
            match &*member.name(answer) {
                "result" => end = Some(TaskEnd::Result(value.into())),
                "error" => {
                    end = Some(TaskEnd::Error(value.into()));
                    message = message_of(value);
                }
                _ => {}
            }
        }
        let is_legacy = ticket.revision().era() == Era::Legacy;
        if let (Some(TaskEnd::Result(result)), true) = (&mut end, is_legacy) {
            relate(result, task);
        }
        let is_tool_error = reply.labels.outcome == metrics::Outcome::ToolError;
        let status = match end {
            Some(TaskEnd::Result(_)) if !is_legacy || !is_tool_error => TaskStatus::Completed,
            _ => TaskStatus::Failed,
        };
        Self {
            status,
            end: end.unwrap_or_else(|| TaskEnd::Error(b"{}".as_slice().into())),
            message,
        }
    }

    /// The end of a task that is not done at the end of its time to live.
    pub fn expired() -> Self {
        Self {
            status: TaskStatus::Failed,
            end: TaskEnd::expired(),
            message: Some(OUT_OF_TIME.into()),
        }
    }

    /// The end of a task that could not run, or not to its end, because of overload.
    pub fn overload(overload: &Overload) -> Self {
        let mut answer = Vec::new();
        write_overload(&mut answer, Some(ANY_ID), overload);
        let message = match overload.reason {
            OverloadReason::Draining => "the server is stopping",
            _ => "the server is busy",
        };
        Self {
            status: TaskStatus::Failed,
            end: TaskEnd::of_answer(&answer, ANY_ID),
            message: Some(message.into()),
        }
    }
}

impl TaskEnd {
    /// The answer to `tasks/result` of a cancelled task.
    pub fn cancelled() -> Self {
        Self::internal_error("the task was cancelled")
    }

    /// The answer to a client that waits for a task that is not done at the end of its time to live.
    pub fn expired() -> Self {
        Self::internal_error(OUT_OF_TIME)
    }

    fn internal_error(message: &str) -> Self {
        let mut answer = Vec::new();
        write_internal_error(&mut answer, ANY_ID, message);
        Self::of_answer(&answer, ANY_ID)
    }

    /// Takes the result or error out of an answer that this protocol wrote for a request of this id.
    fn of_answer(answer: &[u8], id: Id<'_>) -> Self {
        let mut head = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        id.write(&mut head);
        let body = answer
            .strip_prefix(head.as_slice())
            .and_then(|body| body.strip_suffix(b"}"));
        let body = body.unwrap_or_default();
        if let Some(result) = body.strip_prefix(br#","result":"#) {
            return Self::Result(result.into());
        }
        let error = body.strip_prefix(br#","error":"#);
        debug_assert!(error.is_some(), "an answer is a result or an error");
        Self::Error(error.unwrap_or(b"{}").into())
    }
}

/// Writes into a legacy result which task it belongs to.
fn relate(result: &mut Box<[u8]>, task: &TaskId) {
    let mut related = Vec::with_capacity(result.len() + 128);
    write_related(result, task, &mut related);
    *result = related.into();
}

/// The message of an error.
fn message_of(error: &[u8]) -> Option<Box<str>> {
    let found = members(error)
        .filter(|member| member.name(error) == "message")
        .last()?;
    let text: String = serde_json::from_slice(found.value.of(error)).ok()?;
    Some(cut(&text).into())
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MESSAGE_BYTES_MAX))
        .unwrap_or_default()
}
