//! State kept in maps: the protocol must not care.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::jsonrpc::RequestId;
use crate::mcp::ChildOwner;
use crate::registry::{AnswerError, ClientText, LogLevel};

/// How long sealed text opens, in seconds.
pub(super) const SEALED_SECONDS: u64 = 600;

/// The session, the question, and the answer.
pub(super) type Answered = (SessionToken, String, Result<Value, AnswerError>);

/// The plain bytes, what they are bound to, and when they were sealed.
type Sealed = (Vec<u8>, Vec<u8>, u64);

/// Sessions and their state, and a log of what reached them.
#[derive(Default)]
pub(super) struct MappedState {
    pub(super) open: RefCell<HashMap<Vec<u8>, OpenSession>>,
    /// What the client of the last session said it is.
    pub(super) client: Cell<Option<ClientText>>,
    /// Whether there is no room to remember anything.
    pub(super) is_live_full: bool,
    pub(super) log_levels: RefCell<HashMap<SessionToken, LogLevel>>,
    pub(super) subscriptions: RefCell<BTreeSet<(Vec<u8>, String)>>,
    /// Whose own child was to tell, with each subscription.
    pub(super) owners: RefCell<Vec<Option<ChildOwner>>>,
    pub(super) cancelled: RefCell<Vec<(SessionToken, RequestId)>>,
    pub(super) answers: RefCell<Vec<Answered>>,
    /// What was sealed, by its text.
    pub(super) sealed: RefCell<HashMap<String, Sealed>>,
    pub(super) cannot_seal: Cell<bool>,
    /// Tasks and their owners.
    pub(super) tasks: RefCell<Vec<(TaskOwner, TaskView)>>,
    /// Answers to tasks: the task, the key, the answer.
    pub(super) task_answers: RefCell<Vec<(String, String, Value)>>,
}

impl MappedState {
    /// A task that begins now.
    pub(super) fn create_task(&self, ticket: &Ticket, terms: TaskTerms) -> TaskView {
        let mut tasks = self.tasks.borrow_mut();
        let owner = TaskOwner {
            principal: ticket.principal(),
            session: ticket.session(),
            era: ticket.revision().era(),
        };
        let task = TaskView {
            id: TaskId::new(format!("task-{}", tasks.len()).as_bytes()).unwrap(),
            revision: ticket.revision(),
            status: TaskStatus::Working,
            status_message: None,
            created: UnixMillis(1_764_066_600_000),
            updated: UnixMillis(1_764_066_600_250),
            ttl: terms.ttl,
            poll_interval: Duration::from_millis(500),
            questions: Vec::new(),
            end: None,
        };
        tasks.push((owner, task.clone()));
        task
    }

    pub(super) fn end_task(&self, id: &TaskId, ending: TaskEnding) {
        self.change_task(id.as_str(), |task| {
            task.status = ending.status;
            task.status_message = ending.message;
            task.end = Some(Arc::new(ending.end));
        });
    }

    pub(super) fn change_task(&self, id: &str, change: impl FnOnce(&mut TaskView)) {
        let mut tasks = self.tasks.borrow_mut();
        change(
            &mut tasks
                .iter_mut()
                .find(|(_, task)| task.id.as_str() == id)
                .unwrap()
                .1,
        );
    }
}

impl Tasks for MappedState {
    fn task(&self, owner: &TaskOwner, id: &str) -> Option<TaskView> {
        let is_it = |(of, task): &&(TaskOwner, TaskView)| {
            (of.era, of.principal, task.id.as_str()) == (owner.era, owner.principal, id)
        };
        self.tasks
            .borrow()
            .iter()
            .find(is_it)
            .map(|(_, task)| task.clone())
    }

    fn tasks(&self, owner: &TaskOwner, after: Option<&str>, max: usize) -> (Vec<TaskView>, bool) {
        let tasks = self.tasks.borrow();
        let own: Vec<&TaskView> = tasks
            .iter()
            .filter_map(|(of, task)| (of == owner).then_some(task))
            .collect();
        let start = own.iter().position(|task| Some(task.id.as_str()) == after);
        let rest = &own[start.map_or(0, |at| at + 1)..];
        (
            rest.iter().copied().take(max).cloned().collect(),
            rest.len() > max,
        )
    }

