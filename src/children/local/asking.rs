//! The questions of the children of one server, and their answers.

use std::time::Instant;

use crate::children::child::{QuestionAnswer, QuestionRefusal};
use crate::children::pool::MemberKey;

use super::LocalChildren;

impl<C, S> LocalChildren<C, S> {
    /// Gives a child the answer to a question. False if it waits for none.
    pub fn answer_question(
        &mut self,
        key: MemberKey,
        number: u32,
        answer: QuestionAnswer<'_>,
        now: Instant,
    ) -> bool {
        let member = self.member(key);
        member.is_some_and(|member| {
            let child = member.piped.child_mut();
            child.answer_question(number, answer, now)
        })
    }

    /// Whether a child waits for the answer to this question.
    pub fn has_question(&self, key: MemberKey, number: u32) -> bool {
        let member = self.members.iter().find(|member| member.key == key);
        member.is_some_and(|member| member.piped.child().has_question(number))
    }

    /// No client can be asked any more.
    pub fn refuse_questions(&mut self, refusal: QuestionRefusal, now: Instant) {
        for member in &mut self.members {
            member.piped.child_mut().refuse_questions(refusal, now);
        }
    }
}
