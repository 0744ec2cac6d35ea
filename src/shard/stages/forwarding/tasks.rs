//! Calls of children that go on as tasks: such a task is ours, and its child has an ordinary call.
//!
//! ```text
//! request ─► entry ─ a task is made, its id answered ─► the task's entry ─► a child ─► its answer ends the task
//! ```
//!
//! The task bounds nothing new: its call waits, moves, takes its time and is withdrawn as all calls of children are.

use std::time::Duration;

use crate::mcp::{Era, Reply, TaskEnding, Ticket, Work, write_related_message};
use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;
use crate::session::live::Message;

use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Makes a task of a call that is about to be given to a child, if it is to be one. False: the request was refused,
    /// and the call is gone.
    pub(super) fn begin_task_of_child(
        &mut self,
        key: ConnectionKey,
        call: HandlerKey,
        work: &Work<'_>,
    ) -> bool {
        work.task().is_none_or(|terms| self.begin_task(key, call, terms))
    }

    /// Answers a call that was with a child, or was to be: the answer goes to its client, or ends its task.
    pub(super) fn answer_forwarded(
        &mut self,
        call: HandlerKey,
        elapsed: Duration,
        text_bytes: usize,
        write: impl FnOnce(&Ticket, &mut Vec<u8>) -> Reply,
    ) {
        let entry = self.calls.at(call);
        let Some((entry, task)) = entry.and_then(|entry| Some((&entry.ticket, entry.task.as_deref()?)))
        else {
            return self.answer_call(call, elapsed, text_bytes, write);
        };
        let mut answer = Vec::with_capacity(text_bytes);
        let reply = write(entry, &mut answer);
        let ending = TaskEnding::of_answer(entry, task, &answer, &reply);
        self.end_task(call, &ending, elapsed);
    }

    /// Says what a child says of a call, on its stream or channel or to whoever waits for its task. The tasks of
    /// 2026-07-28 say nothing before they end.
    pub(super) fn say_of_child(&mut self, call: HandlerKey, holder: ConnectionKey, message: &[u8]) {
        let entry = self.calls.at(call);
        let Some((entry, task)) = entry.and_then(|entry| Some((&*entry, entry.task.as_deref()?))) else {
            return self.say(call, holder, message, true);
        };
        if entry.ticket.revision().era() == Era::Legacy {
            let mut related = Vec::with_capacity(message.len() + 128);
            write_related_message(message, task, &mut related);
            entry.service.store.tasks().say(task, Message::new(related));
        }
    }
}
