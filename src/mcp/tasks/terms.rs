//! The rules for which calls become tasks.
//!
//! In 2025-11-25 the client says so with each call, as far as the tool allows it. Since 2026-07-28 the server decides
//! for clients that declare that they know tasks: every call of a tool that may run as a task becomes one, once the
//! questions that come before it are answered. Other revisions have no tasks, and members about them are ignored.
//!
//! A tool of another program is called by an ordinary call of that program whether a task is made of it or not. So its
//! clients may ask for tasks of which the program knows nothing. Where the server decides, only tools whose programs
//! speak of tasks run as such: a client that polls would wait longer for a fast tool. A tool that is never called
//! otherwise serves clients that know no tasks, too, and these wait.

use crate::mcp::call::{Call, Requester};
use crate::mcp::error::Failure;
use crate::mcp::protocol::Protocol;
use crate::mcp::revision::Era;
use crate::mcp::task::{TaskParam, TaskTerms};
use crate::registry::{ClientCapabilities, Operation, TaskSupport, TaskWord, ToolInfo};

impl TaskParam {
    /// The terms, if a call of this tool is to run as a task.
    ///
    /// # Errors
    /// Fails when the call must be a task and this client cannot have one, and when the client wants a task that the
    /// tool does not allow.
    pub(in crate::mcp) fn terms<'s>(
        self,
        protocol: &Protocol,
        tool: &ToolInfo,
        requester: &Requester<'_>,
    ) -> Result<Option<TaskTerms>, Failure<'s>> {
        let (support, word) = (tool.task_support(), tool.task_word());
        let is_foreign = word != TaskWord::Registered;
        if requester.revision.era() == Era::Modern {
            let is_declared = requester.capabilities.contains(ClientCapabilities::TASKS);
            return match support {
                TaskSupport::Forbidden => Ok(None),
                _ if word == TaskWord::Unsaid => Ok(None),
                _ if is_declared => Ok(Some(TaskTerms { ttl: tool.task_ttl() })),
                TaskSupport::Optional => Ok(None),
                TaskSupport::Required if is_foreign => Ok(None),
                TaskSupport::Required => Err(Failure::MissingCapability(ClientCapabilities::TASKS)),
            };
        }
        if !requester.revision.has_requested_tasks() {
            return match support {
                TaskSupport::Required if !is_foreign => Err(Failure::TaskRequired),
                TaskSupport::Required | TaskSupport::Optional | TaskSupport::Forbidden => Ok(None),
            };
        }
        match (support, self) {
            (TaskSupport::Required, Self::Absent) => Err(Failure::TaskRequired),
            (_, Self::Absent) => Ok(None),
            // A server that declared no tasks ignores the parameter (2025-11-25, tasks).
            (TaskSupport::Forbidden, _) if !protocol.lists().has_tasks() => Ok(None),
            (TaskSupport::Forbidden, _) => Err(Failure::TaskForbidden),
            (_, Self::Asked(TaskTerms { ttl })) => Ok(Some(TaskTerms {
                ttl: ttl.or(tool.task_ttl()),
            })),
            (_, Self::Malformed) => Err(Failure::Parameter(
                "`params.task` must be an object whose `ttl`, if any, is a number of milliseconds",
            )),
        }
    }
}

/// Makes a call whose first questions are unanswered run without a task: it asks, and its client calls again
/// (2026-07-28).
pub(in crate::mcp) fn ask_first(protocol: &Protocol, call: &mut Call<'_>) {
    let (Operation::Tool(tool), Some(_)) = (call.operation, call.task) else {
        return;
    };
    let is_answered = |key: &String| call.answers().is_some_and(|answers| answers.contains_key(key));
    if !protocol
        .registry()
        .tool(tool)
        .asked_before_task()
        .iter()
        .all(is_answered)
    {
        call.task = None;
    }
}
