//! From an answer to the wire, and the ways a connection ends.
//!
//! An answer leaves in one send, head and body together, from a response buffer that is the ring's until then. The
//! handler is free as soon as the send is queued: an answer that only waits to be sent keeps nobody waiting. What
//! the socket does not take at once moves to an outbox: a slow reader holds memory within the shard's budget.
//!
//! Closing is half-closing: our FIN goes out behind the answer, and what the peer had on its way is read and
//! dropped for a moment, so that no RST destroys an answer still unread.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::ops::Range;

use crate::mcp::OverloadReason;
use crate::metrics::{Eviction, HttpRefusal, Stage};
use crate::pool::HandlerKey;
use crate::ring::{ConnectionKey, SendMode};
use crate::transport::http::{HEAD_RESERVE, Persistence, Refusal, Response};

use super::access::Subject;
use super::admission::Claim;
use super::connections::{Outgoing, OutgoingKind, State, Waiting};
use super::{Shard, ShardRing};

/// Bytes of an outbox offered in one send, so that a slow reader's progress is seen and its deadline moves.
const OUTBOX_SEND_BYTES: usize = 256 << 10;

/// An answer, and what it was written for.
pub(super) struct Answer<'a> {
    /// Room for its head, and for a reply its body behind that.
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
    pub(super) fn counted(buffer: Vec<u8>, response: Response<'a>) -> Answer<'a> {
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
    pub(super) fn answer(&mut self, key: ConnectionKey, answer: Answer<'_>) {
        let Answer {
            mut buffer,
            response,
            handler,
            charged,
            is_counted,
        } = answer;
        let is_draining = self.is_draining();
        let connection = self.table.connection(key).filter(|c| c.state != State::Dead);
        let Some(connection) = connection else {
            let outgoing = Outgoing {
                charged,
                is_counted,
                ..Outgoing::default()
            };
            self.reclaim(outgoing, buffer);
            return handler.into_iter().for_each(|handler| self.end_lease(handler));
        };
        if is_draining {
            connection.response.persistence = Persistence::Close;
        }
        let range = response.write(&mut buffer, &connection.response, self.date.text());
        let closes = connection.response.closes();
        let outgoing = Outgoing {
            range,
            charged,
            closes,
            kind: OutgoingKind::Answer,
            is_counted,
        };
        self.send(key, buffer, outgoing, SendMode::Attempt);
        match handler {
            Some(handler) if closes => self.end_lease(handler),
            Some(handler) => self.finish_lease(handler),
            None => {}
        }
    }

    /// Answers in HTTP's own words; closes behind the answer unless `goes_on`.
    pub(super) fn answer_refusal(
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
        let buffer = self.spares.take();
        let answer = Answer {
            is_counted: false,
            ..Answer::counted(buffer, Response::Refusal { refusal, is_head })
        };
        self.answer(key, answer);
    }

    /// Notes the origin of a request that is refused before anything else of it is known: as far as `window`, the front
    /// of it, names one.
    pub(super) fn note_origin_in(&mut self, key: ConnectionKey, window: &[u8]) {
        if let Some(connection) = self.table.connection(key) {
            let policy = &self.service.policy;
            connection
                .response
                .note_unparsed(window, policy, &mut self.origins);
        }
    }

    /// The same for the request whose beginning was kept. That of a request in hand, if there is one, stays.
    fn note_origin_of_kept(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key)
            && connection.is_between_answers()
            && let Some(kept) = connection.request.assembly.as_deref()
        {
            let policy = &self.service.policy;
            connection
                .response
                .note_unparsed(kept.window(), policy, &mut self.origins);
        }
    }

    /// Sends bytes that are no final answer; the request goes on being read behind them.
    pub(super) fn send_interim(&mut self, key: ConnectionKey, buffer: Vec<u8>, range: Range<usize>) {
        let outgoing = Outgoing {
            range,
            kind: OutgoingKind::Interim,
            ..Outgoing::default()
        };
        self.send(key, buffer, outgoing, SendMode::Attempt);
    }

    pub(super) fn send(&mut self, key: ConnectionKey, buffer: Vec<u8>, outgoing: Outgoing, mode: SendMode) {
        let write_deadline = self.clock.now + self.service.timeouts.write;
        let Some(connection) = self.table.connection(key) else {
            return self.reclaim(outgoing, buffer);
        };
        debug_assert!(!connection.ring.is_sending, "two sends at once on {key:?}");
        let is_answer = outgoing.kind == OutgoingKind::Answer;
        if is_answer {
            connection.state = State::Answering;
            connection.request.phase_began = self.clock.now;
        }
        let is_patient = connection
            .channel
            .as_ref()
            .is_some_and(|channel| channel.is_patient());
        if outgoing.kind != OutgoingKind::Interim && !is_patient {
            connection.waiting = Waiting::Write;
        }
        connection.ring.is_sending = true;
        let range = outgoing.range.clone();
        // Usually the next thing this connection needs: armed now, both are begun with one system call.
        let reads_on = is_answer && !outgoing.closes && connection.request.assembly.is_none();
        connection.outgoing = outgoing;
        self.ring.send(key, &connection.socket, buffer, range, mode);
        self.sends_queued += 1;
        if reads_on {
            self.arm_receive(key);
        }
        if !is_patient {
            self.set_deadline(key, write_deadline);
        }
    }

    /// The peer sends no more, but its answer is still on the way: close behind it.
    pub(super) fn close_behind_answer(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key) {
            connection.outgoing.closes = true;
        }
    }

    pub(super) fn handle_sent(
        &mut self,
        key: ConnectionKey,
        buffer: Vec<u8>,
        result: std::io::Result<usize>,
    ) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.ring.is_sending = false;
        let mut outgoing = std::mem::take(&mut connection.outgoing);
        let is_dead = connection.state == State::Dead;
        let taken = match result {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.reclaim(outgoing, buffer);
                if !is_dead {
                    self.metrics.count_eviction(loss(Some(&error)));
                }
                return self.lose_client(key);
            }
        };
        self.metrics.sent_bytes.add(taken as u64);
        outgoing.range.start += taken;
        if is_dead || outgoing.range.is_empty() {
            let (closes, kind) = (outgoing.closes, outgoing.kind);
            self.reclaim(outgoing, buffer);
            return match kind {
                _ if is_dead => self.bury(key),
                // What came meanwhile may be the whole of the request.
                OutgoingKind::Interim => self.serve_assembly(key, Claim::New),
                OutgoingKind::Stream => self.go_on_streaming(key),
                OutgoingKind::Channel => self.go_on_with_channel(key),
                OutgoingKind::Answer => self.on_answered(key, closes),
            };
        }
        self.send_rest(key, buffer, outgoing);
    }

    /// The socket did not take everything: the rest goes from an outbox, and the response buffer is free.
    fn send_rest(&mut self, key: ConnectionKey, buffer: Vec<u8>, mut outgoing: Outgoing) {
        let mut outbox = buffer;
        if outgoing.charged == 0 {
            if outbox.capacity() == self.calls.pool.buffer_bytes() {
                let rest = outbox[outgoing.range.clone()].to_vec();
                outgoing.range = 0..rest.len();
                self.spares.put(std::mem::replace(&mut outbox, rest));
            }
            if self.heap.charge(outbox.capacity()).is_err() {
                self.metrics.refusals.increment(OverloadReason::Memory);
                self.reclaim(outgoing, outbox);
                return self.lose_client(key);
            }
            outgoing.charged = outbox.capacity();
        }
        let whole = outgoing.range.clone();
        let piece = whole.start..whole.end.min(whole.start + OUTBOX_SEND_BYTES);
        let write_deadline = self.clock.now + self.service.timeouts.write;
        let Some(connection) = self.table.connection(key) else {
            return self.reclaim(outgoing, outbox);
        };
        let is_patient = connection
            .channel
            .as_ref()
            .is_some_and(|channel| channel.is_patient());
        connection.ring.is_sending = true;
        connection.outgoing = outgoing;
        self.ring
            .send(key, &connection.socket, outbox, piece, SendMode::All);
        match is_patient {
            true => self.on_channel_progress(key),
            false => self.set_deadline(key, write_deadline),
        }
    }

    /// Heap bytes that an answer takes beyond the buffers made at start: all of them, once it has outgrown its own.
    pub(super) fn heap_bytes_of(&self, buffer: &Vec<u8>) -> usize {
        match buffer.capacity() {
            capacity if capacity > self.calls.pool.buffer_bytes() => capacity,
            _ => 0,
        }
    }

    /// A buffer whose sending is over, one way or another, goes back to where it came from.
    pub(super) fn reclaim(&mut self, outgoing: Outgoing, buffer: Vec<u8>) {
        self.heap.refund(outgoing.charged);
        if outgoing.is_counted {
            self.metrics.in_flight.down();
        }
        self.spares.put(buffer);
    }

    /// The answer is with the kernel.
    fn on_answered(&mut self, key: ConnectionKey, closes: bool) {
        let now = self.clock.read();
        if let Some(connection) = self.table.connection(key) {
            let (request_at, sent_at) = (connection.request.began, connection.request.phase_began);
            self.metrics.record(Stage::Write, sent_at, now);
            self.metrics.record(Stage::Total, request_at, now);
        }
        if closes {
            self.begin_close(key);
        } else {
            self.resume(key);
        }
    }

    /// Gives a connection up for a deadline or for others, with a 408 where an answer is still possible.
    pub(super) fn evict(&mut self, key: ConnectionKey, reason: Eviction) {
        if self.channel(key).is_some() {
            return self.evict_channel(key, reason);
        }
        self.metrics.count_eviction(reason);
        self.note_origin_of_kept(key);
        if self.can_turn_out(key) {
            self.log_refusal(key, Refusal::Timeout, None);
            self.answer_refusal(key, Refusal::Timeout, false, false);
        }
    }

    /// There is no memory for what this connection sends. If it is pipelined behind a request in hand, that
    /// one is still answered.
    pub(super) fn refuse_memory(&mut self, key: ConnectionKey) {
        if self.channel(key).is_some() {
            return self.refuse_channel_memory(key);
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
        if self.can_turn_out(key) {
            self.refuse_undecoded(key, OverloadReason::Memory);
        }
    }

    /// Answers an open connection with an overload that names no request, and closes it behind.
    pub(super) fn refuse_undecoded(&mut self, key: ConnectionKey, reason: OverloadReason) {
        let overload = self.overload(reason);
        // It was never decoded, but from here on it is answered like any request.
        self.metrics.in_flight.up();
        let mut buffer = self.spares.take();
        let reply = self.service.protocol.refuse(None, &overload, &mut buffer);
        self.log_answer(key, Subject::Unread, &reply, &buffer[HEAD_RESERVE..]);
        if let Some(connection) = self.table.connection(key) {
            connection.response.persistence = Persistence::Close;
        }
        self.reply(key, buffer, None, &reply);
    }

    /// Takes back what a connection holds. Whether it can still be told why; if not, it is gone.
    fn can_turn_out(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.table.connection(key) else {
            return false;
        };
        let can_answer = connection.state == State::Open && !connection.ring.is_sending;
        if let Some(assembly) = connection.request.assembly.take() {
            self.assembly.give_back(assembly, &mut self.heap);
        }
        if !can_answer {
            self.kill(key);
        }
        can_answer
    }

    /// Our side is finished: FIN, then wait for the peer's.
    pub(super) fn begin_close(&mut self, key: ConnectionKey) {
        let deadline = self.clock.now + self.close_linger();
        self.leave_channel(key);
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.state = State::Closing;
        connection.waiting = Waiting::Close;
        let assembly = connection.request.assembly.take();
        self.ring.shutdown(&connection.socket, Shutdown::Write);
        if let Some(assembly) = assembly {
            self.assembly.give_back(assembly, &mut self.heap);
        }
        self.end_hold(key);
        self.arm_receive(key);
        self.set_deadline(key, deadline);
    }

    /// Ends a connection, a message or a task now.
    pub(super) fn kill(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key) {
            let state = connection.state;
            return self.kill_connection(key, state);
        }
        self.abandon_wait(key);
        self.clear_deadline(key);
        if let Some(exchange) = self.table.remove_exchange(key) {
            if let Some(assembly) = exchange.request.assembly {
                self.assembly.give_back(assembly, &mut self.heap);
            }
            if let Some(open) = exchange.request.stream {
                self.leave_stream(key, *open);
            }
        }
        self.table.remove_task(key);
    }

    /// Ends a connection now. Its descriptor is closed once nothing in the ring names it.
    fn kill_connection(&mut self, key: ConnectionKey, state: State) {
        if state == State::Dead {
            return self.bury(key);
        }
        self.abandon_wait(key);
        self.leave_channel(key);
        self.end_hold(key);
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.state = State::Dead;
        let assembly = connection.request.assembly.take();
        let stream = connection.request.stream.take();
        if connection.ring.is_in_flight() {
            self.ring.shutdown(&connection.socket, Shutdown::Both);
        }
        if let Some(assembly) = assembly {
            self.assembly.give_back(assembly, &mut self.heap);
        }
        if let Some(open) = stream {
            self.leave_stream(key, *open);
        }
        self.clear_deadline(key);
        self.bury(key);
    }

    /// Closes a dead connection's descriptor if the ring owes nothing that names it.
    pub(super) fn bury(&mut self, key: ConnectionKey) {
        if self
            .table
            .connection(key)
            .is_none_or(|connection| connection.ring.is_in_flight())
        {
            return;
        }
        if let Some(socket) = self.table.remove_to_close(key) {
            self.ring.close(key, socket);
        }
    }

    pub(super) fn handle_closed(&mut self, key: ConnectionKey) {
        let address = self.table.free(key);
        self.metrics.on_closed();
        self.on_left(address);
        if self.acceptor.is_over() {
            // The only client there was; what it has left behind is given up by now.
            self.begin_drain(self.clock.now);
        }
    }
}

/// What a connection that broke is counted as.
pub(super) fn loss(error: Option<&std::io::Error>) -> Eviction {
    // A router's word on an unreachable peer stands in for the time-out it was heard during.
    let is_vanished = error.is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
        )
    });
    match is_vanished {
        true => Eviction::Vanished,
        false => Eviction::HangUp,
    }
}
