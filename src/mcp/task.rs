//! The values a task is known by, and what the protocol needs of whoever keeps tasks.

use std::sync::Arc;
use std::time::Duration;

use crate::jsonrpc::{RequestId, Value};
use crate::mcp::params::members;
use crate::mcp::reply::Labels;
use crate::mcp::request_context::Facts;
use crate::mcp::revision::{Era, Revision};
use crate::mcp::sessions::{Principal, SessionToken};
use crate::mcp::time::UnixMillis;

/// A task's id: visible ASCII, not to be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl TaskId {
    /// The longest id.
    pub const BYTES_MAX: usize = 43;

    /// An id of these characters; none if it is empty, too long or has other than visible ASCII characters.
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let len = u8::try_from(text.len()).ok()?;
        Some(Self { bytes, len })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// The first characters only: an id is a secret.
impl std::fmt::Debug for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TaskId({}…)", self.as_str().get(..4).unwrap_or_default())
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// It runs.
    Working,
    /// It waits for its client.
    InputRequired,
    /// It has its result.
    Completed,
    /// It ended with an error.
    Failed,
    /// Its client wants it no more.
    Cancelled,
}

impl TaskStatus {
    /// Whether it is over.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether it came to what it was made for.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Completed)
    }

    /// The word for it.
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
    /// The `result` of the request it was made for.
    Result(Box<[u8]>),
    /// Its `error`.
    Error(Box<[u8]>),
}

/// A task as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// The revision it was made in.
    pub revision: Revision,
    /// Where it stands.
    pub status: TaskStatus,
    /// What there is to say about that.
    pub status_message: Option<Box<str>>,
    /// When it was made.
    pub created: UnixMillis,
    /// When its status last changed.
    pub updated: UnixMillis,
    /// How long it is kept from its making on; none: for ever.
    pub ttl: Option<Duration>,
    /// How often it makes sense to look.
    pub poll_interval: Duration,
    /// What it asks its client at present: keys, and objects with `method` and `params`.
    pub questions: Vec<(Box<str>, Arc<[u8]>)>,
    /// How it ended.
    pub end: Option<Arc<TaskEnd>>,
}

/// Who looks for a task. One is found by its era, its principal and its id, which nobody can guess; lists have those
/// of the same session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskOwner {
    /// Who asks.
    pub principal: Principal,
    /// The legacy session it asks in.
    pub session: Option<SessionToken>,
    /// In which era.
    pub era: Era,
}

impl TaskOwner {
    /// A client of 2026-07-28.
    pub(super) fn modern(facts: &Facts<'_>) -> Self {
        Self {
            principal: facts.principal,
            session: None,
            era: Era::Modern,
        }
    }
}

/// A client that waits for what a task comes to (`tasks/result`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitTask {
    /// The request's id.
    pub id: RequestId,
    /// Who waits.
    pub owner: TaskOwner,
    /// For which task, if there is one of this id.
    pub task: TaskId,
    /// The revision to answer in.
    pub revision: Revision,
    /// What metrics say of it.
    pub labels: Labels,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelTask {
    /// It is cancelled now.
    Cancelled(TaskView),
    /// It was over already.
    Ended(TaskView),
    /// There is no such task, or it is somebody else's.
    Unknown,
}

/// What a tool call that is to be a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskTerms {
    /// How long it is to be kept, if the client says so.
    pub ttl: Option<Duration>,
}

/// What ends a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnding {
    /// Completed or failed.
    pub status: TaskStatus,
    /// What its client gets.
    pub end: TaskEnd,
    /// What there is to say about it.
    pub message: Option<Box<str>>,
}

/// The tasks of a process.
pub trait Tasks {
    /// One of the owner's tasks.
    fn task(&self, owner: &TaskOwner, id: &str) -> Option<TaskView>;

    /// The owner's tasks behind the one named `after`, oldest first, at most `max`; whether there are more.
    fn tasks(&self, owner: &TaskOwner, after: Option<&str>, max: usize) -> (Vec<TaskView>, bool);

    /// Cancels one of the owner's tasks.
    fn cancel_task(&self, owner: &TaskOwner, id: &str) -> CancelTask;

    /// Answers questions of one of the owner's tasks by their keys; keys of none are ignored. False: no such task.
    fn update_task(&self, owner: &TaskOwner, id: &str, answers: Vec<(&str, serde_json::Value)>) -> bool;
}

/// `params.task` of a call. Only one revision looks at it, so that it may be anything.
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