    fn cancel_task(&self, owner: &TaskOwner, id: &str) -> CancelTask {
        let Some(task) = Tasks::task(self, owner, id) else {
            return CancelTask::Unknown;
        };
        if task.status.is_terminal() {
            return CancelTask::Ended(task);
        }
        let mut tasks = self.tasks.borrow_mut();
        let known = tasks.iter_mut().find(|(_, known)| known.id == task.id).unwrap();
        known.1.status = TaskStatus::Cancelled;
        known.1.end = Some(Arc::new(TaskEnd::cancelled()));
        CancelTask::Cancelled(known.1.clone())
    }

    fn update_task(&self, owner: &TaskOwner, id: &str, answers: Vec<(&str, Value)>) -> bool {
        let is_known = Tasks::task(self, owner, id).is_some();
        let answers = answers
            .into_iter()
            .map(|(key, answer)| (id.to_owned(), key.to_owned(), answer));
        self.task_answers
            .borrow_mut()
            .extend(answers.filter(|_| is_known));
        is_known
    }
}

impl Sessions for MappedState {
    fn mint(
        &self,
        session: &Session,
        client: &ClientText,
        _: UnixSeconds,
    ) -> Result<SessionId, SessionUnavailable> {
        self.client.set(Some(*client));
        let mut open = self.open.borrow_mut();
        let number = open.len();
        let id = SessionId::new(format!("session-{number}").as_bytes()).ok_or(SessionUnavailable)?;
        let token = SessionToken([u8::try_from(number).map_err(|_| SessionUnavailable)?; 16]);
        open.insert(
            id.as_bytes().to_vec(),
            OpenSession {
                session: *session,
                token,
            },
        );
        Ok(id)
    }

    fn open(&self, id: &[u8], principal: Principal, _: UnixSeconds) -> Option<OpenSession> {
        let open = self.open.borrow().get(id).copied()?;
        (open.session.principal == principal).then_some(open)
    }

    fn end(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> EndSession {
        match Sessions::open(self, id, principal, now) {
            None => EndSession::Unknown,
            Some(_) => {
                self.open.borrow_mut().remove(id);
                EndSession::Ended
            }
        }
    }
}

impl FeatureState for MappedState {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), StateRefused> {
        if self.is_live_full {
            return Err(StateRefused::Full);
        }
        self.log_levels.borrow_mut().insert(session.token, level);
        Ok(())
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        self.log_levels.borrow().get(&session).copied()
    }

    fn subscribe_as(
        &self,
        session: &OpenSession,
        uri: &str,
        owner: Option<ChildOwner>,
    ) -> Result<(), StateRefused> {
        if self.is_live_full {
            return Err(StateRefused::Full);
        }
        self.owners.borrow_mut().push(owner);
        let mut subscriptions = self.subscriptions.borrow_mut();
        subscriptions.insert((session.token.0.to_vec(), uri.to_owned()));
        Ok(())
    }

    fn unsubscribe(&self, session: &OpenSession, uri: &str) {
        let key = (session.token.0.to_vec(), uri.to_owned());
        self.subscriptions.borrow_mut().remove(&key);
    }

    fn cancel(&self, session: SessionToken, request: &RequestId) {
        self.cancelled.borrow_mut().push((session, request.clone()));
    }

    fn pass_on(&self, _: SessionToken, _: &str, _: &[u8]) -> bool {
        false
    }

    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>) {
        self.answers
            .borrow_mut()
            .push((session, question.to_owned(), answer));
    }
}

impl StateSeal for MappedState {
    fn seal(&self, plain: &[u8], bound: &[u8], now: UnixSeconds) -> Option<String> {
        if self.cannot_seal.get() {
            return None;
        }
        let mut sealed = self.sealed.borrow_mut();
        let text = format!("sealed-{}", sealed.len());
        sealed.insert(text.clone(), (plain.to_vec(), bound.to_vec(), now.0));
        Some(text)
    }

    fn open(&self, text: &str, bound: &[u8], now: UnixSeconds) -> Option<Vec<u8>> {
        let sealed = self.sealed.borrow();
        let (plain, bound_to, at) = sealed.get(text)?;
        (bound_to == bound && now.0 < at + SEALED_SECONDS).then(|| plain.clone())
    }
}
