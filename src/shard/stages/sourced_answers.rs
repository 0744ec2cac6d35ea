//! Results that come from a source: sent while they are read where that can be, and read first elsewhere.
//!
//! A client that takes JSON over HTTP/1.1 is sent chunks as they are read. Events, messages of channels, batches, tasks
//! and HTTP/1.0 have their answers as a whole: a worker reads the source then, as far as there is memory.

use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::mcp::OverloadReason;
use crate::metrics;
use crate::pool::HandlerKey;
use crate::registry::{Cancellation, Collected, Outcome, Output, ToolError};
use crate::ring::ConnectionKey;
use crate::transport::http::Persistence;
use crate::workers::{self, Job, Refused};

use crate::shard::access::Ended;
use crate::shard::inbox::ShardEvent;
use crate::shard::writer::{Piece, PieceRead, PieceSource, Sourced};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Has a source read by a worker before its call is settled, if its answer can only leave as a whole. False if
    /// there is nothing to be read, or it can be read while it is sent.
    pub(in crate::shard) fn collect_source(&mut self, handler: HandlerKey, outcome: &mut Outcome) -> bool {
        let Ok(output) = outcome else {
            return false;
        };
        if !output.is_streamed() || self.takes_source(handler) {
            return false;
        }
        let Some(source) = output.take_source() else {
            return false;
        };
        // It is there as it was read, and once more in the answer.
        let bytes_max = self.writer.heap().left() / 3;
        let mut output = output.clone();
        let inbox = self.inbox.clone();
        let budget = Arc::clone(self.writer.collecting());
        let job = Job::new(
            Cancellation::new(),
            move |_| collected(source.read_all(bytes_max, &budget), &mut output).map(|()| output),
            move |ended| {
                let outcome = match ended {
                    workers::Outcome::Done(outcome) => outcome,
                    workers::Outcome::Panicked(_) => Err(ToolError::Panicked),
                    workers::Outcome::Discarded => Err(ToolError::Cancelled),
                };
                inbox.post(ShardEvent::Finished {
                    handler,
                    began: None,
                    outcome,
                    escaped_bytes: None,
                    panic: None,
                });
            },
        );
        match self.calls.submit(handler, job) {
            Ok(()) => self.watch_call(handler),
            Err(Refused::Full(_)) => self.refuse_call(handler, OverloadReason::Workers),
            Err(Refused::Stopping(_)) => self.refuse_call(handler, OverloadReason::Draining),
        }
        true
    }

    /// Answers a call whose result comes from a source, if it does.
    pub(in crate::shard) fn answer_with_source(
        &mut self,
        handler: HandlerKey,
        outcome: &mut Outcome,
        elapsed: Duration,
    ) -> bool {
        let Ok(output) = outcome else {
            return false;
        };
        if !output.is_streamed() || !self.takes_source(handler) {
            return false;
        }
        let Some(source) = output.take_source() else {
            return false;
        };
        let (Some(key), Some(call)) = (self.calls.holder(handler), self.calls.at(handler)) else {
            return false;
        };
        let (service, ticket, label) = (Rc::clone(&call.service), call.ticket.clone(), call.label());
        let mut around = Vec::new();
        let (reply, at) = service
            .protocol
            .answer_around_source(&ticket, output, &mut around);
        let body = around.clone();
        let source = PieceSource::new(around, at, source, self.writer.piece_bytes());
        let charged = source.memory_bytes();
        if self.writer.heap().charge(charged).is_err() {
            self.refuse_call(handler, OverloadReason::Memory);
            return true;
        }
        self.clock.clear_call_deadline(handler.index);
        self.metrics.on_reply(label, &reply, elapsed);
        self.log().call_in_pieces(handler, &reply, &body, 0);
        let sourced = Sourced::new(key, (service, ticket), reply, source);
        self.begin_sourced(key, handler, sourced, charged);
        self.read_on(key);
        true
    }

    fn begin_sourced(&mut self, key: ConnectionKey, handler: HandlerKey, sourced: Sourced, charged: usize) {
        let now = self.clock.now();
        let is_draining = self.drain.is_begun();
        let Some(connection) = self.table.connection(key) else {
            self.writer.heap().refund(charged);
            return;
        };
        if is_draining {
            connection.response.persistence = Persistence::Close;
        }
        let closes = connection.response.closes();
        let queued = self.writer.begin_sourced(connection, sourced, charged, now);
        self.on_queued(key, queued);
        if closes {
            self.end_lease(handler);
        } else {
            self.finish_lease(handler);
        }
    }

    /// Whether a call's answer may leave while its source is read.
    fn takes_source(&mut self, handler: HandlerKey) -> bool {
        let Some(key) = self.calls.holder(handler) else {
            return false;
        };
        let takes_chunks = self
            .table
            .connection(key)
            .is_some_and(|connection| connection.response.takes_chunks);
        takes_chunks && !self.calls.is_task(handler) && self.takes_pieces(key, handler)
    }

    /// Has the next piece of a connection's answer read, if that is not being done.
    pub(in crate::shard) fn read_on(&mut self, key: ConnectionKey) {
        let Some((source, buffer)) = self.writer.take_unread(key) else {
            return;
        };
        let inbox = self.inbox.clone();
        let job = Job::new(
            Cancellation::new(),
            move |_| source.read(buffer),
            move |ended: workers::Outcome<io::Result<Piece>>| {
                let piece = match ended {
                    workers::Outcome::Done(read) => read.map_err(|error| error.to_string()),
                    workers::Outcome::Panicked(message) => Err(format!("it panicked: {message}")),
                    workers::Outcome::Discarded => Err("the workers have stopped".to_owned()),
                };
                inbox.post(ShardEvent::PieceRead { key, piece });
            },
        );
        match self.calls.submit_step(job) {
            Ok(job) => self.writer.on_reading(key, job),
            Err(_) => self.source_failed(key, "the workers have stopped"),
        }
    }

    /// A worker has read on for a connection's answer.
    pub(in crate::shard) fn handle_piece(&mut self, key: ConnectionKey, piece: PieceRead) {
        match piece {
            Ok(piece) => self.writer.on_piece(key, piece),
            Err(reason) => self.source_failed(key, &reason),
        }
    }

    /// A source cannot be read on. If nothing of its answer was sent, that becomes an error; otherwise it breaks off:
    /// the connection ends without the last chunk, so that its client knows.
    fn source_failed(&mut self, key: ConnectionKey, reason: &str) {
        let Some(sourced) = self.writer.take_failed(key) else {
            return;
        };
        let reason = format!("the source of the result failed: {reason}");
        let ended = Ended {
            service: &sourced.service,
            ticket: &sourced.ticket,
            outcome: metrics::Outcome::InternalError,
            reason: Some(&reason),
        };
        self.log().unanswered(key, &ended);
        if !sourced.is_unsent() {
            if sourced.is_parked() {
                self.writer.pass_turn(key, Vec::new());
            }
            return self.abort(key);
        }
        let mut buffer = self.writer.take_buffer();
        let failed = Err(ToolError::internal(reason));
        let reply = sourced
            .service
            .protocol
            .answer(&sourced.ticket, &failed, &mut buffer);
        if let Some(connection) = self.table.connection(key) {
            self.writer.replace_answer(connection, &reply, &mut buffer);
        }
        self.writer.pass_turn(key, buffer);
    }
}

/// Puts what was read into the place of its source.
fn collected(read: io::Result<Collected>, output: &mut Output) -> Result<(), ToolError> {
    let read = read.map_err(|error| match error.kind() {
        ErrorKind::OutOfMemory => {
            ToolError::unavailable("other large results take all memory; try again later")
        }
        _ => ToolError::internal(format_args!("the source of the result failed: {error}")),
    })?;
    if output.put_collected(read) {
        Ok(())
    } else {
        Err(ToolError::message(
            "the result is too large to be sent in this way; ask over HTTP, and for JSON",
        ))
    }
}
