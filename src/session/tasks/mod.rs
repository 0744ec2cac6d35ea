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
//! | `table` | all of them: counts, order, expiry, making room |

#![allow(
    clippy::disallowed_types,
    reason = "any shard asks about any task; the lock is held for a look-up"
)]

mod table;
mod task;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::live::{Live, LiveEvent, Message, Stream};
use crate::config::TaskSettings;
use crate::jsonrpc::RequestId;
use crate::mcp::{
    CancelTask, Overload, OverloadReason, Revision, TaskEnd, TaskEnding, TaskId, TaskOwner, TaskStatus,
    TaskView, Tasks, UnixMillis, write_task_end, write_task_notification,
};
use crate::registry::AnswerError;
use crate::ring::ConnectionKey;

use table::Table;
use task::{News, Question};

/// How often clients are told to poll.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How many streams may wait for one task; as many more may listen to it.
const WAITERS_MAX: usize = 16;
/// Random bytes of an id.
const ID_BYTES: usize = 16;

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

/// How many tasks have each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// They run.
    pub working: usize,
    /// They wait for their clients.
    pub input_required: usize,
    /// They have their results.
    pub completed: usize,
    /// They ended with errors.
    pub failed: usize,
    /// Their clients want them no more.
    pub cancelled: usize,
}

impl TaskCounts {
    fn of(&mut self, status: TaskStatus) -> &mut usize {
        match status {
            TaskStatus::Working => &mut self.working,
            TaskStatus::InputRequired => &mut self.input_required,
            TaskStatus::Completed => &mut self.completed,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Cancelled => &mut self.cancelled,
        }
    }
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskStats {
    /// Tasks that are known.
    pub tasks: usize,
    /// Those of them that are not over.
    pub running: usize,
    /// All of them by status.
    pub by_status: TaskCounts,
    /// Bytes counted for them.
    pub bytes: usize,
    /// Tasks made so far.
    pub created: u64,
    /// Tasks forgotten because their time was over.
    pub expired: u64,
    /// Tasks forgotten to make room for others.
    pub evicted: u64,
    /// Tasks refused.
    pub refused: u64,
}

/// The process's tasks. See the module's documentation.
pub struct TaskStore {
    live: Arc<Live>,
    clock: fn() -> UnixMillis,
    table: Mutex<Table>,
}

impl TaskStore {
    /// An empty store that shares the streams and shards of `live`; `clock` tells wall-clock time.
    pub fn new(live: Arc<Live>, options: TaskOptions, clock: fn() -> UnixMillis) -> Arc<Self> {
        Arc::new(Self {
            live,
            clock,
            table: Mutex::new(Table::new(options)),
        })
    }

    /// A new task, working. Its time to live is what its client asked for, within limits.
    ///
    /// # Errors
    /// See [`TaskRefused`].
    pub fn create(&self, new: NewTask) -> Result<TaskView, TaskRefused> {
        let now = (self.clock)();
        let mut table = self.lock();
        let Some(id) = new_id() else {
            table.stats.refused += 1;
            return Err(TaskRefused::NoMemory);
        };
        table.insert(id, new, now)
    }

    /// Stores a question of a task to its client: `request` has `method` and `params`; `message` is the same as a
    /// JSON-RPC request, for a client that answers those, and goes to the stream that waits for the task. Returns false
    /// if the task is over.
    pub fn ask(
        &self,
        id: &TaskId,
        number: u32,
        key: &str,
        request: Arc<[u8]>,
        message: Option<Message>,
    ) -> bool {
        let now = (self.clock)();
        let mut table = self.lock();
        let question = Question {
            number,
            key: key.into(),
            request,
            message: message.clone(),
        };
        let Some(news) = table.ask(id, question, now) else {
            return false;
        };
        let waiter = table.get(id).and_then(|task| task.waiter());
        drop(table);
        if let (Some(stream), Some(message)) = (waiter, message) {
            stream.push(message);
        }
        self.tell(news);
        true
    }

