//! Questions to modern clients: the request is answered with them, and the call stays with its child until the client
//! repeats the request with its answers.
//!
//! ```text
//!        the child's shard                        the client's shard
//! asked ─► gathered ─ next tick ─ the round ─────► answered with `input_required`, the call's name sealed
//! the child, which goes on ◄─ answers ◄─────────── the retry, on any shard, with an entry of its own
//!      └─ the answer ────────────────────────────► the client
//! ```
//!
//! What its client has not declared is not asked: the child is told when the round is over, so that it does not give up
//! what is asked beside it. If the call then fails, its client is told what it would have had to declare.
//!
//! A call that waits so is given up after `--ask-timeout`, when its child is lost, and when the server drains. A retry
//! whose answers are not all there gets the questions again that are left, under a new name.

use std::rc::Rc;
use std::time::Duration;

use crate::children::{
    Answer, Asked, Kind, Message, QuestionAnswer, QuestionRefusal, params_of, sole_member,
    write_modern_question,
};
use crate::mcp::{Era, Resumed, Unresumed};
use crate::pool::HandlerKey;
use crate::registry::{ClientCapabilities, ServerIndex};

use crate::shard::calls::{Call, Run};
use crate::shard::children::{Caller, ChildWord, Held, HeldQuestion, ParkedName, QuestionName, Resumption};
use crate::shard::inbox::ShardEvent;
use crate::shard::{Shard, ShardRing};

use super::asking::NotAsked;

impl<R: ShardRing> Shard<R> {
    // The child's half.

    /// Keeps a question of a child's for the next round of its call.
    pub(super) fn hold_question(
        &mut self,
        name: QuestionName,
        caller: Caller,
        asked: &Asked<'_>,
    ) -> Result<(), NotAsked> {
        let Answer { line, message, .. } = asked.said;
        let method = message.method(line);
        let kind = method.split('/').next().unwrap_or_default().to_owned();
        let mut request = Vec::with_capacity(line.len());
        write_modern_question(&mut request, &method, params_of(line, &message));
        let charged = request.len();
        self.writer.heap().charge(charged).map_err(|_| NotAsked::Full)?;
        let question = HeldQuestion {
            number: name.number,
            key: format!("{kind}_{}", name.number),
            request: request.into_boxed_slice(),
        };
        let now = self.clock.now();
        let held = self.children.parking().gather(name, caller, now);
        held.questions.push(question);
        held.charged += charged;
        Ok(())
    }

    /// Keeps back that the client cannot be asked this.
    pub(super) fn hold_undeclared(&mut self, name: QuestionName, caller: Caller, needs: ClientCapabilities) {
        let now = self.clock.now();
        let held = self.children.parking().gather(name, caller, now);
        held.undeclared.push(name.number);
        held.lacking = held.lacking.with(needs);
    }

    /// Tells a child, and who waits for a call of it, what the client cannot be asked.
    fn refuse_undeclared(&mut self, held: &mut Held) {
        if held.undeclared.is_empty() {
            return;
        }
        let lacking = std::mem::replace(&mut held.lacking, ClientCapabilities::NONE);
        if self.children.is_own(held.caller) {
            self.note_lacking(held.caller.call, lacking);
        } else {
            self.say_to(held.caller, ChildWord::Lacks(lacking));
        }
        let (server, member) = (held.server, held.member);
        self.drive(server, |children, now, _| {
            for number in held.undeclared.drain(..) {
                let answer = QuestionAnswer::Refused(QuestionRefusal::Nobody);
                children.answer_question(member, number, answer, now);
            }
        });
    }

    /// Sends out what was gathered, and gives up what has waited for too long.
    pub(super) fn tick_parked(&mut self) {
        if self.children.parking().is_empty() {
            return;
        }
        let now = self.clock.now();
        while let Some(mut held) = self.children.parking().take_where(Held::is_vain) {
            self.refuse_undeclared(&mut held);
            self.release_held(&held, Unresumed::Over);
        }
        while let Some(held) = self.children.parking().next_round(now) {
            let (caller, server, round, requests) = (held.caller, held.server, held.round, held.requests());
            let name = ParkedName {
                instance: self.children.mesh().instance(),
                shard: self.metrics.shard.0,
                server,
                round,
            };
            if self.children.is_own(caller) {
                self.require_input(caller.call, name, &requests);
            } else {
                self.say_to(caller, ChildWord::RequiresInput { name, requests });
            }
        }
        let ask = self.service.timeouts.ask;
        let is_late = |held: &Held| held.is_out() && now.saturating_duration_since(held.since) >= ask;
        while let Some(held) = self.children.parking().take_where(is_late) {
            self.give_up_held(held, Unresumed::Expired);
        }
    }

