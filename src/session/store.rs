//! Everything that a process knows of its clients beyond a request: sealed session ids, the live state of sessions, and
//! the sealed state that clients carry.
//!
//! Each shard has its own view of it, the [`ShardStore`](super::ShardStore). A session that ends or is evicted is
//! unknown to all of them at once.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::live::{Live, LiveOptions};
use super::state_seal::RequestStateSeal;
use super::tasks::{TaskOptions, TaskStore};
use super::{SealedSessions, SessionKey, SessionOptions, ShardIds};
use crate::clock;
use crate::jsonrpc::RequestId;
use crate::mcp::{
    CancelTask, ChildOwner, EndSession, FeatureState, OpenSession, Principal, Session, SessionId,
    SessionToken, SessionUnavailable, StateRefused, StateSeal, TaskOwner, TaskView, Tasks, UnixMillis,
    UnixSeconds,
};
use crate::metrics::TombstoneFigures;
use crate::registry::{AnswerError, ClientText, LogLevel};

/// The process's sessions, with their live state. All shards share it.
#[derive(Debug)]
pub struct Store {
    sessions: SealedSessions,
    options: SessionOptions,
    live: Arc<Live>,
    tasks: Arc<TaskStore>,
    seal: RequestStateSeal,
    on_end: OnceLock<SessionEnds>,
}

/// Who hears of sessions that end.
struct SessionEnds(Box<dyn Fn(SessionToken) + Send + Sync>);

impl std::fmt::Debug for SessionEnds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionEnds(…)")
    }
}

impl Store {
    /// An empty store for shards numbered from 0. Evicted sessions are remembered as long as ids are valid.
    pub fn new(
        key: &SessionKey,
        sessions: SessionOptions,
        live: LiveOptions,
        tasks: TaskOptions,
        shards: usize,
    ) -> Self {
        let live = LiveOptions {
            session_max_age: sessions.max_age,
            ..live
        };
        let live = Live::new(live, shards);
        let tasks = TaskStore::new(Arc::clone(&live), tasks, unix_millis);
        let ticked = Arc::downgrade(&tasks);
        live.on_tick(Box::new(move || {
            if let Some(tasks) = ticked.upgrade() {
                tasks.tick();
            }
        }));
        Self {
            sessions: SealedSessions::new(key, sessions),
            options: sessions,
            live,
            tasks,
            seal: RequestStateSeal::new(key),
            on_end: OnceLock::new(),
        }
    }

    /// Who is to hear of each session that ends before its id expires. The first one that is given is kept.
    pub fn on_end(&self, hear: Box<dyn Fn(SessionToken) + Send + Sync>) {
        let _ = self.on_end.set(SessionEnds(hear));
    }

    /// Ends a session though its client has not said so: its id is unknown from now on.
    pub fn end_lost(&self, session: SessionToken) {
        self.sessions
            .end_lost(session.0, UnixSeconds(unix_millis().0 / 1000));
        self.end_live(session);
    }

    fn end_live(&self, session: SessionToken) {
        self.live.end_session(session);
        if let Some(SessionEnds(hear)) = self.on_end.get() {
            hear(session);
        }
    }

    /// Whether a session has ended or was evicted.
    pub fn is_over(&self, session: SessionToken) -> bool {
        self.sessions.has_ended(session.0) || self.live.is_evicted(session)
    }

    /// The live state.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Its tasks.
    pub fn tasks(&self) -> &Arc<TaskStore> {
        &self.tasks
    }

    /// Ended sessions that are remembered, and those that were forgotten before their ids expired.
    pub fn tombstones(&self) -> TombstoneFigures {
        self.sessions.tombstones()
    }

    pub(super) fn new_shard_ids(&self) -> ShardIds {
        ShardIds::new(self.options)
    }

    pub(super) fn mint(
        &self,
        ids: &mut ShardIds,
        session: &Session,
        client: &ClientText,
        now: UnixSeconds,
    ) -> Result<SessionId, SessionUnavailable> {
        self.sessions.mint(ids, session, client, now)
    }

    pub(super) fn open(
        &self,
        ids: &mut ShardIds,
        id: &[u8],
        principal: Principal,
        now: UnixSeconds,
    ) -> Option<OpenSession> {
        let plain = self.sessions.open(ids, id, principal, now)?;
        let token = SessionToken(plain.token);
        if self.live.is_evicted(token) {
            return None;
        }
        self.live.touch(token);
        Some(OpenSession {
            session: plain.session,
            token,
        })
    }

    pub(super) fn end(
        &self,
        ids: &mut ShardIds,
        id: &[u8],
        principal: Principal,
        now: UnixSeconds,
    ) -> EndSession {
        let plain = self.sessions.open(ids, id, principal, now);
        let known = plain.filter(|plain| !self.live.is_evicted(SessionToken(plain.token)));
        let Some(plain) = known else {
            return EndSession::Unknown;
        };
        self.sessions.end(ids, id, &plain, now);
        self.end_live(SessionToken(plain.token));
        EndSession::Ended
    }
}

/// Wall-clock time, for the times that tasks report.
fn unix_millis() -> UnixMillis {
    UnixMillis(u64::try_from(clock::since_1970().as_millis()).unwrap_or(u64::MAX))
}

impl Tasks for Store {
    fn task(&self, owner: &TaskOwner, id: &str) -> Option<TaskView> {
        self.tasks.task(owner, id)
    }

    fn tasks(&self, owner: &TaskOwner, after: Option<&str>, max: usize) -> (Vec<TaskView>, bool) {
        Tasks::tasks(&*self.tasks, owner, after, max)
    }

    fn cancel_task(&self, owner: &TaskOwner, id: &str) -> CancelTask {
        self.tasks.cancel_task(owner, id)
    }

