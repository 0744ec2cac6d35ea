//! What a child asks its client, if only one client can be meant.
//!
//! A legacy child does not say which call a question is about. So the question goes to the client of the oldest call
//! that runs and is asked nothing yet: a client that never comes back to one call must not keep the questions of the
//! next. If all are asked something, it goes with the question before it, since a call may ask several things at once.
//! If that call ends first, it is about the oldest, which is the same client's. While a question is open, its call's
//! own time stands still. While it has no call, a child asks the client whose it is, if it is one's.

use std::time::Instant;

use crate::children::child::calls::CallKey;
use crate::children::child::event::{Answer, Asked, ChildEvent};
use crate::children::child::questions::{OpenQuestion, QuestionRefusal};
use crate::children::line::{Kind, capability_needed, params_of, write_question_answer};
use crate::jsonrpc::{Id, write_error};

use super::{Child, ID_BYTES_MAX, OWN_ANSWERS_BYTES_MAX, Phase};

/// What a child gets for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionAnswer<'a> {
    /// What its client answered.
    Given {
        /// Whether that is a result or an error.
        kind: Kind,
        /// The value of `result` or `error`.
        outcome: &'a [u8],
    },
    /// Nothing.
    Refused(QuestionRefusal),
}

impl<C> Child<C> {
    /// Passes a request of the child's on, if it is a question and it is clear to whom.
    ///
    /// # Errors
    /// It is to be answered with this.
    pub(super) fn ask(
        &mut self,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) -> Result<(), QuestionRefusal> {
        let Answer { line, message, .. } = said;
        let is_serving = matches!(self.phase, Phase::Serving | Phase::Retiring) && !self.has_failed;
        let needs = capability_needed(&message.method(line), params_of(line, &message));
        let timeout = self.limits.ask_timeout.filter(|_| is_serving);
        let questions = &self.questions;
        let unasked = self.in_flight.oldest_of(|call| !questions.has_any_of(call));
        let call = unasked.or_else(|| questions.last_asked());
        let (Some(needs), Some(timeout)) = (needs, timeout) else {
            return Err(QuestionRefusal::Nobody);
        };
        if call.is_none() && !self.is_heard_between_calls {
            return Err(QuestionRefusal::Nobody);
        }
        let id = message.id.map_or(&b""[..], |id| id.of(line));
        let id = std::str::from_utf8(id).ok().filter(|id| id.len() <= ID_BYTES_MAX);
        let id = id.ok_or(QuestionRefusal::Nobody)?;
        let begun = self.questions.begin(call, id, now + timeout);
        let number = begun.ok_or(QuestionRefusal::TooMany)?;
        if let Some(call) = call {
            self.in_flight.pause(call, now);
        }
        self.counters.questions += 1;
        let caller = call.and_then(|call| self.in_flight.caller(call));
        let asked = Asked { number, needs, said };
        tell(ChildEvent::Asked { caller, asked });
        Ok(())
    }

    /// From now on somebody hears what it says and asks while it has no call: it has a client of its own.
    pub fn hear_between_calls(&mut self) {
        self.is_heard_between_calls = true;
    }

    /// Gives it the answer to a question. False if it waits for none.
    pub fn answer_question(&mut self, number: u32, answer: QuestionAnswer<'_>, now: Instant) -> bool {
        let Some(question) = self.questions.take(number) else {
            return false;
        };
        self.settle_question(&question, answer, now);
        true
    }

    /// Who waits for the call that this question is about.
    pub fn asked_about(&self, number: u32) -> Option<&C> {
        self.in_flight.caller(self.questions.call_of(number)?)
    }

    /// Whether it waits for the answer to this question.
    pub fn has_question(&self, number: u32) -> bool {
        self.questions.has(number)
    }

    /// From now on somebody else waits for this call. False if nobody does.
    pub fn replace_caller(&mut self, key: CallKey, caller: C) -> bool {
        let known = self.in_flight.caller_mut(key);
        known.map(|known| *known = caller).is_some()
    }

    /// Nobody can be asked any more.
    pub fn refuse_questions(&mut self, refusal: QuestionRefusal, now: Instant) {
        while let Some(question) = self.questions.take_any() {
            self.settle_question(&question, QuestionAnswer::Refused(refusal), now);
        }
    }

    /// Questions that nobody has answered in time.
    pub(super) fn expire_questions(&mut self, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        while let Some(question) = self.questions.take_overdue(now) {
            let refusal = QuestionAnswer::Refused(QuestionRefusal::TimedOut);
            self.settle_question(&question, refusal, now);
            let caller = question.call.and_then(|call| self.in_flight.caller(call));
            if let Some(caller) = caller {
                let number = question.number;
                tell(ChildEvent::Unanswered { caller, number });
            }
        }
    }

    /// The call with this id is answered.
    #[inline]
    pub(super) fn end_questions(&mut self, id: u64, now: Instant) {
        if !self.questions.is_empty()
            && let Some(call) = CallKey::from_wire(id)
        {
            self.end_questions_of(call, QuestionRefusal::CallOver, now);
        }
    }

    /// A call is over: what is asked about it is about another of the same client, if one runs.
    pub(super) fn end_questions_of(&mut self, call: CallKey, refusal: QuestionRefusal, now: Instant) {
        if !self.questions.has_any_of(call) {
            return;
        }
        if let Some(next) = self.in_flight.oldest() {
            self.questions.move_all(call, next);
            return self.in_flight.pause(next, now);
        }
        while let Some(question) = self.questions.take_of(call) {
            self.settle_question(&question, QuestionAnswer::Refused(refusal), now);
        }
    }

    fn settle_question(&mut self, question: &OpenQuestion, answer: QuestionAnswer<'_>, now: Instant) {
        let id = Id::Verbatim(&question.id);
        let is_listening = self.outgoing.pending_bytes() <= OWN_ANSWERS_BYTES_MAX;
        match answer {
            QuestionAnswer::Given { kind, outcome } => {
                write_question_answer(self.outgoing.line(now), id, kind, outcome);
            }
            QuestionAnswer::Refused(refusal) if is_listening => {
                let out = self.outgoing.line(now);
                write_error(out, Some(id), refusal.code(), &refusal.to_string());
                out.push(b'\n');
            }
            QuestionAnswer::Refused(_) => {}
        }
        if let Some(call) = question.call.filter(|call| !self.questions.has_any_of(*call)) {
            self.in_flight.resume(call, now);
        }
    }
}
