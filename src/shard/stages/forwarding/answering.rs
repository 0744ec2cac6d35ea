//! From what a child says to the client: answers, progress, and calls that come to nothing.

use std::rc::Rc;
use std::time::Duration;

use crate::children::{Answer, CallFailure, ChildNewsEvent, ClientKey, LocalEvent, Message, write_progress};
use crate::mcp::{Era, ServerFault, server_watching};
use crate::metrics::{self, Stage};
use crate::pool::HandlerKey;
use crate::registry::ServerIndex;

use super::modern::for_older;
use super::renaming::from_child;
use crate::shard::calls::{Forwarding, Run};
use crate::shard::children::{Caller, ChildWord, ForwardedWord};
use crate::shard::{Shard, ShardRing};

/// Says something of a child's in the log, with whose it is.
macro_rules! log_child {
    ($level:ident, $self:ident, $server:ident, $member:ident, $($fields:tt)*) => {
        tracing::$level!(target: "weir::children", server = $self.children.name($server), child = $member.0, $($fields)*)
    };
}

impl<R: ShardRing> Shard<R> {
    /// Something has happened to the children of a server here.
    pub(super) fn handle_child_event(&mut self, server: ServerIndex, event: LocalEvent<'_, Caller>) {
        match event {
            LocalEvent::Answered { caller, answer, took } => {
                self.children.on_answered(server, took);
                if !self.keep_answer(caller, &answer, took) {
                    self.bring(caller, &answer, took);
                }
            }
            LocalEvent::Failed { caller, failure } => {
                if self.lose_held(caller) {
                    // Nobody waits for it now.
                } else if self.children.is_own(caller) {
                    self.fail_forwarded(caller.call, &failure);
                } else {
                    self.say_to(caller, ChildWord::Failed(failure));
                }
            }
            LocalEvent::Misplaced { call } => {
                let (text, caller, due) = call;
                if self.children.is_own(caller) {
                    self.place_again(caller.call, text, due);
                } else {
                    self.say_to(caller, ChildWord::Misplaced { text, due });
                }
            }
            LocalEvent::Progress { caller, progress } => {
                if self.children.is_own(*caller) {
                    self.pass_on_progress(caller.call, progress.line, &progress.message);
                } else if self.children.mesh().may_say(caller.shard) {
                    let (line, message) = (progress.line.to_vec(), progress.message);
                    self.say_to(*caller, ChildWord::Progress { line, message });
                }
            }
            LocalEvent::Asked {
                member,
                hearer,
                asked,
            } => self.take_question((server, member), &hearer, &asked),
            LocalEvent::Unanswered { caller, number } => {
                self.on_unanswered(*caller);
                self.end_task_question(*caller, number);
            }
            LocalEvent::Told { member, hearer, said } => {
                if !self.tell_hearer(&hearer, &said) {
                    let words = String::from_utf8_lossy(said.line);
                    log_child!(debug, self, server, member, message = %words, "a child logs something");
                }
            }
            LocalEvent::ErrorLine { member, line } => {
                let left_out = (line.left_out > 0).then_some(line.left_out);
                log_child!(info, self, server, member, left_out, "stderr: {}", line.text);
            }
            LocalEvent::Rubbish {
                member,
                text,
                left_out,
                why,
            } => {
                let left_out = (left_out > 0).then_some(left_out);
                let text = String::from_utf8_lossy(text);
                log_child!(warn, self, server, member, left_out, %why, %text, "a child says what is no message");
            }
            LocalEvent::Ready {
                member,
                introduction,
                lists,
                took,
            } => {
                let event = ChildNewsEvent::Ready {
                    member,
                    introduction: Box::new(introduction),
                    lists: lists.map(Box::new),
                    took,
                };
                self.children.tell(server, event);
            }
            LocalEvent::Updated { owner, uri } => self.announce_update((server, owner), &uri),
            LocalEvent::Changed { member } => {
                self.children.tell(server, ChildNewsEvent::Changed { member });
            }
            LocalEvent::Disowned { member } => self.children.tell(server, ChildNewsEvent::Disowned(member)),
            LocalEvent::Listed {
                member,
                introduction,
                lists,
            } => {
                let event = ChildNewsEvent::Listed {
                    member,
                    introduction: Box::new(introduction),
                    lists: Box::new(lists),
                };
                self.children.tell(server, event);
            }
            LocalEvent::Worn { member, is_used_up } => {
                self.children
                    .tell(server, ChildNewsEvent::Worn { member, is_used_up });
            }
            LocalEvent::Resting { member } => self.children.tell(server, ChildNewsEvent::Resting { member }),
            LocalEvent::Step { member, step } => {
                self.children.tell(server, ChildNewsEvent::Step { member, step });
            }
            LocalEvent::Gone { member, end } => {
                let end = Box::new(end);
                self.children.tell(server, ChildNewsEvent::Gone { member, end });
            }
        }
    }

    /// A child says that a resource was updated: whoever listens to it hears so, at every endpoint that has it. What a
    /// client's own child says is for that client only, and what a child says that is nobody's yet for nobody.
    fn announce_update(&mut self, (server, owner): (ServerIndex, Option<ClientKey>), uri: &str) {
        if owner.is_none() && self.children.is_of_clients(server) {
            return;
        }
        // No request may have come here since it was served first.
        self.service.refresh();
        for view in self.service.views() {
            let registry = view.protocol.registry();
            let served = registry.served_uri(server, uri);
            let served = served.as_deref().unwrap_or(uri);
            if server_watching(registry, served) == Some(server) {
                view.store.live().announce_update(served, owner);
            }
        }
    }

