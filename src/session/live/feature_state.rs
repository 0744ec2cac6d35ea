//! The state that the protocol's features keep for a legacy session: its log level, subscriptions and questions.

use serde_json::Value;

use super::live_store::Live;
use super::sessions::QuestionId;
use super::streams::StreamIndex;
use super::subscriptions::Listener;
use crate::jsonrpc::RequestId;
use crate::mcp::{ChildOwner, FeatureState, OpenSession, SessionToken, StateRefused};
use crate::registry::{AnswerError, LogLevel};

impl FeatureState for Live {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), StateRefused> {
        let principal = session.session.principal;
        self.sessions
            .with_session_or_new(session.token, principal, |session| {
                session.log_level = Some(level);
                Ok(())
            })
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        self.sessions.look(session, |session| session.log_level)?
    }

    fn subscribe_as(
        &self,
        session: &OpenSession,
        uri: &str,
        owner: Option<ChildOwner>,
    ) -> Result<(), StateRefused> {
        let (token, principal) = (session.token, session.session.principal);
        let subscriptions = &self.context.subscriptions;
        let owner = owner.as_ref();
        self.sessions
            .make_room(StreamIndex::subscription_bytes(uri, owner))?;
        let client = owner.map(|owner| owner.client.key);
        let mut is_dirty = false;
        let subscribed = self.sessions.with_session_or_new(token, principal, |session| {
            if subscriptions.has(&session.subscriptions, uri, client) {
                return Ok(());
            }
            if session.subscriptions.len() >= self.context.options.subscriptions_max {
                return Err(StateRefused::Full);
            }
            let key = subscriptions.subscribe(uri, owner, Listener::Session(token), &mut is_dirty);
            session.subscriptions.push(key.ok_or(StateRefused::Full)?);
            Ok(())
        });
        if is_dirty {
            self.context.pending.on_dirty();
        }
        subscribed
    }

    fn unsubscribe(&self, session: &OpenSession, uri: &str) {
        let subscriptions = &self.context.subscriptions;
        let removed = self.sessions.with_session(session.token, |session| {
            let mut removed = Vec::new();
            while let Some(position) = subscriptions.position(&session.subscriptions, uri) {
                removed.push(session.subscriptions.swap_remove(position));
            }
            removed
        });
        self.context.unsubscribe(&removed.unwrap_or_default());
    }

    fn cancel(&self, session: SessionToken, request: &RequestId) {
        self.context.inboxes.cancel(session, request);
    }

    fn pass_on(&self, session: SessionToken, question: &str, message: &[u8]) -> bool {
        let id = QuestionId::parse(question);
        id.is_some_and(|id| self.sessions.pass_on(session, id, message))
    }

    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>) {
        if let Some(id) = QuestionId::parse(question) {
            self.sessions.answer(session, id, answer);
        }
    }
}
