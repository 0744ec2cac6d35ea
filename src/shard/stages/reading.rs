//! From bytes to a request: receives, assembly buffers, refusals of what is not let in.
//!
//! A request that arrived whole is served from the ring buffer it lies in. Anything left over (a piece of a
//! request, a request that waits, or requests pipelined behind one in hand) is copied to an assembly buffer
//! before the ring buffer goes back, so a ring buffer is never held across anything awaited. While a request
//! waits, a call runs or an answer is on its way nothing is read, and TCP pushes back on the client.

use std::io;
use std::rc::Rc;

use crate::metrics::{Eviction, Stage};
use crate::pool::Assembly;
use crate::ring::{ConnectionKey, Received};
use crate::transport::http::{self, HEAD_RESERVE, MissingBody, Progress, Refused};

use super::closing::loss;
use crate::shard::admission::Claim;
use crate::shard::connections::{Outgoing, OutgoingKind, State, Waiting};
use crate::shard::{Shard, ShardRing};

/// How many slow ones give way to one that needs memory.
const GIVEN_UP_MAX: usize = 8;

/// Bytes that are received straight into a buffer, at least, when nobody knows how many are to come.
const FILL_BYTES_MIN: usize = 4 << 10;

/// What became of the front of a window.
pub(in crate::shard) enum ReadOutcome {
    /// This many bytes are done with: a request, and the connection is busy with its answer, or empty lines.
    Consumed(usize),
    /// A request, which waits for a handler: the whole window is to be kept.
    Queued,
    /// No whole request is there.
    Incomplete,
    /// The connection reads no more.
    Ended,
}

impl<R: ShardRing> Shard<R> {
    pub(in crate::shard) fn handle_received(&mut self, key: ConnectionKey, outcome: Received) {
        let Some(connection) = self.table.connection(key) else {
            return self.handle_pipe_received(key, outcome);
        };
        connection.ring.is_receiving = false;
        if !matches!(outcome, Received::Starved) {
            connection.ring.is_passed_over = false;
        }
        let state = connection.state;
        let reads_no_more = match state {
            State::Closing => true,
            State::Answering => connection.outgoing.closes,
            _ => false,
        };
        if state == State::Dead {
            return self.table.reap(key, &mut self.ring);
        }
        if let State::Moving(_) = state {
            return self.handle_received_moving(key, outcome);
        }
        match outcome {
            Received::Bytes(bytes) if reads_no_more => self.drop_received(key, bytes.len()),
            Received::Bytes(bytes) if connection.waiting == Waiting::Refusal => {
                self.refuse_connection(key, &bytes);
            }
            Received::Bytes(bytes) => {
                self.metrics.received_bytes.add(bytes.len() as u64);
                if state == State::Open {
                    self.read(key, &bytes);
                } else {
                    // The receive was armed with the answer, and the peer was quicker than its completion.
                    self.keep(key, &bytes);
                }
            }
            Received::Starved => {
                self.metrics.ring_starved.increment();
                self.intake.starve(key, connection);
            }
            // A client that sends no more may still read: the answer on its way is the last.
            Received::End if state == State::Answering => connection.outgoing.closes = true,
            // Armed with the answer before: the watch on the call's client is what ends it.
            Received::End | Received::Cancelled | Received::Failed(_)
                if matches!(state, State::Calling(_) | State::Streaming | State::Queued(_)) => {}
            Received::Failed(error) => self.end_of_input(key, state, Some(&error)),
            Received::End | Received::Cancelled => self.end_of_input(key, state, None),
        }
    }

