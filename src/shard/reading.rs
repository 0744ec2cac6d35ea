//! From bytes to a request: receives, assembly buffers, refusals of what is not let in.
//!
//! A request that arrived whole is served from the ring buffer it lies in. Anything left over (a piece of a
//! request, a request that waits, or requests pipelined behind one in hand) is copied to an assembly buffer
//! before the ring buffer goes back, so a ring buffer is never held across anything awaited. While a request
//! waits, a call runs or an answer is on its way nothing is read, and TCP pushes back on the client.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::metrics::{Eviction, Stage};
use crate::pool::{Assembly, Purpose};
use crate::ring::{ConnectionKey, Received};
use crate::transport::http::{self, HEAD_RESERVE, Progress, Refused};

use super::admission::Claim;
use super::closing::loss;
use super::connections::{State, Waiting};
use super::{Shard, ShardRing};

/// What a closing connection may still send us before we stop listening: enough for what was on its way.
const DROPPED_BYTES_MAX: u32 = 1 << 20;

/// Who has not sent the rest of a request for this long may be slow, and gives way to others when buffers run out.
/// Clients that send head and body apart take a fraction of it.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// And is slow if it has sent less than this for each second. A client whose bytes are there is read from at this rate
/// even by a shard that takes four seconds for one look at the ring.
const SLOW_BYTES_PER_SECOND: u128 = 1024;
/// How many connections are looked at to find one that is slow.
const SLOW_LOOKS_MAX: usize = 64;
/// How many slow ones give way to one that needs memory.
const GIVEN_UP_MAX: usize = 8;

/// What became of the front of a window.
pub(super) enum Taken {
    /// This many bytes are done with: a request, and the connection is busy with its answer, or empty lines.
    Busy(usize),
    /// A request, which waits for a handler: the whole window is to be kept.
    Queued,
    /// No whole request is there.
    Incomplete,
    /// The connection reads no more.
    Ended,
}

impl<R: ShardRing> Shard<R> {
    /// Receives on a connection. While others wait for ring buffers it joins them: whoever has been served does not
    /// compete for one with those who have not.
    pub(super) fn arm_receive(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.ring.is_receiving || connection.ring.is_starved {
            return;
        }
        if self.starved.is_empty() && self.starved_again.is_empty() {
            connection.ring.is_receiving = true;
            self.ring.receive(key, &connection.socket);
        } else {
            connection.ring.is_starved = true;
            self.starved.push_back(key);
        }
    }

    /// A receive found no ring buffer: the connection is next when there are some. Of those passed over together,
    /// and of those passed over again, who came first stays first.
    fn wait_for_ring_buffer(&mut self, key: ConnectionKey) {
        self.metrics.ring_starved.increment();
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.ring.is_starved = true;
        match std::mem::replace(&mut connection.ring.is_passed_over, true) {
            true => self.starved_again.push_back(key),
            false => self.starved.push_back(key),
        }
    }

    /// Receives for connections that wait for ring buffers, as many as there are. Comes right before a flush, whose
    /// first operations these are then to be.
    pub(super) fn rearm_starved(&mut self) {
        if self.starved.is_empty() && self.starved_again.is_empty() {
            return;
        }
        for _ in 0..self.ring.counters().buffers_free {
            let next = self
                .starved_again
                .pop_front()
                .or_else(|| self.starved.pop_front());
            let Some(key) = next else { return };
            let Some(connection) = self.table.connection(key) else {
                continue;
            };
            connection.ring.is_starved = false;
            if !connection.reads_on() || connection.ring.is_receiving {
                connection.ring.is_passed_over = false;
                continue;
            }
            connection.ring.is_receiving = true;
            if connection.ring.is_passed_over {
                self.ring.receive_ready(key, &connection.socket);
            } else {
                self.ring.receive(key, &connection.socket);
            }
        }
    }

