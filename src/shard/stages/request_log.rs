//! Writing the access log: what a shard knows of a request when it is known how it ended.

use std::rc::Rc;

use crate::jsonrpc::RequestId;
use crate::mcp::{Reply, Ticket};
use crate::metrics::Outcome;
use crate::pool::HandlerKey;
use crate::registry::PanicFacts;
use crate::ring::ConnectionKey;
use crate::transport::http::admission;
use crate::transport::http::{self, HEAD_RESERVE, Refusal};

use crate::shard::access::{
    Access, Ended, Failure, Record, RecordContext, Subject, Told, cap, emit, field_text, outcome_of, words,
};
use crate::shard::calls::Calls;
use crate::shard::clock::Clock;
use crate::shard::connections::Table;
use crate::shard::service::Serving;
use crate::shard::{Shard, ShardRing};
use crate::units::{ShardId, ViewId};

/// The access log, with what a record tells besides its answer.
pub(in crate::shard) struct RequestLog<'a, R: ShardRing> {
    access: &'a mut Access,
    table: &'a mut Table<R::Socket>,
    calls: &'a mut Calls,
    service: &'a Serving,
    ring: &'a R,
    clock: &'a Clock,
    shard: ShardId,
}

impl<R: ShardRing> Shard<R> {
    /// The access log.
    #[inline]
    pub(in crate::shard) fn log(&mut self) -> RequestLog<'_, R> {
        let shard = self.metrics.shard;
        RequestLog {
            access: &mut self.metrics.access,
            table: &mut self.table,
            calls: &mut self.calls,
            service: &self.service,
            ring: &self.ring,
            clock: &self.clock,
            shard,
        }
    }
}