    /// More of a body has come straight into its buffer.
    pub(in crate::shard) fn handle_filled(
        &mut self,
        key: ConnectionKey,
        buffer: Vec<u8>,
        result: io::Result<usize>,
    ) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if let Some(assembly) = connection.request.assembly.as_deref_mut() {
            assembly.put_back(buffer);
        }
        let is_open = connection.state == State::Open;
        if !is_open {
            // It was refused or given up meanwhile.
            self.intake.drop_kept(&mut connection.request);
        }
        let outcome = match result {
            Ok(0) => Received::End,
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Received::Cancelled,
            Err(error) => Received::Failed(error),
            Ok(bytes) => {
                connection.ring.is_receiving = false;
                self.metrics.received_bytes.add(bytes as u64);
                return match (is_open, self.table.channel(key)) {
                    (true, Some(_)) => self.read_channel_on(key),
                    (true, None) => self.serve_assembly(key, Claim::New),
                    (false, _) => self.drop_received(key, bytes),
                };
            }
        };
        self.handle_received(key, outcome);
    }

    /// Bytes of a connection that reads no more have come.
    fn drop_received(&mut self, key: ConnectionKey, bytes: usize) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.state == State::Dead {
            self.table.reap(key, &mut self.ring);
        } else if connection.drop_bytes(bytes) {
            self.intake.arm_receive(key, &mut self.table, &mut self.ring);
        } else {
            self.abort(key);
        }
    }

    /// New bytes of an open connection.
    fn read(&mut self, key: ConnectionKey, bytes: &[u8]) {
        if self.table.channel(key).is_some() {
            return self.read_channel(key, bytes);
        }
        self.hold_from_first_byte(key);
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.request.assembly.is_some() {
            return self.append_and_serve(key, bytes);
        }
        connection.request.phase_began = self.clock.now();
        connection.request.began = self.clock.now();
        connection.is_fresh = false;
        self.serve_window(key, bytes, Claim::New);
    }

    /// Serves the front of a window that is about to go, and keeps the rest.
    pub(in crate::shard) fn serve_window(&mut self, key: ConnectionKey, window: &[u8], claim: Claim) {
        let mut taken = self.take_request(key, window, claim);
        if matches!(taken, ReadOutcome::Queued) {
            if self.keep_queued(key, window) {
                return;
            }
            taken = self.refuse_unkept(key, window);
        }
        let rest = match taken {
            ReadOutcome::Ended | ReadOutcome::Queued => return,
            ReadOutcome::Consumed(consumed) => &window[consumed..],
            ReadOutcome::Incomplete => window,
        };
        if self.table.channel(key).is_some() {
            return self.begin_reading_channel(key, rest);
        }
        if !rest.is_empty() && !self.keep(key, rest) {
            return;
        }
        self.await_more(key);
    }

    fn append_and_serve(&mut self, key: ConnectionKey, bytes: &[u8]) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let Some(assembly) = connection.request.assembly.take() else {
            return;
        };
        let (assembly, is_kept) = self.append_kept(key, assembly, bytes);
        match self.table.connection(key) {
            Some(connection) => connection.request.assembly = Some(assembly),
            None => return self.intake.give_back(assembly),
        }
        if is_kept {
            self.serve_assembly(key, Claim::New);
        } else {
            self.refuse_memory(key);
        }
    }

    /// Takes the next request from what was kept; called when bytes came, when an answer is out, and when a request
    /// has waited.
    pub(in crate::shard) fn serve_assembly(&mut self, key: ConnectionKey, claim: Claim) {
        let request = self.table.request(key);
        let Some(mut assembly) = request.and_then(|request| request.assembly.take()) else {
            return;
        };
        let taken = self.take_request(key, assembly.window(), claim);
        match taken {
            ReadOutcome::Consumed(consumed) => assembly.consume(consumed),
            ReadOutcome::Queued => {
                assembly = self.intake.move_to_waiting(assembly);
            }
            ReadOutcome::Incomplete | ReadOutcome::Ended => {}
        }
        if self.table.channel(key).is_some() {
            self.begin_reading_channel(key, assembly.window());
            return self.intake.give_back(assembly);
        }
        let is_done = assembly.is_empty() || matches!(taken, ReadOutcome::Ended);
        match self.table.request(key) {
            Some(request) if !is_done => request.assembly = Some(assembly),
            _ => self.intake.give_back(assembly),
        }
        match taken {
            ReadOutcome::Ended => {}
            ReadOutcome::Queued => self.go_on_moving(key),
            ReadOutcome::Consumed(_) | ReadOutcome::Incomplete => self.await_more(key),
        }
    }

    /// Keeps bytes that cannot be served now. False if there was no room and the connection is given up.
    pub(in crate::shard) fn keep(&mut self, key: ConnectionKey, rest: &[u8]) -> bool {
        let kept = self
            .table
            .connection(key)
            .and_then(|connection| connection.request.assembly.take());
        let assembly = kept.unwrap_or_else(|| self.take_assembly(key));
        let (assembly, is_kept) = self.append_kept(key, assembly, rest);
        match self.table.connection(key) {
            Some(connection) if is_kept => connection.request.assembly = Some(assembly),
            _ => self.intake.give_back(assembly),
        }
        if !is_kept {
            self.refuse_memory(key);
        }
        is_kept
    }

    /// Appends bytes of this connection to its assembly, which is out of the table meanwhile. When there is no memory
    /// for them, those that are slow give way. Whether there was room in the end.
    pub(in crate::shard) fn append_kept(
        &mut self,
        key: ConnectionKey,
        mut assembly: Box<Assembly>,
        bytes: &[u8],
    ) -> (Box<Assembly>, bool) {
        for _ in 0..GIVEN_UP_MAX {
            if self.intake.append(&mut assembly, bytes) {
                return (assembly, true);
            }
            if !self.evict_slow(key) {
                break;
            }
            if assembly.is_empty() {
                self.intake.give_back(assembly);
                assembly = self.intake.free_buffer();
            }
        }
        // If they are of the next request, that is refused, and its front names the page that sent it.
        if self
            .table
            .connection(key)
            .is_some_and(|connection| connection.is_between_answers())
        {
            let front = if assembly.is_empty() {
                bytes
            } else {
                assembly.window()
            };
            self.note_origin_in(key, front);
        }
        (assembly, false)
    }

    /// An assembly buffer. If none is free and somebody is slow to send the rest of a request, that one is given up
    /// for it, so that slow senders starve each other and nobody else. If nobody is, it lies on the heap.
    fn take_assembly(&mut self, asking: ConnectionKey) -> Box<Assembly> {
        self.intake.forget_complete(&mut self.table);
        if self.intake.is_exhausted() {
            self.evict_slow(asking);
        }
        self.intake.begin_request(asking)
    }

    /// Gives up the oldest request whose client is slow to send it; whether there was one.
    fn evict_slow(&mut self, asking: ConnectionKey) -> bool {
        let slow = self.intake.next_slow(asking, &mut self.table);
        if let Some(slow) = slow {
            self.evict(slow, Eviction::AssemblyPressure);
        }
        slow.is_some()
    }

    /// Looks for one request at the front of `window` and acts on it.
    pub(in crate::shard) fn take_request(
        &mut self,
        key: ConnectionKey,
        window: &[u8],
        claim: Claim,
    ) -> ReadOutcome {
        let Some(connection) = self.table.connection(key) else {
            return self.take_exchange(key, window, claim);
        };
        if connection.state != State::Open || connection.ring.is_sending {
            return ReadOutcome::Incomplete;
        }
        let common = Rc::clone(self.service.main());
        let mut head = http::Head::default();
        let known = self.service.known_heads();
        let progress = connection
            .intake
            .advance(window, &common.policy, &common.http, known, &mut head);
        let (waiting, sends_continue) = match progress {
            Ok(Progress::Request(request)) => return self.serve_request(key, &request, claim),
            Ok(Progress::Nothing) => {
                connection.intake = http::Intake::default();
                return ReadOutcome::Consumed(window.len());
            }
            Ok(Progress::Head) => (Waiting::Head, false),
            Ok(Progress::Body { sends_continue }) => (Waiting::Body, sends_continue),
            Err(refused) => return self.refuse(key, window, refused),
        };
        if waiting != connection.waiting {
            connection.waiting = waiting;
            connection.request.phase_began = self.clock.now();
        }
        if sends_continue {
            self.send_continue(key);
        }
        ReadOutcome::Incomplete
    }

    /// Serves a request that was admitted, and tells what becomes of its bytes.
    fn serve_request(
        &mut self,
        key: ConnectionKey,
        request: &http::Request<'_, '_>,
        claim: Claim,
    ) -> ReadOutcome {
        if let Some(connection) = self.table.connection(key) {
            connection.request.is_browser = request.head.fields.origin.is_present();
            connection.request.view = request.view;
            let policy = &self.service.policy;
            self.writer
                .note_head(&mut connection.response, request.head, policy);
            if claim == Claim::New {
                connection.request.waited_micros = 0;
                self.metrics
                    .record(Stage::Read, connection.request.began, self.clock.now());
            }
        }
        self.dispatch(key, request, claim);
        match self.table.connection(key).map(|connection| connection.state) {
            Some(State::Queued(_) | State::Moving(_)) => ReadOutcome::Queued,
            _ => ReadOutcome::Consumed(request.consumed),
        }
    }

    fn refuse(&mut self, key: ConnectionKey, window: &[u8], refused: Refused) -> ReadOutcome {
        self.log().refusal(key, refused.refusal, Some(window));
        let goes_on = refused.consumed.is_some();
        if !refused.refusal.is_foreign() {
            self.note_origin_in(key, window);
        } else if let Some(connection) = self.table.connection(key) {
            connection.response.forget_origin();
        }
        self.answer_refusal(key, refused.refusal, refused.is_head, goes_on);
        refused.consumed.map_or(ReadOutcome::Ended, ReadOutcome::Consumed)
    }

    /// Arms what an open connection needs next: a receive and a deadline.
    fn await_more(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.state != State::Open {
            return;
        }
        let (is_begun, is_sending) = (connection.request.assembly.is_some(), connection.ring.is_sending);
        if !is_begun {
            connection.waiting = Waiting::Idle;
        }
        if is_begun && !is_sending {
            self.arm_read(key);
        } else if !is_sending {
            self.intake.arm_receive(key, &mut self.table, &mut self.ring);
        }
        self.set_read_deadline(key);
    }

    /// Receives on an open connection: the rest of a body or message into the buffer that it is parsed from, anything
    /// else into a ring buffer.
    pub(in crate::shard) fn arm_read(&mut self, key: ConnectionKey) {
        let is_armed = self.missing_bytes(key).is_some_and(|missing| {
            if self.table.channel(key).is_none() {
                // While the ring has the bytes, nobody can look up which page is to read a refusal.
                self.note_origin_of_kept(key);
            }
            let connection = self.table.connection(key);
            connection.is_some_and(|c| self.intake.arm_fill(key, missing, c, &mut self.ring))
        });
        if !is_armed {
            self.intake.arm_receive(key, &mut self.table, &mut self.ring);
        }
    }

    /// How much is missing of a body or message whose beginning is kept. If nobody knows, it may be as much again.
    fn missing_bytes(&mut self, key: ConnectionKey) -> Option<usize> {
        let connection = self.table.connection(key)?;
        let kept_bytes = connection.request.assembly.as_deref()?.kept_bytes();
        let missing = match &connection.channel {
            Some(_) => MissingBody::Unknown,
            None => connection.intake.missing_body(kept_bytes),
        };
        match missing {
            MissingBody::Nothing => None,
            MissingBody::Bytes(bytes) => Some(bytes),
            MissingBody::Unknown => Some(kept_bytes.max(FILL_BYTES_MIN)),
        }
    }

    /// A connection behind an answer: the next request if it is there already, else parked.
    pub(in crate::shard) fn resume(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.state = State::Open;
        connection.request.phase_began = self.clock.now();
        connection.request.began = self.clock.now();
        connection.waiting = Waiting::Idle;
        if connection.request.assembly.is_some() {
            self.serve_assembly(key, Claim::New);
        } else {
            self.await_more(key);
        }
    }

    /// The peer sends no more, or the connection is broken.
    fn end_of_input(&mut self, key: ConnectionKey, state: State, error: Option<&io::Error>) {
        let is_begun = self
            .table
            .connection(key)
            .is_some_and(|connection| connection.request.assembly.is_some());
        if state == State::Open && self.table.channel(key).is_some() {
            return self.end_channel_input(key, is_begun);
        }
        // A client may leave between requests; one that vanishes is given up at any time.
        let lost = loss(error);
        let is_amid = match state {
            State::Open => is_begun,
            State::Answering => error.is_some(),
            _ => false,
        };
        if lost == Eviction::Vanished || is_amid {
            self.metrics.count_eviction(lost);
        }
        self.abort(key);
    }

    fn send_continue(&mut self, key: ConnectionKey) {
        let mut buffer = self.writer.take_buffer();
        buffer.extend_from_slice(http::CONTINUE);
        let outgoing = Outgoing {
            range: HEAD_RESERVE..buffer.len(),
            kind: OutgoingKind::Interim,
            ..Outgoing::default()
        };
        self.send(key, buffer, outgoing);
    }
}
