//! All tasks: found by id, counted by client, ordered by age and by the end of their time.
//!
//! Invariant: `bytes` is the sum over the tasks; `by_client`, `expiries` and the figures' counts by status have exactly
//! the tasks there are, and `over` those that are over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::task::{Notice, Question, Task, end_bytes};
use super::{NewTask, TaskOptions, TaskRefused};
use crate::mcp::{
    Era, Principal, SessionToken, TaskEnd, TaskEnding, TaskId, TaskOwner, TaskStatus, TaskView, UnixMillis,
};
use crate::metrics::TaskFigures;

/// The client whose tasks are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    Principal(Principal),
    Session(SessionToken),
}

impl Client {
    fn of(owner: &TaskOwner) -> Option<Client> {
        match owner.principal {
            Principal::ANONYMOUS => owner.session.map(Client::Session),
            principal => Some(Client::Principal(principal)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    options: TaskOptions,
    tasks: HashMap<TaskId, Task>,
    /// All tasks, by age.
    order: BTreeMap<u64, TaskId>,
    /// The tasks that are over, by age.
    over: BTreeMap<u64, TaskId>,
    expiries: BTreeMap<(UnixMillis, u64), TaskId>,
    by_client: HashMap<Client, usize>,
    bytes: usize,
    next_number: u64,
    pub(super) figures: TaskFigures,
}

impl Table {
    pub(super) fn new(options: TaskOptions) -> Table {
        Table {
            options,
            tasks: HashMap::new(),
            order: BTreeMap::new(),
            over: BTreeMap::new(),
            expiries: BTreeMap::new(),
            by_client: HashMap::new(),
            bytes: 0,
            next_number: 0,
            figures: TaskFigures::default(),
        }
    }

    pub(super) fn get(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// The task, if it belongs to the owner.
    pub(super) fn find(&mut self, owner: &TaskOwner, id: &TaskId) -> Option<&mut Task> {
        let task = self.tasks.get_mut(id)?;
        let is_own = task.owner.era == owner.era && task.owner.principal == owner.principal;
        is_own.then_some(task)
    }

    pub(super) fn insert(
        &mut self,
        id: TaskId,
        new: NewTask,
        now: UnixMillis,
    ) -> Result<TaskView, TaskRefused> {
        if let Err(refused) = self.make_room(&new.owner) {
            self.figures.refused_total += 1;
            return Err(refused);
        }
        let number = self.next_number;
        self.next_number += 1;
        let task = Task {
            number,
            owner: new.owner,
            revision: new.revision,
            place: new.place,
            status: TaskStatus::Working,
            message: None,
            created: now,
            updated: now,
            ttl: new
                .ttl
                .unwrap_or(self.options.settings.ttl())
                .min(self.options.settings.ttl_max),
            questions: Vec::new(),
            used_keys: Vec::new(),
            end: None,
            waiters: Vec::new(),
            listeners: Vec::new(),
        };
        if let Some(client) = Client::of(&new.owner) {
            *self.by_client.entry(client).or_default() += 1;
        }
        let view = task.view(id);
        self.bytes += task.bytes();
        self.order.insert(number, id);
        self.expiries.insert((task.expiry(), number), id);
        self.tasks.insert(id, task);
        self.figures.created_total += 1;
        *count_of(&mut self.figures, TaskStatus::Working) += 1;
        Ok(view)
    }

    fn make_room(&mut self, owner: &TaskOwner) -> Result<(), TaskRefused> {
        if let Some(client) = Client::of(owner)
            && self.by_client.get(&client).copied().unwrap_or_default()
                >= self.options.settings.per_client_max
        {
            let is_own = |task: &Task| Client::of(&task.owner) == Some(client);
            let oldest = self.oldest_over(is_own).ok_or(TaskRefused::FullForClient)?;
            self.evict(&oldest);
        }
        loop {
            let lacks = match () {
                () if self.tasks.len() >= self.options.settings.tasks_max => TaskRefused::Full,
                () if self.bytes >= self.options.bytes_max => TaskRefused::NoMemory,
                () => return Ok(()),
            };
            let oldest = self.oldest_over(|_| true).ok_or(lacks)?;
            self.evict(&oldest);
        }
    }

    fn oldest_over(&self, is_it: impl Fn(&Task) -> bool) -> Option<TaskId> {
        let mut over = self.over.values();
        over.find(|id| self.tasks.get(id).is_some_and(&is_it)).copied()
    }

    fn evict(&mut self, id: &TaskId) {
        self.remove(id);
        self.figures.evicted_total += 1;
    }

    fn remove(&mut self, id: &TaskId) -> Option<Task> {
        let task = self.tasks.remove(id)?;
        self.bytes -= task.bytes();
        *count_of(&mut self.figures, task.status) -= 1;
        self.order.remove(&task.number);
        self.over.remove(&task.number);
        self.expiries.remove(&(task.expiry(), task.number));
        if let Some(client) = Client::of(&task.owner)
            && let Some(count) = self.by_client.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
        if self.tasks.is_empty() {
            self.tasks.shrink_to(64);
            self.by_client.shrink_to(64);
        }
        Some(task)
    }

    /// Changes a task that is not over, and counts its bytes anew.
    fn change(&mut self, id: &TaskId, now: UnixMillis, change: impl FnOnce(&mut Task)) -> Option<&mut Task> {
        let task = self.tasks.get_mut(id)?;
        if task.status.is_terminal() {
            return None;
        }
        self.bytes -= task.bytes();
        *count_of(&mut self.figures, task.status) -= 1;
        change(task);
        task.updated = now.max(task.updated);
        self.bytes += task.bytes();
        *count_of(&mut self.figures, task.status) += 1;
        Some(task)
    }

    pub(super) fn ask(&mut self, id: &TaskId, question: Question, now: UnixMillis) -> Option<Notice> {
        let task = self.change(id, now, |task| {
            let question = task.with_new_key(question);
            task.questions.push(question);
            task.status = TaskStatus::InputRequired;
        })?;
        Some(task.notice(*id))
    }

    /// `None` if it changed nothing that clients see.
    pub(super) fn answered(&mut self, id: &TaskId, number: u32, now: UnixMillis) -> Option<Notice> {
        let is_open = |task: &Task| task.questions.iter().any(|question| question.number == number);
        self.tasks.get(id).filter(|task| is_open(task))?;
        let task = self.change(id, now, |task| {
            task.questions.retain(|question| question.number != number);
            if task.questions.is_empty() {
                task.status = TaskStatus::Working;
            }
        })?;
        (task.status == TaskStatus::Working).then(|| task.notice(*id))
    }

    /// Whether there could be room for it in an empty table.
    pub(super) fn holds(&self, end: &TaskEnd) -> bool {
        Task::BYTES + end_bytes(end) <= self.options.bytes_max
    }

    pub(super) fn end(&mut self, id: &TaskId, ending: TaskEnding, now: UnixMillis) -> Option<Notice> {
        let task = self.change(id, now, |task| task.end_as(ending))?;
        let notice = Notice {
            waiters: std::mem::take(&mut task.waiters),
            end: task.end.clone(),
            ..task.notice(*id)
        };
        task.listeners = Vec::new();
        let number = task.number;
        self.over.insert(number, *id);
        // Its result may be large: tasks that have been over for longer make room first, and at last it does itself.
        while self.bytes > self.options.bytes_max
            && let Some(oldest) = self.oldest_over(|_| true)
        {
            self.evict(&oldest);
        }
        Some(notice)
    }

    /// Forgets at most this many tasks whose time is over.
    pub(super) fn expire(&mut self, now: UnixMillis, max: usize) -> Vec<Notice> {
        let mut gone = Vec::new();
        while gone.len() < max
            && let Some((&(expiry, _), &id)) = self.expiries.first_key_value()
            && expiry <= now
        {
            let Some(mut task) = self.remove(&id) else {
                break;
            };
            self.figures.expired_total += 1;
            let is_over = task.status.is_terminal();
            let waiters = std::mem::take(&mut task.waiters);
            // Whoever listens is told of the end, but not that what has ended is forgotten.
            let notice = if is_over {
                Notice::nothing()
            } else {
                task.end_as(TaskEnding::expired());
                task.notice(id)
            };
            gone.push(Notice {
                waiters,
                stops: (!is_over).then_some(task.place),
                end: Some(Arc::new(TaskEnd::expired())),
                ..notice
            });
        }
        gone
    }

    /// The tasks behind `after` in the session, or of the principal, oldest first.
    pub(super) fn list(&self, owner: &TaskOwner, after: Option<TaskId>, max: usize) -> (Vec<TaskView>, bool) {
        let from = after.map_or(Some(0), |id| self.tasks.get(&id).map(|task| task.number + 1));
        let client = Client::of(owner);
        let (Some(from), Some(_)) = (from, client) else {
            return (Vec::new(), false);
        };
        let is_listed = |task: &Task| {
            task.owner.era == Era::Legacy && owner.era == Era::Legacy && Client::of(&task.owner) == client
        };
        let mut views: Vec<TaskView> = self
            .order
            .range(from..)
            .filter_map(|(_, id)| {
                self.tasks
                    .get(id)
                    .filter(|task| is_listed(task))
                    .map(|task| task.view(*id))
            })
            .take(max + 1)
            .collect();
        let has_more = views.len() > max;
        views.truncate(max);
        (views, has_more)
    }

    pub(super) fn figures(&self) -> TaskFigures {
        TaskFigures {
            tasks: self.tasks.len() as u64,
            running: (self.tasks.len() - self.over.len()) as u64,
            bytes: self.bytes as u64,
            ..self.figures
        }
    }
}

/// The figure that counts the tasks with this status.
fn count_of(figures: &mut TaskFigures, status: TaskStatus) -> &mut u64 {
    match status {
        TaskStatus::Working => &mut figures.working,
        TaskStatus::InputRequired => &mut figures.input_required,
        TaskStatus::Completed => &mut figures.completed,
        TaskStatus::Failed => &mut figures.failed,
        TaskStatus::Cancelled => &mut figures.cancelled,
    }
}
