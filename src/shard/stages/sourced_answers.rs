//! Results that come from a source: sent while they are read where that can be, and read first elsewhere.
//!
//! A client that takes JSON over HTTP/1.1 is sent chunks as they are read. Events, messages of channels, batches, tasks
//! and HTTP/1.0 have their answers as a whole: a worker reads the source then, as far as there is memory.
//!
//! ```text
//! function over ─► first piece is read ─► answer begins ─► piece by piece ─► end
//!                  (still a call: refused, (a failure
//!                   timed out, cancelled)   breaks it off)
//! ```

use std::io::{self, ErrorKind};

use crate::mcp::{Era, OverloadReason};
use crate::metrics;
use crate::pool::{HandlerKey, HeapShare};
use crate::registry::{AnswerSource, Cancellation, Collected, Outcome, Output, ToolError};
use crate::ring::{ConnectionKey, HangUp};
use crate::transport::http::Persistence;
use crate::workers::{self, Job, Refused};

use super::closing::loss;
use crate::shard::access::Ended;
use crate::shard::connections::State;
use crate::shard::inbox::ShardEvent;
use crate::shard::writer::{Beginning, PIECE_TIME, PieceRead, PieceSource, SourceFailure, Sourced};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Has a worker read from the source of a call's result, if that has one, before the call is settled. False if it
    /// has none.
    #[cold]
    pub(in crate::shard) fn read_source(&mut self, handler: HandlerKey, outcome: &mut Outcome) -> bool {
        let Ok(output) = outcome else {
            return false;
        };
        if !output.is_streamed() {
            return false;
        }
        let Some(source) = output.take_source(self.writer.collecting()) else {
            return false;
        };
        if self.takes_source(handler) {
            self.read_first_piece(handler, output, source);
        } else {
            self.read_whole(handler, output, source);
        }
        true
    }

    /// Has a source read as a whole.
    fn read_whole(&mut self, handler: HandlerKey, output: &Output, source: AnswerSource) {
        // It is there as it was read, and once more in the answer.
        let bytes_max = self.writer.heap().left() / 3;
        let mut output = output.clone();
        let inbox = self.inbox.clone();
        let job = Job::new(
            Cancellation::new(),
            move |given_up| {
                let read = source.read_all(bytes_max, &mut || given_up.is_cancelled());
                collected(read, &mut output).map(|()| output)
            },
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
        let submitted = self.calls.submit(handler, job);
        self.on_reading_submitted(handler, submitted);
    }

    /// Has the first piece of an answer read, which begins with it. Until then it can still become another.
    fn read_first_piece(&mut self, handler: HandlerKey, output: &Output, source: AnswerSource) {
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let mut around = Vec::new();
        let protocol = &call.service.protocol;
        let (reply, at) = protocol.answer_around_source(&call.ticket, output, &mut around);
        let source = PieceSource::new(around.clone(), at, source, self.writer.piece_bytes());
        let Ok(memory) = self.writer.heap().hold(source.memory_bytes()) else {
            return self.refuse_call(handler, OverloadReason::Memory);
        };
        let (inbox, clock) = (self.inbox.clone(), self.clock.source());
        let job = Job::new(
            Cancellation::new(),
            move |_| {
                let first = Box::new(source).read(Vec::new(), clock)?;
                Ok(Box::new(Beginning { reply, around, first }))
            },
            move |ended| {
                let read = flatten(ended);
                inbox.post(ShardEvent::Begun { handler, read });
            },
        );
        let submitted = self.calls.begin_reading(handler, job, memory);
        self.on_reading_submitted(handler, submitted);
    }

    fn on_reading_submitted(&mut self, handler: HandlerKey, submitted: Result<(), Refused>) {
        match submitted {
            Ok(()) => self.watch_call(handler),
            Err(Refused::Full(_)) => self.refuse_call(handler, OverloadReason::Workers),
            Err(Refused::Stopping(_)) => self.refuse_call(handler, OverloadReason::Draining),
        }
    }

    /// A worker has read the first piece of the answer to a call, or could not.
    pub(in crate::shard) fn settle_begun(
        &mut self,
        handler: HandlerKey,
        read: Result<Box<Beginning>, SourceFailure>,
    ) {
        let Some(memory) = self.calls.end_reading(handler) else {
            return;
        };
        let beginning = match read {
            Ok(beginning) => *beginning,
            Err(SourceFailure::Memory) => return self.refuse_call(handler, OverloadReason::Memory),
            Err(SourceFailure::Broken(reason)) => {
                let reason = format!("the source of the result failed: {reason}");
                return self.settle(handler, Err(ToolError::internal(reason)));
            }
        };
        let ended = self.clock.read();
        let Some(key) = self.calls.holder(handler) else {
            return;
        };
        let Some((service, label, elapsed)) = self.end_run(handler, ended) else {
            return;
        };
        let Some(ticket) = self.calls.at(handler).map(|call| call.ticket.clone()) else {
            return;
        };
        let Beginning { reply, around, first } = beginning;
        self.clock.clear_call_deadline(handler.index);
        self.metrics.on_reply(label, &reply, elapsed);
        self.log().call_in_pieces(handler, &reply, &around, 0);
        let sourced = Sourced::new(key, (service, ticket), reply, first);
        self.begin_sourced(key, handler, sourced, memory);
        self.on_encoded(ended);
    }

    fn begin_sourced(
        &mut self,
        key: ConnectionKey,
        handler: HandlerKey,
        sourced: Sourced,
        memory: HeapShare,
    ) {
        let now = self.clock.now();
        let is_draining = self.drain.is_begun();
        let Some(connection) = self.table.connection(key).filter(|c| c.state != State::Dead) else {
            return self.end_lease(handler);
        };
        if is_draining {
            connection.response.persistence = Persistence::Close;
        }
        let closes = connection.response.closes();
        let queued = self
            .writer
            .begin_sourced(key, connection, sourced, memory.keep(), now);
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
        let (inbox, clock) = (self.inbox.clone(), self.clock.source());
        let job = Job::new(
            Cancellation::new(),
            move |_| source.read(buffer, clock).map_err(SourceFailure::from),
            move |ended| {
                let piece = flatten(ended);
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
            Err(failure) => return self.source_failed(key, failure.reason()),
        }
        if self.writer.awaits_source(key) {
            // It has given something, if too little for a piece.
            self.await_source(key);
        }
        self.read_on(key);
    }

    /// The client has taken all there is: from now on its source has the time for the next piece.
    pub(in crate::shard) fn await_source(&mut self, key: ConnectionKey) {
        let time = self.service.timeouts.write + PIECE_TIME;
        self.clock.set_deadline(key, self.clock.now() + time);
    }

    /// The client of an answer that is read while it is sent hung up, or finished sending. It is as with a call that
    /// has not ended: since 2026-07-28 nobody reads on then; before, one that only finished sending still reads.
    pub(in crate::shard) fn reader_gone(&mut self, key: ConnectionKey, outcome: &HangUp) {
        let era = self
            .writer
            .unfinished_source(key)
            .map(|ticket| ticket.revision().era());
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if era == Some(Era::Legacy) && matches!(outcome, HangUp::ReadClosed) {
            connection.on_half_closed(self.ring.unread_bytes(&connection.socket));
            connection.outgoing.closes |= connection.response.closes();
            return;
        }
        let error = self.ring.take_error(&connection.socket);
        self.metrics.count_eviction(loss(error.as_ref()));
        self.client_gone(key);
    }

    /// A source cannot be read on, and some of its answer was sent: the connection ends without the last chunk, so that
    /// its client knows.
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
        if sourced.is_parked() {
            self.writer.pass_turn(key, Vec::new());
        }
        self.abort(key);
    }
}

/// What a worker has read.
fn flatten<T>(ended: workers::Outcome<Result<T, SourceFailure>>) -> Result<T, SourceFailure> {
    match ended {
        workers::Outcome::Done(read) => read,
        workers::Outcome::Panicked(message) => Err(SourceFailure::Broken(format!("it panicked: {message}"))),
        workers::Outcome::Discarded => Err(SourceFailure::Broken("the workers have stopped".to_owned())),
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