    pub(super) fn handle_received(&mut self, key: ConnectionKey, outcome: Received) {
        let Some(connection) = self.table.connection(key) else {
            return;
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
            return self.reap(key);
        }
        if let State::Moving(_) = state {
            return self.handle_received_moving(key, outcome);
        }
        match outcome {
            Received::Bytes(bytes) if reads_no_more => self.drop_bytes(key, bytes.len()),
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
            Received::Starved => self.wait_for_ring_buffer(key),
            // Who sends no more may still read: the answer on its way is the last.
            Received::End if state == State::Answering => self.close_behind_answer(key),
            // Armed with the answer before: the watch on the call's client is what ends it.
            Received::End | Received::Cancelled | Received::Failed(_)
                if matches!(state, State::Calling(_) | State::Streaming | State::Queued(_)) => {}
            Received::Failed(error) => self.end_of_input(key, state, Some(&error)),
            Received::End | Received::Cancelled => self.end_of_input(key, state, None),
        }
    }

    /// New bytes of an open connection.
    fn read(&mut self, key: ConnectionKey, bytes: &[u8]) {
        if self.channel(key).is_some() {
            return self.read_channel(key, bytes);
        }
        self.hold_from_first_byte(key);
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.request.assembly.is_some() {
            return self.append_and_serve(key, bytes);
        }
        connection.request.phase_began = self.clock.now;
        connection.request.began = self.clock.now;
        connection.is_fresh = false;
        self.serve_window(key, bytes, Claim::New);
    }

    /// Serves the front of a window that is about to go, and keeps the rest.
    pub(super) fn serve_window(&mut self, key: ConnectionKey, window: &[u8], claim: Claim) {
        let mut taken = self.take_request(key, window, claim);
        if matches!(taken, Taken::Queued) {
            if self.keep_queued(key, window) {
                return;
            }
            taken = self.refuse_unkept(key, window);
        }
        let rest = match taken {
            Taken::Ended | Taken::Queued => return,
            Taken::Busy(consumed) => &window[consumed..],
            Taken::Incomplete => window,
        };
        if self.channel(key).is_some() {
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
            None => return self.assembly.give_back(assembly, &mut self.writer.heap),
        }
        match is_kept {
            true => self.serve_assembly(key, Claim::New),
            false => self.refuse_memory(key),
        }
    }

    /// Takes the next request from what was kept; called when bytes came, when an answer is out, and when a request
    /// has waited.
    pub(super) fn serve_assembly(&mut self, key: ConnectionKey, claim: Claim) {
        let request = self.table.request(key);
        let Some(mut assembly) = request.and_then(|request| request.assembly.take()) else {
            return;
        };
        let taken = self.take_request(key, assembly.window(), claim);
        match taken {
            Taken::Busy(consumed) => assembly.consume(consumed),
            Taken::Queued => assembly = self.move_to_waiting_buffer(assembly),
            Taken::Incomplete | Taken::Ended => {}
        }
        if self.channel(key).is_some() {
            self.begin_reading_channel(key, assembly.window());
            return self.assembly.give_back(assembly, &mut self.writer.heap);
        }
        let is_done = assembly.is_empty() || matches!(taken, Taken::Ended);
        match self.table.request(key) {
            Some(request) if !is_done => request.assembly = Some(assembly),
            _ => self.assembly.give_back(assembly, &mut self.writer.heap),
        }
        if !matches!(taken, Taken::Ended | Taken::Queued) {
            self.await_more(key);
        }
    }

    /// What waits lies in a buffer for that, if it fits: those for pieces stay free for requests in pieces.
    fn move_to_waiting_buffer(&mut self, assembly: Box<Assembly>) -> Box<Assembly> {
        let is_small = assembly.window().len() <= self.ring_buffer_bytes;
        let waiting = match assembly.purpose() {
            Some(Purpose::Waiting) => None,
            _ if is_small => self.assembly.take(Purpose::Waiting),
            _ => None,
        };
        let Some(mut waiting) = waiting else {
            return assembly;
        };
        match self
            .assembly
            .append(&mut waiting, assembly.window(), &mut self.writer.heap)
        {
            Ok(()) => {
                self.assembly.give_back(assembly, &mut self.writer.heap);
                waiting
            }
            Err(_) => {
                self.assembly.give_back(waiting, &mut self.writer.heap);
                assembly
            }
        }
    }

