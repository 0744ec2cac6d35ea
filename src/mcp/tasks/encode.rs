//! Tasks as clients read them, in answers and notifications.
//!
//! In 2025-11-25 a task has `ttl` and `pollInterval` and holds no result; results come by `tasks/result`, and every
//! message that belongs to a task says so in `_meta`. Since 2026-07-28 the members name their unit, and a task includes
//! its questions and its result.

use std::io::Write as _;
use std::time::Duration;

use crate::jsonrpc::{RequestId, write_result_head, write_string};
use crate::mcp::call::Ticket;
use crate::mcp::error::Failure;
use crate::mcp::error::refused;
use crate::mcp::lists::announce::Announced;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::revision::Era;
use crate::mcp::writing::question_compat;
use crate::mcp::writing::related_task::write_related_task;
use crate::registry::AskedQuestion;

use crate::mcp::task::{TaskEnd, TaskStatus, TaskView};
use crate::mcp::time::UnixMillis;
use crate::units::Timestamp;

pub(super) const TASKS_RESULT: &str = "tasks/result";

impl Protocol {
    /// Appends the answer to a call that goes on as `task`.
    pub fn answer_task_created(&self, ticket: &Ticket, task: &TaskView, out: &mut Vec<u8>) -> Reply {
        write_result_head(out, ticket.id().as_id());
        match task.revision.era() {
            Era::Legacy => {
                out.extend_from_slice(br#"{"task":"#);
                write_task(task, out);
                write_related_task(&task.id, out);
            }
            Era::Modern => {
                out.extend_from_slice(br#"{"resultType":"task","#);
                write_members(task, out);
                out.extend_from_slice(br#","_meta":"#);
                out.extend_from_slice(self.lists().meta());
            }
        }
        out.extend_from_slice(b"}}");
        Reply::answered()
    }

    /// Appends the answer to `tasks/result` for a task that does not exist, or is somebody else's.
    pub fn refuse_task(&self, id: &RequestId, out: &mut Vec<u8>) -> Reply {
        refused(Some(id.as_id()), Failure::UnknownTask)
            .write(out)
            .about(Era::Legacy, TASKS_RESULT)
    }

    /// Appends a question in the form in which a task holds it: an object with `method` and `params`.
    pub fn write_task_question(&self, ticket: &Ticket, question: &AskedQuestion, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"method":"#);
        write_string(out, question.request.method.as_str());
        out.extend_from_slice(br#","params":"#);
        let params = question_compat::params(&question.request, ticket.revision());
        out.extend_from_slice(params.to_string().as_bytes());
        out.push(b'}');
    }
}

/// Appends the answer to `tasks/result`: the answer that the call itself would have had.
pub fn write_task_end(request: &RequestId, end: &TaskEnd, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    request.as_id().write(out);
    let (name, object): (&[u8], _) = match end {
        TaskEnd::Result(result) => (br#","result":"#, result),
        TaskEnd::Error(error) => (br#","error":"#, error),
    };
    out.extend_from_slice(name);
    out.extend_from_slice(object);
    out.push(b'}');
}

/// Appends the notification with the present state of a task.
pub fn write_task_notification(task: &TaskView, out: &mut Vec<u8>) -> Announced {
    let start = out.len();
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
    match task.revision.era() {
        Era::Legacy => {
            out.extend_from_slice(br#""notifications/tasks/status","params":{"#);
            write_members(task, out);
        }
        Era::Modern => {
            out.extend_from_slice(br#""notifications/tasks","params":{"#);
            write_detailed_task(task, out);
        }
    }
    let at = out.len() - start;
    out.extend_from_slice(b"}}");
    Announced::behind_members(at)
}

/// Appends a task as an object.
pub(super) fn write_task(task: &TaskView, out: &mut Vec<u8>) {
    out.push(b'{');
    write_members(task, out);
    out.push(b'}');
}

/// Appends the members of a task, with its questions and its result (2026-07-28).
pub(super) fn write_detailed_task(task: &TaskView, out: &mut Vec<u8>) {
    write_members(task, out);
    match (task.status, task.end.as_deref()) {
        (TaskStatus::InputRequired, _) => {
            out.extend_from_slice(br#","inputRequests":{"#);
            for (at, (key, question)) in task.questions.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                out.extend_from_slice(question);
            }
            out.push(b'}');
        }
        (TaskStatus::Completed, Some(TaskEnd::Result(result))) => {
            out.extend_from_slice(br#","result":"#);
            out.extend_from_slice(result);
        }
        (TaskStatus::Failed, Some(TaskEnd::Error(error))) => {
            out.extend_from_slice(br#","error":"#);
            out.extend_from_slice(error);
        }
        _ => {}
    }
}

/// Appends the members that every task has.
fn write_members(task: &TaskView, out: &mut Vec<u8>) {
    let (ttl_name, poll_interval_name) = match task.revision.era() {
        Era::Legacy => ("ttl", "pollInterval"),
        Era::Modern => ("ttlMs", "pollIntervalMs"),
    };
    out.extend_from_slice(br#""taskId":"#);
    write_string(out, task.id.as_str());
    out.extend_from_slice(br#","status":"#);
    write_string(out, task.status.as_str());
    if let Some(message) = &task.status_message {
        out.extend_from_slice(br#","statusMessage":"#);
        write_string(out, message);
    }
    out.extend_from_slice(br#","createdAt":"#);
    write_timestamp(task.created, out);
    out.extend_from_slice(br#","lastUpdatedAt":"#);
    write_timestamp(task.updated, out);
    out.push(b',');
    write_string(out, ttl_name);
    out.push(b':');
    match task.ttl {
        Some(ttl) => write_millis(ttl, out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b',');
    write_string(out, poll_interval_name);
    out.push(b':');
    write_millis(task.poll_interval, out);
}

/// Writes a duration of at least 1 ms, and at most what every client's numbers hold exactly.
fn write_millis(duration: Duration, out: &mut Vec<u8>) {
    const EXACT_MAX: u128 = (1 << 53) - 1;
    let millis = duration.as_millis().clamp(1, EXACT_MAX);
    out.extend_from_slice(itoa::Buffer::new().format(millis).as_bytes());
}

/// Appends a time as a JSON string.
fn write_timestamp(time: UnixMillis, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "\"{}\"", Timestamp::from_unix_millis(time.0));
}
