//! What children ask the clients of their calls, and what these answer.
//!
//! ```text
//!        the child's shard                          the client's shard
//! asked ─► whose? may it? ─ an id of ours ─────────► on the call's stream ─► the client
//! child ◄─ the client's bytes, the child's id ◄──── the session knows who asked ◄─ its answer, on any shard
//! ```
//!
//! The child's half of a call asks: it knows what the client has declared, and takes the id under which the client's
//! session finds the child again. The client's half says the request on the call's stream, and nothing else; it tells
//! if nobody hears it. So an answer reaches a child however the call that carried the question goes on.
//!
//! A call that goes on as a task asks through that (`tasks`).
//!
//! Bounded: a child has 32 questions open, a session 256. What is asked is bounded as everything on a stream is.

use std::rc::Rc;

use crate::children::{
    Answer, Asked, CallTerms, Hearer, LogWish, MemberKey, Message, QuestionAnswer, QuestionRefusal,
    capability_needed, params_of, write_modern_question, write_question, write_request_of,
};
use crate::mcp::{Era, FeatureState};
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, Asking, Operation, ServerIndex, TaskSupport};
use crate::session::live::{self, ChildAsker, ChildPlace};
use crate::units::ViewId;

use crate::shard::calls::{Again, Call, Run};
use crate::shard::children::{Caller, ChildWord, ClientTerms, QuestionName};
use crate::shard::inbox::{ShardEvent, call_number, handler_of};
use crate::shard::{Shard, ShardRing};

/// Why a client is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum NotAsked {
    /// The client has not declared that it answers such questions.
    NotDeclared,
    /// Nobody hears the call.
    Unheard,
    /// As many questions are open as may be.
    Full,
    /// The server is about to end.
    Draining,
}

impl From<NotAsked> for QuestionRefusal {
    fn from(why: NotAsked) -> QuestionRefusal {
        match why {
            NotAsked::NotDeclared => QuestionRefusal::Nobody,
            NotAsked::Unheard => QuestionRefusal::Left,
            NotAsked::Full => QuestionRefusal::TooMany,
            NotAsked::Draining => QuestionRefusal::Draining,
        }
    }
}

impl<R: ShardRing> Shard<R> {
    /// What a child of this server has to know of a call and its client.
    pub(super) fn terms_of(&mut self, call: HandlerKey, server: ServerIndex) -> ClientTerms {
        let call_terms = self.calls.at(call).map(|call| CallTerms {
            needs_task: needs_task(call),
            began: matches!(call.again, Some(Again::Was)).then_some(call.began),
        });
        ClientTerms {
            call: call_terms.unwrap_or_default(),
            ..self.asking_terms_of(call, server)
        }
    }

    /// What a child of this server may ask the client of a call.
    fn asking_terms_of(&mut self, call: HandlerKey, server: ServerIndex) -> ClientTerms {
        if !self.children.is_attributed(server) {
            return ClientTerms::NONE;
        }
        let view = self.calls.holder(call).map(|holder| self.view_id_of(holder));
        match (self.calls.at(call), view) {
            (Some(call), Some(view)) => {
                let terms = ClientTerms::of(&call.ticket, view, log_wish(call));
                match (&call.task, &call.batch) {
                    (Some(_), _) => terms.as_task(),
                    // What it would ask, nobody could pass on.
                    (None, Some(_)) => terms.in_batch(),
                    (None, None) => terms,
                }
            }
            _ => ClientTerms::NONE,
        }
    }

    // The child's half.

    /// A child asks the client of this call something.
    pub(super) fn take_question(
        &mut self,
        (server, member): (ServerIndex, MemberKey),
        hearer: &Hearer<'_, Caller>,
        asked: &Asked<'_>,
    ) {
        let name = QuestionName {
            server,
            member,
            number: asked.number,
        };
        let put = match hearer {
            Hearer::Caller(caller) => self.put_question(name, **caller, asked),
            Hearer::Client(last) => self.ask_between_calls(name, &last.terms, asked),
            Hearer::Nobody => Err(NotAsked::NotDeclared),
        };
        if let Err(why) = put {
            self.children.keep_refusal(name, why.into());
        }
    }

    /// A child that has no call asks its client.
    fn ask_between_calls(
        &mut self,
        name: QuestionName,
        terms: &ClientTerms,
        asked: &Asked<'_>,
    ) -> Result<(), NotAsked> {
        if !terms.capabilities.contains(asked.needs) {
            return Err(NotAsked::NotDeclared);
        }
        if self.drain.is_begun() {
            return Err(NotAsked::Draining);
        }
        // Whom no stream reaches, nobody can ask.
        let (stream, _) = self.client_stream(terms).ok_or(NotAsked::NotDeclared)?;
        let text = self.write_question_for(name, terms, asked)?;
        stream.push(live::Message::new(text));
        Ok(())
    }

