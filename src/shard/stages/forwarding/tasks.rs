//! Calls of children that go on as tasks: such a task is ours, and its child has an ordinary call.
//!
//! ```text
//! request ─► entry ─ a task is made, its id answered ─► the task's entry ─► a child ─► its answer ends the task
//! ```
//!
//! The task bounds nothing new: its call waits, moves, takes its time and is withdrawn as all calls of children are.
//!
//! What a child asks meanwhile is a question of the task. A client of 2025-11-25 answers it in its session, from where
//! the child gets the answer as any; one of 2026-07-28 by `tasks/update`, which comes to the task's call.

use std::time::Duration;

use serde_json::{Value, json};

use crate::jsonrpc::{members, plain_text};
use crate::mcp::{Era, Reply, TaskEnding, Ticket, Work, write_related_message};
use crate::pool::HandlerKey;
use crate::registry::AnswerError;
use crate::ring::ConnectionKey;
use crate::session::live::{LiveEvent, Message};

use crate::shard::children::{Caller, ChildWord, QuestionName};
use crate::shard::inbox::ShardEvent;
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

    /// Puts what a child asks about a call into its task; `from` is who gets the answer, if that is not the call
    /// itself. False if the task is over.
    pub(super) fn put_question_of_child(
        &mut self,
        call: HandlerKey,
        number: u32,
        from: Option<(u16, QuestionName)>,
        text: &[u8],
    ) -> bool {
        let Some(entry) = self.calls.at(call) else {
            return false;
        };
        let Some(task) = entry.task.as_deref() else {
            return false;
        };
        let (key, message) = match entry.ticket.revision().era() {
            Era::Legacy => {
                let mut related = Vec::with_capacity(text.len() + 128);
                write_related_message(text, task, &mut related);
                (String::new(), Some(Message::new(related)))
            }
            Era::Modern => (question_key(text, number), None),
        };
        let tasks = entry.service.store.tasks();
        let is_put = tasks.ask(task, number, &key, text.into(), message);
        if let Some(from) = from.filter(|_| is_put) {
            self.children.on_task_asked(call, from);
        }
        is_put
    }

    /// A client of 2026-07-28 has answered what a child asks about this call.
    pub(in crate::shard) fn answer_child_of_task(
        &mut self,
        call: HandlerKey,
        number: u32,
        answer: Result<Value, AnswerError>,
    ) {
        let answer = answer.map(|answer| {
            let response = json!({"jsonrpc": "2.0", "id": number, "result": answer});
            response.to_string().into_bytes().into_boxed_slice()
        });
        let Some((shard, name)) = self.children.take_task_question(call, number) else {
            // No child has the call while it asks itself.
            return self.take_round_answer(call, number, answer.as_deref());
        };
        let asker = name.asker();
        if shard == self.metrics.shard.0 {
            return self.handle_child_answer(asker, number, answer);
        }
        let event = LiveEvent::ChildAnswer {
            asker,
            number,
            answer,
        };
        self.admission.post(shard.into(), ShardEvent::Live(event));
    }

    /// A question that was put about this call is over, whatever became of it; one of a task is no longer the task's.
    pub(super) fn end_task_question(&mut self, caller: Caller, number: u32) {
        if !caller.terms.is_task {
            return;
        }
        if self.children.is_own(caller) {
            self.on_task_question_over(caller.call, number);
        } else {
            self.say_to(caller, ChildWord::QuestionOver { number });
        }
    }

    /// A question of a task's call of this shard is over.
    pub(super) fn on_task_question_over(&mut self, call: HandlerKey, number: u32) {
        self.children.take_task_question(call, number);
        let entry = self.calls.at(call);
        if let Some((entry, task)) = entry.and_then(|entry| Some((&*entry, entry.task.as_deref()?))) {
            entry.service.store.tasks().answered(task, number);
        }
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

/// What the answer to a question is named by, such as `elicitation_1`; `request` has its method.
fn question_key(request: &[u8], number: u32) -> String {
    let method = members(request).find(|member| member.name(request) == "method");
    let method = method.map(|method| plain_text(method.value.of(request)).into_owned());
    let kind = method.as_deref().and_then(|method| method.split('/').next());
    format!("{}_{number}", kind.unwrap_or("question"))
}
