//! From a request to a call: it is decoded, and answered, started or made to wait.
//!
//! Control is answered from memory and never takes or waits for a handler; so are calls whose arguments are wrong. Work
//! leases a handler until its answer is on its way; without a free one it waits (`waiting`).

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mcp::{Era, OverloadReason, RequestContext, Step, Ticket, Work};
use crate::metrics::{self, RequestClass, Stage};
use crate::pool::{HandlerKey, ToolPermit};
use crate::registry::CallContext;
use crate::ring::ConnectionKey;
use crate::transport::http::admission::Endpoint;
use crate::transport::http::{self, HEAD_RESERVE, Request};

use crate::shard::admission::{Claim, Decision};
use crate::shard::calls::Batched;
use crate::shard::inbox::call_number;
use crate::shard::service::{LocalService, Within};
use crate::shard::{Shard, ShardRing};
use crate::units::ViewId;

impl<R: ShardRing> Shard<R> {
    /// What the request on a connection, or a message of a channel, is for.
    pub(in crate::shard) fn view_of(&mut self, key: ConnectionKey) -> LocalService {
        let view = self.view_id_of(key);
        Rc::clone(self.service.view(view))
    }

    /// The number of the same.
    pub(in crate::shard) fn view_id_of(&mut self, key: ConnectionKey) -> ViewId {
        if let Some(request) = self.table.request(key) {
            return request.view;
        }
        self.table.task(key).map_or(ViewId::MAIN, |task| task.view)
    }

    /// Decodes a request and answers it, starts its work, or lets it wait.
    pub(in crate::shard) fn dispatch(&mut self, key: ConnectionKey, request: &Request<'_, '_>, claim: Claim) {
        if claim == Claim::New {
            self.metrics.in_flight.up();
        }
        self.service.refresh();
        let service = Rc::clone(self.service.view(request.view));
        let request_context =
            http::request_context(request.head, self.service.principal(), self.clock.unix_now());
        let mut out = self.writer.take_buffer();
        match request.endpoint {
            Endpoint::Post => {}
            Endpoint::Get => return self.open_get_stream(key, &request_context, out),
            Endpoint::WebSocket => {
                self.writer.put_buffer(out);
                self.metrics.in_flight.down();
                return self.open_websocket(key, request);
            }
            Endpoint::SseOpen => {
                self.writer.put_buffer(out);
                self.metrics.in_flight.down();
                return self.open_events(key, request);
            }
            Endpoint::SsePost => return self.post_to_events(key, request, out),
            Endpoint::Preflight => return self.answer_preflight(key, request.head, out),
            Endpoint::Health(probe) => return self.answer_probe(key, probe, request.is_head(), out),
            Endpoint::Delete => {
                let reply = service
                    .protocol
                    .delete(&request_context, &*service.state, &mut out);
                self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
                return self.reply(key, out, None, &reply);
            }
        }
        let mut unchunked = self.intake.take_unchunked();
        let body = request.body(&mut unchunked, &service.http);
        self.decode(key, &service, &request_context, body, out, claim);
        self.intake.put_unchunked(unchunked, self.calls.buffer_bytes());
    }

    /// Decodes a message; what answers it at once goes behind the room in `out`.
    pub(in crate::shard) fn decode(
        &mut self,
        key: ConnectionKey,
        service: &LocalService,
        request_context: &RequestContext<'_>,
        body: &[u8],
        mut out: Vec<u8>,
        claim: Claim,
    ) {
        let mut scratch = self.intake.take_scratch();
        let began = self.clock.begin_step();
        // What the client's own child has, if that is something else.
        let own = self.own_view_of(key, service, request_context);
        let service = own.as_ref().unwrap_or(service);
        let step = service
            .protocol
            .decode(request_context, body, &mut scratch, &*service.state, &mut out);
        let within = Within {
            service,
            heads: request_context,
        };
        let batch = self.take_step(key, within, step, out, began, claim);
        self.intake.put_scratch(scratch);
        if let Some(batch) = batch {
            self.begin_batch((key, service), batch, body, claim);
        }
    }

    #[inline]
    fn own_view_of(
        &mut self,
        key: ConnectionKey,
        service: &LocalService,
        request_context: &RequestContext<'_>,
    ) -> Option<LocalService> {
        if !self.service.has_own() {
            return None;
        }
        let view = self.view_id_of(key);
        self.service.own_view(view, service, request_context)
    }

