//! Calls that a child runs as tasks of its own, because their tools demand it.

use std::time::Instant;

use crate::children::child::call_terms::TermsOf;
use crate::children::child::calls::CallKey;
use crate::children::child::event::Answer;
use crate::children::child::own_tasks::{write_result_request, write_task_params};
use crate::children::line::write_cancelled;

use super::Child;

impl<C> Child<C> {
    /// Its callers have terms for their calls.
    pub fn heed_terms(&mut self, terms_of: TermsOf<C>) {
        self.terms_of = Some(terms_of);
    }

    /// It has answered the call with this id: whether with a task, whose result is then asked for.
    pub(super) fn take_own_task(&mut self, id: u64, said: &Answer<'_>, now: Instant) -> bool {
        if self.own_tasks.is_empty() {
            return false;
        }
        let Some(task) = self.own_tasks.on_made(id, said.line, &said.message) else {
            return false;
        };
        let is_wanted = CallKey::from_wire(id).is_some_and(|key| self.in_flight.caller(key).is_some());
        if !is_wanted {
            self.write_ignored("tasks/cancel", now, |out| write_task_params(out, task));
        }
        // When it is cancelled it has a result, too: then its place is free.
        write_result_request(self.outgoing.line(now), id, task);
        true
    }

    /// The id of the call whose result this answer is, if it is that of a task of its own.
    pub(super) fn own_result(&mut self, said: &Answer<'_>) -> Option<u64> {
        if self.own_tasks.is_empty() {
            return None;
        }
        self.own_tasks.on_result(said.message.id?.of(said.line))
    }

    /// Tells it that nobody waits for a call any more.
    pub(super) fn tell_cancelled(&mut self, key: CallKey, reason: &str, now: Instant) {
        match self.own_tasks.cancelled(key.wire_id()) {
            None => write_cancelled(self.outgoing.line(now), key.wire_id(), reason),
            Some(Some(task)) => {
                let task = task.to_vec();
                self.write_ignored("tasks/cancel", now, |out| write_task_params(out, &task));
            }
            // It is told so when the task has a name.
            Some(None) => {}
        }
    }
}