    /// A question as a request of ours to a legacy client, whose session remembers who asks.
    fn write_question_for(
        &mut self,
        name: QuestionName,
        terms: &ClientTerms,
        asked: &Asked<'_>,
    ) -> Result<Vec<u8>, NotAsked> {
        let (session, principal) = terms.session.ok_or(NotAsked::NotDeclared)?;
        let place = ChildPlace {
            shard: self.metrics.shard.0,
            asker: name.asker(),
        };
        let live = self.service.view(terms.view).store.live();
        let id = live.ask_for_child(session, principal, place, name.number);
        let id = id.map_err(|_| NotAsked::Full)?;
        self.children.on_asked(name, session, terms.view);
        let Answer { line, message, .. } = &asked.said;
        let mut text = Vec::with_capacity(line.len() + id.as_str().len());
        write_question(&mut text, line, message, id.as_str(), terms.revision);
        Ok(text)
    }

    fn put_question(
        &mut self,
        name: QuestionName,
        caller: Caller,
        asked: &Asked<'_>,
    ) -> Result<(), NotAsked> {
        let terms = caller.terms;
        let is_declared = terms.capabilities.contains(asked.needs);
        let is_told_later = terms.revision.era() == Era::Modern && !terms.is_task;
        if !is_declared && !is_told_later {
            return Err(NotAsked::NotDeclared);
        }
        if self.drain.is_begun() {
            // Nobody could answer: the listener is closed.
            return Err(NotAsked::Draining);
        }
        if !is_declared {
            self.hold_undeclared(name, caller, asked.needs);
            return Ok(());
        }
        if terms.asking == Asking::ByRetry {
            return self.hold_question(name, caller, asked);
        }
        if terms.asking != Asking::OnStream {
            return Err(NotAsked::NotDeclared);
        }
        let text = match terms.revision.era() {
            Era::Legacy => self.write_question_for(name, &terms, asked)?,
            Era::Modern => modern_question(asked),
        };
        let shard = self.metrics.shard.0;
        if !self.children.is_own(caller) {
            self.say_to(caller, ChildWord::Asks { shard, name, text });
            return Ok(());
        }
        let is_heard = self.say_question(caller.call, name.number, Some((shard, name)), &text);
        is_heard.then_some(()).ok_or(NotAsked::Unheard)
    }

    /// A client has answered a question that was not its own process's.
    pub(in crate::shard) fn handle_child_answer(
        &mut self,
        asker: ChildAsker,
        number: u32,
        answer: Result<Box<[u8]>, AnswerError>,
    ) {
        match asker {
            ChildAsker::Child { server, child } => {
                let name = QuestionName {
                    server: ServerIndex(server),
                    member: MemberKey(child),
                    number,
                };
                self.answer_child(name, answer.as_deref());
            }
            ChildAsker::Call(call) => {
                let call = handler_of(call);
                self.on_task_question_over(call, number);
                self.take_round_answer(call, number, answer.as_deref());
            }
        }
    }

    fn answer_child(&mut self, name: QuestionName, answer: Result<&[u8], &AnswerError>) {
        let text = answer.unwrap_or_default();
        let message = Message::read_checked(text).ok();
        let outcome = message.and_then(|message| Some((message.kind, message.outcome?)));
        let answer = match (outcome, answer) {
            (Some((kind, outcome)), Ok(_)) => QuestionAnswer::Given {
                kind,
                outcome: outcome.of(text),
            },
            (None, Ok(_)) => QuestionAnswer::Refused(QuestionRefusal::Unreadable),
            (_, Err(error)) => QuestionAnswer::Refused(refusal(error)),
        };
        let mut asked = None;
        self.drive(name.server, |children, now, _| {
            asked = children.asked_about(name.member, name.number);
            children.answer_question(name.member, name.number, answer, now);
        });
        if let Some(caller) = asked {
            self.end_task_question(caller, name.number);
        }
    }

    /// Nobody has heard a question that was sent to another shard.
    pub(in crate::shard) fn handle_unheard(&mut self, name: QuestionName) {
        let now = self.clock.now();
        self.children.refuse_question(name, QuestionRefusal::Left, now);
    }

    /// No client can be asked any more.
    pub(in crate::shard) fn refuse_child_questions(&mut self) {
        self.give_up_all_held();
        for server in self.children.servers() {
            self.drive(server, |children, now, _| {
                children.refuse_questions(QuestionRefusal::Draining, now);
            });
        }
    }

    /// Sessions forget questions for whose answers no child waits any more.
    pub(super) fn forget_child_questions(&mut self) {
        while let Some((session, view, place, number)) = self.children.take_forgotten() {
            let live = self.service.view(view).store.live();
            live.forget_child_questions(session, place, Some(number));
        }
    }

