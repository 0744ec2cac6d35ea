//! From a request to a child: an entry for the call, and the way to a child here or elsewhere.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::children::{LocalRefusal, Message, Taken};
use crate::mcp::{Heads, OverloadReason, ServerFault, Ticket, Work};
use crate::metrics::Stage;
use crate::pool::HandlerKey;
use crate::registry::{Asking, ClientCapabilities, ServerIndex, ToolError};
use crate::ring::ConnectionKey;

use super::modern::speaks_modern;
use super::renaming::for_child;
use crate::shard::admission::{Claim, Decision};
use crate::shard::calls::{Call, Forwarding, Run};
use crate::shard::children::{Caller, ChildWord, ForwardedCall, ForwardedWord, Given};
use crate::shard::inbox::ShardEvent;
use crate::shard::service::{LocalService, Within};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Begins a call that a child of this server is to answer.
    pub(in crate::shard) fn begin_forward(
        &mut self,
        key: ConnectionKey,
        (within, server): (Within<'_>, ServerIndex),
        work: &Work<'_>,
        mut out: Vec<u8>,
        decoded: Instant,
        claim: Claim,
    ) {
        let Within { service, heads } = within;
        let mut ticket = work.ticket();
        if claim != Claim::New {
            // It has waited for a handler when what it names was not a child's.
            match self.decide(key, claim) {
                Decision::Run | Decision::Wait => self.admission.return_permit(self.clock.now()),
                Decision::Refuse(reason) => return self.refuse_work(key, &ticket, out, reason),
                Decision::Cancel => return self.answer_cancelled(key, &ticket, out),
            }
        }
        let (text, message) = match for_child(service, work.message()) {
            Ok(renamed) => renamed,
            Err(why) => {
                let error = ToolError::InvalidArguments(why.to_string());
                return self.answer_unforwardable(key, &ticket, error, out, decoded);
            }
        };
        let reopened = self.reopen_state((service, server), work, (&text, &message), &mut ticket);
        let (text, message) = match reopened {
            Ok(None) => (text, message),
            Ok(Some((text, message))) => (Cow::Owned(text), message),
            Err(why) => {
                let error = ToolError::InvalidAnswer(why.to_owned());
                return self.answer_unforwardable(key, &ticket, error, out, decoded);
            }
        };
        if self.writer.heap().charge(text.len()).is_err() {
            return self.refuse_work(key, &ticket, out, OverloadReason::Memory);
        }
        self.writer.put_buffer(std::mem::take(&mut out));
        let client = self.children.client_of(server, &ticket, Heads::Of(heads));
        let run = Run::Forwarded(Forwarding {
            server,
            shard: self.metrics.shard.0,
            charged: text.len(),
            log_level: work.log_level(&ticket, &*service.store),
            client,
            lacking: ClientCapabilities::NONE,
        });
        if self.children.is_attributed(server) && ticket.asking() == Asking::ByRetry {
            work.bind(&mut ticket);
        }
        let is_modern = speaks_modern(service, server);
        let Some(call) = self.enter_call(key, service, ticket, run, decoded) else {
            return;
        };
        if work.task().is_some()
            && let Some(refusal) = self.children.refuses(server, client)
        {
            return self.refuse_forwarded(call, server, refusal);
        }
        if !self.begin_task_of_child(key, call, work) {
            return;
        }
        self.keep_for_repeating(call, server, work, &text);
        match work.resumed().filter(|_| !is_modern) {
            None => self.give(call, server, &text, &message, None),
            Some(resumed) => self.give_again(call, server, (&text, &message), resumed),
        }
        let routed = self.clock.read();
        self.metrics.record(Stage::Route, decoded, routed);
    }

    /// Begins a call of a batch that a child of `server` is to answer; the batch keeps its handler. The call is given
    /// when the children are driven next, because one that is refused goes on with the next of its batch at once.
    pub(in crate::shard) fn forward_of_batch(
        &mut self,
        handler: HandlerKey,
        server: ServerIndex,
        text: Vec<u8>,
    ) {
        let shard = self.metrics.shard.0;
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let fields = call.batch.as_ref().and_then(|batched| batched.fields.as_ref());
        let heads = fields.map_or(Heads::None, Heads::Kept);
        let client = self.children.client_of(server, &call.ticket, heads);
        call.run = Run::Forwarded(Forwarding {
            server,
            shard,
            charged: 0,
            log_level: None,
            client,
            lacking: ClientCapabilities::NONE,
        });
        self.children
            .keep_for_later(server, text, handler, (client, None));
    }

    /// A message of which a child could take another part for true than we did.
    fn answer_unforwardable(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        error: ToolError,
        mut out: Vec<u8>,
        decoded: Instant,
    ) {
        let service = self.view_of(key);
        let reply = service.protocol.answer(ticket, &Err(error), &mut out);
        let elapsed = self.clock.read().saturating_duration_since(decoded);
        self.metrics
            .on_reply(service.label(ticket.operation()), &reply, elapsed);
        self.log().unstarted(key, ticket, &reply, &out);
        self.reply(key, out, None, &reply);
    }

    /// Enters a call that needs no handler.
    fn enter_call(
        &mut self,
        key: ConnectionKey,
        service: &LocalService,
        ticket: Ticket,
        run: Run,
        began: Instant,
    ) -> Option<HandlerKey> {
        let deadline = began + self.service.timeouts.call;
        let call = Call::new(service, ticket, run, began, deadline);
        let handler = self.calls.begin_without_handler(key, call);
        debug_assert!(handler.is_some(), "calls cannot be numbered any more");
        let handler = handler?;
        self.begin_calling(key, handler);
        Some(handler)
    }

    /// Gives a call to the children of a server; it is refused if they do not take it.
    pub(in crate::shard) fn give(
        &mut self,
        call: HandlerKey,
        server: ServerIndex,
        text: &[u8],
        message: &Message,
        due: Option<Instant>,
    ) {
        let forwarding = self.calls.at(call).and_then(|call| call.forwarding());
        let Some(&mut Forwarding { client, .. }) = forwarding else {
            return;
        };
        let now = self.clock.now();
        let modern = self.as_modern(call, server, text, message);
        let (text, message) = match &modern {
            Some((text, message)) => (&text[..], message),
            None => (text, message),
        };
        let is_task = self.calls.at(call).is_some_and(|call| call.task.is_some());
        if modern.is_some() || is_task {
            self.keep_for_rounds(call, server, text);
        }
        let terms = self.terms_of(call, server);
        let caller = Caller {
            terms,
            ..self.children.caller(call)
        };
        let given = self
            .children
            .give(server, text, message, (caller, client, due), now);
        match given {
            Ok(Given::Here) => self.watch_call(call),
            Ok(Given::There(shard)) => {
                self.send_call(shard, server, (text.to_vec(), caller, due));
                self.watch_call(call);
            }
            Err(refusal) => self.refuse_forwarded(call, server, refusal),
        }
    }

    /// Sends a call to another shard, whose children have room for it.
    pub(super) fn send_call(&mut self, shard: u16, server: ServerIndex, call: Taken<Caller>) {
        let (text, caller, due) = call;
        let mut client = None;
        if let Some(forwarding) = self.calls.at(caller.call).and_then(Call::forwarding) {
            forwarding.shard = shard;
            client = forwarding.client;
        }
        let call = ForwardedCall {
            server,
            caller,
            client,
            text,
            due,
        };
        self.admission
            .post(shard.into(), ShardEvent::Forwarded(Box::new(call)));
    }

    /// A call of another shard has come, for which there was room here.
    pub(in crate::shard) fn take_in_call(&mut self, call: ForwardedCall) {
        let caller = call.caller;
        let taken = match Message::read_checked(&call.text) {
            Ok(message) => self.children.take_in(call, &message, self.clock.now()),
            // It was read where it came from.
            Err(_) => Err(Box::new(ChildWord::Failed(LocalRefusal::Draining.into()))),
        };
        if let Err(word) = taken {
            self.say_to(caller, *word);
        }
    }

    /// A call of this shard has come to where the child of its client is no more: it is looked for anew.
    pub(super) fn place_again(&mut self, call: HandlerKey, text: Vec<u8>, due: Option<Instant>) {
        let Some(forwarding) = self.calls.at(call).and_then(Call::forwarding) else {
            return;
        };
        forwarding.shard = self.metrics.shard.0;
        let (server, client) = (forwarding.server, forwarding.client);
        if let Some(client) = client {
            self.children.on_lost(server, client.key);
        }
        self.children.keep_for_later(server, text, call, (client, due));
    }

    /// Tells another shard something about a call of its own.
    pub(super) fn say_to(&self, caller: Caller, word: ChildWord) {
        let word = ForwardedWord {
            call: caller.call,
            word,
        };
        self.admission
            .post(caller.shard.into(), ShardEvent::ForwardedWord(Box::new(word)));
    }

    /// Nobody waits for what a child makes of this call any more, if one has it: that child is told.
    pub(in crate::shard) fn withdraw(&mut self, call: HandlerKey) {
        let Some(forwarding) = self.end_forwarding(call) else {
            return;
        };
        self.forget_round(call);
        let caller = self.children.caller(call);
        let server = forwarding.server;
        if forwarding.shard == self.metrics.shard.0 {
            self.handle_withdrawn(server, caller);
        } else {
            let event = ShardEvent::Withdrawn { server, caller };
            self.admission.post(forwarding.shard.into(), event);
        }
    }

    /// Another shard's call is wanted no more.
    pub(in crate::shard) fn handle_withdrawn(&mut self, server: ServerIndex, caller: Caller) {
        self.forget_held(caller);
        self.children.cancel(server, caller, self.clock.now());
    }

    /// A call is with a child no longer: where it was, and its text is paid for.
    pub(super) fn end_forwarding(&mut self, key: HandlerKey) -> Option<Forwarding> {
        let call = self.calls.at(key)?;
        let Run::Forwarded(forwarding) = call.run else {
            return None;
        };
        call.run = Run::Polled;
        self.writer.heap().refund(forwarding.charged);
        if call.task.is_some() {
            self.children.forget_task_questions(key);
        }
        Some(forwarding)
    }

    /// The child of a call's session is gone, and the session gets no other.
    fn fail_lost_session(&mut self, call: HandlerKey, server: ServerIndex) {
        let Some(service) = self.calls.at(call).map(|call| Rc::clone(&call.service)) else {
            return;
        };
        let (name, why) = (
            self.children.name(server).to_owned(),
            LocalRefusal::SessionOver.to_string(),
        );
        self.answer_forwarded(call, Duration::ZERO, 0, |ticket, out| {
            let fault = ServerFault::Lost { why: &why };
            service.protocol.answer_server_fault(ticket, &name, fault, out)
        });
    }

    /// A call is not taken in by its server's children.
    pub(super) fn refuse_forwarded(&mut self, call: HandlerKey, server: ServerIndex, refusal: LocalRefusal) {
        self.children.on_refused(server, refusal);
        self.end_forwarding(call);
        let reason = match refusal {
            LocalRefusal::Draining => return self.refuse_call(call, OverloadReason::Draining),
            LocalRefusal::SessionOver => return self.fail_lost_session(call, server),
            LocalRefusal::QueueFull | LocalRefusal::QueueTimeout | LocalRefusal::Quarantined => {
                OverloadReason::Children
            }
        };
        let overload = self.overload(reason);
        let Some(service) = self.calls.at(call).map(|call| Rc::clone(&call.service)) else {
            return;
        };
        let name = self.children.name(server).to_owned();
        self.answer_forwarded(call, Duration::ZERO, 0, |ticket, out| {
            let why = refusal.to_string();
            service
                .protocol
                .answer_server_overload(ticket, &overload, (&name, &why), out)
        });
    }
}
