//! The tasks of a process: calls that go on without the client that made them.
//!
//! The shard that runs a task stores its questions and its end; requests on any shard look at tasks, answer, cancel and
//! wait. A task belongs to the principal for which it was made and is found by its id, 128 random bits; lists show
//! those of the same session. A client cannot tell another principal's task from one that does not exist.
//!
//! Tasks are bounded in number, over the process and per client, and in bytes: the oldest that are over make room, and
//! then new tasks are refused. A task is forgotten when its time to live is over; if it still runs, it is cancelled.
//! One lock guards them, held for a look-up and the copy of some pointers, since clients ask about tasks once a second
//! and not on the hot path.
//!
//! | file | its part |
//! |---|---|
//! | `task` | one task |
//! | `store` | what shards ask of the tasks, under one lock |
//! | `table` | all of them: counts, order, expiry, making room |

mod store;
mod table;
mod task;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::config::TaskSettings;
use crate::mcp::{OverloadReason, Revision, TaskOwner};
use crate::ring::ConnectionKey;

pub use store::TaskStore;

/// How often clients are told to poll.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many tasks there may be, for how long, and in how much memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOptions {
    /// Their number and their time.
    pub settings: TaskSettings,
    /// Bytes of all tasks, their results included.
    pub bytes_max: usize,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            settings: TaskSettings::default(),
            bytes_max: 16 << 20,
        }
    }
}

/// The entry of a shard that runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskPlace {
    /// The shard.
    pub shard: u16,
    /// Its entry for the task.
    pub connection: ConnectionKey,
}

/// A task to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// The client that owns it.
    pub owner: TaskOwner,
    /// The revision it is made in.
    pub revision: Revision,
    /// How long its client wants it kept, from now on.
    pub ttl: Option<Duration>,
    /// Where it runs.
    pub place: TaskPlace,
}

/// Why there is no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskRefused {
    /// The process has as many tasks as it may, and none is over that could make room.
    #[error("there are as many tasks as there may be")]
    Full,
    /// The client has as many tasks as it may.
    #[error("the client has as many tasks as it may")]
    FullForClient,
    /// Tasks take as many bytes as they may, and none is over that could make room.
    #[error("no memory for another task")]
    NoMemory,
}

impl TaskRefused {
    /// The refusal that the client gets.
    pub fn reason(self) -> OverloadReason {
        match self {
            Self::Full | Self::FullForClient => OverloadReason::Tasks,
            Self::NoMemory => OverloadReason::Memory,
        }
    }
}

/// Why a stream cannot wait for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitRefused {
    /// There is no such task, or it belongs to another principal.
    #[error("there is no such task")]
    Unknown,
    /// The task has as many waiting streams as it may.
    #[error("too many wait for this task")]
    Full,
    /// There is no memory for another stream.
    #[error("no memory to wait for this task")]
    NoMemory,
}
