//! Answers: from what a request is answered with to the send, and what comes behind it.
//!
//! The handler is free as soon as the send is queued: an answer that only waits to be sent keeps nobody waiting.

use std::io;

use crate::mcp::OverloadReason;
use crate::metrics::{HttpRefusal, Stage};
use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;
use crate::transport::http::{Persistence, Refusal, Response};

use super::closing::loss;
use crate::shard::admission::Claim;
use crate::shard::connections::{Outgoing, OutgoingKind, State};
use crate::shard::writer::{Closes, Queued, Sending, Sent};
use crate::shard::{Shard, ShardRing};

/// An answer, and what it was written for.
pub(in crate::shard) struct Answer<'a> {
    /// Room for the head; behind it, for a reply, the body.
    pub buffer: Vec<u8>,
    pub response: Response<'a>,
    /// The handler whose call it ends.
    pub handler: Option<HandlerKey>,
    /// Heap bytes charged for it.
    pub charged: usize,
    /// It ends a request that was counted in flight when it was decoded.
    pub is_counted: bool,
}

impl<'a> Answer<'a> {
    /// The end of a request that was counted in flight and has no handler.
    pub(in crate::shard) fn counted(buffer: Vec<u8>, response: Response<'a>) -> Answer<'a> {
        Answer {
            buffer,
            response,
            handler: None,
            charged: 0,
            is_counted: true,
        }
    }
}

impl<R: ShardRing> Shard<R> {
    /// Sends an answer; the connection goes on behind it if its request allows and the shard is not draining.
    pub(in crate::shard) fn answer(&mut self, key: ConnectionKey, answer: Answer<'_>) {
        let Answer {
            mut buffer,
            response,
            handler,
            charged,
            is_counted,
        } = answer;
        let is_draining = self.drain.is_begun();
        let connection = self.table.connection(key).filter(|c| c.state != State::Dead);
        let Some(connection) = connection else {
            let outgoing = Outgoing {
                charged,
                is_counted,
                ..Outgoing::default()
            };
            self.writer.reclaim(Sending { buffer, outgoing }, &self.metrics);
            return handler.into_iter().for_each(|handler| self.end_lease(handler));
        };
        if is_draining {
            connection.response.persistence = Persistence::Close;
        }
        let range = self
            .writer
            .write_head(&response, &mut buffer, &connection.response);
        let closes = connection.response.closes();
        let outgoing = Outgoing {
            range,
            charged,
            closes,
            kind: OutgoingKind::Answer,
            is_counted,
            ..Outgoing::default()
        };
        self.send(key, buffer, outgoing);
        match handler {
            Some(handler) if closes => self.end_lease(handler),
            Some(handler) => self.finish_lease(handler),
            None => {}
        }
    }

    /// Answers with a refusal of HTTP's own; the connection closes behind it unless it `goes_on`.
    pub(in crate::shard) fn answer_refusal(
        &mut self,
        key: ConnectionKey,
        refusal: Refusal,
        is_head: bool,
        goes_on: bool,
    ) {
        let status = HttpRefusal::from_status(refusal.status().code());
        self.metrics.http_refusals.increment(status);
        if let Some(connection) = self.table.connection(key) {
            connection.response.persistence = if goes_on {
                Persistence::Persist
            } else {
                Persistence::Close
            };
        }
        let buffer = self.writer.take_buffer();
        let answer = Answer {
            is_counted: false,
            ..Answer::counted(buffer, Response::Refusal { refusal, is_head })
        };
        self.answer(key, answer);
    }

    /// Notes the origin of a request that is refused before anything else of it is known: as far as `window`, the front
    /// of it, names one.
    pub(in crate::shard) fn note_origin_in(&mut self, key: ConnectionKey, window: &[u8]) {
        if let Some(connection) = self.table.connection(key) {
            let policy = &self.service.policy;
            self.writer
                .note_unparsed(&mut connection.response, window, policy);
        }
    }