    /// Keeps bytes that cannot be served now. False if there was no room and the connection is given up.
    pub(super) fn keep(&mut self, key: ConnectionKey, rest: &[u8]) -> bool {
        let kept = self
            .table
            .connection(key)
            .and_then(|connection| connection.request.assembly.take());
        let assembly = kept.unwrap_or_else(|| self.take_assembly(key));
        let (assembly, is_kept) = self.append_kept(key, assembly, rest);
        match self.table.connection(key) {
            Some(connection) if is_kept => connection.request.assembly = Some(assembly),
            _ => self.assembly.give_back(assembly, &mut self.writer.heap),
        }
        if !is_kept {
            self.refuse_memory(key);
        }
        is_kept
    }

    /// Appends bytes of this connection to its assembly, which is out of the table meanwhile. When there is no memory
    /// for them, those that are slow give way. Whether there was room in the end.
    pub(super) fn append_kept(
        &mut self,
        key: ConnectionKey,
        mut assembly: Box<Assembly>,
        bytes: &[u8],
    ) -> (Box<Assembly>, bool) {
        for _ in 0..GIVEN_UP_MAX {
            let appended = self.assembly.append(&mut assembly, bytes, &mut self.writer.heap);
            if appended.is_ok() {
                return (assembly, true);
            }
            if !self.evict_slow(key) {
                break;
            }
            if assembly.is_empty() {
                self.assembly.give_back(assembly, &mut self.writer.heap);
                assembly = self.free_assembly();
            }
        }
        // If they are of the next request, it is refused: who sent it is said in its front.
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
        if self.incomplete.len() > self.incomplete_max {
            let table = &mut self.table;
            self.incomplete.retain(|&key| {
                table
                    .connection(key)
                    .is_some_and(|c| c.request.assembly.is_some())
            });
            // Looked through again when it has doubled, so that many of them cost each a few looks.
            self.incomplete_max = 2 * self.incomplete.len().max(self.assembly.total(Purpose::Pieces));
        }
        if self.assembly.free(Purpose::Pieces) == 0 {
            self.evict_slow(asking);
        }
        self.incomplete.push_back(asking);
        self.free_assembly()
    }

    fn free_assembly(&mut self) -> Box<Assembly> {
        self.assembly
            .take(Purpose::Pieces)
            .unwrap_or_else(|| self.assembly.extra())
    }

    /// Gives up the oldest request whose client is slow to send it; whether there was one.
    fn evict_slow(&mut self, asking: ConnectionKey) -> bool {
        for _ in 0..self.incomplete.len().min(SLOW_LOOKS_MAX) {
            let Some(oldest) = self.incomplete.pop_front() else {
                return false;
            };
            match self.is_slow(oldest) {
                Some(true) => {
                    self.evict(oldest, Eviction::AssemblyPressure);
                    return true;
                }
                Some(false) => self.incomplete.push_back(oldest),
                None if oldest == asking => self.incomplete.push_back(oldest),
                None => {}
            }
        }
        false
    }

    /// Whether a client owes the rest of a request for long; `None` if nothing of it is kept. It does not while it has to
    /// wait itself (an answer comes first; what waits behind it may turn out to be incomplete), nor for time in which
    /// this shard has not come to look at what it has sent.
    fn is_slow(&mut self, key: ConnectionKey) -> Option<bool> {
        let caught_up_at = self.caught_up_at;
        let connection = self.table.connection(key)?;
        let assembly = connection.request.assembly.as_ref()?;
        let age = caught_up_at.saturating_duration_since(connection.request.began);
        let owed_bytes = age.as_millis() * SLOW_BYTES_PER_SECOND / 1000;
        let is_behind = age >= SLOW_AFTER && (assembly.window().len() as u128) < owed_bytes;
        Some(connection.state == State::Open && connection.reads_on() && is_behind)
    }

