//! Calls of tools that a child runs as tasks of its own and in no other way (2025-11-25, tasks): the call is answered
//! with a task, and what it comes to is the answer to `tasks/result`.
//!
//! ```text
//! tools/call ─► a task ─ tasks/result ─► the answer
//!                  └─ nobody waits for it any more ─ tasks/cancel
//! ```
//!
//! Nobody but the child and this module sees these tasks.

use crate::children::line::{Kind, Message, sole_member};

/// The beginning of the ids of our requests for results: text, which no call has. The id of the call follows.
const RESULT_ID: &str = "weir-task-";

/// Bytes of a task's id at a child.
const TASK_ID_BYTES_MAX: usize = 1 << 10;

/// The calls of one child that are such, none nearly always.
#[derive(Debug, Default)]
pub(super) struct OwnTasks {
    calls: Vec<OwnTask>,
}

#[derive(Debug)]
struct OwnTask {
    /// The id under which the child knows the call.
    call: u64,
    /// The child's name for the task, with its quotes, once there is one.
    task: Option<Box<[u8]>>,
}

impl OwnTasks {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// A call was given to the child that is to be a task of its.
    pub(super) fn begin(&mut self, call: u64) {
        self.calls.push(OwnTask { call, task: None });
    }

    /// The child has answered a call of this id with a task, if the call was to be one and that is its answer: the
    /// task's name, with its quotes. Otherwise the call is one as all are.
    pub(super) fn on_made<'l>(&mut self, call: u64, line: &'l [u8], answer: &Message) -> Option<&'l [u8]> {
        let at = self.calls.iter().position(|known| known.call == call)?;
        let known = self.calls.get_mut(at)?;
        let made = task_of(line, answer).filter(|_| known.task.is_none());
        match made {
            Some(task) => known.task = Some(task.into()),
            None => {
                self.calls.swap_remove(at);
            }
        }
        made
    }

    /// The call whose result the answer with this id is, which is over so.
    pub(super) fn on_result(&mut self, id: &[u8]) -> Option<u64> {
        let id = id.strip_prefix(b"\"")?.strip_prefix(RESULT_ID.as_bytes())?;
        let id = std::str::from_utf8(id.strip_suffix(b"\"")?).ok()?;
        let call = id.parse().ok()?;
        let is_it = |known: &OwnTask| known.call == call && known.task.is_some();
        let at = self.calls.iter().position(is_it)?;
        self.calls.swap_remove(at);
        Some(call)
    }

    /// What is to be cancelled in place of a call: the child's name for its task, with its quotes; `Some(None)` if it
    /// has none yet.
    pub(super) fn cancelled(&self, call: u64) -> Option<Option<&[u8]>> {
        let known = self.calls.iter().find(|known| known.call == call)?;
        Some(known.task.as_deref())
    }
}

/// Appends the line by which a child is asked for the result of a call's task.
pub(super) fn write_result_request(out: &mut Vec<u8>, call: u64, task: &[u8]) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":""#);
    out.extend_from_slice(RESULT_ID.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(call).as_bytes());
    out.extend_from_slice(br#"","method":"tasks/result","params":"#);
    write_task_params(out, task);
    out.extend_from_slice(b"}\n");
}

/// Appends the parameters of a request about a task.
pub(super) fn write_task_params(out: &mut Vec<u8>, task: &[u8]) {
    out.extend_from_slice(br#"{"taskId":"#);
    out.extend_from_slice(task);
    out.push(b'}');
}

/// The name of the task that an answer has in place of a result.
fn task_of<'l>(line: &'l [u8], answer: &Message) -> Option<&'l [u8]> {
    let result = answer.outcome.filter(|_| answer.kind == Kind::Result)?.of(line);
    let id = sole_member(sole_member(result, "task")?, "taskId")?;
    (id.first() == Some(&b'"') && id.len() <= TASK_ID_BYTES_MAX).then_some(id)
}