    /// The same for a request whose beginning was kept. The origin of a request in progress, if there is one, stays.
    pub(in crate::shard) fn note_origin_of_kept(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key)
            && connection.is_between_answers()
            && let Some(kept) = connection.request.assembly.as_deref()
            && !kept.is_lent()
        {
            let policy = &self.service.policy;
            self.writer
                .note_unparsed(&mut connection.response, kept.window(), policy);
        }
    }

    pub(in crate::shard) fn send(&mut self, key: ConnectionKey, buffer: Vec<u8>, outgoing: Outgoing) {
        let sending = Sending { buffer, outgoing };
        let Some(connection) = self.table.connection(key) else {
            return self.writer.reclaim(sending, &self.metrics);
        };
        let now = self.clock.now();
        let queued = self.writer.send(&mut self.ring, key, connection, sending, now);
        self.on_queued(key, queued);
    }

    /// Something is on its way on a connection: gives it what it needs meanwhile.
    pub(in crate::shard) fn on_queued(&mut self, key: ConnectionKey, queued: Queued) {
        if queued.reads_on {
            self.intake.arm_receive(key, &mut self.table, &mut self.ring);
        }
        if queued.is_timed {
            self.clock
                .set_deadline(key, self.clock.now() + self.service.timeouts.write);
        }
    }

    pub(in crate::shard) fn handle_sent(
        &mut self,
        key: ConnectionKey,
        buffer: Vec<u8>,
        result: io::Result<usize>,
    ) {
        let Some(connection) = self.table.connection(key) else {
            return self.handle_pipe_sent(key, buffer, result);
        };
        match self
            .writer
            .on_sent(key, connection, buffer, result, &self.metrics)
        {
            Sent::Done(OutgoingKind::Answer, closes) => self.on_answered(key, closes),
            // The bytes that came meanwhile may complete the request.
            Sent::Done(OutgoingKind::Interim, _) => self.serve_assembly(key, Claim::New),
            Sent::Done(OutgoingKind::Stream, _) => self.continue_stream(key),
            Sent::Done(OutgoingKind::Channel, _) => self.continue_channel(key),
            Sent::Piece(sending) => self.writer.await_turn(key, connection, sending),
            Sent::Rest(sending) => self.send_rest(key, sending),
            Sent::Dead => self.table.reap(key, &mut self.ring),
            Sent::Failed(error) => {
                if self.table.is_alive(key) {
                    self.metrics.count_eviction(loss(Some(&error)));
                }
                self.client_gone(key);
            }
        }
    }

    /// The socket did not take everything.
    fn send_rest(&mut self, key: ConnectionKey, sending: Sending) {
        let Some(connection) = self.table.connection(key) else {
            return self.writer.reclaim(sending, &self.metrics);
        };
        let sent = self
            .writer
            .send_rest(&mut self.ring, key, connection, sending, &self.metrics);
        if sent.is_err() {
            self.metrics.refusals.increment(OverloadReason::Memory);
            self.client_gone(key);
        } else {
            self.on_progress(key);
        }
    }

    /// The client has taken some of what it is sent: it may take as long again for the next.
    pub(in crate::shard) fn on_progress(&mut self, key: ConnectionKey) {
        if self
            .table
            .connection(key)
            .is_some_and(|connection| connection.is_patient())
        {
            return self.on_channel_progress(key);
        }
        self.clock
            .set_deadline(key, self.clock.now() + self.service.timeouts.write);
    }

    /// The answer is with the kernel.
    fn on_answered(&mut self, key: ConnectionKey, closes: Closes) {
        // The send was over before this pass began.
        let now = self.clock.now();
        if let Some(connection) = self.table.connection(key) {
            let (request_at, sent_at) = (connection.request.began, connection.request.phase_began);
            self.metrics.record(Stage::Write, sent_at, now);
            self.metrics.record(Stage::Total, request_at, now);
        }
        match closes {
            Closes::Yes => self.begin_close(key),
            Closes::No => self.resume(key),
        }
    }
}