impl<R: ShardRing> RequestLog<'_, R> {
    /// A request is answered by `body`.
    #[inline]
    pub(in crate::shard) fn answer(
        &mut self,
        key: ConnectionKey,
        subject: Subject<'_>,
        reply: &Reply,
        body: &[u8],
    ) {
        if self.access.wants(outcome_of(reply)) {
            self.write_answer(key, subject, reply, body, 0);
        }
    }

    /// A call that has a handler is answered by `body`.
    #[inline]
    pub(in crate::shard) fn call(&mut self, handler: HandlerKey, reply: &Reply, body: &[u8]) {
        self.call_in_pieces(handler, reply, body, 0);
    }

    /// The same, of an answer that has so many more bytes in a text that `body` lacks.
    #[inline]
    pub(in crate::shard) fn call_in_pieces(
        &mut self,
        handler: HandlerKey,
        reply: &Reply,
        body: &[u8],
        text_bytes: usize,
    ) {
        if self.access.wants(outcome_of(reply))
            && let (Some(key), Some((service, operation))) = (
                self.calls.holder(handler),
                self.calls.at(handler).map(|call| call.work()),
            )
        {
            self.write_answer(key, Subject::Work(&service, operation), reply, body, text_bytes);
        }
    }

    /// A call ends without an answer, or in a task.
    pub(in crate::shard) fn unanswered(&mut self, key: ConnectionKey, ended: &Ended<'_>) {
        if !self.access.wants(ended.outcome) {
            return;
        }
        let mut id = Vec::new();
        ended.ticket.id().as_id().write(&mut id);
        let operation = ended.ticket.operation();
        let record = Record {
            id: std::str::from_utf8(&id).ok(),
            outcome: Some(ended.outcome.name()),
            reason: ended.reason,
            ..words(Subject::Work(ended.service, operation))
        };
        self.write_record(key, ended.outcome, &record);
    }

    /// The call in a handler is cancelled.
    pub(in crate::shard) fn cancelled(&mut self, handler: HandlerKey) {
        if let Some(key) = self.calls.holder(handler) {
            self.ended(key, handler, Outcome::Cancelled, None);
        }
    }

    /// The task that a handler works for ends with this outcome.
    pub(in crate::shard) fn task_ended(&mut self, key: ConnectionKey, handler: HandlerKey, outcome: Outcome) {
        self.ended(key, handler, outcome, Some("the end of a task"));
    }

    fn ended(&mut self, key: ConnectionKey, handler: HandlerKey, outcome: Outcome, reason: Option<&str>) {
        if !self.access.wants(outcome) {
            return;
        }
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let (service, ticket) = (Rc::clone(&call.service), call.ticket.clone());
        let ended = Ended {
            service: &service,
            ticket: &ticket,
            outcome,
            reason,
        };
        self.unanswered(key, &ended);
    }

    /// Work that never got a handler is answered by what is in `out` behind room for a head.
    pub(in crate::shard) fn unstarted(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        reply: &Reply,
        out: &[u8],
    ) {
        let view = self
            .table
            .request(key)
            .map_or(ViewId::MAIN, |request| request.view);
        let subject = Subject::Work(self.service.view(view), ticket.operation());
        self.answer(key, subject, reply, out.get(HEAD_RESERVE..).unwrap_or_default());
    }

    /// A request is answered by a stream or a channel, which goes on.
    #[inline]
    pub(in crate::shard) fn opened(
        &mut self,
        key: ConnectionKey,
        method: &str,
        status: u16,
        id: Option<&RequestId>,
    ) {
        if self.access.wants(Outcome::Ok) {
            let mut text = Vec::new();
            if let Some(id) = id {
                id.as_id().write(&mut text);
            }
            let record = Record {
                method: Some(method),
                id: id.and_then(|_| std::str::from_utf8(&text).ok()),
                status: (!self.table.is_message(key)).then_some(status),
                outcome: Some(Outcome::Ok.name()),
                ..Record::default()
            };
            self.write_record(key, Outcome::Ok, &record);
        }
    }

    /// HTTP's own refusal of a request, the front of `window` if that is known.
    pub(in crate::shard) fn refusal(&mut self, key: ConnectionKey, refusal: Refusal, window: Option<&[u8]>) {
        if !self.access.wants(Outcome::Other) {
            return;
        }
        let reason = refusal.to_string();
        let mut record = Record {
            status: Some(refusal.status().code()),
            outcome: Some("refused"),
            reason: Some(&reason),
            ..Record::default()
        };
        // What breaks the framing of a head is not read again.
        let head = window.filter(|_| matches!(refusal, Refusal::Admission(_)));
        let head = head.and_then(|window| http::peek_head(window, &self.service.http.head));
        let host = head.as_ref().and_then(|head| head.values("host").next());
        if let Some(head) = &head {
            record.method = Some(head.method.as_str());
            record.path = Some(head.path);
            match refusal {
                Refusal::Admission(admission::Refusal::Origin) => {
                    record.origin = field_text(&head.fields.origin)
                }
                Refusal::Admission(admission::Refusal::Host) => {
                    record.host = host.and_then(|host| std::str::from_utf8(host).ok())
                }
                Refusal::Admission(
                    admission::Refusal::NotAcceptable | admission::Refusal::StreamNotAcceptable,
                ) => {
                    record.accept = field_text(&head.fields.accept);
                }
                _ => {}
            }
        }
        self.write_record(key, Outcome::Other, &record);
    }

    /// A call's code panicked, as its catcher and the panic hook know.
    pub(in crate::shard) fn panic(&mut self, handler: HandlerKey, facts: Option<PanicFacts>) {
        self.of_call(handler, |record, id, shard, peer| {
            let (location, reason) = match &facts {
                Some(facts) => (Some(&*facts.location), Some(&*facts.reason)),
                None => (None, None),
            };
            let advice = facts.as_ref().and_then(PanicFacts::advice);
            let Record { tool, name, .. } = record;
            tracing::error!(tool, name, id = %id, location, reason, advice, shard, peer, "panic");
        });
    }

    /// A call's code failed in a way that only the log is told.
    pub(in crate::shard) fn failure(&mut self, handler: HandlerKey, detail: &str) {
        self.of_call(handler, |record, id, shard, peer| {
            let Record { tool, name, .. } = record;
            tracing::error!(tool, name, id = %id, detail, shard, peer, "an operation failed internally");
        });
    }

    /// Tells what is known of a call: which one it is, its id, its shard and its peer.
    fn of_call(&mut self, handler: HandlerKey, tell: impl FnOnce(Record<'_>, &str, u16, Option<String>)) {
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let (service, operation) = call.work();
        let mut id = Vec::new();
        call.ticket.id().as_id().write(&mut id);
        let id = String::from_utf8_lossy(&id).into_owned();
        let peer = self
            .calls
            .holder(handler)
            .and_then(|key| self.table.peer(key, self.ring));
        let record = words(Subject::Work(&service, operation));
        tell(record, &cap(&id), self.shard.0, peer);
    }

    /// Tells how many records were left out, once that is known.
    pub(in crate::shard) fn left_out(&mut self) {
        if let Some(records) = self.access.take_left_out(self.clock.now()) {
            let shard = self.shard.0;
            tracing::warn!(
                target: "weir::access",
                records,
                shard,
                "more requests failed or were refused than are logged; /metrics counts all"
            );
        }
    }

    #[cold]
    fn write_answer(
        &mut self,
        key: ConnectionKey,
        subject: Subject<'_>,
        reply: &Reply,
        body: &[u8],
        more_bytes: usize,
    ) {
        let told = Told::read(body);
        let is_message = self.table.is_message(key);
        let outcome = outcome_of(reply);
        let record = Record {
            id: told.id,
            // A message of a channel has no status.
            status: (!is_message).then(|| http::status_of(reply).code()),
            outcome: Some(outcome.name()),
            error: told.error.as_ref().map(|error| error.code),
            reason: told.error.as_ref().map(Failure::reason),
            bytes: (body.len() + more_bytes) as u64,
            ..words(subject)
        };
        self.write_record(key, outcome, &record);
    }

    fn write_record(&mut self, key: ConnectionKey, outcome: Outcome, record: &Record<'_>) {
        let now = self.clock.read();
        if !self.access.admits(now) {
            return;
        }
        let (since, waited) = self.table.times(key).unwrap_or((now, 0));
        let elapsed = now.saturating_duration_since(since).as_micros();
        let context = RecordContext {
            duration_us: u64::try_from(elapsed).unwrap_or(u64::MAX),
            wait_us: waited.into(),
            shard: self.shard.0,
            peer: self.table.peer(key, self.ring),
        };
        emit(outcome, record, &context);
    }
}
