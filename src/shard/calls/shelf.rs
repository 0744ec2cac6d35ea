//! Calls that wait for their client: what they have asked, the shelf on which they lie without a handler, and their way
//! back to one.

use std::sync::Arc;
use std::time::Instant;

use crate::mcp::TaskId;
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, CallLink};
use crate::ring::ConnectionKey;

use super::Calls;
use super::asker_key::AskerKey;
use super::askers::Asker;
use super::call::{Call, Run};
use super::call_waker::Awaits;

/// A call that gave up its handler, on its way to another.
pub(in crate::shard) struct Unshelved {
    pub(in crate::shard) asker: AskerKey,
    pub(in crate::shard) connection: ConnectionKey,
    pub(in crate::shard) call: Call,
}

impl Calls {
    /// The place of a call that asks; a new one for its first question, if there is one.
    pub(in crate::shard) fn asker_of(
        &mut self,
        handler: HandlerKey,
        link: &Arc<CallLink>,
        now: Instant,
    ) -> Option<AskerKey> {
        let connection = self.holder(handler)?;
        let call = self.pool.call_mut(handler)?;
        if let Some(key) = call.asker {
            return Some(key);
        }
        let asker = Asker::new(Arc::clone(link), handler, connection, call.task.clone(), now);
        let key = self.askers.insert(asker)?;
        call.asker = Some(key);
        Some(key)
    }

    /// The calls that have asked their clients something.
    pub(in crate::shard) fn askers(&self) -> Vec<AskerKey> {
        self.askers.keys()
    }

    /// The call of this connection, message or task that has asked something, by its number.
    pub(in crate::shard) fn asker_number(&self, holder: ConnectionKey) -> Option<u64> {
        let key = self.askers.find(|asker| asker.connection == holder)?;
        Some(key.number())
    }

    /// A question of a call is with its client.
    pub(in crate::shard) fn on_asked(&mut self, key: AskerKey, number: u32, now: Instant) -> Option<()> {
        let asker = self.askers.at(key)?;
        asker.questions.push(number);
        asker.since = now;
        Some(())
    }

    /// A question was answered: what its call is to be told by, and what the call runs as if that is a task.
    pub(in crate::shard) fn on_answered(
        &mut self,
        key: AskerKey,
        number: u32,
    ) -> Option<(Arc<CallLink>, Option<Box<TaskId>>)> {
        let asker = self.askers.at(key)?;
        asker.questions.retain(|open| *open != number);
        Some((Arc::clone(&asker.link), asker.task.clone()))
    }

    /// Tells a call that none of its questions will be answered. False if there is none.
    pub(in crate::shard) fn fail_questions(&mut self, key: AskerKey, error: &AnswerError) -> bool {
        self.askers.fail(key, error)
    }

    /// A call is over: what it asked is of no interest any more.
    pub(in crate::shard) fn forget_asker(&mut self, key: AskerKey) {
        self.askers.remove(key);
    }

    /// Wakes the task of the call that had this handler, if it is shelved, so that it speaks for itself; whether it is.
    pub(in crate::shard) fn wake_shelved(&mut self, handler: HandlerKey) -> bool {
        self.askers.wake_shelved(handler)
    }

    /// The task of the call was woken that has given up `handler`: whether it wants one, and did not before.
    pub(in crate::shard) fn begin_return(&mut self, handler: HandlerKey) -> bool {
        self.askers.begin_return(handler)
    }

    /// Takes the call from the shelf that `is_it`, if there is one.
    pub(in crate::shard) fn take_shelved(
        &mut self,
        is_it: impl Fn(&Call) -> bool,
    ) -> Option<(ConnectionKey, Call)> {
        self.askers.take_shelved(is_it)
    }

    /// Takes the call of this task from the shelf, if it is there.
    pub(in crate::shard) fn take_shelved_of(&mut self, task: ConnectionKey) -> Option<Call> {
        self.askers.take_shelved_of(task)
    }

    /// The slot of the deadline of a call that asks: they are those behind the handlers'.
    pub(in crate::shard) fn asker_slot(&self, key: AskerKey) -> u32 {
        self.pool.size() + key.index()
    }

    /// A call waits for its client no longer: its own time runs on. Its handler, or the one it gave up if it lies on
    /// the shelf; and, if it has one, the deadline it has now.
    pub(in crate::shard) fn on_all_answered(
        &mut self,
        key: AskerKey,
        now: Instant,
    ) -> Option<(HandlerKey, Option<Instant>)> {
        let asker = self.askers.at(key)?;
        let waited = now.saturating_duration_since(asker.since);
        if let Some(call) = asker.shelved.as_mut() {
            call.wait_for_client(waited);
            return Some((asker.handler, None));
        }
        let handler = asker.handler;
        let call = self.pool.call_mut(handler)?;
        call.wait_for_client(waited);
        Some((handler, Some(call.deadline)))
    }

    /// Takes the handler from a call that waits for its client, if it does and its task knows it; its task will bring
    /// it back.
    pub(in crate::shard) fn shelve(&mut self, handler: HandlerKey) -> bool {
        let Some(call) = self.pool.call_mut(handler) else {
            return false;
        };
        let Some(key) = call.asker else { return false };
        if !call.is_asking() {
            return false;
        }
        match std::mem::replace(&mut call.run, Run::Polled) {
            // What it awaits is still counted: it may need the executor for it.
            Run::Pending(future, awaits) if !matches!(awaits, Awaits::Turn(_)) => {
                call.run = Run::Shelved(future, awaits);
            }
            // On a worker, or about to be polled.
            other => {
                call.run = other;
                return false;
            }
        }
        let Some(call) = self.pool.take(handler) else {
            return false;
        };
        self.askers.shelve(key, handler, call);
        true
    }

    /// Takes the call from the shelf that gave up the handler `was`, ready to be polled.
    pub(in crate::shard) fn unshelve(&mut self, was: HandlerKey) -> Option<Unshelved> {
        let (asker, connection, mut call) = self.askers.take_returning(was)?;
        if let Run::Shelved(future, awaits) = std::mem::replace(&mut call.run, Run::Polled) {
            self.pending.remove(&awaits);
            call.run = Run::Ready(future);
        }
        Some(Unshelved {
            asker,
            connection,
            call,
        })
    }

    /// Gives a call from the shelf a free handler again.
    pub(in crate::shard) fn return_shelved(&mut self, unshelved: Unshelved) -> Option<HandlerKey> {
        let Unshelved {
            asker,
            connection,
            call,
        } = unshelved;
        let handler = self.pool.acquire(connection, || call)?;
        if let Some(asker) = self.askers.at(asker) {
            asker.handler = handler;
        }
        self.started.push_back(handler);
        Some(handler)
    }
}
