//! Everything that is known of sessions: sealed ids, live state, sealed request state.

use std::sync::Arc;

use serde_json::Value;

use super::live::{Live, LiveOptions};
use super::{SealedSessions, SessionKey, SessionOptions};
use crate::jsonrpc::RequestId;
use crate::mcp::{
    EndSession, LiveRefused, LiveState, OpenSession, Principal, Session, SessionId, SessionToken,
    SessionUnavailable, Sessions, StateSeal, UnixSeconds,
};
use crate::registry::{AnswerError, LogLevel};

/// The sessions of one process, with what is live of them.
#[derive(Debug)]
pub struct Store {
    sessions: SealedSessions,
    live: Arc<Live>,
}

impl Store {
    /// An empty store.
    pub fn new(key: &SessionKey, sessions: SessionOptions, live: LiveOptions, shards: usize) -> Store {
        Store {
            sessions: SealedSessions::new(key, sessions),
            live: Live::new(live, shards),
        }
    }

    /// What is live.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Sessions for Store {
    fn mint(&self, session: &Session, now: UnixSeconds) -> Result<SessionId, SessionUnavailable> {
        self.sessions.mint(session, now)
    }

    fn open(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> Option<OpenSession> {
        let open = Sessions::open(&self.sessions, id, principal, now)?;
        (!self.live.is_evicted(open.token)).then_some(open)
    }

    fn end(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> EndSession {
        let open = Sessions::open(&self.sessions, id, principal, now);
        let ended = self.sessions.end(id, principal, now);
        if let (Some(open), EndSession::Ended) = (open, ended) {
            self.live.end_session(open.token);
        }
        ended
    }
}

impl LiveState for Store {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), LiveRefused> {
        self.live.set_log_level(session, level)
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        self.live.log_level(session)
    }

    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), LiveRefused> {
        self.live.subscribe(session, uri)
    }

    fn unsubscribe(&self, session: &OpenSession, uri: &str) {
        self.live.unsubscribe(session, uri);
    }

    fn cancel(&self, session: SessionToken, request: &RequestId) {
        self.live.cancel(session, request);
    }

    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>) {
        self.live.answer(session, question, answer);
    }
}

impl StateSeal for Store {
    fn seal(&self, _plain: &[u8], _bound: &[u8], _now: UnixSeconds) -> Option<String> {
        None
    }

    fn open(&self, _text: &str, _bound: &[u8], _now: UnixSeconds) -> Option<Vec<u8>> {
        None
    }
}
