//! The tasks as shards use them: made, looked at, answered, cancelled and waited for.
#![allow(
    clippy::disallowed_types,
    reason = "any shard asks about any task; the lock is held for a look-up"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::jsonrpc::RequestId;
use crate::mcp::{
    CancelTask, Overload, OverloadReason, TaskEnd, TaskEnding, TaskId, TaskOwner, TaskStatus, TaskView,
    Tasks, UnixMillis, write_task_end, write_task_notification,
};
use crate::metrics::TaskFigures;
use crate::registry::AnswerError;
use crate::session::live::{Live, LiveEvent, Message, Stream};

use super::table::Table;
use super::task::{Notice, Question};
use super::{NewTask, POLL_INTERVAL, TaskOptions, TaskRefused, WaitRefused};

/// How many streams may wait for one task; as many more may listen to it.
pub(super) const WAITERS_MAX: usize = 16;
/// Random bytes of an id.
const ID_BYTES: usize = 16;

/// The process's tasks. See the module's documentation.
pub struct TaskStore {
    pub(super) live: Arc<Live>,
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
            table.figures.refused_total += 1;
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
        let Some(notice) = table.ask(id, question, now) else {
            return false;
        };
        let waiter = table.get(id).and_then(|task| task.waiter());
        drop(table);
        if let (Some(stream), Some(message)) = (waiter, message) {
            stream.push(message);
        }
        self.notify(notice);
        true
    }

    /// Removes a question of a task that was answered, or that no client will answer.
    pub fn answered(&self, id: &TaskId, number: u32) {
        let now = (self.clock)();
        let notice = self.lock().answered(id, number, now);
        self.notify_any(notice);
    }

    /// Sends progress or a log message of a running task to the stream that waits for it, else to its session.
    pub fn say(&self, id: &TaskId, message: Message) {
        let table = self.lock();
        let Some(task) = table.get(id) else { return };
        let (waiter, session) = (task.waiter(), task.owner.session);
        drop(table);
        let stream = waiter.or_else(|| session.and_then(|session| self.live.get_stream_of(session)));
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
        let notice = table.end(id, ending, now);
        drop(table);
        self.notify_any(notice);
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
            gone.into_iter().for_each(|notice| self.notify(notice));
        }
    }

    /// Forgets some of the tasks whose time is over, so that others get the lock between two calls.
    fn next_expired(&self, now: UnixMillis) -> Option<Vec<Notice>> {
        const AT_ONCE: usize = 64;
        let gone = self.lock().expire(now, AT_ONCE);
        (!gone.is_empty()).then_some(gone)
    }

    /// Figures for metrics.
    pub fn figures(&self) -> TaskFigures {
        self.lock().figures()
    }

    fn notify_any(&self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            self.notify(notice);
        }
    }

    /// Notifies everybody concerned; no lock is held.
    fn notify(&self, notice: Notice) {
        let Notice {
            view,
            session,
            waiters,
            listeners,
            stops,
            end,
        } = notice;
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
        if let Some(stream) = session.and_then(|session| self.live.get_stream_of(session)) {
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
        let notice = table.end(&id, ending, now);
        let view = table.find(owner, &id).map(|task| task.view(id));
        drop(table);
        self.notify_any(notice.map(|notice| Notice {
            stops: Some(place),
            ..notice
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
        let mut notice = None;
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
                notice = table.answered(&id, number, now).or(notice);
            }
        }
        drop(table);
        for event in events {
            self.live.post(place.shard, event);
        }
        self.notify_any(notice);
        true
    }
}

impl std::fmt::Debug for TaskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskStore")
            .field("figures", &self.figures())
            .finish()
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
