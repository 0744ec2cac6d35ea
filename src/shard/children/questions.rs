//! What children of this shard ask, and who is asked.

use std::time::Instant;

use crate::children::{QuestionAnswer, QuestionRefusal};
use crate::mcp::SessionToken;
use crate::pool::HandlerKey;
use crate::registry::ServerIndex;
use crate::session::live::ChildPlace;
use crate::units::ViewId;

use super::asked::{AskedQuestion, QuestionName, TaskQuestion};
use super::caller::Caller;
use super::parked::{Parking, Resumption};
use super::{Children, Kept};

impl<S> Children<S> {
    /// Whether only one client can be the cause of what a server's child says.
    pub(in crate::shard) fn is_attributed(&self, server: ServerIndex) -> bool {
        let server = self.servers.get(server.as_usize());
        server.is_some_and(|server| server.is_attributed)
    }

    /// Whether calls of a server's tools that change nothing are made once more when a child dies of them.
    #[inline]
    pub(in crate::shard) fn is_repeating(&self, server: ServerIndex) -> bool {
        let server = self.servers.get(server.as_usize());
        server.is_some_and(|server| server.is_repeating)
    }

    /// The calls whose modern clients are asked.
    pub(in crate::shard) fn parking(&mut self) -> &mut Parking {
        &mut self.parking
    }

    /// Keeps a retry for the time when the children are back, if they are out; else it is handed back.
    pub(in crate::shard) fn keep_if_out(&mut self, resumption: Box<Resumption>) -> Option<Box<Resumption>> {
        let server = resumption.name.server;
        let entry = self.servers.get(server.as_usize());
        if entry.is_none_or(|entry| entry.children.is_some()) {
            return Some(resumption);
        }
        self.kept.push((server, Kept::Resume(resumption)));
        None
    }

    /// A call is to be cancelled, once the children are back.
    pub(in crate::shard) fn keep_cancellation(&mut self, server: ServerIndex, caller: Caller) {
        self.kept.push((server, Kept::Cancel { caller }));
        self.touch(server);
    }

    /// A question will be answered by us, once the children are back.
    pub(in crate::shard) fn keep_refusal(&mut self, name: QuestionName, refusal: QuestionRefusal) {
        self.kept.push((name.server, Kept::Refuse { name, refusal }));
        self.touch(name.server);
    }

    /// A client of this session is asked.
    pub(in crate::shard) fn on_asked(&mut self, name: QuestionName, session: SessionToken, view: ViewId) {
        self.asked.push(AskedQuestion { name, session, view });
    }

    /// The next question that was asked and for whose answer no child waits any more: in which session, and by whom.
    pub(in crate::shard) fn take_forgotten(&mut self) -> Option<(SessionToken, ViewId, ChildPlace, u32)> {
        let servers = &self.servers;
        let is_over = |asked: &AskedQuestion| {
            let server = servers.get(asked.name.server.as_usize());
            let children = server.and_then(|server| server.children.as_ref());
            children.is_some_and(|children| !children.has_question(asked.name.member, asked.name.number))
        };
        let at = self.asked.iter().position(is_over)?;
        let AskedQuestion { name, session, view } = self.asked.swap_remove(at);
        let place = ChildPlace {
            shard: self.shard,
            asker: name.asker(),
        };
        Some((session, view, place, name.number))
    }

    /// A question is put to a client by the task of this call.
    pub(in crate::shard) fn on_task_asked(&mut self, call: HandlerKey, from: (u16, QuestionName)) {
        self.task_questions.push(TaskQuestion { call, from });
    }

    /// Takes a question of a task out, by the shard of its child and its name there.
    pub(in crate::shard) fn take_task_question(
        &mut self,
        call: HandlerKey,
        number: u32,
    ) -> Option<(u16, QuestionName)> {
        let mut asked = self.task_questions.iter();
        let at = asked.position(|asked| asked.call == call && asked.from.1.number == number)?;
        Some(self.task_questions.swap_remove(at).from)
    }

    /// A call is with a child no more: what is asked about it is of no interest.
    pub(in crate::shard) fn forget_task_questions(&mut self, call: HandlerKey) {
        self.task_questions.retain(|asked| asked.call != call);
    }

    /// A question is answered by us now.
    pub(in crate::shard) fn refuse_question(
        &mut self,
        name: QuestionName,
        refusal: QuestionRefusal,
        now: Instant,
    ) {
        let entry = self.servers.get_mut(name.server.as_usize());
        if let Some(children) = entry.and_then(|entry| entry.children.as_mut()) {
            children.answer_question(name.member, name.number, QuestionAnswer::Refused(refusal), now);
            self.touch(name.server);
        }
    }
}
