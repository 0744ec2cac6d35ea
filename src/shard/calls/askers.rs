//! Calls that have asked their client something, and the shelf on which they lie without a handler until it answers.
//!
//! Invariant: a call is on the shelf or has a handler, never both; its place stays the same until it is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::mcp::TaskId;
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, CallLink};
use crate::ring::{ConnectionKey, wake_now};
use crate::slab::Slab;

use super::asker_key::AskerKey;
use super::call::{Call, Run};

/// Calls that may wait for their clients, for each handler.
const ASKERS_PER_HANDLER: u32 = 4;

/// Calls that have asked their clients something.
pub(super) struct Askers {
    places: Slab<AskerKey, Asker>,
    /// Shelved calls by the handler they had, which is what their task knows them by.
    by_handler: HashMap<HandlerKey, AskerKey>,
}

/// A call that has asked its client something.
pub(super) struct Asker {
    pub(super) link: Arc<CallLink>,
    /// Questions that may still be open.
    pub(super) questions: Vec<u32>,
    /// The handler it has, or had before it was shelved.
    pub(super) handler: HandlerKey,
    pub(super) connection: ConnectionKey,
    /// What it runs as, if that is a task.
    pub(super) task: Option<Box<TaskId>>,
    /// When the questions that are open were asked.
    pub(super) since: Instant,
    pub(super) shelved: Option<Call>,
    pub(super) is_returning: bool,
}

impl Asker {
    pub(super) fn new(
        link: Arc<CallLink>,
        handler: HandlerKey,
        connection: ConnectionKey,
        task: Option<Box<TaskId>>,
        now: Instant,
    ) -> Asker {
        Asker {
            link,
            questions: Vec::new(),
            handler,
            connection,
            task,
            since: now,
            shelved: None,
            is_returning: false,
        }
    }
}

impl Askers {
    pub(super) fn new(handlers: u32) -> Askers {
        Askers {
            places: Slab::bounded(handlers.saturating_mul(ASKERS_PER_HANDLER)),
            by_handler: HashMap::new(),
        }
    }

    /// The number of calls that may ask at once.
    pub(super) fn len_max(&self) -> u32 {
        self.places.slots_max()
    }

    /// Whether no call lies on the shelf.
    pub(super) fn is_shelf_empty(&self) -> bool {
        self.by_handler.is_empty()
    }

    pub(super) fn at(&mut self, key: AskerKey) -> Option<&mut Asker> {
        self.places.get_mut(key)
    }

    pub(super) fn key_at(&self, index: u32) -> Option<AskerKey> {
        self.places.key_at(index)
    }

    pub(super) fn keys(&self) -> Vec<AskerKey> {
        self.places.keys().collect()
    }

    /// The shelved call that had this handler, and what it is the call of.
    pub(super) fn shelved_at(&mut self, handler: HandlerKey) -> Option<(&mut Call, ConnectionKey)> {
        let key = *self.by_handler.get(&handler)?;
        let Asker {
            shelved, connection, ..
        } = self.at(key)?;
        shelved.as_mut().map(|call| (call, *connection))
    }

    /// Wakes the task of the call that had this handler, if it is shelved, so that it speaks for itself; whether it is.
    pub(super) fn wake_shelved(&mut self, handler: HandlerKey) -> bool {
        let Some((call, _)) = self.shelved_at(handler) else {
            return false;
        };
        if let Run::Shelved(_, awaits) = &call.run
            && let Some(task) = awaits.task()
        {
            wake_now(task);
        }
        true
    }

    /// The call that `is_it`, shelved or not.
    pub(super) fn find(&self, is_it: impl Fn(&Asker) -> bool) -> Option<AskerKey> {
        self.places
            .iter()
            .find(|(_, asker)| is_it(asker))
            .map(|(key, _)| key)
    }

    pub(super) fn insert(&mut self, asker: Asker) -> Option<AskerKey> {
        self.places.insert(asker).ok()
    }

    /// A call is over: what it asked is of no interest any more.
    pub(super) fn remove(&mut self, key: AskerKey) {
        if let Some(asker) = self.places.remove(key) {
            self.by_handler.remove(&asker.handler);
        }
    }

    /// Tells a call that none of its questions will be answered. False if there is none.
    pub(super) fn fail(&mut self, key: AskerKey, error: &AnswerError) -> bool {
        let Some(asker) = self.at(key) else {
            return false;
        };
        let numbers = std::mem::take(&mut asker.questions);
        let link = Arc::clone(&asker.link);
        for number in numbers {
            link.answer(number, Err(error.clone()));
        }
        true
    }

    /// Puts a call on the shelf that has given up `handler`.
    pub(super) fn shelve(&mut self, key: AskerKey, handler: HandlerKey, call: Call) {
        if let Some(asker) = self.places.get_mut(key) {
            asker.handler = handler;
            asker.shelved = Some(call);
            self.by_handler.insert(handler, key);
        }
    }

    /// The task of the call was woken that has given up `handler`: whether it wants one, and did not before.
    pub(super) fn begin_return(&mut self, handler: HandlerKey) -> bool {
        let key = self.by_handler.get(&handler);
        let asker = key.and_then(|key| self.places.get_mut(*key));
        asker.is_some_and(|asker| !std::mem::replace(&mut asker.is_returning, true))
    }

    /// Takes the call from the shelf that wants a handler for `was`, if it still does.
    pub(super) fn take_returning(&mut self, was: HandlerKey) -> Option<(AskerKey, ConnectionKey, Call)> {
        let key = *self.by_handler.get(&was)?;
        let asker = self.places.get_mut(key)?;
        asker.is_returning = false;
        let call = asker.shelved.take()?;
        let connection = asker.connection;
        self.by_handler.remove(&was);
        Some((key, connection, call))
    }

    /// Takes the call of this connection from the shelf, if there is one.
    pub(super) fn take_shelved_of(&mut self, connection: ConnectionKey) -> Option<Call> {
        let key = self.find(|asker| asker.connection == connection)?;
        self.at(key)?.shelved.take()
    }

    /// Takes the call from the shelf that `is_it`, if there is one.
    pub(super) fn take_shelved(&mut self, is_it: impl Fn(&Call) -> bool) -> Option<(ConnectionKey, Call)> {
        let key = self.find(|asker| asker.shelved.as_ref().is_some_and(&is_it))?;
        let asker = self.at(key)?;
        let connection = asker.connection;
        asker.shelved.take().map(|call| (connection, call))
    }
}
