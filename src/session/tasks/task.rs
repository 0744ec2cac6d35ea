//! One task, and what clients are told when it changes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::live::{Message, Stream};
use super::{POLL_INTERVAL, TaskPlace};
use crate::jsonrpc::RequestId;
use crate::mcp::{
    Era, Revision, SessionToken, TaskEnd, TaskEnding, TaskId, TaskOwner, TaskStatus, TaskView, UnixMillis,
};

/// A question that a task's client has not answered yet.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) number: u32,
    pub(super) key: Box<str>,
    pub(super) request: Arc<[u8]>,
    /// The same as a JSON-RPC request, for clients that answer those.
    pub(super) message: Option<Message>,
}

impl Question {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.key.len() + 2 * self.request.len()
    }
}

#[derive(Debug)]
pub(super) struct Task {
    /// Tasks are numbered as they are made.
    pub(super) number: u64,
    pub(super) owner: TaskOwner,
    pub(super) revision: Revision,
    pub(super) place: TaskPlace,
    pub(super) status: TaskStatus,
    pub(super) message: Option<Box<str>>,
    pub(super) created: UnixMillis,
    pub(super) updated: UnixMillis,
    pub(super) ttl: Duration,
    pub(super) questions: Vec<Question>,
    /// Keys of all questions so far, in the era in which clients answer by key.
    pub(super) used_keys: Vec<Box<str>>,
    pub(super) end: Option<Arc<TaskEnd>>,
    pub(super) waiters: Vec<(RequestId, Arc<Stream>)>,
    pub(super) listeners: Vec<Weak<Stream>>,
}

impl Task {
    /// The bytes of a task without its questions and its result: itself, and its places in the tables.
    pub(super) const BYTES: usize = size_of::<Self>() + 256;

    /// Bytes counted for it.
    pub(super) fn bytes(&self) -> usize {
        let questions: usize = self.questions.iter().map(Question::bytes).sum();
        let end = self.end.as_deref().map_or(0, end_bytes);
        let message = self.message.as_ref().map_or(0, |message| message.len());
        let keys: usize = self
            .used_keys
            .iter()
            .map(|key| size_of::<Box<str>>() + key.len())
            .sum();
        Self::BYTES + questions + keys + end + message
    }

    /// When it is forgotten.
    pub(super) fn expiry(&self) -> UnixMillis {
        let ttl = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(self.created.0.saturating_add(ttl))
    }

    pub(super) fn view(&self, id: TaskId) -> TaskView {
        let questions = self.questions.iter();
        TaskView {
            id,
            revision: self.revision,
            status: self.status,
            status_message: self.message.clone(),
            created: self.created,
            updated: self.updated,
            ttl: Some(self.ttl),
            poll_interval: POLL_INTERVAL,
            questions: questions
                .map(|question| (question.key.clone(), Arc::clone(&question.request)))
                .collect(),
            end: self.end.clone(),
        }
    }

    /// The question under a key this task never used: an answer that comes late is none to a later question
    /// (extension `io.modelcontextprotocol/tasks`), though the tool may ask under one name again and again.
    pub(super) fn with_new_key(&mut self, question: Question) -> Question {
        if self.owner.era != Era::Modern {
            return question;
        }
        let is_used = |key: &str| self.used_keys.iter().any(|used| **used == *key);
        let mut key = question.key.clone();
        let mut turn = 1;
        while is_used(&key) {
            turn += 1;
            key = format!("{}-{turn}", question.key).into();
        }
        self.used_keys.push(key.clone());
        Question { key, ..question }
    }

    /// The number of the open question with this key.
    pub(super) fn question(&self, key: &str) -> Option<u32> {
        let mut questions = self.questions.iter();
        questions
            .find(|question| &*question.key == key)
            .map(|question| question.number)
    }

    /// The stream that waits for it; of several the one that came last, since earlier ones may be gone.
    pub(super) fn waiter(&self) -> Option<Arc<Stream>> {
        let mut waiters = self.waiters.iter().rev();
        waiters
            .find(|(_, stream)| Arc::strong_count(stream) > 1)
            .map(|(_, stream)| Arc::clone(stream))
    }

    /// It is over.
    pub(super) fn end_as(&mut self, ending: TaskEnding) {
        self.status = ending.status;
        self.message = ending.message;
        self.questions = Vec::new();
        self.used_keys = Vec::new();
        self.end = Some(Arc::new(ending.end));
    }

    /// The notification for its listeners.
    pub(super) fn notice(&self, id: TaskId) -> Notice {
        Notice {
            view: Some(self.view(id)),
            session: self.owner.session,
            waiters: Vec::new(),
            listeners: self.listeners.clone(),
            stops: None,
            end: None,
        }
    }
}

impl Notice {
    /// Nobody is told anything.
    pub(super) fn nothing() -> Self {
        Self {
            view: None,
            session: None,
            waiters: Vec::new(),
            listeners: Vec::new(),
            stops: None,
            end: None,
        }
    }
}

pub(super) fn end_bytes(end: &TaskEnd) -> usize {
    match end {
        TaskEnd::Result(json) | TaskEnd::Error(json) => json.len(),
    }
}

/// What clients must be told of a task, once no lock is held.
#[derive(Debug)]
pub(super) struct Notice {
    /// Its present status, for listeners; `None` if they are told nothing.
    pub(super) view: Option<TaskView>,
    pub(super) session: Option<SessionToken>,
    /// The streams that get `end`.
    pub(super) waiters: Vec<(RequestId, Arc<Stream>)>,
    pub(super) listeners: Vec<Weak<Stream>>,
    /// The shard on which it must stop.
    pub(super) stops: Option<TaskPlace>,
    pub(super) end: Option<Arc<TaskEnd>>,
}