    /// Answers or starts what a request came to; a batch is handed back, since it needs the scratch anew.
    fn take_step(
        &mut self,
        key: ConnectionKey,
        within: Within<'_>,
        step: Step<'_>,
        out: Vec<u8>,
        began: Instant,
        claim: Claim,
    ) -> Option<Box<Batched>> {
        let decoded = self.clock.read();
        if claim == Claim::New {
            self.metrics.record(Stage::Decode, began, decoded);
        }
        match step {
            Step::Reply(reply) => {
                let elapsed = decoded.saturating_duration_since(began);
                self.record_control(key, &reply, &out[HEAD_RESERVE..], elapsed);
                self.reply(key, out, None, &reply);
            }
            Step::Work(ref work) => self.begin_work(key, within, work, out, decoded, claim),
            Step::Batch(batch) => {
                return Some(Box::new(Batched {
                    batch,
                    fields: self.children.kept_fields(within.heads),
                    origin: self.origin_of_batch(key, within),
                    answers: out,
                }));
            }
            Step::Listen(listen) => self.open_subscription(key, *listen, out),
            Step::AwaitTask(wanted) => self.await_task(key, *wanted, out),
        }
        None
    }

    fn begin_work(
        &mut self,
        key: ConnectionKey,
        within: Within<'_>,
        work: &Work<'_>,
        out: Vec<u8>,
        decoded: Instant,
        claim: Claim,
    ) {
        if claim == Claim::New {
            self.metrics
                .on_request(era_label(work.revision().era()), RequestClass::Work);
        }
        let service = within.service;
        if let Some(server) = service.protocol.registry().server_of(work.operation()) {
            return self.begin_forward(key, (within, server), work, out, decoded, claim);
        }
        if let Some(limit) = self.limit_in_the_way(service, work.operation(), claim) {
            return self.await_tool((key, claim), (service, limit), work, out, decoded);
        }
        let ticket = work.ticket();
        match self.decide(key, claim) {
            Decision::Run => {}
            Decision::Refuse(reason) => {
                self.admission.return_permit(self.clock.now());
                return self.refuse_work(key, &ticket, out, reason);
            }
            Decision::Cancel => return self.answer_cancelled(key, &ticket, out),
            Decision::Wait => {
                // What is wrong with it can be said at once.
                if let Err(error) = work.check(&service.registry) {
                    self.admission.return_permit(self.clock.now());
                    return self.answer_unstarted(key, &ticket, &error, out, decoded);
                }
                return match self.enqueue(key) {
                    Ok(()) => {
                        self.note_waiting(key, &ticket);
                        self.writer.put_buffer(out);
                    }
                    Err(reason) => self.refuse_work(key, &ticket, out, reason),
                };
            }
        }
        let terms = work.task();
        if terms.is_some() && self.tasks.is_full() {
            self.admission.return_permit(self.clock.now());
            return self.refuse_work(key, &ticket, out, OverloadReason::Handlers);
        }
        let link = self.take_link(key, within, work);
        match work.start(&service.registry, CallContext::with_link(Arc::clone(&link))) {
            Ok(mut started) => {
                if let Some(permit) = self.admission.tool_permit() {
                    started.keep(Arc::<ToolPermit>::clone(permit));
                }
                let routed = self.clock.read();
                self.metrics.record(Stage::Route, decoded, routed);
                self.writer.put_buffer(out);
                if let Some(handler) = self.lease(key, service, ticket, routed, None) {
                    if let Some(link) = self.calls.keep_link(link, &started) {
                        let keeps = link.message().is_none() && work.is_repeatable();
                        self.calls.bind_link(handler, call_number(handler), link);
                        if keeps {
                            self.keep_repeatable(handler, work);
                        }
                    }
                    if let Some(terms) = terms
                        && !self.begin_task(key, handler, terms)
                    {
                        return;
                    }
                    self.begin_run(handler, started);
                }
            }
            Err(error) => {
                self.calls.put_link(link);
                self.admission.return_permit(self.clock.now());
                self.answer_unstarted(key, &ticket, &error, out, decoded);
            }
        }
    }

    /// Keeps the message of a call that may be answered with questions, and whose link does not have it: what is bound
    /// to it is made only if it asks. A message that is larger than a handler's buffer is not kept, and bound at once.
    #[cold]
    fn keep_repeatable(&mut self, handler: HandlerKey, work: &Work<'_>) {
        let message = work.message();
        if message.len() <= self.calls.buffer_bytes() {
            self.calls.keep_body(handler, message);
        } else if let Some(call) = self.calls.at(handler) {
            work.bind(&mut call.ticket);
        }
    }

    /// A request waits that its client may cancel.
    pub(super) fn note_waiting(&mut self, key: ConnectionKey, ticket: &Ticket) {
        let Some(conversation) = ticket.conversation() else {
            return;
        };
        match self.table.wait(key) {
            Some(wait) => self
                .admission
                .note_request(wait, conversation, ticket.id().clone()),
            None => self.note_moving(key, conversation, ticket.id()),
        }
    }
}

fn era_label(era: Era) -> metrics::Era {
    match era {
        Era::Legacy => metrics::Era::Legacy,
        Era::Modern => metrics::Era::Modern,
    }
}
