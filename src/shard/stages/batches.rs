//! Batches of revision 2025-03-26: one handler, its calls one after another, one array of answers.
//!
//! The handler's inbound buffer keeps the body, and each call is decoded from there when its turn comes. Each
//! call has a lease of its own, so that what comes late for one is never taken for the next.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::Unreadable;
use crate::mcp::{Overload, OverloadReason, Ticket, Work};
use crate::metrics::{self, RequestClass};
use crate::pool::{HandlerKey, ToolPermit};
use crate::registry::{CallContext, ServerIndex, StartError, Started, ToolError};
use crate::ring::ConnectionKey;
use crate::transport::http::HEAD_RESERVE;

use super::callers::context_of_batch;
use super::forwarding::for_child;
use crate::shard::access::Subject;
use crate::shard::admission::{Admission, Claim, Decision};
use crate::shard::calls::Batched;
use crate::shard::service::LocalService;
use crate::shard::{Shard, ShardRing};

/// A call of a batch that is about to run.
#[allow(clippy::large_enum_variant, reason = "it is moved once")]
enum Begun {
    /// In this process.
    Here(Started),
    /// At a child of a server, which gets this request.
    AtChild(ServerIndex, Vec<u8>),
}

/// Why a call of a batch cannot begin.
enum NotBegun {
    Here(StartError),
    /// As many calls of its tool run as may. It cannot wait: its batch has a handler.
    Limited(Overload),
    AtChild(Unreadable),
}

impl<R: ShardRing> Shard<R> {
    /// Leases a handler to a batch, or lets it wait for one.
    pub(in crate::shard) fn begin_batch(
        &mut self,
        (key, service): (ConnectionKey, &LocalService),
        mut batched: Box<Batched>,
        body: &[u8],
        claim: Claim,
    ) {
        match self.decide(key, claim) {
            Decision::Run => {}
            Decision::Refuse(reason) => return self.refuse_batch(key, *batched, body, reason),
            // A batch has no id to be cancelled by.
            Decision::Cancel => return self.refuse_batch(key, *batched, body, OverloadReason::QueueTimeout),
            Decision::Wait => {
                return match self.enqueue(key) {
                    Ok(()) => self.writer.put_buffer(batched.answers),
                    Err(reason) => self.refuse_batch(key, *batched, body, reason),
                };
            }
        }
        let Some((ticket, started)) = self.next_of_batch(service, Some(key), &mut batched, body) else {
            self.admission.return_permit(self.clock.now());
            let Batched {
                batch, mut answers, ..
            } = *batched;
            let reply = batch.close(&mut answers);
            return self.reply(key, answers, None, &reply);
        };
        let Some(handler) = self.lease(key, service, ticket, self.clock.now(), Some(batched)) else {
            return;
        };
        self.calls.keep_body(handler, body);
        self.begin_of_batch(handler, started);
    }

    fn begin_of_batch(&mut self, handler: HandlerKey, begun: Begun) {
        match begun {
            Begun::Here(started) => self.begin_run(handler, started),
            Begun::AtChild(server, text) => self.forward_of_batch(handler, server, text),
        }
    }

    fn refuse_batch(&mut self, key: ConnectionKey, batched: Batched, body: &[u8], reason: OverloadReason) {
        let overload = self.overload(reason);
        let service = self.view_of(key);
        let Batched {
            batch, mut answers, ..
        } = batched;
        let scratch = self.intake.scratch();
        let reply = batch.refuse(&service.protocol, &overload, body, scratch, &mut answers);
        self.log()
            .answer(key, Subject::Batch, &reply, &answers[HEAD_RESERVE..]);
        self.reply(key, answers, None, &reply);
    }