    /// Brings the answer to a call to whoever waits for it.
    pub(super) fn bring(&mut self, caller: Caller, answer: &Answer<'_>, took: Duration) {
        if self.children.is_own(caller) {
            self.settle_forwarded(caller.call, answer, took);
        } else {
            let (line, message, era) = (answer.line.to_vec(), answer.message, answer.era);
            let word = ChildWord::Answered {
                line,
                message,
                era,
                took,
            };
            self.say_to(caller, word);
        }
    }

    /// A child of another shard says something about a call of this one.
    pub(in crate::shard) fn handle_forwarded_word(&mut self, said: ForwardedWord) {
        let ForwardedWord { call, word } = said;
        match word {
            ChildWord::Answered {
                line,
                message,
                era,
                took,
            } => {
                let line = &line;
                self.settle_forwarded(call, &Answer { line, message, era }, took);
            }
            ChildWord::Failed(failure) => self.fail_forwarded(call, &failure),
            ChildWord::RequiresInput { name, requests } => self.require_input(call, name, &requests),
            ChildWord::Lacks(lacking) => self.note_lacking(call, lacking),
            ChildWord::Unresumed(why) => self.refuse_resumption(call, why),
            ChildWord::Asks { shard, name, text } => self.pass_on_question(call, (shard, name), &text),
            ChildWord::QuestionOver { number } => self.on_task_question_over(call, number),
            ChildWord::Told { line, message } => {
                self.children.mesh().on_heard(self.metrics.shard.0);
                self.pass_on_told(call, &line, &message);
            }
            ChildWord::Misplaced { text, due } => self.place_again(call, text, due),
            ChildWord::Progress { line, message } => {
                self.children.mesh().on_heard(self.metrics.shard.0);
                self.pass_on_progress(call, &line, &message);
            }
        }
    }

    /// A child has answered a call of this shard.
    pub(super) fn settle_forwarded(&mut self, call: HandlerKey, answer: &Answer<'_>, took: Duration) {
        if answer.era == Era::Modern && answer.message.asks(answer.line) {
            return self.settle_asking(call, answer);
        }
        self.note_settled(call, took);
        self.settle_answered(call, answer);
    }

    /// Counts a call that a child had for so long.
    fn note_settled(&mut self, call: HandlerKey, took: Duration) {
        let now = self.clock.now();
        let Some(entry) = self.calls.at(call) else { return };
        if let Run::Forwarded(Forwarding { server, .. }) = entry.run {
            let elapsed = now.saturating_duration_since(entry.began);
            self.children.on_settled(server, elapsed, took);
        }
    }

    /// A call of this shard is over with this answer.
    pub(super) fn settle_answered(&mut self, call: HandlerKey, answer: &Answer<'_>) {
        let ended = self.clock.begin_step();
        let Some(Forwarding { server, lacking, .. }) = self.end_forwarding(call) else {
            return;
        };
        let Some(entry) = self.calls.at(call) else { return };
        entry.run = Run::Ended;
        let (service, label) = (Rc::clone(&entry.service), entry.label());
        let renamed = from_child(&service, server, answer);
        let renamed = renamed.as_ref().map(|(line, message)| Answer {
            line,
            message: *message,
            ..*answer
        });
        let answer = renamed.as_ref().unwrap_or(answer);
        let elapsed = ended.saturating_duration_since(entry.began);
        self.metrics.record_elapsed(Stage::Execute, elapsed);
        if let metrics::Operation::Tool(row) = label {
            self.metrics.record_tool(row, elapsed);
        }
        self.answer_forwarded(call, elapsed, answer.line.len(), |ticket, out| {
            answer.write_for(&service.protocol, ticket, lacking, out)
        });
        let encoded = self.clock.end_step();
        self.metrics.record(Stage::Encode, ended, encoded);
    }

    /// A call of this shard has come to nothing.
    fn fail_forwarded(&mut self, call: HandlerKey, failure: &CallFailure) {
        if self.repeat(call, failure) {
            return;
        }
        let Some(forwarding) = self.end_forwarding(call) else {
            return;
        };
        if let CallFailure::Refused(refusal) = failure {
            return self.refuse_forwarded(call, forwarding.server, *refusal);
        }
        let Some(entry) = self.calls.at(call) else { return };
        entry.run = Run::Ended;
        let service = Rc::clone(&entry.service);
        let elapsed = self.clock.now().saturating_duration_since(entry.began);
        let name = self.children.name(forwarding.server).to_owned();
        self.answer_forwarded(call, elapsed, 0, |ticket, out| {
            let why;
            let fault = match failure {
                CallFailure::ChildLost { reason, .. } => {
                    why = match reason {
                        Some(reason) => reason.to_string(),
                        None => "it was ended".to_owned(),
                    };
                    ServerFault::Lost { why: &why }
                }
                CallFailure::AnsweredTooLong => ServerFault::AnswerTooLong,
                CallFailure::TimedOut | CallFailure::Refused(_) => ServerFault::TimedOut,
            };
            service.protocol.answer_server_fault(ticket, &name, fault, out)
        });
    }

    /// A child says how far a call of this shard is.
    fn pass_on_progress(&mut self, call: HandlerKey, line: &[u8], progress: &Message) {
        let mut message = self.calls.take_message();
        let entry = self.calls.speaker(call);
        let holder = entry.and_then(|(entry, holder)| {
            let is_heard = matches!(entry.run, Run::Forwarded(_)) && entry.batch.is_none();
            let token = entry.ticket.progress_token().filter(|_| is_heard)?;
            match for_older(entry, line, progress) {
                Some((older, progress)) => write_progress(&mut message, &older, &progress, token),
                None => write_progress(&mut message, line, progress, token),
            }
            Some(holder)
        });
        if let Some(holder) = holder {
            self.say_of_child(call, holder, &message);
        }
        self.calls.put_message(message);
        if holder.is_some() {
            self.flush_emissions(call);
        }
    }
}
