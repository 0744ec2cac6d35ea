//! Clients of children that ask by their answers (2026-07-28, patterns/mrtr), if they are legacy ones or wait for a
//! task: the questions are asked on the call's stream or are the task's, and when all are answered the call is made
//! again.
//!
//! ```text
//! with a child ─ it asks ─► the client is asked ─ all answered ─► given to the server again ─► with a child
//!                               └─ one refused, too late, no capability ─► -32603
//! ```
//!
//! Meanwhile no child has the call, and any child of the server may get it again.

use std::rc::Rc;
use std::time::Instant;

use crate::children::{
    Answer, InputRequest, InputRequired, Kind, Message, capability_needed, sole_member, write_next_round,
};
use crate::mcp::{Era, Revision, ServerFault, older_question};
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, ClientCapabilities};
use crate::session::live::{ChildAsker, ChildPlace};

use crate::shard::calls::{Forwarding, RoundQuestion, Rounds, Run};
use crate::shard::inbox::call_number;
use crate::shard::{Shard, ShardRing};

use super::asking::NotAsked;

/// Times that one call may ask.
const ROUNDS_MAX: u32 = 16;
/// Numbers of questions that a round has for itself.
const ROUND_NUMBERS: u32 = 64;
/// Bytes of a client's answers that a call is made again with.
const ANSWERS_BYTES_MAX: usize = 1 << 20;

impl<R: ShardRing> Shard<R> {
    /// A child has answered a call of this shard by questions.
    pub(super) fn settle_asking(&mut self, call: HandlerKey, answer: &Answer<'_>) {
        let entry = self.calls.at(call);
        let Some(entry) = entry.filter(|call| matches!(call.run, Run::Forwarded(_))) else {
            return;
        };
        // It would be asked again.
        entry.again = None;
        if entry.task.is_none() && entry.ticket.revision().era() == Era::Modern {
            self.settle_sealed(call, answer);
        } else if let Err(why) = self.ask_round(call, answer) {
            self.fail_round(call, &why);
        }
    }

    fn ask_round(&mut self, call: HandlerKey, answer: &Answer<'_>) -> Result<(), String> {
        let asked = InputRequired::read(answer.line, &answer.message);
        let asked = asked.ok_or("it asks for input in a way that is none")?;
        let due = self.clock.now() + self.service.timeouts.ask;
        let Some(entry) = self.calls.at(call) else {
            return Ok(());
        };
        let Run::Forwarded(Forwarding { server, .. }) = entry.run else {
            return Ok(());
        };
        let revision = entry.ticket.revision();
        let rounds = entry.rounds.as_deref_mut();
        let rounds = rounds.ok_or_else(|| lacks(asked.requests.first()))?;
        rounds.count += 1;
        if rounds.count > ROUNDS_MAX {
            return Err("it asks again and again".to_owned());
        }
        let first = rounds.count * ROUND_NUMBERS;
        rounds.state = asked.state.map(Box::from);
        rounds.questions = asked.requests.iter().map(question).collect();
        rounds.due = Some(due);
        if asked.requests.is_empty() {
            self.call_again(call);
            return Ok(());
        }
        self.children.on_round(call, server, asked.requests.len(), due);
        for (number, request) in (first..).zip(&asked.requests) {
            let is_older = revision.era() == Era::Legacy;
            let older = is_older.then(|| legacy_question(&request.method, request.params, revision));
            let older = older.flatten();
            let params = older.as_deref().unwrap_or(request.params);
            let sent = self.ask_client(call, number, &request.method, params);
            sent.map_err(|why| match why {
                NotAsked::NotDeclared => lacks(Some(request)),
                NotAsked::Unheard => "its client cannot be asked".to_owned(),
                NotAsked::Full => "its client is asked too much".to_owned(),
                NotAsked::Draining => "the server is about to end".to_owned(),
            })?;
        }
        Ok(())
    }

    /// The client of a call has answered a question of this number.
    pub(super) fn take_round_answer(
        &mut self,
        call: HandlerKey,
        number: u32,
        answer: Result<&[u8], &AnswerError>,
    ) {
        let rounds = self.calls.at(call).and_then(|call| call.rounds.as_deref_mut());
        let Some(rounds) = rounds.filter(|rounds| rounds.due.is_some()) else {
            return;
        };
        let place = number.checked_sub(rounds.count * ROUND_NUMBERS);
        let question = place.and_then(|at| rounds.questions.get_mut(at as usize));
        let Some(question) = question.filter(|question| question.answer.is_none()) else {
            return;
        };
        let outcome = match answer {
            Ok(text) => result_of(text),
            Err(AnswerError::TimedOut) => Err("its client has not answered in time"),
            Err(_) => Err("its client gave no answer"),
        };
        match outcome {
            Ok(result) => question.answer = Some(result.into()),
            Err(why) => return self.fail_round(call, why),
        }
        let answers = rounds
            .questions
            .iter()
            .filter_map(|question| question.answer.as_deref());
        if answers.map(<[u8]>::len).sum::<usize>() > ANSWERS_BYTES_MAX {
            return self.fail_round(call, "its client's answers are too long");
        }
        if rounds.is_answered() {
            self.call_again(call);
        }
    }

