//! The ways a connection ends.
//!
//! Closing is half-closing: our FIN goes out behind the answer, and what the peer had on its way is read and dropped
//! for a moment, so that no RST destroys an answer still unread. An aborted connection is closed as soon as nothing in
//! the ring names it.

use std::io::{self, ErrorKind};
use std::net::Shutdown;

use crate::mcp::OverloadReason;
use crate::metrics::Eviction;
use crate::ring::ConnectionKey;
use crate::transport::http::{HEAD_RESERVE, Persistence, Refusal};

use crate::shard::access::Subject;
use crate::shard::channels::Close;
use crate::shard::connections::{State, Waiting};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Gives a connection up because it missed a deadline or others need its memory, with a 408 where an answer is
    /// still possible.
    pub(in crate::shard) fn evict(&mut self, key: ConnectionKey, reason: Eviction) {
        if self.table.channel(key).is_some() {
            return self.evict_channel(key, reason);
        }
        self.metrics.count_eviction(reason);
        self.note_origin_of_kept(key);
        if self.release_for_refusal(key) {
            self.log().refusal(key, Refusal::Timeout, None);
            self.answer_refusal(key, Refusal::Timeout, false, false);
        }
    }

    /// There is no memory for what this connection sends. If the bytes are pipelined behind a request in progress, that
    /// request is still answered.
    pub(in crate::shard) fn refuse_memory(&mut self, key: ConnectionKey) {
        if self.table.channel(key).is_some() {
            return self.close_channel(key, Close::Memory);
        }
        if let Some(connection) = self.table.connection(key)
            && matches!(connection.state, State::Calling(_) | State::Answering)
        {
            connection.response.persistence = Persistence::Close;
            connection.outgoing.closes = true;
            self.metrics.refusals.increment(OverloadReason::Memory);
            return;
        }
        self.note_origin_of_kept(key);
        if self.release_for_refusal(key) {
            self.refuse_undecoded(key, OverloadReason::Memory);
        }
    }

    /// Answers an open connection with an overload that names no request, and closes it behind.
    pub(in crate::shard) fn refuse_undecoded(&mut self, key: ConnectionKey, reason: OverloadReason) {
        let overload = self.overload(reason);
        // It was never decoded, but from here on it is answered like any request.
        self.metrics.in_flight.up();
        let mut buffer = self.writer.take_buffer();
        let reply = self.service.main().protocol.refuse(None, &overload, &mut buffer);
        self.log()
            .answer(key, Subject::Unread, &reply, &buffer[HEAD_RESERVE..]);
        if let Some(connection) = self.table.connection(key) {
            connection.response.persistence = Persistence::Close;
        }
        self.reply(key, buffer, None, &reply);
    }

    /// Takes back the memory of a connection that is to be refused. False if its client cannot be told any more: the
    /// connection is then aborted.
    fn release_for_refusal(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.table.connection(key) else {
            return false;
        };
        let can_answer = connection.state == State::Open && !connection.ring.is_sending;
        self.intake.drop_kept(&mut connection.request);
        if !can_answer {
            self.abort(key);
        }
        can_answer
    }

    /// Our side is finished: FIN, then wait for the peer's.
    pub(in crate::shard) fn begin_close(&mut self, key: ConnectionKey) {
        let deadline = self.clock.now() + self.drain.close_linger();
        self.leave_channel(key);
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.state = State::Closing;
        connection.waiting = Waiting::Close;
        self.ring.shutdown(&connection.socket, Shutdown::Write);
        self.intake.drop_kept(&mut connection.request);
        self.end_hold(key);
        self.intake.arm_receive(key, &mut self.table, &mut self.ring);
        self.clock.set_deadline(key, deadline);
    }

    /// Ends a connection, a message or a task now.
    pub(in crate::shard) fn abort(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key) {
            let state = connection.state;
            return self.abort_connection(key, state);
        }
        self.abandon_wait(key);
        self.clock.clear_deadline(key);
        if let Some(mut exchange) = self.table.remove_exchange(key) {
            self.part(key, &exchange);
            self.intake.drop_kept(&mut exchange.request);
            if let Some(open) = exchange.request.stream {
                self.leave_stream(key, *open);
            }
            return;
        }
        self.table.remove_task(key);
    }

    /// Ends a connection now. Its descriptor is closed once nothing in the ring names it.
    fn abort_connection(&mut self, key: ConnectionKey, state: State) {
        if state == State::Dead {
            return self.table.reap(key, &mut self.ring);
        }
        self.abandon_wait(key);
        self.leave_channel(key);
        self.end_hold(key);
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.state = State::Dead;
        self.writer.end_source(key);
        self.intake.drop_kept(&mut connection.request);
        let stream = connection.request.stream.take();
        if connection.ring.is_in_flight() {
            self.ring.shutdown(&connection.socket, Shutdown::Both);
        }
        if let Some(open) = stream {
            self.leave_stream(key, *open);
        }
        self.clock.clear_deadline(key);
        self.table.reap(key, &mut self.ring);
    }

    pub(in crate::shard) fn handle_closed(&mut self, key: ConnectionKey) {
        if self.handle_pipe_closed(key) {
            return;
        }
        let address = self.table.free(key);
        self.metrics.on_closed();
        self.acceptor.on_closed(&mut self.ring, address);
        if self.acceptor.is_over() {
            // It was the only client of this process, and its calls were given up when it was aborted.
            self.begin_drain(self.clock.now());
        }
    }
}

/// What a connection that broke is counted as.
pub(in crate::shard) fn loss(error: Option<&io::Error>) -> Eviction {
    // While a time-out runs, a router may report that the peer is unreachable: that error replaces the time-out.
    let is_vanished = error.is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
        )
    });
    if is_vanished {
        Eviction::Vanished
    } else {
        Eviction::HangUp
    }
}