    /// A question about this call was not answered in time: one that is out is given up.
    pub(super) fn on_unanswered(&mut self, caller: Caller) {
        let is_it = |held: &Held| held.is_out() && held.caller == caller;
        if let Some(held) = self.children.parking().take_where(is_it) {
            self.release_held(&held, Unresumed::Expired);
            self.children.keep_cancellation(held.server, caller);
        }
    }

    /// Nobody waits for a call any more.
    pub(super) fn forget_held(&mut self, caller: Caller) {
        if let Some(held) = self.children.parking().take(caller) {
            self.release_held(&held, Unresumed::Over);
        }
    }

    /// A child has answered a call: whether the answer is kept for a retry.
    pub(super) fn keep_answer(&mut self, caller: Caller, answer: &Answer<'_>, took: Duration) -> bool {
        let parking = self.children.parking();
        if parking.is_empty() {
            return false;
        }
        let Some(mut held) = parking.take(caller) else {
            return false;
        };
        if !held.is_out() {
            self.release_held(&held, Unresumed::Over);
            return false;
        }
        if self.writer.heap().charge(answer.line.len()).is_err() {
            self.release_held(&held, Unresumed::Over);
            return true;
        }
        held.charged += answer.line.len();
        held.answer = Some((answer.line.to_vec(), answer.message, took));
        self.children.parking().insert(held);
        true
    }

    /// A call has come to nothing: whether nobody but a retry would be told.
    pub(super) fn lose_held(&mut self, caller: Caller) -> bool {
        let parking = self.children.parking();
        if parking.is_empty() {
            return false;
        }
        let Some(held) = parking.take(caller) else {
            return false;
        };
        self.release_held(&held, Unresumed::Lost);
        held.is_out()
    }

    /// The server drains: nobody can come back.
    pub(super) fn give_up_all_held(&mut self) {
        while let Some(held) = self.children.parking().take_where(|_| true) {
            if held.is_out() {
                self.give_up_held(held, Unresumed::Over);
            } else {
                self.release_held(&held, Unresumed::Over);
            }
        }
    }

    /// Cancels a call that is out, at its child.
    fn give_up_held(&mut self, held: Held, why: Unresumed) {
        self.release_held(&held, why);
        self.children.cancel(held.server, held.caller, self.clock.now());
    }

    /// What was kept of a call is let go.
    fn release_held(&mut self, held: &Held, why: Unresumed) {
        self.writer.heap().refund(held.charged);
        self.children.parking().end(held.round, why);
    }

    /// A client has come back with answers to a call that a child here has.
    pub(in crate::shard) fn handle_resumption(&mut self, resumption: Box<Resumption>) {
        let Some(resumption) = self.children.keep_if_out(resumption) else {
            return;
        };
        let caller = resumption.caller;
        if let Err(why) = self.try_resume(&resumption) {
            if self.children.is_own(caller) {
                self.refuse_resumption(caller.call, why);
            } else {
                self.say_to(caller, ChildWord::Unresumed(why));
            }
        }
    }