    /// Looks for one request at the front of `window` and acts on it.
    pub(super) fn take_request(&mut self, key: ConnectionKey, window: &[u8], claim: Claim) -> Taken {
        let Some(connection) = self.table.connection(key) else {
            return self.take_exchange(key, window, claim);
        };
        if connection.state != State::Open || connection.ring.is_sending {
            return Taken::Incomplete;
        }
        let service = Rc::clone(&self.service.current);
        let (waiting, sends_continue) =
            match connection.intake.advance(window, &service.policy, &service.http) {
                Ok(Progress::Nothing) => {
                    connection.intake = http::Intake::default();
                    return Taken::Busy(window.len());
                }
                Ok(Progress::Head) => (Waiting::Head, false),
                Ok(Progress::Body { sends_continue }) => (Waiting::Body, sends_continue),
                Ok(Progress::Request(request)) => {
                    let began = connection.request.began;
                    connection.request.is_browser = request.head.fields.origin.is_present();
                    let policy = &service.policy;
                    self.writer
                        .note_head(&mut connection.response, &request.head, policy);
                    let consumed = request.consumed;
                    if claim == Claim::New {
                        connection.request.waited_micros = 0;
                        self.metrics.record(Stage::Read, began, self.clock.now);
                    }
                    self.dispatch(key, &request, claim);
                    return match self.table.connection(key).map(|connection| connection.state) {
                        Some(State::Queued(_) | State::Moving(_)) => Taken::Queued,
                        _ => Taken::Busy(consumed),
                    };
                }
                Err(refused) => return self.refuse(key, window, refused),
            };
        if waiting != connection.waiting {
            connection.waiting = waiting;
            connection.request.phase_began = self.clock.now;
        }
        if sends_continue {
            self.send_continue(key);
        }
        Taken::Incomplete
    }

    fn refuse(&mut self, key: ConnectionKey, window: &[u8], refused: Refused) -> Taken {
        self.log_refusal(key, refused.refusal, Some(window));
        let goes_on = refused.consumed.is_some();
        if !refused.refusal.is_foreign() {
            self.note_origin_in(key, window);
        } else if let Some(connection) = self.table.connection(key) {
            connection.response.forget_origin();
        }
        self.answer_refusal(key, refused.refusal, refused.is_head, goes_on);
        refused.consumed.map_or(Taken::Ended, Taken::Busy)
    }

    /// Arms what an open connection needs next: a receive and a deadline.
    fn await_more(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.state != State::Open {
            return;
        }
        if connection.request.assembly.is_none() {
            connection.waiting = Waiting::Idle;
        }
        if !connection.ring.is_sending {
            self.arm_receive(key);
        }
        self.set_read_deadline(key);
    }

    /// A connection behind an answer: the next request if it is there already, else parked.
    pub(super) fn resume(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.state = State::Open;
        connection.request.phase_began = self.clock.now;
        connection.request.began = self.clock.now;
        connection.waiting = Waiting::Idle;
        if connection.request.assembly.is_some() {
            self.serve_assembly(key, Claim::New);
        } else if self.is_draining() {
            self.begin_close(key);
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
        if state == State::Open && self.channel(key).is_some() {
            return self.end_channel_input(key, is_begun);
        }
        // Who leaves between requests just leaves; who vanishes is given up at any time.
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

    fn drop_bytes(&mut self, key: ConnectionKey, count: usize) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.dropped_bytes = connection.dropped_bytes.saturating_add(count as u32);
        if connection.dropped_bytes > DROPPED_BYTES_MAX {
            return self.abort(key);
        }
        self.arm_receive(key);
    }

    fn send_continue(&mut self, key: ConnectionKey) {
        let mut buffer = self.writer.take_buffer();
        buffer.extend_from_slice(http::CONTINUE);
        let range = HEAD_RESERVE..buffer.len();
        self.send_interim(key, buffer, range);
    }
}
