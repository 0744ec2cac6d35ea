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
use crate::timers::TimerKind;
use crate::transport::http::HEAD_RESERVE;
use crate::transport::http::admission;
use crate::wire::http1::{BodyLength, Connection as Persistence, ResponseHead, Status};
use crate::wire::sse;

use super::access::{Ended, Subject};
use super::answering::Answer;
use super::connections::State;
use super::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Counts and logs what is answered by `body` without a handler.
    pub(super) fn record_control(
        &mut self,
        key: ConnectionKey,
        reply: &Reply,
        body: &[u8],
        elapsed: Duration,
    ) {
        let Labels { era, method, outcome } = reply.labels;
        self.log_answer(key, Subject::Method(method), reply, body);
        self.metrics.on_request(era, RequestClass::Control);
        self.metrics
            .on_operation(metrics::Operation::Method(method), outcome, elapsed);
    }

    pub(super) fn record_operation(&self, label: metrics::Operation, reply: &Reply, elapsed: Duration) {
        self.metrics.on_operation(label, reply.labels.outcome, elapsed);
    }

    pub(super) fn refuse_work(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        mut out: Vec<u8>,
        reason: OverloadReason,
    ) {
        let overload = self.overload(reason);
        let reply = self.service.protocol.answer_overload(ticket, &overload, &mut out);
        self.record_operation(self.service.label(ticket.operation()), &reply, Duration::ZERO);
        self.log_unstarted(key, ticket, &reply, &out);
        self.reply(key, out, None, &reply);
    }

    fn log_unstarted(&mut self, key: ConnectionKey, ticket: &Ticket, reply: &Reply, out: &[u8]) {
        let service = Rc::clone(&self.service);
        let subject = Subject::Work(&service, ticket.operation());
        self.log_answer(key, subject, reply, out.get(HEAD_RESERVE..).unwrap_or_default());
    }

    /// Answers a request that was cancelled before it began by a stream without an answer.
    pub(super) fn answer_cancelled(&mut self, key: ConnectionKey, ticket: &Ticket, buffer: Vec<u8>) {
        let label = self.service.label(ticket.operation());
        self.metrics
            .on_operation(label, metrics::Outcome::Cancelled, Duration::ZERO);
        let service = Rc::clone(&self.service);
        let ended = Ended {
            service: &service,
            ticket,
            outcome: metrics::Outcome::Cancelled,
            reason: None,
        };
        self.log_unanswered(key, &ended);
        if self.parent_of(key).is_some() {
            return self.drop_unstarted(key, buffer);
        }
        let date = *self.date.text();
        let head = ResponseHead::event_stream(BodyLength::Length(0), &date);
        let answer = Answer {
            buffer,
            head,
            handler: None,
            charged: 0,
            is_counted: true,
            is_head: false,
        };
        self.answer(key, answer);
    }

    pub(super) fn answer_unstarted(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        error: &StartError,
        mut out: Vec<u8>,
        decoded: Instant,
    ) {
        let reply = self.service.protocol.answer_start_error(ticket, error, &mut out);
        let elapsed = self.clock.read().saturating_duration_since(decoded);
        self.record_operation(self.service.label(ticket.operation()), &reply, elapsed);
        self.log_unstarted(key, ticket, &reply, &out);
        self.reply(key, out, None, &reply);
    }

    /// A leased handler's call cannot run after all.
    pub(super) fn refuse_call(&mut self, handler: HandlerKey, reason: OverloadReason) {
        let overload = self.overload(reason);
        if self.is_task(handler) {
            return self.end_task(handler, &TaskEnding::overload(&overload), Duration::ZERO);
        }
        let service = Rc::clone(&self.service);
        self.answer_call(handler, Duration::ZERO, |ticket, out| {
            service.protocol.answer_overload(ticket, &overload, out)
        });
    }

    /// Writes a call's answer and sends it, which ends the lease; in a batch, appends it and goes on with the next
    /// call.
    pub(super) fn answer_call(
        &mut self,
        handler: HandlerKey,
        elapsed: Duration,
        write: impl FnOnce(&Ticket, &mut Vec<u8>) -> Reply,
    ) {
        self.timers.clear(TimerKind::Call, handler.index);
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let label = call.label();
        if let Some(mut batched) = call.batch.take() {
            let out = &mut batched.answers;
            batched.batch.begin_answer(out);
            let begin = out.len();
            let reply = write(&call.ticket, out);
            let reply = self.afford_answer(handler, out, begin).unwrap_or(reply);
            self.record_operation(label, &reply, elapsed);
            self.log_call(handler, &reply, &out[begin..]);
            return self.continue_batch(handler, batched);
        }
        if let Some(stream) = call.stream.clone() {
            return self.answer_on_stream(handler, &stream, elapsed, write);
        }
        let Some(connection) = self.pool.holder(handler) else {
            return;
        };
        let mut out = self.spares.take();
        let Some(call) = self.pool.call_mut(handler) else {
            return self.spares.put(out);
        };
        let reply = write(&call.ticket, &mut out);
        let reply = self
            .afford_answer(handler, &mut out, HEAD_RESERVE)
            .unwrap_or(reply);
        self.record_operation(label, &reply, elapsed);
        self.log_call(handler, &reply, &out[HEAD_RESERVE..]);
        self.reply(connection, out, Some(handler), &reply);
    }

    /// The answer is the last message of the call's stream, and the handler is free.
    pub(super) fn answer_on_stream(
        &mut self,
        handler: HandlerKey,
        stream: &Arc<Stream>,
        elapsed: Duration,
        write: impl FnOnce(&Ticket, &mut Vec<u8>) -> Reply,
    ) {
        let (Some(connection), Some(call)) = (self.pool.holder(handler), self.pool.call_mut(handler)) else {
            return;
        };
        let label = call.label();
        let mut out = Vec::new();
        let reply = write(&call.ticket, &mut out);
        let reply = self.afford_answer(handler, &mut out, 0).unwrap_or(reply);
        self.record_operation(label, &reply, elapsed);
        self.log_call(handler, &reply, &out);
        stream.conclude(Message::new(out));
        self.metrics.in_flight.down();
        let is_heard = self
            .table
            .at(connection)
            .is_some_and(|entry| entry.state == State::Calling(handler));
        match is_heard {
            true => self.finish_lease(handler),
            false => self.end_lease(handler),
        }
        self.end_stream_of(connection, Some(Arc::clone(stream)));
    }

    /// If there is no memory for the answer in `out[begin..]`, replaces it by overload.
    pub(super) fn afford_answer(
        &mut self,
        handler: HandlerKey,
        out: &mut Vec<u8>,
        begin: usize,
    ) -> Option<Reply> {
        if self.heap.has_room(self.heap_bytes_of(out)) {
            return None;
        }
        out.truncate(begin);
        out.shrink_to(self.pool.buffer_bytes());
        let overload = self.overload(OverloadReason::Memory);
        let call = self.pool.call_mut(handler)?;
        Some(
            self.service
                .protocol
                .answer_overload(&call.ticket, &overload, out),
        )
    }

    /// Sends what the protocol answered.
    pub(super) fn reply(
        &mut self,
        key: ConnectionKey,
        mut buffer: Vec<u8>,
        handler: Option<HandlerKey>,
        reply: &Reply,
    ) {
        if let Some(parent) = self.parent_of(key) {
            return self.reply_on_channel(key, parent, buffer, handler, reply);
        }
        let charged = self.heap_bytes_of(&buffer);
        let refusal;
        let (charged, reply) = match self.heap.charge(charged) {
            Ok(()) => (charged, reply),
            Err(_) => {
                buffer = self.spares.take();
                // It has no id: the last of this connection.
                if let Some(connection) = self.table.at(key) {
                    connection.persistence = Persistence::Close;
                }
                let overload = self.overload(OverloadReason::Memory);
                refusal = self.service.protocol.refuse(None, &overload, &mut buffer);
                (0, &refusal)
            }
        };
        let takes_json = self.table.at(key).is_none_or(|connection| connection.takes_json);
        let is_event = !takes_json && reply.has_body && reply.status == 200;
        if is_event {
            write_as_event(&mut buffer);
        }
        let date = *self.date.text();
        let status = Status::from_code(reply.status).unwrap_or(Status::InternalServerError);
        let mut head = match reply.has_body {
            true if is_event => {
                let body = BodyLength::Length((buffer.len() - HEAD_RESERVE) as u64);
                ResponseHead::event_stream(body, &date)
            }
            true => ResponseHead::json(status, buffer.len() - HEAD_RESERVE, &date),
            false => ResponseHead::empty(status, &date),
        };
        head.retry_after_seconds = reply
            .retry_after_seconds
            .map(|s| u32::try_from(s).unwrap_or(u32::MAX));
        // What this path has for those who cannot have a stream.
        head.allow = (reply.status == 405).then_some(admission::ALLOW_WITHOUT_STREAM);
        head.session_id = reply
            .session
            .as_ref()
            .and_then(|id| std::str::from_utf8(id.as_bytes()).ok());
        self.answer(
            key,
            Answer {
                buffer,
                head,
                handler,
                charged,
                is_counted: true,
                is_head: false,
            },
        );
    }
}

/// Makes the one event of a stream out of the body behind the head's room.
fn write_as_event(buffer: &mut Vec<u8>) {
    let body = buffer.split_off(HEAD_RESERVE);
    sse::write_event(buffer, None, |out| out.extend_from_slice(&body));
}
