//! Calls that go on as tasks: the client gets the task's id at once, and comes back for the result.
//!
//! A task is an entry of the table without a socket, which holds the handler in place of the connection that brought
//! the call. What it says, asks and ends with goes to the task store, where any shard finds it.
//!
//! ```text
//! Calling (a connection's) ─ task made, its id answered ─► Calling (the task's) ─ settled, cancelled, expired ─► gone
//! ```
//!
//! Tasks leave some handlers to calls that clients wait for. A task that still runs shortly before the process ends
//! fails, and its client is told so.

use std::rc::Rc;
use std::time::Duration;

use crate::mcp::{AwaitTask, OverloadReason, Reply, TaskEnding, TaskId, TaskOwner, TaskTerms, Ticket};
use crate::mcp::{Tasks as _, write_task_end};
use crate::metrics::{self, RequestClass};
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, AskedQuestion, Emission, Outcome};
use crate::ring::ConnectionKey;
use crate::session::live::Message;
use crate::session::tasks::{NewTask, TaskPlace, WaitRefused};
use crate::transport::http::HEAD_RESERVE;

use crate::shard::access::Subject;
use crate::shard::connections::Task;
use crate::shard::streams::Role;
use crate::shard::tasks::WorkedBy;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Makes a task of a call that is about to begin, and answers its request with that. False: the request was
    /// refused, and the call is gone.
    pub(in crate::shard) fn begin_task(
        &mut self,
        key: ConnectionKey,
        handler: HandlerKey,
        terms: TaskTerms,
    ) -> bool {
        let channel = self.table.channel_place(key, self.metrics.shard.0);
        let by = if self.calls.is_without_handler(handler) {
            WorkedBy::Child
        } else {
            WorkedBy::Handler
        };
        let task = Task::new(channel, self.view_id_of(key), by, self.clock.now());
        let task_key = self.table.insert_task(task);
        self.clock.reserve(task_key);
        let place = TaskPlace {
            shard: self.metrics.shard.0,
            connection: task_key,
        };
        let Some(call) = self.calls.at(handler) else {
            return false;
        };
        let service = Rc::clone(&call.service);
        let new = NewTask {
            owner: owner_of(&call.ticket),
            revision: call.ticket.revision(),
            ttl: terms.ttl,
            place,
        };
        let view = match service.store.tasks().create(new) {
            Ok(view) => view,
            Err(refused) => {
                self.abort(task_key);
                self.refuse_call(handler, refused.reason());
                return false;
            }
        };
        call.task = Some(Box::new(view.id));
        if let Some(ttl) = view.ttl {
            call.deadline = call.began + ttl;
        }
        let mut out = self.writer.take_buffer();
        let reply = service
            .protocol
            .answer_task_created(&call.ticket, &view, &mut out);
        let (label, operation) = (call.label(), call.ticket.operation());
        self.calls.hand_over(handler, task_key);
        self.table.begin_call(task_key, handler);
        self.tasks.on_begun(by);
        if let Some(channel) = channel {
            self.on_task_of_channel(channel);
        }
        self.metrics.on_reply(label, &reply, Duration::ZERO);
        let subject = Subject::Work(&service, operation);
        self.log().answer(key, subject, &reply, &out[HEAD_RESERVE..]);
        // The task is in flight, and so was its request until now.
        self.metrics.in_flight.up();
        self.reply(key, out, None, &reply);
        true
    }

    /// A task's call has its outcome.
    pub(in crate::shard) fn settle_task(
        &mut self,
        handler: HandlerKey,
        outcome: &Outcome,
        elapsed: Duration,
    ) {
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let Some(task) = call.task.as_deref() else { return };
        let ending = call.service.protocol.end_task(&call.ticket, task, outcome);
        self.end_task(handler, &ending, elapsed);
    }

    /// A task ends with `ending`, whatever its call does.
    pub(in crate::shard) fn end_task(&mut self, handler: HandlerKey, ending: &TaskEnding, elapsed: Duration) {
        self.clock.clear_call_deadline(handler.index);
        let holder = self.calls.holder(handler);
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let Some(task) = call.task.as_deref() else { return };
        call.service.store.tasks().end(task, ending.clone());
        let outcome = if ending.status.is_success() {
            metrics::Outcome::Ok
        } else {
            metrics::Outcome::ToolError
        };
        self.metrics.on_operation(call.label(), outcome, elapsed);
        if let Some(key) = holder {
            self.log().task_ended(key, handler, outcome);
        }
        self.metrics.in_flight.down();
        self.end_lease(handler);
        if let Some(key) = holder {
            self.leave_task(key);
        }
    }

    /// A task is over: its entry is removed.
    fn leave_task(&mut self, key: ConnectionKey) {
        let Some(task) = self.table.remove_task(key) else {
            return;
        };
        self.tasks.on_over(task.by);
        if let Some(channel) = task.channel {
            self.on_task_of_channel_over(channel);
        }
    }

    /// A task is cancelled by its client, or its time is over; the store knows.
    pub(in crate::shard) fn cancel_task(&mut self, key: ConnectionKey) {
        let Some(task) = self.table.task(key) else {
            return;
        };
        if let Some(handler) = task.handler {
            self.cancel_call(handler);
        } else if let Some(call) = self.calls.take_shelved_of(key) {
            self.cancel_shelved(key, call);
        }
        self.leave_task(key);
    }

    /// A client answered a task's question.
    pub(in crate::shard) fn answer_task(
        &mut self,
        key: ConnectionKey,
        number: u32,
        answer: Result<serde_json::Value, AnswerError>,
    ) {
        if let Some(call) = self.calls.asker_number(key) {
            self.answer_question(call, number, answer);
        } else if let Some(call) = self.table.handler(key) {
            self.answer_child_of_task(call, number, answer);
        }
    }

    /// Passes an emission of a task on: to the clients that wait for it, or to its session.
    pub(in crate::shard) fn emit_of_task(&mut self, handler: HandlerKey, emission: &Emission) {
        let Some((call, _)) = self.calls.speaker(handler) else {
            return;
        };
        let Some(task) = call.task.as_deref() else { return };
        let (service, ticket) = (&call.service, &call.ticket);
        let mut message = Vec::new();
        let is_wanted =
            service
                .protocol
                .write_task_emission(ticket, task, emission, "", &*service.store, &mut message);
        if is_wanted {
            service.store.tasks().say(task, Message::new(message));
        }
    }

    /// Puts a task's question where its client finds it: in the task and, where the client answers by session, on the
    /// stream of whoever waits for the task.
    pub(in crate::shard) fn put_task_question(
        &mut self,
        handler: HandlerKey,
        question: AskedQuestion,
        question_id: Option<&str>,
    ) -> Option<()> {
        let call = self.calls.at(handler)?;
        let task = call.task.as_deref()?;
        let (service, ticket) = (&call.service, &call.ticket);
        let tasks = service.store.tasks();
        let mut request = Vec::new();
        service
            .protocol
            .write_task_question(ticket, &question, &mut request);
        let (number, key) = (question.number, question.key.clone());
        let mut message = None;
        if let Some(id) = question_id {
            let mut said = Vec::new();
            let emission = Emission::Question(question);
            let protocol = &service.protocol;
            if protocol.write_task_emission(ticket, task, &emission, id, &*service.store, &mut said) {
                message = Some(Message::new(said));
            }
        }
        tasks
            .ask(task, number, &key, request.into(), message)
            .then_some(())
    }

    /// A question of a task was answered by session: the task works on.
    pub(in crate::shard) fn on_task_answered(&mut self, task: &TaskId, number: u32) {
        // One of them knows it.
        for view in self.service.views() {
            view.store.tasks().answered(task, number);
        }
    }

    /// Answers `tasks/result`, now or when the task is over.
    pub(in crate::shard) fn await_task(&mut self, key: ConnectionKey, wanted: AwaitTask, mut out: Vec<u8>) {
        let service = self.view_of(key);
        let AwaitTask {
            id,
            owner,
            task,
            labels,
            revision,
        } = wanted;
        let known = service.store.task(&owner, task.as_str());
        let reply = match known.as_ref().map(|view| view.end.as_deref()) {
            Some(Some(end)) => {
                write_task_end(&id, end, &mut out);
                Reply::of_control(labels)
            }
            Some(None) => match service.store.tasks().wait(&owner, &task, id.clone()) {
                Ok(stream) => {
                    self.writer.put_buffer(out);
                    self.metrics.on_request(labels.era, RequestClass::Control);
                    self.log().opened(key, labels.method.as_str(), 200, Some(&id));
                    return self.begin_stream(key, stream, Role::TaskResult(id), revision, None);
                }
                Err(WaitRefused::Unknown) => service.protocol.refuse_task(&id, &mut out),
                Err(refused @ (WaitRefused::Full | WaitRefused::NoMemory)) => {
                    let reason = match refused {
                        WaitRefused::Full => OverloadReason::Tasks,
                        _ => OverloadReason::Memory,
                    };
                    let overload = self.overload(reason);
                    service.protocol.refuse(Some(id.as_id()), &overload, &mut out)
                }
            },
            None => service.protocol.refuse_task(&id, &mut out),
        };
        self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
        self.reply(key, out, None, &reply);
    }

    /// The process ends soon: tasks that still run fail.
    pub(in crate::shard) fn fail_tasks(&mut self) {
        if self.tasks.running() == 0 {
            return;
        }
        let overload = self.overload(OverloadReason::Draining);
        for key in self.table.tasks() {
            match self.table.handler(key) {
                Some(handler) => {
                    self.end_task(handler, &TaskEnding::overload(&overload), Duration::ZERO);
                }
                None => {
                    if let Some(call) = self.calls.take_shelved_of(key) {
                        if let Some(task) = call.task.as_deref() {
                            let ending = TaskEnding::overload(&overload);
                            call.service.store.tasks().end(task, ending);
                        }
                        self.cancel_shelved(key, call);
                    }
                    self.leave_task(key);
                }
            }
        }
    }
}

fn owner_of(ticket: &Ticket) -> TaskOwner {
    TaskOwner {
        principal: ticket.principal(),
        session: ticket.session(),
        era: ticket.revision().era(),
    }
}