    /// Gives a call to its server again.
    fn call_again(&mut self, call: HandlerKey) {
        self.children.on_round_over(call);
        let shard = self.metrics.shard.0;
        let Some(entry) = self.calls.at(call) else { return };
        let (Run::Forwarded(forwarding), Some(rounds)) = (&mut entry.run, &mut entry.rounds) else {
            return;
        };
        forwarding.shard = shard;
        let server = forwarding.server;
        let text = next_text(rounds);
        rounds.due = None;
        rounds.questions.clear();
        match text.and_then(|text| Some((Message::read_checked(&text).ok()?, text))) {
            Some((message, text)) => self.give(call, server, &text, &message, None),
            None => self.fail_round(call, "its request cannot be made again"),
        }
    }

    /// What a child asks for cannot be had.
    pub(super) fn fail_round(&mut self, call: HandlerKey, why: &str) {
        self.forget_round(call);
        let Some(forwarding) = self.end_forwarding(call) else {
            return;
        };
        let Some(entry) = self.calls.at(call) else { return };
        entry.run = Run::Ended;
        let service = Rc::clone(&entry.service);
        let elapsed = self.clock.now().saturating_duration_since(entry.began);
        let name = self.children.name(forwarding.server).to_owned();
        self.answer_forwarded(call, elapsed, 0, |ticket, out| {
            let fault = ServerFault::Unasked { why };
            service.protocol.answer_server_fault(ticket, &name, fault, out)
        });
    }

    /// A call that asks its client is over, or will be: nobody waits for answers any more.
    pub(super) fn forget_round(&mut self, call: HandlerKey) {
        if !self.children.on_round_over(call) {
            return;
        }
        let asker = ChildAsker::Call(call_number(call));
        let place = ChildPlace {
            shard: self.metrics.shard.0,
            asker,
        };
        let Some(entry) = self.calls.at(call) else { return };
        if let Some(rounds) = &mut entry.rounds {
            rounds.due = None;
        }
        if let Some(session) = entry.ticket.session() {
            entry
                .service
                .store
                .live()
                .forget_child_questions(session, place, None);
        }
    }

    /// Clients that have not answered in time.
    pub(super) fn expire_rounds(&mut self, now: Instant) {
        while let Some(call) = self.children.late_round(now) {
            self.fail_round(call, "its client has not answered in time");
        }
    }

    /// No client can be asked any more.
    pub(in crate::shard) fn fail_rounds(&mut self) {
        while let Some(call) = self.children.any_round() {
            self.fail_round(call, "the server is about to end");
        }
    }
}

/// The parameters of a question as a legacy client knows them; `None` if those are `params` as they are. The newest
/// names each URL that is to be opened.
fn legacy_question(method: &str, params: &[u8], revision: Revision) -> Option<Vec<u8>> {
    let opens_url = capability_needed(method, params)
        .is_some_and(|needed| needed.contains(ClientCapabilities::ELICITATION_URL));
    if !opens_url || !revision.has_elicitation_ids() || sole_member(params, "elicitationId").is_some() {
        return older_question(method, params, revision);
    }
    let mut id = [0; 8];
    getrandom::fill(&mut id).ok()?;
    let mut out = format!(r#"{{"elicitationId":"{:016x}","#, u64::from_be_bytes(id)).into_bytes();
    out.extend_from_slice(params.get(1..)?);
    Some(out)
}

/// The request of a call's next round.
fn next_text(rounds: &Rounds) -> Option<Vec<u8>> {
    let message = Message::read_checked(&rounds.text).ok()?;
    let mut text = Vec::with_capacity(rounds.text.len() + 256);
    let answers = rounds.questions.iter();
    let answers = answers.filter_map(|question| Some((&*question.key, question.answer.as_deref()?)));
    write_next_round(
        &mut text,
        &rounds.text,
        &message,
        answers,
        rounds.state.as_deref(),
    );
    Some(text)
}

fn question(request: &InputRequest<'_>) -> RoundQuestion {
    RoundQuestion {
        key: request.key.into(),
        answer: None,
    }
}

/// The result in a client's answer.
fn result_of(text: &[u8]) -> Result<&[u8], &'static str> {
    let message = Message::read_checked(text).ok();
    match message.and_then(|message| Some((message.kind, message.outcome?))) {
        Some((Kind::Result, result)) if result.of(text).first() == Some(&b'{') => Ok(result.of(text)),
        Some((Kind::Error, _)) => Err("its client refuses to answer"),
        _ => Err("its client's answer could not be read"),
    }
}

/// Why nobody can be asked this.
fn lacks(request: Option<&InputRequest<'_>>) -> String {
    let needed = request.and_then(|request| capability_needed(&request.method, request.params));
    match needed {
        Some(needed) => format!("it asks for what its client has not declared: {needed}"),
        None => "it asks for input, and its client cannot be asked".to_owned(),
    }
}
