//! The values that describe a task, and what the protocol needs of the store that keeps tasks.

use std::sync::Arc;
use std::time::Duration;

use crate::jsonrpc::{RequestId, Value};
use crate::mcp::params::members;
use crate::mcp::reply::Labels;
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{Principal, SessionToken};
use crate::mcp::time::UnixMillis;

/// A task's id: visible ASCII that cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl TaskId {
    /// The longest id.
    pub const BYTES_MAX: usize = 43;

    /// An id of these characters; `None` if it is empty, too long or has other than visible ASCII characters.
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let len = u8::try_from(text.len()).ok()?;
        Some(Self { bytes, len })
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Shows the first characters only, because an id is a secret.
impl std::fmt::Debug for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TaskId({}…)", self.as_str().get(..4).unwrap_or_default())
    }
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// The task runs.
    Working,
    /// The task waits for its client.
    InputRequired,
    /// The task has its result.
    Completed,
    /// The task ended with an error.
    Failed,
    /// The client cancelled the task.
    Cancelled,
}

impl TaskStatus {
    /// Whether the task is over.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether the task ended with its result.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Completed)
    }

    /// The word that the specification has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a task ended: a JSON object, in the words of the task's revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// The `result` of the request that the task was made for.
    Result(Box<[u8]>),
    /// The `error` of that request.
    Error(Box<[u8]>),
}

/// A task as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// The id.
    pub id: TaskId,
    /// The revision that the task was made in.
    pub revision: Revision,
    /// The state.
    pub status: TaskStatus,
    /// A message about the state, if there is one.
    pub status_message: Option<Box<str>>,
    /// When the task was made.
    pub created: UnixMillis,
    /// When its status last changed.
    pub updated: UnixMillis,
    /// How long the task is kept, counted from when it was made; `None` means for ever.
    pub ttl: Option<Duration>,
    /// How often a client should poll.
    pub poll_interval: Duration,
    /// The questions that the task asks its client at present: keys, and objects with `method` and `params`.
    pub questions: Vec<(Box<str>, Arc<[u8]>)>,
    /// How the task ended.
    pub end: Option<Arc<TaskEnd>>,
}

/// The client that looks for a task. A task is found by its era, its principal and its id, which nobody can guess; a
/// list has only the tasks of the same session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskOwner {
    /// The principal.
    pub principal: Principal,
    /// The legacy session of the request.
    pub session: Option<SessionToken>,
    /// The era of the request.
    pub era: Era,
}

impl TaskOwner {
    /// The owner for a client of 2026-07-28.
    pub(super) fn modern(request_context: &RequestContext<'_>) -> Self {
        Self {
            principal: request_context.principal,
            session: None,
            era: Era::Modern,
        }
    }
}

/// A client that waits for the result of a task (`tasks/result`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitTask {
    /// The request's id.
    pub id: RequestId,
    /// The client that waits.
    pub owner: TaskOwner,
    /// The id of the task, which need not exist.
    pub task: TaskId,
    /// The revision to answer in.
    pub revision: Revision,
    /// The labels that metrics count the answer under.
    pub labels: Labels,
}

/// The result of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelTask {
    /// The task is cancelled now.
    Cancelled(TaskView),
    /// The task was over already.
    Ended(TaskView),
    /// There is no such task, or it is somebody else's.
    Unknown,
}

/// The terms of a tool call that is to be a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskTerms {
    /// How long the task is to be kept, if the client says so.
    pub ttl: Option<Duration>,
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnding {
    /// `Completed` or `Failed`.
    pub status: TaskStatus,
    /// What its client gets.
    pub end: TaskEnd,
    /// A message about the end, if there is one.
    pub message: Option<Box<str>>,
}

/// The tasks of a process.
pub trait Tasks {
    /// Finds one of the owner's tasks.
    fn task(&self, owner: &TaskOwner, id: &str) -> Option<TaskView>;

    /// The owner's tasks behind the one named `after`, oldest first, at most `max`, and whether there are more.
    fn tasks(&self, owner: &TaskOwner, after: Option<&str>, max: usize) -> (Vec<TaskView>, bool);

    /// Cancels one of the owner's tasks.
    fn cancel_task(&self, owner: &TaskOwner, id: &str) -> CancelTask;

    /// Answers questions of one of the owner's tasks by their keys; unknown keys are ignored. Returns false if there is
    /// no such task.
    fn update_task(&self, owner: &TaskOwner, id: &str, answers: Vec<(&str, serde_json::Value)>) -> bool;
}

/// `params.task` of a call. Only one revision looks at it, so it may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskParam {
    Absent,
    Asked(TaskTerms),
    Malformed,
}

impl TaskParam {
    pub(super) fn read(task: Value<'_, '_>) -> Self {
        if !task.is_object() {
            return Self::Malformed;
        }
        let Ok([ttl]) = members(Some(task), ["ttl"]) else {
            return Self::Malformed;
        };
        match ttl.filter(|ttl| !ttl.is_null()) {
            None => Self::Asked(TaskTerms { ttl: None }),
            Some(ttl) => match ttl.as_whole().and_then(|ttl| u64::try_from(ttl).ok()) {
                Some(ttl) => Self::Asked(TaskTerms {
                    ttl: Some(Duration::from_millis(ttl)),
                }),
                None => Self::Malformed,
            },
        }
    }
}