    fn update_task(&self, owner: &TaskOwner, id: &str, answers: Vec<(&str, Value)>) -> bool {
        self.tasks.update_task(owner, id, answers)
    }
}

impl FeatureState for Store {
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), StateRefused> {
        self.live.set_log_level(session, level)
    }

    fn log_level(&self, session: SessionToken) -> Option<LogLevel> {
        self.live.log_level(session)
    }

    fn subscribe_as(
        &self,
        session: &OpenSession,
        uri: &str,
        owner: Option<ChildOwner>,
    ) -> Result<(), StateRefused> {
        self.live.subscribe_as(session, uri, owner)
    }

    fn unsubscribe(&self, session: &OpenSession, uri: &str) {
        self.live.unsubscribe(session, uri);
    }

    fn cancel(&self, session: SessionToken, request: &RequestId) {
        self.live.cancel(session, request);
    }

    fn pass_on(&self, session: SessionToken, question: &str, message: &[u8]) -> bool {
        self.live.pass_on(session, question, message)
    }

    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>) {
        self.live.answer(session, question, answer);
    }
}

impl StateSeal for Store {
    fn seal(&self, plain: &[u8], bound: &[u8], now: UnixSeconds) -> Option<String> {
        self.seal.seal(plain, bound, now)
    }

    fn open(&self, text: &str, bound: &[u8], now: UnixSeconds) -> Option<Vec<u8>> {
        self.seal.open(text, bound, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mcp::{ClientCapabilities, Revision, Sessions};
    use crate::ring::ConnectionKey;
    use crate::session::ShardStore;
    use crate::session::live::{StreamPlace, StreamState};

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
    const SESSION: Session = Session {
        revision: Revision::V2025_11_25,
        capabilities: ClientCapabilities::NONE,
        principal: Principal::ANONYMOUS,
    };

    fn store(live: LiveOptions) -> ShardStore {
        ShardStore::new(Arc::new(Store::new(
            &SessionKey([7; 32]),
            SessionOptions::default(),
            live,
            TaskOptions::default(),
            1,
        )))
    }

    fn open(store: &ShardStore, id: &SessionId) -> Option<OpenSession> {
        Sessions::open(store, id.as_bytes(), Principal::ANONYMOUS, NOW)
    }

    #[test]
    fn ending_a_session_ends_what_is_live_of_it() {
        let store = store(LiveOptions::default());
        let id = store.mint(&SESSION, &ClientText::NONE, NOW).unwrap();
        let opened = open(&store, &id).unwrap();
        store.set_log_level(&opened, LogLevel::Error).unwrap();
        let stream = store.live().open_get_stream(&opened, None).unwrap().stream;
        let connection = ConnectionKey {
            slot: 1,
            generation: 0,
        };
        let place = StreamPlace { shard: 0, connection };
        stream.attach(place, None);
        assert_eq!(stream.next(place, 100, &mut |_| ()), StreamState::Idle);
        let other = Sessions::end(&store, id.as_bytes(), Principal([1; 16]), NOW);
        assert_eq!(other, EndSession::Unknown);
        assert_eq!(store.live().stats().sessions, 1);
        let ended = Sessions::end(&store, id.as_bytes(), Principal::ANONYMOUS, NOW);
        assert_eq!(ended, EndSession::Ended);
        assert_eq!(
            (store.live().stats().sessions, store.tombstones().remembered),
            (0, 1)
        );
        assert_eq!(stream.next(place, 100, &mut |_| ()), StreamState::Ended);
        assert_eq!((open(&store, &id), store.log_level(opened.token)), (None, None));
    }

    #[test]
    fn a_session_that_was_lost_is_unknown_and_who_wants_to_hears_of_those_that_end() {
        let store = store(LiveOptions::default());
        let (tell, ended) = std::sync::mpsc::channel();
        store.on_end(Box::new(move |token| tell.send(token).unwrap()));
        let ids = [(); 2].map(|()| store.mint(&SESSION, &ClientText::NONE, unix_now()).unwrap());
        let [lost, left] = [0, 1].map(|at| open(&store, &ids[at]).unwrap().token);
        assert!(!store.is_over(lost));
        store.end_lost(lost);
        assert!(store.is_over(lost) && !store.is_over(left));
        assert_eq!(open(&store, &ids[0]), None);
        assert_eq!(ended.try_recv(), Ok(lost));
        Sessions::end(&store, ids[1].as_bytes(), Principal::ANONYMOUS, NOW);
        assert_eq!(ended.try_recv(), Ok(left));
    }

    fn unix_now() -> UnixSeconds {
        UnixSeconds(unix_millis().0 / 1000)
    }

    #[test]
    fn an_evicted_session_is_unknown_and_a_used_one_is_not_evicted() {
        let options = LiveOptions {
            idle: Duration::from_secs(100),
            ..LiveOptions::default()
        };
        let store = store(options);
        let ids = [(); 2].map(|()| store.mint(&SESSION, &ClientText::NONE, NOW).unwrap());
        for id in &ids {
            let opened = open(&store, id).unwrap();
            store.set_log_level(&opened, LogLevel::Error).unwrap();
        }
        store.live().tick(Duration::from_secs(60));
        assert!(open(&store, &ids[0]).is_some());
        store.live().tick(Duration::from_secs(110));
        assert!(open(&store, &ids[0]).is_some());
        assert_eq!(open(&store, &ids[1]), None);
        let ended = Sessions::end(&store, ids[1].as_bytes(), Principal::ANONYMOUS, NOW);
        assert_eq!((ended, store.tombstones().remembered), (EndSession::Unknown, 0));
    }
}
