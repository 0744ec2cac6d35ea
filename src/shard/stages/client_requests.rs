//! Calls that wait for their client: the handler is given back, and taken again when there is something to go on with.
//!
//! A question goes out on the call's stream; its answer comes in any later request of the session, on any shard, and as
//! an event to this one. Meanwhile an asynchronous call lies on a shelf without a handler. Woken by the answer, or by
//! anything else it waits for, it asks for a handler first and goes before requests that have not begun. A blocking
//! call keeps its handler, since the worker it occupies is the scarcer of the two.
//!
//! ```text
//! Calling ── asks, is pending ──► shelved ── woken ──► returning ── a handler ──► Calling
//!                                    └── deadline: the questions are answered with that ──┘
//! ```
//!
//! Bounded: a question finds a place or is refused. The time a call waits for its client is not counted as its own.

use std::rc::Rc;
use std::sync::Arc;

use crate::mcp::SessionToken;
use crate::metrics::HandlerState;
use crate::pool::HandlerKey;
use crate::registry::{AnswerError, AskedQuestion, CallLink, Emission};
use crate::session::live::CallPlace;

use crate::shard::calls::AskerKey;
use crate::shard::inbox::call_number;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Puts a call's question to its client.
    pub(in crate::shard) fn ask(
        &mut self,
        handler: HandlerKey,
        link: &Arc<CallLink>,
        question: AskedQuestion,
    ) {
        let number = question.number;
        if self.try_ask(handler, link, question).is_none() {
            link.answer(number, Err(AnswerError::Unavailable));
        }
    }

    fn try_ask(&mut self, handler: HandlerKey, link: &Arc<CallLink>, question: AskedQuestion) -> Option<()> {
        if self.drain.is_begun() {
            // Nobody could answer: the listener is closed, and so are connections without a request.
            return None;
        }
        let key = self.calls.asker_of(handler, link, self.clock.now())?;
        if !self.is_heard(handler) {
            return None;
        }
        let call = self.calls.at(handler)?;
        let session = call.ticket.session();
        let is_task = call.task.is_some();
        let place = CallPlace {
            shard: self.metrics.shard.0,
            call: key.number(),
        };
        let service = Rc::clone(&call.service);
        let number = question.number;
        let live = service.store.live();
        let principal = call.ticket.principal();
        let asked = session.map(|session| live.ask(session, principal, place, number));
        let id = asked.transpose().ok()?;
        if is_task {
            self.put_task_question(handler, question, id.as_ref().map(|id| id.as_str()))?;
        } else {
            let emission = Emission::Question(question);
            self.send_emission(handler, &emission, id?.as_str())
                .then_some(())?;
        }
        self.calls.on_asked(key, number, self.clock.now())?;
        self.clock.clear_call_deadline(handler.index);
        let deadline = self.clock.now() + self.service.timeouts.ask;
        self.clock.set_call_deadline(self.calls.asker_slot(key), deadline);
        Some(())
    }

    /// An answer has come for a call of this shard.
    pub(in crate::shard) fn answer_question(
        &mut self,
        call: u64,
        number: u32,
        answer: Result<serde_json::Value, AnswerError>,
    ) {
        let key = AskerKey::from_number(call);
        let Some((link, task)) = self.calls.on_answered(key, number) else {
            return;
        };
        if let Some(task) = task {
            self.on_task_answered(&task, number);
        }
        // Wakes its task, which comes back by `on_woken`, or whoever runs it elsewhere.
        link.answer(number, answer);
        if link.open_questions() == 0 {
            self.on_all_answered(key);
        }
    }

    /// All questions of a call are answered: its own time runs on.
    fn on_all_answered(&mut self, key: AskerKey) {
        self.clock.clear_call_deadline(self.calls.asker_slot(key));
        match self.calls.on_all_answered(key, self.clock.now()) {
            Some((handler, Some(deadline))) => self.clock.set_call_deadline(handler.index, deadline),
            // One that runs elsewhere goes on there, without being polled here.
            Some((handler, None)) => self.on_woken(handler),
            None => {}
        }
    }

    /// No client can answer any more.
    pub(in crate::shard) fn fail_all_questions(&mut self) {
        for key in self.calls.askers() {
            self.fail_questions(key, &AnswerError::Cancelled);
        }
    }

    pub(in crate::shard) fn fail_questions(&mut self, key: AskerKey, error: &AnswerError) {
        if self.calls.fail_questions(key, error) {
            self.on_all_answered(key);
        }
    }

    /// Takes the handler from a call that waits for its client; its task will bring it back.
    pub(in crate::shard) fn shelve_if_asking(&mut self, handler: HandlerKey) {
        let connection = self.calls.holder(handler);
        if !self.calls.shelve(handler) {
            return;
        }
        self.clock.clear_call_deadline(handler.index);
        self.admission.on_given_back(handler);
        self.metrics.on_handler(HandlerState::Busy, HandlerState::Idle);
        if let Some(key) = connection
            && self.table.handler(key) == Some(handler)
        {
            self.table.begin_streaming(key);
        }
        self.admission.release_permit(self.clock.now());
        self.serve_waiters();
    }

    /// A task was woken whose call has no handler any more: if it is shelved, it wants one.
    pub(in crate::shard) fn on_woken(&mut self, handler: HandlerKey) {
        if self.calls.begin_return(handler) {
            self.admission.want_back(handler);
            self.serve_waiters();
        }
    }

    /// A shelved call that gave up the handler `was` takes one; the permit for it is in hand.
    pub(in crate::shard) fn serve_returning(&mut self, was: HandlerKey) {
        let Some(unshelved) = self.calls.unshelve(was) else {
            return;
        };
        if !self.calls.has_idle() {
            self.cut_longest_linger();
        }
        let connection = unshelved.connection;
        let (stream, link) = (unshelved.call.stream.clone(), unshelved.call.link.clone());
        let Some(handler) = self.calls.return_shelved(unshelved) else {
            debug_assert!(false, "a permit without a handler");
            return;
        };
        self.metrics.on_handler(HandlerState::Idle, HandlerState::Busy);
        self.admission.on_began(handler, self.clock.now());
        if let Some(link) = link {
            link.bind(call_number(handler));
        }
        if self.table.awaits_return(connection, stream.as_ref()) {
            self.table.begin_call(connection, handler);
        }
    }

    /// A call is over: what it asked is of no interest any more.
    pub(in crate::shard) fn forget_asker(&mut self, key: AskerKey, session: Option<SessionToken>) {
        self.clock.clear_call_deadline(self.calls.asker_slot(key));
        self.calls.forget_asker(key);
        if let Some(session) = session {
            let place = CallPlace {
                shard: self.metrics.shard.0,
                call: key.number(),
            };
            for view in self.service.views() {
                view.store.live().forget_questions(session, place);
            }
        }
    }
}
