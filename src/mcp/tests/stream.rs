//! A call's stream without a connection: messages of calls are written and validated, and questions get prepared
//! answers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use super::*;
use crate::registry::{AnswerError, CallLink, Emission, LinkListener, ServerHandle};

#[derive(Default)]
pub(super) struct Stream {
    /// Messages of calls, as their revision has them.
    pub(super) said: Vec<Value>,
    /// Answers to the questions to come.
    pub(super) answers: VecDeque<Result<Value, AnswerError>>,
    /// Questions of tasks by key, in the form in which a task holds them.
    pub(super) task_questions: Vec<(String, Value)>,
}

/// A waker that panics: calls here send messages only when they are polled.
struct PanickingListener;

impl LinkListener for PanickingListener {
    fn on_emission(&self, _: u64) {
        panic!("said outside a poll");
    }
}

impl Stream {
    pub(super) fn run(
        &mut self,
        protocol: &Protocol,
        tools: &ShardRegistry,
        state: &MappedState,
        now: UnixSeconds,
        work: &Work<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let mut ticket = work.ticket();
        let message = work.is_repeatable().then(|| work.message().to_vec());
        let task = work.task().map(|terms| state.create_task(&ticket, terms));
        let mut link = CallLink::new(Arc::new(PanickingListener), ServerHandle::NOWHERE);
        Arc::get_mut(&mut link).unwrap().begin(work.client());
        let call = match work.start(tools, CallContext::with_link(Arc::clone(&link))) {
            Ok(Started::Future(call)) => call,
            Ok(_) => panic!("no tool here blocks"),
            Err(error) => return protocol.answer_start_error(&ticket, &error, out),
        };
        if let Some(task) = task {
            let reply = protocol.answer_task_created(&ticket, &task, out);
            let outcome = self.drive(protocol, &ticket, &link, state, Some(&task.id), pin!(call));
            state.end_task(&task.id, protocol.end_task(&ticket, &task.id, &outcome));
            return reply;
        }
        let outcome = self.drive(protocol, &ticket, &link, state, None, pin!(call));
        match outcome {
            Err(ToolError::InputRequired) => {
                let (unanswered, answers) = (link.take_unanswered(), link.answers());
                ticket.bind(&message.unwrap_or_default(), &mut Scratch::new());
                protocol.answer_input_required(&ticket, &unanswered, answers, state, now, out)
            }
            outcome => protocol.answer(&ticket, &outcome, out),
        }
    }

    /// Runs a call to its end; its questions get the prepared answers.
    fn drive(
        &mut self,
        protocol: &Protocol,
        ticket: &Ticket,
        link: &CallLink,
        state: &MappedState,
        task: Option<&TaskId>,
        mut call: Pin<&mut impl Future<Output = Outcome>>,
    ) -> Outcome {
        loop {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let asked = self.take(protocol, ticket, link, state, task);
            match polled {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => {
                    assert!(!asked.is_empty(), "the call waits for nothing");
                    for number in asked {
                        let answer = self.answers.pop_front().expect("no answer was prepared");
                        link.answer(number, answer);
                    }
                }
            }
        }
    }

    /// Writes what was emitted; returns the numbers of the questions among it.
    fn take(
        &mut self,
        protocol: &Protocol,
        ticket: &Ticket,
        link: &CallLink,
        state: &MappedState,
        task: Option<&TaskId>,
    ) -> Vec<u32> {
        let (mut emissions, mut asked) = (Vec::new(), Vec::new());
        link.take_emissions(&mut emissions);
        for emission in emissions {
            let mut out = b"HEAD".to_vec();
            let id = match &emission {
                Emission::Question(question) => {
                    asked.push(question.number);
                    format!("q-{}", question.number)
                }
                _ => String::new(),
            };
            let is_said = match task {
                None => protocol.write_emission(ticket, &emission, &id, state, &mut out),
                Some(task) => protocol.write_task_emission(ticket, task, &emission, &id, state, &mut out),
            };
            if let (Some(_), Emission::Question(question)) = (task, &emission) {
                let mut held = Vec::new();
                protocol.write_task_question(ticket, question, &mut held);
                let held: Value = serde_json::from_slice(&held).expect("a question is JSON");
                self.task_questions.push((question.key.clone(), held));
            }
            if is_said {
                let message: Value = serde_json::from_slice(&out[4..]).expect("a message is JSON");
                spec::validate_said(ticket.revision(), &message);
                self.said.push(message);
            } else {
                assert_eq!(out, b"HEAD", "{emission:?}")
            }
        }
        asked
    }
}
