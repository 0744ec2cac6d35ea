//! What a child says, line by line, and who hears of it.

use std::time::Instant;

use crate::children::child::calls::{Ended, OWN_IDS_MAX};
use crate::children::child::event::{Answer, ChildEvent};
use crate::children::line::{Kind, Line, Message, Unreadable, updated_uri};
use crate::jsonrpc::{Id, Outline, Shape, write_error, write_result};
use crate::mcp::Era;

use super::{Child, ID_BYTES_MAX, OWN_ANSWERS_BYTES_MAX};

/// Bytes of a line that is none which are logged.
const RUBBISH_BYTES_MAX: usize = 200;

impl<C> Child<C> {
    pub(super) fn take_line(
        &mut self,
        line: Line<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        match line {
            Line::Whole(text) => match Message::read(text) {
                Ok(message) => {
                    let (line, era) = (text, self.era);
                    self.take_message(Answer { line, message, era }, now, tell);
                }
                Err(why) => self.take_rubbish(text, why, now, tell),
            },
            Line::TooLong(outline) => self.take_too_long(&outline, now, tell),
        }
    }

    fn take_message(&mut self, said: Answer<'_>, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        match said.message.kind {
            Kind::Result | Kind::Error => match said.message.call_id(said.line) {
                Some(id) if id < OWN_IDS_MAX => self.take_own_answer(id, said, now, tell),
                Some(id) if self.take_own_task(id, &said, now) => {}
                Some(id) => self.end_call(id, said, now, tell),
                None => match (self.own_result(&said), said.message.id) {
                    (Some(id), _) => self.end_call(id, said, now, tell),
                    (None, Some(id)) if Self::is_ignored(id.of(said.line)) => {}
                    (None, _) => self.counters.stray_answers += 1,
                },
            },
            Kind::Request => self.answer_request(said, now, tell),
            Kind::Notification => self.take_notification(said, now, tell),
        }
    }

    /// It has answered the call with this id.
    fn end_call(
        &mut self,
        id: u64,
        answer: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        match self.in_flight.end(id) {
            Ended::Call { caller, began } => {
                self.end_questions(id, now);
                self.called_at = now;
                tell(ChildEvent::Answered {
                    caller,
                    answer,
                    took: now.saturating_duration_since(began),
                });
            }
            Ended::Unwanted => {}
            Ended::Nobody => self.counters.stray_answers += 1,
        }
    }

    fn take_notification(
        &mut self,
        said: Answer<'_>,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        let method = said.message.method(said.line);
        match &*method {
            "notifications/progress" => {
                let id = said.message.progress_id(said.line);
                match id.and_then(|id| self.in_flight.progress(id, now)) {
                    Some(caller) => tell(ChildEvent::Progress {
                        caller,
                        progress: said,
                    }),
                    None => self.counters.ignored_notifications += 1,
                }
            }
            "notifications/message" => {
                let caller = self.told_for();
                tell(ChildEvent::Told { caller, said });
            }
            "notifications/elicitation/complete" if self.is_attributed_legacy() => {
                let caller = self.told_for();
                tell(ChildEvent::Told { caller, said });
            }
            "notifications/resources/updated" => {
                if let Some(uri) = updated_uri(said.line, &said.message) {
                    tell(ChildEvent::Updated(uri));
                }
            }
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => tell(ChildEvent::Changed),
            "notifications/subscriptions/acknowledged" if self.era == Era::Modern => {}
            _ => self.counters.ignored_notifications += 1,
        }
    }

    /// Answers a request of the child's, unless its client is to answer.
    fn answer_request(&mut self, said: Answer<'_>, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        let mut refusal = None;
        if said.message.method(said.line) != "ping" {
            match self.ask(said, now, tell) {
                Ok(()) => return,
                Err(why) => refusal = Some(why),
            }
            self.counters.refused_questions += 1;
        }
        let id = said.message.id.map_or(&b""[..], |id| id.of(said.line));
        let is_listening = self.outgoing.pending_bytes() <= OWN_ANSWERS_BYTES_MAX;
        let Ok(id) = std::str::from_utf8(id) else { return };
        if id.len() > ID_BYTES_MAX || !is_listening || self.has_failed {
            return;
        }
        let id = Id::Verbatim(id);
        let out = self.outgoing.line(now);
        match refusal {
            None => write_result(out, id, b"{}"),
            Some(refusal) => write_error(out, Some(id), refusal.code(), &refusal.to_string()),
        }
        out.push(b'\n');
    }

    fn take_rubbish(
        &mut self,
        text: &[u8],
        why: Unreadable,
        now: Instant,
        tell: &mut impl FnMut(ChildEvent<'_, C>),
    ) {
        self.counters.rubbish_lines += 1;
        if let Some(left_out) = self.rubbish.take(now) {
            let text = text.get(..RUBBISH_BYTES_MAX).unwrap_or(text);
            tell(ChildEvent::Rubbish { text, left_out, why });
        }
    }

    /// The end of a line beyond the limit: if it was an answer, its call is over.
    fn take_too_long(&mut self, outline: &Outline, now: Instant, tell: &mut impl FnMut(ChildEvent<'_, C>)) {
        self.counters.rubbish_lines += 1;
        let id = match outline.id() {
            Some(Id::Verbatim(id)) if outline.shape != Shape::Request => {
                let own = self.own_tasks.on_result(id.as_bytes());
                own.or_else(|| id.parse().ok()).unwrap_or(0)
            }
            _ => 0,
        };
        if let Ended::Call { caller, .. } = self.in_flight.end(id) {
            self.end_questions(id, now);
            tell(ChildEvent::AnsweredTooLong { caller });
        }
    }
}
