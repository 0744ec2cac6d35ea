//! The questions of the children of one server, and their answers.

use std::time::Instant;

use crate::children::child::{QuestionAnswer, QuestionRefusal};
use crate::children::pool::MemberKey;

use super::LocalChildren;

impl<C: Copy, S> LocalChildren<C, S> {
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

    /// Whose call a question is about, if it is open and about one.
    pub fn asked_about(&self, key: MemberKey, number: u32) -> Option<C> {
        let member = self.members.iter().find(|member| member.key == key)?;
        member.piped.child().asked_about(number).copied()
    }

    /// Whether a child waits for the answer to this question.
    pub fn has_question(&self, key: MemberKey, number: u32) -> bool {
        let member = self.members.iter().find(|member| member.key == key);
        member.is_some_and(|member| member.piped.child().has_question(number))
    }

    /// From now on somebody else waits for the answer to a call. False if no child has it.
    pub fn replace_caller(&mut self, is_it: impl Fn(&C) -> bool, caller: C) -> bool {
        for member in &mut self.members {
            let child = member.piped.child_mut();
            if let Some(key) = child.in_flight().find(&is_it) {
                return child.replace_caller(key, caller);
            }
        }
        false
    }

    /// Has a child tell, or tell no longer, when the resource at a URI is updated.
    pub fn subscribe(&mut self, key: MemberKey, uri: &str, is_wanted: bool, now: Instant) {
        if let Some(member) = self.member(key) {
            member.piped.child_mut().subscribe(uri, is_wanted, now);
        }
    }

    /// No client can be asked any more.
    pub fn refuse_questions(&mut self, refusal: QuestionRefusal, now: Instant) {
        for member in &mut self.members {
            member.piped.child_mut().refuse_questions(refusal, now);
        }
    }
}