    // The client's half.

    /// A child of another shard asks the client of a call of this one; `text` is the request.
    pub(super) fn pass_on_question(&mut self, call: HandlerKey, from: (u16, QuestionName), text: &[u8]) {
        let (shard, name) = from;
        if !self.say_question(call, name.number, Some(from), text) {
            self.admission.post(shard.into(), ShardEvent::Unheard(name));
        }
    }

    /// Says a request on the stream or channel of a call, or puts it into its task; whether somebody may hear it. It is
    /// from a child, or from the call itself.
    fn say_question(
        &mut self,
        call: HandlerKey,
        number: u32,
        from: Option<(u16, QuestionName)>,
        text: &[u8],
    ) -> bool {
        if let Some(call) = self.calls.at(call) {
            // It would be asked again.
            call.again = None;
        }
        if self.calls.at(call).is_some_and(|call| call.task.is_some()) {
            return self.put_question_of_child(call, number, from, text);
        }
        let is_one = self.calls.at(call).is_some_and(|call| call.batch.is_none());
        if !is_one || !self.is_heard(call) {
            return false;
        }
        let Some(holder) = self.calls.holder(call) else {
            return false;
        };
        self.say(call, holder, text, false);
        self.flush_emissions(call);
        true
    }

    /// Asks the legacy client of a call something in its child's name; the answer comes to
    /// [`Shard::take_round_answer`] under the same number.
    ///
    /// # Errors
    /// See [`NotAsked`].
    pub(in crate::shard) fn ask_client(
        &mut self,
        call: HandlerKey,
        number: u32,
        method: &str,
        params: &[u8],
    ) -> Result<(), NotAsked> {
        let asker = ChildAsker::Call(call_number(call));
        let place = ChildPlace {
            shard: self.metrics.shard.0,
            asker,
        };
        let needs = capability_needed(method, params).ok_or(NotAsked::NotDeclared)?;
        let entry = self.calls.at(call).ok_or(NotAsked::Unheard)?;
        let service = Rc::clone(&entry.service);
        let terms = ClientTerms::of(&entry.ticket, ViewId::MAIN, LogWish::None);
        if !terms.capabilities.contains(needs) {
            return Err(NotAsked::NotDeclared);
        }
        if self.drain.is_begun() {
            return Err(NotAsked::Draining);
        }
        if entry.task.is_some() && terms.revision.era() == Era::Modern {
            let mut text = Vec::new();
            write_modern_question(&mut text, method, params);
            let is_put = self.put_question_of_child(call, number, None, &text);
            return is_put.then_some(()).ok_or(NotAsked::Unheard);
        }
        let (session, principal) = terms.session.ok_or(NotAsked::NotDeclared)?;
        let live = service.store.live();
        let id = live.ask_for_child(session, principal, place, number);
        let id = id.map_err(|_| NotAsked::Full)?;
        let mut text = Vec::new();
        write_request_of(&mut text, id.as_str(), method, params);
        if self.say_question(call, number, None, &text) {
            return Ok(());
        }
        live.forget_child_questions(session, place, Some(number));
        Err(NotAsked::Unheard)
    }
}

/// A question as a task of 2026-07-28 has it.
fn modern_question(asked: &Asked<'_>) -> Vec<u8> {
    let Answer { line, message, .. } = &asked.said;
    let mut text = Vec::with_capacity(line.len());
    write_modern_question(&mut text, &message.method(line), params_of(line, message));
    text
}

/// Whether a call is of a tool that is only ever called as a task.
fn needs_task(call: &Call) -> bool {
    let Operation::Tool(tool) = call.ticket.operation() else {
        return false;
    };
    let tool = call.service.protocol.registry().tool(tool);
    tool.task_support() == TaskSupport::Required
}

/// What the client of a call wants to hear of what its child logs.
fn log_wish(call: &Call) -> LogWish {
    let Run::Forwarded(forwarding) = call.run else {
        return LogWish::None;
    };
    match (call.ticket.revision().era(), forwarding.log_level) {
        (_, None) => LogWish::None,
        (Era::Modern, Some(level)) => LogWish::FromRequest(level),
        (Era::Legacy, Some(_)) => {
            let session = call.ticket.session();
            LogWish::OfSession(session.and_then(|session| call.service.state.log_level(session)))
        }
    }
}

fn refusal(error: &AnswerError) -> QuestionRefusal {
    match error {
        AnswerError::Cancelled => QuestionRefusal::Left,
        AnswerError::TimedOut => QuestionRefusal::TimedOut,
        AnswerError::Unavailable => QuestionRefusal::TooMany,
        AnswerError::Refused { .. } | AnswerError::Unreadable(_) => QuestionRefusal::Unreadable,
    }
}
