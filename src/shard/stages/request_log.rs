//! Writing the access log: what a shard knows of a request when it is known how it ended.

use std::net::SocketAddr;
use std::time::Duration;

use crate::jsonrpc::RequestId;
use crate::mcp::Reply;
use crate::metrics::Outcome;
use crate::pool::HandlerKey;
use crate::registry::PanicFacts;
use crate::ring::ConnectionKey;
use crate::transport::http::admission;
use crate::transport::http::{self, Refusal};

use crate::shard::access::{
    Ended, Failure, Record, RecordContext, Subject, Told, cap, emit, field_text, outcome_of, words,
};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// A request is answered by `body`.
    #[inline]
    pub(in crate::shard) fn log_answer(
        &mut self,
        key: ConnectionKey,
        subject: Subject<'_>,
        reply: &Reply,
        body: &[u8],
    ) {
        if self.access.wants(outcome_of(reply)) {
            self.write_answer(key, subject, reply, body);
        }
    }

    /// A call that has a handler is answered by `body`.
    #[inline]
    pub(in crate::shard) fn log_call(&mut self, handler: HandlerKey, reply: &Reply, body: &[u8]) {
        if self.access.wants(outcome_of(reply))
            && let (Some(key), Some((service, operation))) = (
                self.calls.holder(handler),
                self.calls.at(handler).map(|call| call.work()),
            )
        {
            self.write_answer(key, Subject::Work(&service, operation), reply, body);
        }
    }

    /// A call ends without an answer, or in a task.
    pub(in crate::shard) fn log_unanswered(&mut self, key: ConnectionKey, ended: &Ended<'_>) {
        if !self.access.wants(ended.outcome) {
            return;
        }
        let mut id = Vec::new();
        ended.ticket.id().as_id().write(&mut id);
        let operation = ended.ticket.operation();
        let (method, tool, name) = words(Subject::Work(ended.service, operation));
        let record = Record {
            method,
            tool,
            name,
            id: std::str::from_utf8(&id).ok(),
            outcome: Some(ended.outcome.name()),
            reason: ended.reason,
            ..Record::default()
        };
        self.write_record(key, ended.outcome, &record);
    }

    /// A request is answered by a stream or a channel, which goes on.
    #[inline]
    pub(in crate::shard) fn log_opened(
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
                status: self.table.parent(key).is_none().then_some(status),
                outcome: Some(Outcome::Ok.name()),
                ..Record::default()
            };
            self.write_record(key, Outcome::Ok, &record);
        }
    }

    /// HTTP's own refusal of a request, the front of `window` if that is known.
    pub(in crate::shard) fn log_refusal(
        &mut self,
        key: ConnectionKey,
        refusal: Refusal,
        window: Option<&[u8]>,
    ) {
        if !self.access.wants(Outcome::Other) {
            return;
        }
        let service = self.service.current();
        let reason = refusal.to_string();
        let mut record = Record {
            status: Some(refusal.status().code()),
            outcome: Some("refused"),
            reason: Some(&reason),
            ..Record::default()
        };
        // What breaks the framing of a head is not read again.
        let head = window.filter(|_| matches!(refusal, Refusal::Admission(_)));
        let head = head.and_then(|window| http::peek_head(window, &service.http.head));
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
    pub(in crate::shard) fn log_panic(&mut self, handler: HandlerKey, facts: Option<PanicFacts>) {
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let (service, operation) = call.work();
        let mut id = Vec::new();
        call.ticket.id().as_id().write(&mut id);
        let id = String::from_utf8_lossy(&id).into_owned();
        let peer = self.calls.holder(handler).and_then(|key| self.peer_of(key));
        let (_, tool, name) = words(Subject::Work(&service, operation));
        let (location, reason) = match &facts {
            Some(facts) => (Some(&*facts.location), Some(&*facts.reason)),
            None => (None, None),
        };
        let (shard, id) = (self.metrics.shard.0, cap(&id));
        tracing::error!(tool, name, id = %id, location, reason, shard, peer, "panic");
    }

    /// Tells how many records were left out, once that is known.
    pub(in crate::shard) fn tell_left_out(&mut self) {
        if let Some(records) = self.access.take_left_out(self.clock.now()) {
            let shard = self.metrics.shard.0;
            tracing::warn!(
                target: "weir::access",
                records,
                shard,
                "more requests failed or were refused than are logged; /metrics counts all"
            );
        }
    }

    /// A request has waited for a handler or a worker.
    pub(in crate::shard) fn note_wait(&mut self, key: ConnectionKey, waited: Duration) {
        if let Some(waited_micros) = self.table.waited_micros(key) {
            let micros = u32::try_from(waited.as_micros()).unwrap_or(u32::MAX);
            *waited_micros = waited_micros.saturating_add(micros);
        }
    }

    #[cold]
    fn write_answer(&mut self, key: ConnectionKey, subject: Subject<'_>, reply: &Reply, body: &[u8]) {
        let (method, tool, name) = words(subject);
        let told = Told::read(body);
        let is_channel = self.table.parent(key).is_some();
        let outcome = outcome_of(reply);
        let record = Record {
            method,
            tool,
            name,
            id: told.id,
            // A message of a channel has no status.
            status: (!is_channel).then(|| http::status_of(reply).code()),
            outcome: Some(outcome.name()),
            error: told.error.as_ref().map(|error| error.code),
            reason: told.error.as_ref().map(Failure::reason),
            bytes: body.len() as u64,
            ..Record::default()
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
            shard: self.metrics.shard.0,
            peer: self.peer_of(key),
        };
        emit(outcome, record, &context);
    }

    /// Who is at the other end: an address, or what there is instead of one.
    fn peer_of(&mut self, key: ConnectionKey) -> Option<String> {
        let key = self.table.parent(key).unwrap_or(key);
        let socket = &self.table.connection(key)?.socket;
        let address: Option<SocketAddr> = self.ring.peer_address(socket).ok();
        Some(address.map_or_else(|| "stdio".to_owned(), |address| address.to_string()))
    }
}
