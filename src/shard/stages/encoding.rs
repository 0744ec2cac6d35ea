//! From outcomes and refusals to replies: what is written, where to, and what it is counted as.
//!
//! A reply goes out in one send, or as the last message of its call's stream.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mcp::{Labels, OverloadReason, Reply, TaskEnding, Ticket};
use crate::metrics::{self, RequestClass};
use crate::pool::HandlerKey;
use crate::registry::StartError;
use crate::ring::ConnectionKey;
use crate::session::live::{Message, Stream};
use crate::transport::http::admission::{Endpoint, Probe};
use crate::transport::http::{self, HEAD_RESERVE, Head, Intake, Persistence, Progress, Response};

use super::answers::Answer;
use crate::shard::access::{Ended, Subject};
use crate::shard::connections::Parent;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Counts and logs what is answered by `body` without a handler.
    pub(in crate::shard) fn record_control(
        &mut self,
        key: ConnectionKey,
        reply: &Reply,
        body: &[u8],
        elapsed: Duration,
    ) {
        let Labels { era, method, outcome } = reply.labels;
        self.log().answer(key, Subject::Method(method), reply, body);
        self.metrics.on_request(era, RequestClass::Control);
        self.metrics
            .on_operation(metrics::Operation::Method(method), outcome, elapsed);
    }

    pub(in crate::shard) fn refuse_work(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        mut out: Vec<u8>,
        reason: OverloadReason,
    ) {
        let service = self.view_of(key);
        let overload = self.overload_of(&service, ticket, reason);
        let reply = service.protocol.answer_overload(ticket, &overload, &mut out);
        self.metrics
            .on_reply(service.label(ticket.operation()), &reply, Duration::ZERO);
        self.log().unstarted(key, ticket, &reply, &out);
        self.reply(key, out, None, &reply);
    }

    /// Answers a request that was cancelled before it began by a stream without an answer.
    pub(in crate::shard) fn answer_cancelled(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        buffer: Vec<u8>,
    ) {
        let service = self.view_of(key);
        let label = service.label(ticket.operation());
        self.metrics
            .on_operation(label, metrics::Outcome::Cancelled, Duration::ZERO);
        let ended = Ended {
            service: &service,
            ticket,
            outcome: metrics::Outcome::Cancelled,
            reason: None,
        };
        self.log().unanswered(key, &ended);
        if self.table.is_message(key) {
            return self.drop_unstarted(key, buffer);
        }
        self.answer(key, Answer::counted(buffer, Response::EmptyStream));
    }

    pub(in crate::shard) fn answer_unstarted(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        error: &StartError,
        mut out: Vec<u8>,
        decoded: Instant,
    ) {
        let service = self.view_of(key);
        let reply = service.protocol.answer_start_error(ticket, error, &mut out);
        let elapsed = self.clock.read().saturating_duration_since(decoded);
        self.metrics
            .on_reply(service.label(ticket.operation()), &reply, elapsed);
        self.log().unstarted(key, ticket, &reply, &out);
        self.reply(key, out, None, &reply);
    }

    /// A leased handler's call cannot run after all.
    pub(in crate::shard) fn refuse_call(&mut self, handler: HandlerKey, reason: OverloadReason) {
        let overload = self.overload(reason);
        if self.calls.is_task(handler) {
            return self.end_task(handler, &TaskEnding::overload(&overload), Duration::ZERO);
        }
        let Some(service) = self.calls.at(handler).map(|call| Rc::clone(&call.service)) else {
            return;
        };
        self.answer_call(handler, Duration::ZERO, 0, |ticket, out| {
            service.protocol.answer_overload(ticket, &overload, out)
        });
    }

    /// Answers the preflight that `front` is, if it is one, as the last request of a connection that has no place: only
    /// then does the page's own request come, and hear why.
    pub(in crate::shard) fn answer_preflight_in(&mut self, key: ConnectionKey, front: &[u8]) -> bool {
        let common = Rc::clone(self.service.main());
        let mut head = Head::default();
        let known = self.service.known_heads();
        let progress = Intake::default().advance(front, &common.policy, &common.http, known, &mut head);
        let Ok(Progress::Request(request)) = progress else {
            return false;
        };
        let Some(connection) = self.table.connection(key) else {
            return false;
        };
        if request.endpoint != Endpoint::Preflight {
            return false;
        }
        connection.response.persistence = Persistence::Close;
        self.metrics.in_flight.up();
        let buffer = self.writer.take_buffer();
        self.answer_preflight(key, request.head, buffer);
        true
    }

    /// Answers a preflight, which is counted in flight.
    pub(in crate::shard) fn answer_preflight(
        &mut self,
        key: ConnectionKey,
        head: &Head<'_>,
        buffer: Vec<u8>,
    ) {
        self.log().opened(key, "OPTIONS", 204, None);
        self.answer(key, Answer::counted(buffer, Response::Preflight(head)));
    }

    /// Answers a prober.
    pub(in crate::shard) fn answer_probe(
        &mut self,
        key: ConnectionKey,
        probe: Probe,
        is_head: bool,
        buffer: Vec<u8>,
    ) {
        let (status, text) = http::answer_probe(&self.service.health, probe);
        let method = if is_head { "HEAD" } else { "GET" };
        self.log().opened(key, method, status.code(), None);
        let response = Response::Probe {
            status,
            text: &text,
            is_head,
        };
        self.answer(key, Answer::counted(buffer, response));
    }

    /// Writes a call's answer, with a text of about `text_bytes`, and sends it, which ends the lease; in a batch,
    /// appends it and goes on with the next call.
    pub(in crate::shard) fn answer_call(
        &mut self,
        handler: HandlerKey,
        elapsed: Duration,
        text_bytes: usize,
        write: impl FnOnce(&Ticket, &mut Vec<u8>) -> Reply,
    ) {
        self.clock.clear_call_deadline(handler.index);
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let label = call.label();
        if let Some(mut batched) = call.batch.take() {
            let out = &mut batched.answers;
            batched.batch.begin_answer(out);
            let begin = out.len();
            let reply = write(&call.ticket, out);
            let reply = self.afford_answer(handler, out, begin).unwrap_or(reply);
            self.metrics.on_reply(label, &reply, elapsed);
            self.log().call(handler, &reply, &out[begin..]);
            return self.continue_batch(handler, batched);
        }
        if let Some(stream) = call.stream.clone() {
            return self.answer_on_stream(handler, &stream, elapsed, write);
        }
        let Some(connection) = self.calls.holder(handler) else {
            return;
        };
        let mut out = self.writer.take_buffer_for(text_bytes);
        let Some(call) = self.calls.at(handler) else {
            return self.writer.put_buffer(out);
        };
        let reply = write(&call.ticket, &mut out);
        let reply = self
            .afford_answer(handler, &mut out, HEAD_RESERVE)
            .unwrap_or(reply);
        self.metrics.on_reply(label, &reply, elapsed);
        self.log().call(handler, &reply, &out[HEAD_RESERVE..]);
        self.reply(connection, out, Some(handler), &reply);
    }

    /// The answer is the last message of the call's stream, and the handler is free.
    pub(in crate::shard) fn answer_on_stream(
        &mut self,
        handler: HandlerKey,
        stream: &Arc<Stream>,
        elapsed: Duration,
        write: impl FnOnce(&Ticket, &mut Vec<u8>) -> Reply,
    ) {
        let (Some(connection), Some(call)) = (self.calls.holder(handler), self.calls.at(handler)) else {
            return;
        };
        let label = call.label();
        let mut out = Vec::new();
        let reply = write(&call.ticket, &mut out);
        let reply = self.afford_answer(handler, &mut out, 0).unwrap_or(reply);
        self.metrics.on_reply(label, &reply, elapsed);
        self.log().call(handler, &reply, &out);
        let told = stream.conclude_quietly(Message::new(out));
        self.metrics.in_flight.down();
        let is_heard = self.table.handler(connection) == Some(handler);
        if is_heard {
            self.finish_lease(handler);
        } else {
            self.end_lease(handler);
        }
        self.end_stream_of(connection, Some(Arc::clone(stream)));
        // It may have been taken up by another connection.
        if let Some(place) = told.filter(|place| *place != self.streams.place(connection)) {
            self.tell_stream(place);
        }
    }

    /// If there is no memory for the answer in `out[begin..]`, replaces it by overload.
    pub(in crate::shard) fn afford_answer(
        &mut self,
        handler: HandlerKey,
        out: &mut Vec<u8>,
        begin: usize,
    ) -> Option<Reply> {
        if self.writer.has_room_for(out) {
            return None;
        }
        out.truncate(begin);
        out.shrink_to(self.writer.buffer_bytes());
        let overload = self.overload(OverloadReason::Memory);
        let call = self.calls.at(handler)?;
        Some(
            call.service
                .protocol
                .answer_overload(&call.ticket, &overload, out),
        )
    }

    /// Sends what the protocol answered.
    pub(in crate::shard) fn reply(
        &mut self,
        key: ConnectionKey,
        mut buffer: Vec<u8>,
        handler: Option<HandlerKey>,
        reply: &Reply,
    ) {
        if let Some(exchange) = self.table.exchange(key) {
            return match exchange.parent {
                Parent::Here(channel) => self.reply_on_channel(key, channel, buffer, handler, reply),
                Parent::Elsewhere(_) => self.reply_elsewhere(key, buffer, handler, reply),
            };
        }
        let refusal;
        let (charged, reply) = match self.writer.charge(&buffer) {
            Ok(charged) => (charged, reply),
            Err(_) => {
                buffer = self.writer.take_buffer();
                // It has no id: the last of this connection.
                if let Some(connection) = self.table.connection(key) {
                    connection.response.persistence = Persistence::Close;
                }
                let overload = self.overload(OverloadReason::Memory);
                refusal = self.service.main().protocol.refuse(None, &overload, &mut buffer);
                (0, &refusal)
            }
        };
        let answer = Answer {
            handler,
            charged,
            ..Answer::counted(buffer, Response::Reply(reply))
        };
        self.answer(key, answer);
    }
}