    /// Goes on with a batch whose call was answered; after the last, the array goes out.
    pub(in crate::shard) fn continue_batch(&mut self, handler: HandlerKey, mut batched: Box<Batched>) {
        let is_wanted = self
            .calls
            .holder(handler)
            .is_some_and(|key| self.table.is_alive(key));
        if !is_wanted {
            // Its client has left: the call that ran has ended, and those behind it have not begun.
            self.metrics.in_flight.down();
            self.writer.put_buffer(batched.answers);
            return self.end_lease(handler);
        }
        // What it was decoded for, too.
        let Some(service) = self.calls.at(handler).map(|call| Rc::clone(&call.service)) else {
            return;
        };
        let Some(body) = self.calls.take_body(handler) else {
            return;
        };
        let holder = self.calls.holder(handler);
        let next = self.next_of_batch(&service, holder, &mut batched, &body);
        self.calls.put_body(handler, body);
        let Some(connection) = self.calls.holder(handler) else {
            return;
        };
        let Some((ticket, started)) = next else {
            let Batched {
                batch, mut answers, ..
            } = *batched;
            let reply = batch.close(&mut answers);
            return self.reply(connection, answers, Some(handler), &reply);
        };
        let Some(renewed) = self.calls.renew(handler) else {
            return;
        };
        if let Some(call) = self.calls.at(renewed) {
            call.next(ticket, self.clock.now(), batched);
            call.tool_permit = self.admission.take_tool_permit();
        }
        if self.table.handler(connection) == Some(handler) {
            self.table.begin_call(connection, renewed);
        }
        self.begin_of_batch(renewed, started);
    }

    /// Starts the next call of a batch; those whose arguments are wrong are answered on the way.
    fn next_of_batch(
        &mut self,
        service: &LocalService,
        key: Option<ConnectionKey>,
        batched: &mut Batched,
        body: &[u8],
    ) -> Option<(Ticket, Begun)> {
        loop {
            let scratch = self.intake.scratch();
            let work = batched.batch.next_work(&service.protocol, body, scratch)?;
            self.metrics.on_request(metrics::Era::Legacy, RequestClass::Work);
            let ticket = work.ticket();
            let begun = match service.protocol.registry().server_of(work.operation()) {
                Some(server) => for_child(service, work.message())
                    .map(|(text, _)| Begun::AtChild(server, text.into_owned()))
                    .map_err(NotBegun::AtChild),
                None => {
                    let context = context_of_batch(service, &work, &batched.origin);
                    start_of_batch(&mut self.admission, service, (&work, context), self.clock.now())
                }
            };
            // It holds the scratch.
            drop(work);
            match begun {
                Ok(begun) => return Some((ticket, begun)),
                Err(why) => self.answer_in_batch(service, key, batched, &ticket, &why),
            }
        }
    }

    /// Answers a call of a batch that cannot begin.
    fn answer_in_batch(
        &mut self,
        service: &LocalService,
        key: Option<ConnectionKey>,
        batched: &mut Batched,
        ticket: &Ticket,
        why: &NotBegun,
    ) {
        let out = &mut batched.answers;
        batched.batch.begin_answer(out);
        let begin = out.len();
        let reply = match why {
            NotBegun::Here(error) => service.protocol.answer_start_error(ticket, error, out),
            NotBegun::Limited(overload) => {
                self.metrics.refusals.increment(overload.reason);
                service.protocol.answer_overload(ticket, overload, out)
            }
            NotBegun::AtChild(why) => {
                let outcome = Err(ToolError::InvalidArguments(why.to_string()));
                service.protocol.answer(ticket, &outcome, out)
            }
        };
        let operation = ticket.operation();
        self.metrics
            .on_reply(service.label(operation), &reply, Duration::ZERO);
        if let Some(key) = key {
            let subject = Subject::Work(service, operation);
            self.log().answer(key, subject, &reply, &batched.answers[begin..]);
        }
    }
}

/// Starts a call of a batch in this process; the permit of its tool is in hand then, if that has a limit.
fn start_of_batch<S>(
    admission: &mut Admission<S>,
    service: &LocalService,
    (work, context): (&Work<'_>, CallContext),
    now: Instant,
) -> Result<Begun, NotBegun> {
    if let Some(limit) = service.tool_limit(work.operation())
        && !admission.enter_tool(limit, now)
    {
        return Err(NotBegun::Limited(Admission::<S>::tool_overload(limit, now)));
    }
    match work.start(&service.registry, context) {
        Ok(mut started) => {
            if let Some(permit) = admission.tool_permit() {
                started.keep(Arc::<ToolPermit>::clone(permit));
            }
            Ok(Begun::Here(started))
        }
        Err(error) => {
            drop(admission.take_tool_permit());
            Err(NotBegun::Here(error))
        }
    }
}