    /// Removes a question of a task that was answered, or that no client will answer.
    pub fn answered(&self, id: &TaskId, number: u32) {
        let now = (self.clock)();
        let news = self.lock().answered(id, number, now);
        self.tell_any(news);
    }

    /// Sends progress or a log message of a running task to the stream that waits for it, else to its session.
    pub fn say(&self, id: &TaskId, message: Message) {
        let table = self.lock();
        let Some(task) = table.get(id) else { return };
        let (waiter, session) = (task.waiter(), task.owner.session);
        drop(table);
        let stream = waiter.or_else(|| session.and_then(|session| self.live.standing(session)));
        if let Some(stream) = stream {
            stream.push(message);
        }
    }

    /// Ends a task. A task that was cancelled or forgotten meanwhile stays so; one whose result is larger than all
    /// tasks together may be fails for want of memory.
    pub fn end(&self, id: &TaskId, ending: TaskEnding) {
        let now = (self.clock)();
        let mut table = self.lock();
        let ending = if table.holds(&ending.end) {
            ending
        } else {
            TaskEnding::overload(&Overload {
                reason: OverloadReason::Memory,
                retry_after: POLL_INTERVAL,
                queue_depth: 0,
            })
        };
        let news = table.end(id, ending, now);
        drop(table);
        self.tell_any(news);
    }

    /// A stream that carries the answer to the request when the task is over, and before it the task's questions.
    ///
    /// # Errors
    /// See [`WaitRefused`].
    pub fn wait(
        &self,
        owner: &TaskOwner,
        id: &TaskId,
        request: RequestId,
    ) -> Result<Arc<Stream>, WaitRefused> {
        let opened = self.live.open_call_stream(None, false);
        let stream = opened.map_err(|_| WaitRefused::NoMemory)?;
        let mut table = self.lock();
        let task = table.find(owner, id).ok_or(WaitRefused::Unknown)?;
        if let Some(end) = task.end.clone() {
            drop(table);
            conclude(&stream, &request, &end);
            return Ok(stream);
        }
        task.waiters.retain(|(_, stream)| Arc::strong_count(stream) > 1);
        if task.waiters.len() >= WAITERS_MAX {
            return Err(WaitRefused::Full);
        }
        for question in &task.questions {
            if let Some(message) = &question.message {
                stream.push(message.clone());
            }
        }
        task.waiters.push((request, Arc::clone(&stream)));
        Ok(stream)
    }

    /// Notifies this stream from now on when these tasks change, as far as they belong to the owner.
    pub fn listen(&self, owner: &TaskOwner, ids: &[Box<str>], stream: &Arc<Stream>) {
        let mut table = self.lock();
        let ids = ids.iter().filter_map(|id| TaskId::new(id.as_bytes()));
        for id in ids {
            if let Some(task) = table.find(owner, &id) {
                task.listeners.retain(|listener| listener.strong_count() > 0);
                if task.listeners.len() < WAITERS_MAX {
                    task.listeners.push(Arc::downgrade(stream));
                }
            }
        }
    }

    /// Forgets tasks whose time is over. It is called about once a second.
    pub fn tick(&self) {
        let now = (self.clock)();
        while let Some(gone) = self.next_expired(now) {
            gone.into_iter().for_each(|news| self.tell(news));
        }
    }

    /// Forgets some of the tasks whose time is over, so that others get the lock between two calls.
    fn next_expired(&self, now: UnixMillis) -> Option<Vec<News>> {
        const AT_ONCE: usize = 64;
        let gone = self.lock().expire(now, AT_ONCE);
        (!gone.is_empty()).then_some(gone)
    }

    /// Figures for metrics.
    pub fn stats(&self) -> TaskStats {
        self.lock().stats()
    }

    fn tell_any(&self, news: Option<News>) {
        if let Some(news) = news {
            self.tell(news);
        }
    }

