//! The store as one shard uses it: what requests of the shard read and change.
//!
//! Beside the store that all shards share it has what the shard keeps for itself: the ids it opened lately, and random
//! bytes for new ones. A session that is ended or evicted anywhere is unknown here with the next request.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use super::ShardIds;
use super::store::Store;
use crate::jsonrpc::RequestId;
use crate::mcp::{
    CancelTask, ChildOwner, EndSession, FeatureState, OpenSession, Principal, Session, SessionId,
    SessionToken, SessionUnavailable, Sessions, StateRefused, StateSeal, TaskOwner, TaskView, Tasks,
    UnixSeconds,
};
use crate::registry::{AnswerError, ClientText, LogLevel};

/// One shard's view of the store. It dereferences to the store.
pub struct ShardStore {
    store: Arc<Store>,
    ids: RefCell<ShardIds>,
}

impl ShardStore {
    /// A view that has opened nothing yet.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            ids: RefCell::new(store.new_shard_ids()),
            store,
        }
    }
}

impl Deref for ShardStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl std::fmt::Debug for ShardStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardStore").finish_non_exhaustive()
    }
}

impl Sessions for ShardStore {
    fn mint(
        &self,
        session: &Session,
        client: &ClientText,
        now: UnixSeconds,
    ) -> Result<SessionId, SessionUnavailable> {
        self.store.mint(&mut self.ids.borrow_mut(), session, client, now)
    }

    fn open(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> Option<OpenSession> {
        self.store.open(&mut self.ids.borrow_mut(), id, principal, now)
    }

    fn end(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> EndSession {
        self.store.end(&mut self.ids.borrow_mut(), id, principal, now)
    }
}

impl FeatureState for ShardStore {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), StateRefused> {
        self.store.set_log_level(session, level)
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        self.store.log_level(session)
    }

    fn subscribe_as(
        &self,
        session: &OpenSession,
        uri: &str,
        owner: Option<ChildOwner>,
    ) -> Result<(), StateRefused> {
        self.store.subscribe_as(session, uri, owner)
    }

    fn unsubscribe(&self, session: &OpenSession, uri: &str) {
        self.store.unsubscribe(session, uri);
    }

    fn cancel(&self, session: SessionToken, request: &RequestId) {
        self.store.cancel(session, request);
    }

    fn pass_on(&self, session: SessionToken, question: &str, message: &[u8]) -> bool {
        self.store.pass_on(session, question, message)
    }

    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>) {
        self.store.answer(session, question, answer);
    }
}

impl StateSeal for ShardStore {
    fn seal(&self, plain: &[u8], bound: &[u8], now: UnixSeconds) -> Option<String> {
        self.store.seal(plain, bound, now)
    }

    fn open(&self, text: &str, bound: &[u8], now: UnixSeconds) -> Option<Vec<u8>> {
        StateSeal::open(&*self.store, text, bound, now)
    }
}

impl Tasks for ShardStore {
    fn task(&self, owner: &TaskOwner, id: &str) -> Option<TaskView> {
        self.store.task(owner, id)
    }

    fn tasks(&self, owner: &TaskOwner, after: Option<&str>, max: usize) -> (Vec<TaskView>, bool) {
        Tasks::tasks(&*self.store, owner, after, max)
    }

    fn cancel_task(&self, owner: &TaskOwner, id: &str) -> CancelTask {
        self.store.cancel_task(owner, id)
    }

    fn update_task(&self, owner: &TaskOwner, id: &str, answers: Vec<(&str, Value)>) -> bool {
        self.store.update_task(owner, id, answers)
    }
}
