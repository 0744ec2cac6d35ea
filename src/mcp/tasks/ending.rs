//! The end of a task: the answer that its call would have had, and whether that is a success.
//!
//! The eras disagree: in 2025-11-25 a tool's own error fails its task, since 2026-07-28 only a JSON-RPC error does.

use crate::jsonrpc::Id;
use crate::mcp::call::Ticket;
use crate::mcp::error::{write_internal_error, write_overload};
use crate::mcp::overload::{Overload, OverloadReason};
use crate::mcp::protocol::Protocol;
use crate::mcp::revision::Era;
use crate::mcp::writing::answer::failure_text;
use crate::registry::Outcome;

use crate::mcp::task::{TaskEnd, TaskEnding, TaskId, TaskStatus};
use crate::mcp::writing::related_task::write_related_task;

/// The id in answers of which only the contents are wanted.
const ANY_ID: Id<'static> = Id::Unsigned(0);

/// Bytes of an error's text that a task's status repeats.
const MESSAGE_BYTES_MAX: usize = 1_024;

impl Protocol {
    /// The end of a task whose call had this outcome.
    pub fn end_task(&self, ticket: &Ticket, task: &TaskId, outcome: &Outcome) -> TaskEnding {
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

    /// The answer to a client that waits for a task that has expired.
    pub fn expired() -> Self {
        Self::internal_error("the task has expired")
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
    let mut text = std::mem::take(result).into_vec();
    // The member goes behind the last one; a tool's result has at least its content.
    text.pop();
    write_related_task(task, &mut text);
    text.push(b'}');
    *result = text.into();
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MESSAGE_BYTES_MAX))
        .unwrap_or_default()
}
