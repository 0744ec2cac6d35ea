//! Live state kept in maps: the protocol must not care.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use super::*;
use crate::jsonrpc::RequestId;
use crate::registry::{AnswerError, LogLevel};

/// How long what was sealed opens, in seconds.
pub(super) const SEALED_SECONDS: u64 = 600;

/// Sessions and what they hold, and a log of what reached them.
#[derive(Default)]
pub(super) struct MappedState {
    pub(super) open: RefCell<HashMap<Vec<u8>, OpenSession>>,
    /// Ended sessions cannot be remembered.
    pub(super) is_full: bool,
    /// Nothing live can be.
    pub(super) is_live_full: bool,
    pub(super) log_levels: RefCell<HashMap<SessionToken, LogLevel>>,
    pub(super) subscriptions: RefCell<BTreeSet<(Vec<u8>, String)>>,
    pub(super) cancelled: RefCell<Vec<(SessionToken, RequestId)>>,
    pub(super) answers: RefCell<Vec<(SessionToken, String, Result<Value, AnswerError>)>>,
    /// What was sealed, by its text: the plain bytes, what they are bound to and when they were sealed.
    pub(super) sealed: RefCell<HashMap<String, (Vec<u8>, Vec<u8>, u64)>>,
    pub(super) cannot_seal: Cell<bool>,
}

impl Sessions for MappedState {
    fn mint(&self, session: &Session, _: UnixSeconds) -> Result<SessionId, SessionUnavailable> {
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
            Some(_) if self.is_full => EndSession::Full,
            Some(_) => {
                self.open.borrow_mut().remove(id);
                EndSession::Ended
            }
        }
    }
}

impl LiveState for MappedState {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), LiveRefused> {
        if self.is_live_full {
            return Err(LiveRefused::Full);
        }
        self.log_levels.borrow_mut().insert(session.token, level);
        Ok(())
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        self.log_levels.borrow().get(&session).copied()
    }

    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), LiveRefused> {
        if self.is_live_full {
            return Err(LiveRefused::Full);
        }
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
