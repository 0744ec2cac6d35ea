//! The methods about tasks: the requests of each era, and their answers.
//!
//! All but one are control. `tasks/result` waits for as long as its task runs, so it is handed out. Since 2026-07-28
//! results come with `tasks/get`, nothing is listed, and a client has to declare that it knows tasks.

use crate::jsonrpc::{Request, Value, write_result, write_result_head, write_string};
use crate::mcp::error::Failure;
use crate::mcp::headers::Mirrored;
use crate::mcp::params::{members, present};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::{Era, Revision};
use crate::mcp::state::State;
use crate::registry::ClientCapabilities;

use super::encode::{TASKS_RESULT, write_detailed_task, write_task};
use crate::mcp::task::{AwaitTask, CancelTask, TaskId, TaskOwner};

/// Tasks on one page of a list.
const PAGE_TASKS_MAX: usize = 100;

/// The result of a legacy request about a task.
pub(in crate::mcp) enum TaskReply {
    /// The answer, which was appended.
    Now(Reply),
    /// A client that waits for its task.
    Later(Box<AwaitTask>),
}

/// Answers one of the methods of 2025-11-25; `None` if it is another, or if the server has no tasks.
pub(in crate::mcp) fn legacy_request<'s>(
    protocol: &Protocol,
    owner: TaskOwner,
    revision: Revision,
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Option<Result<TaskReply, Failure<'s>>> {
    if !protocol.lists().has_tasks() {
        return None;
    }
    let answered = match request.method {
        "tasks/get" => get(&owner, request, state, out),
        "tasks/cancel" => cancel(&owner, request, state, out),
        "tasks/list" => list(&owner, request, state, out),
        TASKS_RESULT => return Some(await_task(owner, revision, request)),
        _ => return None,
    };
    Some(answered.map(|()| TaskReply::Now(Reply::answered())))
}

fn get<'s>(
    owner: &TaskOwner,
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<(), Failure<'s>> {
    let id = task_id(request.params)?;
    let task = state.task(owner, id).ok_or(Failure::UnknownTask)?;
    write_result_head(out, request.id);
    write_task(&task, out);
    out.push(b'}');
    Ok(())
}

fn cancel<'s>(
    owner: &TaskOwner,
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<(), Failure<'s>> {
    match state.cancel_task(owner, task_id(request.params)?) {
        CancelTask::Cancelled(task) => {
            write_result_head(out, request.id);
            write_task(&task, out);
            out.push(b'}');
            Ok(())
        }
        CancelTask::Ended(task) => Err(Failure::TaskEnded(task.status.as_str())),
        CancelTask::Unknown => Err(Failure::UnknownTask),
    }
}

/// A cursor is the id of the last task of a page, which must be one of the client's own.
fn list<'s>(
    owner: &TaskOwner,
    request: &Request<'_, 's>,
    state: &dyn State,
    out: &mut Vec<u8>,
) -> Result<(), Failure<'s>> {
    const NOT_OUR_CURSOR: Failure<'static> = Failure::Parameter("`params.cursor` leads nowhere any more");
    let [cursor] = members(request.params, ["cursor"])?;
    let after = match present(cursor).map(Value::as_str) {
        None | Some(Some("")) => None,
        Some(id) => {
            let id = id.filter(|id| state.task(owner, id).is_some());
            Some(id.ok_or(NOT_OUR_CURSOR)?)
        }
    };
    let (tasks, has_more) = state.tasks(owner, after, PAGE_TASKS_MAX);
    write_result_head(out, request.id);
    out.extend_from_slice(br#"{"tasks":["#);
    for (at, task) in tasks.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_task(task, out);
    }
    out.push(b']');
    if let Some(last) = tasks.last().filter(|_| has_more) {
        out.extend_from_slice(br#","nextCursor":"#);
        write_string(out, last.id.as_str());
    }
    out.extend_from_slice(b"}}");
    Ok(())
}

fn await_task<'s>(
    owner: TaskOwner,
    revision: Revision,
    request: &Request<'_, 's>,
) -> Result<TaskReply, Failure<'s>> {
    let id = task_id(request.params)?;
    Ok(TaskReply::Later(Box::new(AwaitTask {
        id: request.id.into(),
        owner,
        task: TaskId::new(id.as_bytes()).ok_or(Failure::UnknownTask)?,
        revision,
        labels: Reply::answered().about(Era::Legacy, request.method).labels,
    })))
}

/// `params.taskId`.
fn task_id<'s>(params: Option<Value<'_, 's>>) -> Result<&'s str, Failure<'s>> {
    let [id] = members(params, ["taskId"])?;
    id.and_then(Value::as_str)
        .ok_or(Failure::Parameter("`params.taskId` must be a string"))
}

/// A method of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum ModernRequest {
    Get,
    Update,
    Cancel,
}

impl ModernRequest {
    /// The method of this name, if the extension has it.
    pub(in crate::mcp) fn named(method: &str) -> Option<Self> {
        match method {
            "tasks/get" => Some(Self::Get),
            "tasks/update" => Some(Self::Update),
            "tasks/cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    /// Appends the answer.
    ///
    /// # Errors
    /// Fails when the client did not declare tasks, when a header or a parameter is wrong, or when there is no such
    /// task.
    pub(in crate::mcp) fn answer<'s>(
        self,
        protocol: &Protocol,
        request_context: &RequestContext<'_>,
        request: &Request<'_, 's>,
        declared: ClientCapabilities,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Failure<'s>> {
        if !declared.contains(ClientCapabilities::TASKS) {
            return Err(Failure::MissingCapability(ClientCapabilities::TASKS));
        }
        let id = task_id(request.params)?;
        Mirrored::Method.check_in(request_context, request.method)?;
        Mirrored::Name.check_in(request_context, id)?;
        let owner = TaskOwner::modern(request_context);
        let meta = protocol.lists().meta();
        match self {
            Self::Get => {
                let task = state.task(&owner, id).ok_or(Failure::UnknownTask)?;
                write_result_head(out, request.id);
                out.extend_from_slice(br#"{"resultType":"complete","#);
                write_detailed_task(&task, out);
                out.extend_from_slice(br#","_meta":"#);
                out.extend_from_slice(meta);
                out.extend_from_slice(b"}}");
                return Ok(Reply::answered());
            }
            Self::Update => {
                let answers = input_responses(request.params)?;
                if !state.update_task(&owner, id, answers) {
                    return Err(Failure::UnknownTask);
                }
            }
            // Cancelling twice is the same as once.
            Self::Cancel => {
                if state.cancel_task(&owner, id) == CancelTask::Unknown {
                    return Err(Failure::UnknownTask);
                }
            }
        }
        let acknowledgement = [br#"{"resultType":"complete","_meta":"#, meta, b"}"].concat();
        write_result(out, request.id, &acknowledgement);
        Ok(Reply::answered())
    }
}

/// `params.inputResponses`: for each key an answer, which is an object that its question judges.
fn input_responses<'s>(
    params: Option<Value<'_, 's>>,
) -> Result<Vec<(&'s str, serde_json::Value)>, Failure<'s>> {
    let [responses] = members(params, ["inputResponses"])?;
    let responses = responses
        .filter(|responses| {
            responses.is_object() && responses.members().all(|(_, answer)| answer.is_object())
        })
        .ok_or(Failure::Parameter(
            "`params.inputResponses` must be an object of objects",
        ))?;
    if responses.has_number_out_of_range() {
        return Err(Failure::Parameter(
            "`params.inputResponses` has a number beyond the range of a double",
        ));
    }
    Ok(responses
        .members()
        .map(|(key, answer)| (key, answer.to_json()))
        .collect())
}
