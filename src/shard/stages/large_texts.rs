//! Answers that are a large text, and pieces of large answers: they leave a bit at a time, each in its turn.

use std::rc::Rc;
use std::time::Duration;

use crate::jsonrpc;
use crate::pool::HandlerKey;
use crate::registry::{Outcome, Output};
use crate::ring::ConnectionKey;
use crate::transport::http::{HEAD_RESERVE, Persistence};

use crate::shard::connections::State;
use crate::shard::writer::{LargeText, Turn};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Answers a call that came to nothing but a large text, whose length as JSON may be known: it is escaped piece by
    /// piece, each just before it is sent. False if the call is to be answered in one piece; the outcome is whole then.
    pub(in crate::shard) fn answer_with_text(
        &mut self,
        handler: HandlerKey,
        outcome: &mut Outcome,
        escaped_bytes: Option<usize>,
        elapsed: Duration,
    ) -> bool {
        let Some(text) = outcome.as_mut().ok().and_then(Output::sole_text) else {
            return false;
        };
        let Some(key) = self
            .calls
            .holder(handler)
            .filter(|key| self.takes_pieces(*key, handler))
        else {
            return false;
        };
        let Some(mut front) = self.writer.take_piece_buffer(text.capacity()) else {
            return false;
        };
        let Some(call) = self.calls.at(handler) else {
            self.writer.put_buffer(front);
            return false;
        };
        let (service, label) = (Rc::clone(&call.service), call.label());
        let (reply, at) = service.protocol.answer_around_text(&call.ticket, &mut front);
        // A long id may have made more of it than was taken.
        if self.writer.charge_text(&front, text).is_err() {
            self.writer.put_buffer(front);
            return false;
        }
        self.clock.clear_call_deadline(handler.index);
        self.metrics.on_reply(label, &reply, elapsed);
        let text = std::mem::take(text);
        let escaped_bytes = match escaped_bytes {
            None if self.metrics.access.wants(reply.labels.outcome) => {
                Some(jsonrpc::escaped_bytes(text.as_bytes()))
            }
            known => known,
        };
        self.log().call_in_pieces(
            handler,
            &reply,
            &front[HEAD_RESERVE..],
            escaped_bytes.unwrap_or_default(),
        );
        let large = LargeText::new(text, escaped_bytes, &mut front, at, reply);
        self.begin_text(key, handler, front, large);
        true
    }

    /// Puts the answer of a call in its line, which ends the lease.
    fn begin_text(&mut self, key: ConnectionKey, handler: HandlerKey, front: Vec<u8>, text: LargeText) {
        let now = self.clock.now();
        let is_draining = self.drain.is_begun();
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if is_draining {
            connection.response.persistence = Persistence::Close;
        }
        let closes = connection.response.closes();
        let queued = self.writer.begin_text(key, connection, front, text, now);
        self.on_queued(key, queued);
        if closes {
            self.end_lease(handler);
        } else {
            self.finish_lease(handler);
        }
    }

    /// Whether a call's answer may leave in pieces: the whole of a connection's answer, in JSON.
    pub(in crate::shard) fn takes_pieces(&mut self, key: ConnectionKey, handler: HandlerKey) -> bool {
        let call = self.calls.at(handler);
        let is_sole = call.is_some_and(|call| call.batch.is_none() && call.stream.is_none());
        let connection = self.table.connection(key);
        is_sole
            && connection.is_some_and(|connection| {
                connection.state == State::Calling(handler) && connection.response.takes_json
            })
    }

    /// Sends a few pieces of large answers, those first that have waited longest.
    pub(in crate::shard) fn send_pieces(&mut self) {
        self.writer.begin_flush();
        while let Some((key, buffer)) = self.writer.next_piece() {
            // It is there while it counts as sending.
            let Some(connection) = self.table.connection(key) else {
                debug_assert!(false, "{key:?} has a piece to send");
                self.writer.put_buffer(buffer);
                continue;
            };
            let turn = self
                .writer
                .send_piece(&mut self.ring, key, connection, buffer, &self.metrics);
            match turn {
                Turn::Sent => {
                    self.on_progress(key);
                    self.read_on(key);
                }
                Turn::Parked => self.await_source(key),
                Turn::Measured => {}
                Turn::Dead => self.table.reap(key, &mut self.ring),
            }
        }
    }
}