    /// Notifies everybody concerned; no lock is held.
    fn tell(&self, news: News) {
        let News {
            view,
            session,
            waiters,
            listeners,
            stops,
            end,
        } = news;
        if let Some(place) = stops {
            let event = LiveEvent::CancelTask(place.connection);
            self.live.post(place.shard, event);
        }
        if let Some(end) = end {
            for (request, stream) in waiters {
                conclude(&stream, &request, &end);
            }
        }
        let Some(view) = view else { return };
        if let Some(stream) = session.and_then(|session| self.live.standing(session)) {
            stream.push(notification(&view, None));
        }
        for stream in listeners.iter().filter_map(std::sync::Weak::upgrade) {
            stream.push(notification(&view, stream.subscription()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing that can panic runs halfway through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task with this id, if it belongs to the owner.
    fn id_of(id: &str) -> Option<TaskId> {
        TaskId::new(id.as_bytes())
    }
}

impl Tasks for TaskStore {
    fn task(&self, owner: &TaskOwner, id: &str) -> Option<TaskView> {
        let id = Self::id_of(id)?;
        let mut table = self.lock();
        table.find(owner, &id).map(|task| task.view(id))
    }

    fn tasks(&self, owner: &TaskOwner, after: Option<&str>, max: usize) -> (Vec<TaskView>, bool) {
        self.lock().list(owner, after.and_then(Self::id_of), max)
    }

    fn cancel_task(&self, owner: &TaskOwner, id: &str) -> CancelTask {
        let now = (self.clock)();
        let Some(id) = Self::id_of(id) else {
            return CancelTask::Unknown;
        };
        let mut table = self.lock();
        let Some(task) = table.find(owner, &id) else {
            return CancelTask::Unknown;
        };
        if task.status.is_terminal() {
            return CancelTask::Ended(task.view(id));
        }
        let place = task.place;
        let ending = TaskEnding {
            status: TaskStatus::Cancelled,
            end: TaskEnd::cancelled(),
            message: Some("cancelled by its client".into()),
        };
        let news = table.end(&id, ending, now);
        let view = table.find(owner, &id).map(|task| task.view(id));
        drop(table);
        self.tell_any(news.map(|news| News {
            stops: Some(place),
            ..news
        }));
        view.map_or(CancelTask::Unknown, CancelTask::Cancelled)
    }

    fn update_task(&self, owner: &TaskOwner, id: &str, answers: Vec<(&str, Value)>) -> bool {
        let now = (self.clock)();
        let Some(id) = Self::id_of(id) else { return false };
        let mut table = self.lock();
        let Some(task) = table.find(owner, &id) else {
            return false;
        };
        let place = task.place;
        let mut events = Vec::new();
        let mut news = None;
        for (key, answer) in answers {
            let asked = table.get(&id).and_then(|task| task.question(key));
            if let Some(number) = asked {
                let answer: Result<Value, AnswerError> = Ok(answer);
                let connection = place.connection;
                events.push(LiveEvent::TaskAnswer {
                    connection,
                    number,
                    answer,
                });
                news = table.answered(&id, number, now).or(news);
            }
        }
        drop(table);
        for event in events {
            self.live.post(place.shard, event);
        }
        self.tell_any(news);
        true
    }
}

impl std::fmt::Debug for TaskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskStore").field("stats", &self.stats()).finish()
    }
}

/// Sends a task's result to a stream that waits for it.
fn conclude(stream: &Stream, request: &RequestId, end: &TaskEnd) {
    let mut answer = Vec::new();
    write_task_end(request, end, &mut answer);
    stream.conclude(Message::new(answer));
}

fn notification(view: &TaskView, subscription: Option<&RequestId>) -> Message {
    let (mut bare, mut message) = (Vec::new(), Vec::new());
    let announced = write_task_notification(view, &mut bare);
    announced.write(&bare, subscription, &mut message);
    Message::new(message)
}

/// A new id; `None` without randomness.
fn new_id() -> Option<TaskId> {
    let mut random = [0; ID_BYTES];
    getrandom::fill(&mut random).ok()?;
    let mut text = [0; 2 * ID_BYTES];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(random) {
        *pair = [byte >> 4, byte & 0xf].map(|nibble| b"0123456789abcdef"[usize::from(nibble)]);
    }
    TaskId::new(&text)
}