    fn try_resume(&mut self, resumption: &Resumption) -> Result<(), Unresumed> {
        let Resumption {
            name,
            caller,
            responses,
        } = resumption;
        let mut held = self.children.parking().take_round(name.round)?;
        self.children.parking().end(name.round, Unresumed::Used);
        let old = std::mem::replace(&mut held.caller, *caller);
        held.round = 0;
        if let Some((line, message, took)) = held.answer.take() {
            self.release_held(&held, Unresumed::Used);
            let answer = Answer {
                line: &line,
                message,
                era: Era::Legacy,
            };
            self.bring(*caller, &answer, took);
            return Ok(());
        }
        let mut is_there = false;
        self.refuse_undeclared(&mut held);
        let (server, member) = (held.server, held.member);
        self.drive(server, |children, now, _| {
            is_there = children.replace_caller(|known| *known == old, *caller);
            held.questions.retain(|question| {
                let given =
                    sole_member(responses, &question.key).filter(|given| given.first() == Some(&b'{'));
                let Some(outcome) = given else { return true };
                let answer = QuestionAnswer::Given {
                    kind: Kind::Result,
                    outcome,
                };
                children.answer_question(member, question.number, answer, now);
                false
            });
        });
        if !is_there {
            self.release_held(&held, Unresumed::Lost);
            return Err(Unresumed::Lost);
        }
        if held.questions.is_empty() {
            self.release_held(&held, Unresumed::Used);
        } else {
            self.children.parking().insert(held);
        }
        Ok(())
    }

    // The client's half.

    /// A child could not ask the client of this call something, for lack of this.
    pub(super) fn note_lacking(&mut self, call: HandlerKey, lacking: ClientCapabilities) {
        if let Some(forwarding) = self.calls.at(call).and_then(Call::forwarding) {
            forwarding.lacking = forwarding.lacking.with(lacking);
        }
    }

    /// A request is answered with its child's questions; the call goes on without it.
    pub(super) fn require_input(&mut self, call: HandlerKey, name: ParkedName, requests: &[u8]) {
        let now = self.clock.unix_now();
        let Some(entry) = self.calls.at(call) else { return };
        let service = Rc::clone(&entry.service);
        let sealed = service
            .protocol
            .seal_parked(&entry.ticket, &name.encode(), &*service.store, now);
        if sealed.is_none() {
            // Nobody could come back.
            self.withdraw(call);
        } else if self.end_forwarding(call).is_none() {
            return;
        }
        let Some(entry) = self.calls.at(call) else { return };
        entry.run = Run::Ended;
        let elapsed = self.clock.now().saturating_duration_since(entry.began);
        self.answer_forwarded(call, elapsed, requests.len(), |ticket, out| {
            service
                .protocol
                .answer_parked(ticket, requests, sealed.as_deref(), out)
        });
    }

    /// Gives a call whose client has come back to the child that has it.
    pub(super) fn give_again(
        &mut self,
        call: HandlerKey,
        server: ServerIndex,
        (text, message): (&[u8], &Message),
        resumed: &Resumed,
    ) {
        let name = match resumed {
            Resumed::Known(state) => ParkedName::decode(state),
            Resumed::Unknown => None,
        };
        let known = name
            .filter(|name| name.server == server)
            .ok_or(Unresumed::Unreadable);
        let is_ours = |name: &ParkedName| name.instance == self.children.mesh().instance();
        let name = match known.and_then(|name| is_ours(&name).then_some(name).ok_or(Unresumed::Restarted)) {
            Ok(name) => name,
            Err(why) => return self.refuse_resumption(call, why),
        };
        if let Some(entry) = self.calls.at(call)
            && let Run::Forwarded(forwarding) = &mut entry.run
        {
            forwarding.shard = name.shard;
        }
        let responses = sole_member(params_of(text, message), "inputResponses");
        let resumption = Box::new(Resumption {
            name,
            caller: Caller {
                terms: self.terms_of(call, server),
                ..self.children.caller(call)
            },
            responses: responses.unwrap_or_default().to_vec(),
        });
        self.watch_call(call);
        if name.shard == self.metrics.shard.0 {
            self.handle_resumption(resumption);
        } else {
            let event = ShardEvent::Resumed(resumption);
            self.admission.post(name.shard.into(), event);
        }
    }

    /// What a client wanted to go on with does not.
    pub(super) fn refuse_resumption(&mut self, call: HandlerKey, why: Unresumed) {
        if self.end_forwarding(call).is_none() {
            return;
        }
        let Some(entry) = self.calls.at(call) else { return };
        entry.run = Run::Ended;
        let service = Rc::clone(&entry.service);
        self.answer_forwarded(call, Duration::ZERO, 0, |ticket, out| {
            service.protocol.answer_unresumed(ticket, why, out)
        });
    }
}
