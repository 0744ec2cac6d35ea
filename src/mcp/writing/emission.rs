//! The messages of a running call, as its client's revision has them.
//!
//! One emission gives one message or, where the revision has none for it, nothing. Whether the client wants it is
//! settled already, except for the log level of a legacy session, which may change while the call runs.

use serde_json::json;

use crate::jsonrpc::{write_json, write_string};
use crate::registry::{Emission, LogLevel};

use crate::mcp::call::{Ticket, Work};
use crate::mcp::protocol::Protocol;
use crate::mcp::revision::Era;
use crate::mcp::sessions::SessionToken;
use crate::mcp::state::FeatureState;
use crate::mcp::task::TaskId;
use crate::mcp::writing::question_compat;
use crate::mcp::writing::related_task::{RELATED_TASK_KEY, write_related_task};

// The beginnings of notifications, up to the value of the first parameter.
const PROGRESS_HEAD: &[u8] =
    br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#;
const LOG_HEAD: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"#;
const ELICITATION_COMPLETE_HEAD: &[u8] =
    br#"{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"#;

/// The least severe message for a legacy client that never set a level; the specification leaves it to the server.
const LOG_LEVEL_DEFAULT: LogLevel = LogLevel::Info;

impl Work<'_> {
    /// The least severe message that the call's client wants of it; `None` if it wants none.
    pub fn log_level(&self, ticket: &Ticket, state: &dyn FeatureState) -> Option<LogLevel> {
        let asked = self.asked_log_level()?;
        Some(match ticket.revision().era() {
            Era::Modern => asked,
            Era::Legacy => session_log_level(ticket, state),
        })
    }
}

impl Protocol {
    /// Appends one message of a call that runs as a task, as [`Protocol::write_emission`] does for others. The tasks of
    /// 2026-07-28 send no messages: their questions are part of the task.
    pub fn write_task_emission(
        &self,
        ticket: &Ticket,
        task: &TaskId,
        emission: &Emission,
        question_id: &str,
        state: &dyn FeatureState,
        out: &mut Vec<u8>,
    ) -> bool {
        let says = ticket.revision().era() == Era::Legacy;
        says && write(ticket, Some(task), emission, question_id, state, out)
    }

    /// Appends one message for the stream of a call. Returns false, and appends nothing, if the message is not for this
    /// client.
    ///
    /// `question_id` is the id under which the client answers a question, and is ignored for anything else. If a
    /// question is not for this client, the caller has to answer it.
    pub fn write_emission(
        &self,
        ticket: &Ticket,
        emission: &Emission,
        question_id: &str,
        state: &dyn FeatureState,
        out: &mut Vec<u8>,
    ) -> bool {
        write(ticket, None, emission, question_id, state, out)
    }
}

fn write(
    ticket: &Ticket,
    task: Option<&TaskId>,
    emission: &Emission,
    question_id: &str,
    state: &dyn FeatureState,
    out: &mut Vec<u8>,
) -> bool {
    let revision = ticket.revision();
    match emission {
        Emission::Progress {
            progress,
            total,
            message,
        } => {
            let message = message.as_deref().filter(|_| revision.has_progress_messages());
            return write_progress(ticket, task, (*progress, *total), message, out);
        }
        Emission::Log { level, logger, data } => {
            if !is_loud_enough(ticket, *level, state) {
                return false;
            }
            write_notification(out, LOG_HEAD, task, |out| {
                write_string(out, level.as_str());
                if let Some(logger) = logger {
                    out.extend_from_slice(br#","logger":"#);
                    write_string(out, logger);
                }
                out.extend_from_slice(br#","data":"#);
                write_json(&mut *out, data);
            });
        }
        Emission::Question(question) if revision.era() == Era::Legacy => {
            out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
            write_string(out, question_id);
            out.extend_from_slice(br#","method":"#);
            write_string(out, question.request.method.as_str());
            out.extend_from_slice(br#","params":"#);
            let mut params = question_compat::params(&question.request, revision);
            if let Some(task) = task {
                params["_meta"] = json!({RELATED_TASK_KEY: {"taskId": task.as_str()}});
            }
            write_json(&mut *out, &params);
            out.push(b'}');
        }
        Emission::ElicitationComplete { elicitation_id } if revision.has_elicitation_ids() => {
            write_notification(out, ELICITATION_COMPLETE_HEAD, task, |out| {
                write_string(out, elicitation_id);
            });
        }
        Emission::Question(_)
        | Emission::ElicitationComplete { .. }
        | Emission::CloseStream { .. }
        | Emission::Returned => {
            return false;
        }
    }
    true
}

/// Whether the client wants messages of this level. A modern request names its level, and its call logs nothing below
/// it; for a legacy one the session's level counts.
fn is_loud_enough(ticket: &Ticket, level: LogLevel, state: &dyn FeatureState) -> bool {
    match ticket.revision().era() {
        Era::Modern => true,
        Era::Legacy => level >= session_log_level(ticket, state),
    }
}

/// The least severe message that a legacy client wants.
fn session_log_level(ticket: &Ticket, state: &dyn FeatureState) -> LogLevel {
    let session = ticket.session();
    session.map_or(LOG_LEVEL_DEFAULT, |session| log_level_of(session, state))
}

/// The least severe message that the client of a legacy session wants.
pub fn log_level_of(session: SessionToken, state: &dyn FeatureState) -> LogLevel {
    state.log_level(session).unwrap_or(LOG_LEVEL_DEFAULT)
}

fn write_progress(
    ticket: &Ticket,
    task: Option<&TaskId>,
    (progress, total): (f64, Option<f64>),
    message: Option<&str>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(token) = ticket.progress_token().filter(|_| progress.is_finite()) else {
        return false;
    };
    write_notification(out, PROGRESS_HEAD, task, |out| {
        token.write(out);
        out.extend_from_slice(br#","progress":"#);
        write_number(out, progress);
        if let Some(total) = total.filter(|total| total.is_finite()) {
            out.extend_from_slice(br#","total":"#);
            write_number(out, total);
        }
        if let Some(message) = message {
            out.extend_from_slice(br#","message":"#);
            write_string(out, message);
        }
    });
    true
}

/// Writes a notification that begins with `head`; that of a task names the task.
fn write_notification(
    out: &mut Vec<u8>,
    head: &[u8],
    task: Option<&TaskId>,
    write_params: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(head);
    write_params(out);
    if let Some(task) = task {
        write_related_task(task, out);
    }
    out.extend_from_slice(b"}}");
}

/// Writes a number, as an integer if it is whole: steps and bytes usually are.
fn write_number(out: &mut Vec<u8>, number: f64) {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let whole = number as i64;
    if whole as f64 == number && number.abs() <= EXACT_MAX {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else {
        write_json(&mut *out, &number);
    }
}
