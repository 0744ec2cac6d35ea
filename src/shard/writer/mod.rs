//! From an answer to the wire: response buffers, heads, sends, and the memory of what slow readers have not taken.
//!
//! An answer leaves in one send, head and body together, from a response buffer that is the ring's until then. What
//! the socket does not take at once moves to an outbox: a slow reader holds memory within the shard's budget. A large
//! answer leaves in pieces, each when it is its turn among all others', so that no answer keeps the shard from the
//! rest. The writer knows which bytes are on their way, and not what a connection does before or behind them; it says
//! what is to happen next, and the shard does it.
//!
//! Invariant: on a connection at most one send is in flight, and its `outgoing` says of what. While it sends, either
//! the ring or `pieces` has its buffer, or `sourced` waits for the next piece of its answer.

mod buffers;
mod large_text;
mod pieces;
mod sending_pieces;
mod sourced;

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::mcp::UnixSeconds;
use crate::metrics::ShardMetrics;
use crate::pool::{HeapBudget, OutOfMemory};
use crate::registry::CollectBudget;
use crate::ring::{ConnectionKey, DataRing, SendMode};
use crate::transport::http::admission::AdmissionPolicy;
use crate::transport::http::{Head, Origins, Response, ResponseContext};
use crate::wire::http1::DateCache;

use super::connections::{Connection, Outgoing, OutgoingKind, State, Waiting};
pub(super) use buffers::SENDS_PER_FLUSH_MAX;
use buffers::{BufferPool, SEND_BYTES_PER_FLUSH_MAX};
pub(super) use large_text::LargeText;
pub(super) use pieces::LARGE_TEXT_BYTES_MIN;
use pieces::Pieces;
pub(super) use sending_pieces::Turn;
use sourced::SourcedAnswers;
pub(super) use sourced::{Beginning, PIECE_TIME, PieceRead, PieceSource, SourceFailure, Sourced};

/// Bytes to be sent, and what they are.
pub(super) struct Sending {
    pub buffer: Vec<u8>,
    pub outgoing: Outgoing,
}

/// What a connection needs once a send was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queued {
    /// A receive: armed now, both are begun with one system call.
    pub reads_on: bool,
    /// A deadline for the peer to take it.
    pub is_timed: bool,
}

/// What became of a send.
pub(super) enum Sent {
    /// All of it is with the kernel.
    Done(OutgoingKind, Closes),
    /// The socket has taken a piece of it whole: the next follows when it is its turn.
    Piece(Sending),
    /// The socket has not taken all that it was given: it is to be sent again.
    Rest(Sending),
    /// The connection is broken; what was on its way is given up.
    Failed(io::Error),
    /// Nobody waits for it any more.
    Dead,
}

/// Whether a connection closes behind what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closes {
    Yes,
    No,
}

/// What one shard writes with.
pub(super) struct Writer {
    buffers: BufferPool,
    buffer_bytes: usize,
    /// Heap bytes of large bodies and outboxes.
    heap: HeapBudget,
    /// Of results that cannot leave while they are read.
    collecting: Arc<CollectBudget>,
    date: DateCache,
    origins: Origins,
    /// What large answers have left to send.
    pieces: Pieces,
    /// Those of which a worker reads what is left.
    sourced: SourcedAnswers,
    /// Sends that the ring has not been told of.
    sends_queued: usize,
    /// Their bytes.
    bytes_queued: usize,
}

impl Writer {
    /// With `buffers` response buffers of `buffer_bytes` each, and a budget for what does not fit.
    pub(super) fn new(buffers: u32, buffer_bytes: usize, heap: HeapBudget, unix_now: UnixSeconds) -> Writer {
        Writer {
            buffers: BufferPool::new(buffers as usize, buffer_bytes, heap.clone()),
            buffer_bytes,
            // A result is there as it was read, and once more in its answer.
            collecting: Arc::new(CollectBudget::new(heap.left() / 3)),
            heap,
            date: DateCache::new(unix_now.0),
            origins: Origins::default(),
            pieces: Pieces::default(),
            sourced: SourcedAnswers::default(),
            sends_queued: 0,
            bytes_queued: 0,
        }
    }

    /// Makes all pages of the response buffers resident.
    pub(super) fn prefault(&mut self) {
        self.buffers.prefault();
    }

    /// Frees the response buffers that were not needed since the last call.
    pub(super) fn release_unneeded(&mut self) {
        self.buffers.release_unneeded();
    }

    /// What the wall says now, for `Date`; once a tick.
    pub(super) fn refresh_date(&mut self, unix_now: u64) {
        self.date.refresh(unix_now);
    }

    /// The value of `Date`.
    pub(super) fn date(&self) -> &[u8; 29] {
        self.date.text()
    }

    /// A response buffer with room for a head in front, and nothing behind it.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        self.buffers.take()
    }

    /// The same for an answer with a text of so many bytes. One that is larger than the standard size is the heap's,
    /// and is charged with its answer.
    #[inline]
    pub(super) fn take_buffer_for(&mut self, text_bytes: usize) -> Vec<u8> {
        self.buffers.take_for(text_bytes)
    }

    /// Takes a response buffer back.
    pub(super) fn put_buffer(&mut self, buffer: Vec<u8>) {
        self.buffers.put(buffer);
    }

    /// Capacity of a response buffer, bytes.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    #[cfg(test)]
    pub(super) fn buffers_high_water(&self) -> usize {
        self.buffers.out_high_water
    }

    /// Notes what the head of a request says of how it is to be answered.
    pub(super) fn note_head(
        &mut self,
        response: &mut ResponseContext,
        head: &Head<'_>,
        policy: &AdmissionPolicy,
    ) {
        response.note(head, policy, &mut self.origins);
    }

    /// The same for a request that was not decoded, of which `front` is the front.
    pub(super) fn note_unparsed(
        &mut self,
        response: &mut ResponseContext,
        front: &[u8],
        policy: &AdmissionPolicy,
    ) {
        response.note_unparsed(front, policy, &mut self.origins);
    }

    /// Heap bytes that an answer takes beyond the buffers made at start: all of them, once it has outgrown its own.
    fn heap_bytes_of(&self, buffer: &Vec<u8>) -> usize {
        if buffer.capacity() > self.buffer_bytes {
            buffer.capacity()
        } else {
            0
        }
    }

    /// Whether there is memory for an answer.
    pub(super) fn has_room_for(&self, buffer: &Vec<u8>) -> bool {
        self.heap.has_room(self.heap_bytes_of(buffer))
    }

    /// Charges the heap bytes of an answer, which are then to be refunded with its buffer.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn charge(&mut self, buffer: &Vec<u8>) -> Result<usize, OutOfMemory> {
        let bytes = self.heap_bytes_of(buffer);
        if bytes > 0 {
            self.heap.charge(bytes)?;
        }
        Ok(bytes)
    }

    /// What results hold that are read as a whole.
    pub(super) fn collecting(&self) -> &Arc<CollectBudget> {
        &self.collecting
    }

    /// What outboxes are charged to.
    #[inline]
    pub(super) fn heap(&self) -> &HeapBudget {
        &self.heap
    }

    /// Heap bytes charged now.
    #[cfg(test)]
    pub(super) fn heap_bytes_used(&self) -> usize {
        self.heap.used()
    }

    /// Heap bytes of buffers that wait to be used again.
    #[cfg(test)]
    pub(super) fn heap_bytes_reserved(&self) -> usize {
        self.heap.reserved()
    }

    /// Charges what an outbox has grown to beyond what was `charged` for it.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn charge_growth(&mut self, buffer: &Vec<u8>, charged: &mut usize) -> Result<(), OutOfMemory> {
        let needed = self.heap_bytes_of(buffer);
        if needed > *charged {
            self.heap.charge(needed - *charged)?;
            *charged = needed;
        }
        Ok(())
    }

    /// Makes room for a message of so many bytes and what frames it behind what is in an outbox. One that is too small
    /// gives way to a larger one of the heap, which was most often used before, and whose pages are there.
    pub(super) fn make_room(&mut self, buffer: &mut Vec<u8>, message_bytes: usize) {
        /// A WebSocket's head is no longer, nor what is around an event or a line.
        const FRAMING_BYTES_MAX: usize = 32;
        let needed = buffer.len() + message_bytes + FRAMING_BYTES_MAX;
        if needed <= buffer.capacity() {
            return;
        }
        // Outboxes that outgrow one buffer go on to do so: there is room for as much again.
        let mut larger = self.heap.take(needed.max(2 * buffer.capacity()));
        larger.extend_from_slice(buffer);
        self.buffers.put(std::mem::replace(buffer, larger));
    }

    /// Takes a buffer back that `charged` heap bytes were charged for.
    pub(super) fn put_charged(&mut self, buffer: Vec<u8>, charged: usize) {
        if charged > 0 {
            self.heap.refund(charged);
        }
        self.buffers.put(buffer);
    }

    /// Bytes whose sending is over, one way or another: the buffer goes back to where it came from.
    pub(super) fn reclaim(&mut self, sending: Sending, metrics: &ShardMetrics) {
        if sending.outgoing.is_counted {
            metrics.in_flight.down();
        }
        self.put_charged(sending.buffer, sending.outgoing.charged);
    }

    /// Whether so many sends are queued that they are to be begun, and their buffers taken back.
    pub(super) fn is_full(&self) -> bool {
        self.sends_queued >= SENDS_PER_FLUSH_MAX || self.bytes_queued >= SEND_BYTES_PER_FLUSH_MAX
    }

    /// What was queued is begun.
    pub(super) fn on_flush(&mut self) {
        self.sends_queued = 0;
        self.bytes_queued = 0;
    }

    /// Queues a send on a connection on which nothing is being sent.
    pub(super) fn send<R: DataRing>(
        &mut self,
        ring: &mut R,
        key: ConnectionKey,
        connection: &mut Connection<R::Socket>,
        sending: Sending,
        now: Instant,
    ) -> Queued {
        debug_assert!(!connection.ring.is_sending, "two sends at once on {key:?}");
        let Sending { buffer, mut outgoing } = sending;
        let is_answer = outgoing.kind == OutgoingKind::Answer;
        if is_answer {
            connection.state = State::Answering;
            connection.request.phase_began = now;
        }
        let is_timed = !connection.is_patient();
        if outgoing.kind != OutgoingKind::Interim && is_timed {
            connection.waiting = Waiting::Write;
        }
        connection.ring.is_sending = true;
        let first = self.pieces.first_of(&mut outgoing);
        self.on_queued(first.len());
        let reads_on = is_answer && !outgoing.closes && connection.request.assembly.is_none();
        connection.outgoing = outgoing;
        ring.send(key, &connection.socket, buffer, first, SendMode::Attempt);
        Queued { reads_on, is_timed }
    }

    fn on_queued(&mut self, bytes: usize) {
        self.sends_queued += 1;
        self.bytes_queued += bytes;
    }

    /// The ring is done with a send.
    pub(super) fn on_sent<S>(
        &mut self,
        key: ConnectionKey,
        connection: &mut Connection<S>,
        buffer: Vec<u8>,
        result: io::Result<usize>,
        metrics: &ShardMetrics,
    ) -> Sent {
        connection.ring.is_sending = false;
        let mut sending = Sending {
            buffer,
            outgoing: std::mem::take(&mut connection.outgoing),
        };
        let taken = match result {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.give_up(key, sending, metrics);
                return Sent::Failed(error);
            }
        };
        metrics.sent_bytes.add(taken as u64);
        sending.outgoing.range.start += taken;
        let is_dead = connection.state == State::Dead;
        let is_over = sending.outgoing.range.is_empty() && !sending.outgoing.has_text;
        if !is_dead && !is_over {
            let is_whole = taken == sending.outgoing.offered as usize;
            return if is_whole {
                Sent::Piece(sending)
            } else {
                Sent::Rest(sending)
            };
        }
        let (closes, kind) = (sending.outgoing.closes, sending.outgoing.kind);
        self.give_up(key, sending, metrics);
        if is_dead {
            Sent::Dead
        } else {
            Sent::Done(kind, if closes { Closes::Yes } else { Closes::No })
        }
    }

    /// The socket did not take everything: the rest moves to an outbox, and the response buffer is free.
    ///
    /// # Errors
    /// There is no memory for the outbox: what was on its way is given up.
    pub(super) fn send_rest<R: DataRing>(
        &mut self,
        ring: &mut R,
        key: ConnectionKey,
        connection: &mut Connection<R::Socket>,
        mut sending: Sending,
        metrics: &ShardMetrics,
    ) -> Result<(), OutOfMemory> {
        if sending.outgoing.charged == 0
            && let Err(full) = self.move_to_outbox(&mut sending)
        {
            self.reclaim(sending, metrics);
            return Err(full);
        }
        self.send_next(ring, key, connection, sending);
        Ok(())
    }

    /// A buffer of the standard size goes back to the pool, so its rest is copied; a larger one is the outbox itself.
    fn move_to_outbox(&mut self, sending: &mut Sending) -> Result<(), OutOfMemory> {
        let Sending { buffer, outgoing } = sending;
        if buffer.capacity() == self.buffer_bytes {
            let mut rest = self.heap.take(outgoing.range.len());
            rest.extend_from_slice(&buffer[outgoing.range.clone()]);
            outgoing.range = 0..rest.len();
            self.buffers.put(std::mem::replace(buffer, rest));
        }
        self.heap.charge(buffer.capacity())?;
        outgoing.charged = buffer.capacity();
        Ok(())
    }

    /// Writes the head of an answer before the body in `buffer`; what of it is to be sent.
    pub(super) fn write_head(
        &self,
        response: &Response<'_>,
        buffer: &mut Vec<u8>,
        context: &ResponseContext,
    ) -> Range<usize> {
        response.write(buffer, context, self.date.text())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::connections::Table;
    use super::*;
    use crate::metrics::ToolLabels;
    use crate::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedRing, SimulatedSocket};
    use crate::ring::{Completion, RingOptions};
    use crate::transport::http::HEAD_RESERVE;
    use crate::units::ShardId;

    const BUFFER_BYTES: usize = 4096;

    /// One connection, and a writer that has `heap_bytes_max` for what its client does not take.
    struct Rig {
        ring: SimulatedRing,
        table: Table<SimulatedSocket>,
        key: ConnectionKey,
        peer: SimulatedPeer,
        writer: Writer,
        metrics: Arc<ShardMetrics>,
        now: Instant,
    }

    impl Rig {
        fn new(heap_bytes_max: usize) -> Rig {
            let network = SimulatedNetwork::new(11);
            let mut ring = network.ring(RingOptions::default());
            let peer = network.connect(0);
            let now = Instant::now();
            let mut table = Table::new();
            let socket = ring.accept_now().unwrap().unwrap();
            Rig {
                key: table.insert_connection(socket, None, now),
                ring,
                table,
                peer,
                writer: Writer::new(2, BUFFER_BYTES, HeapBudget::new(heap_bytes_max), UnixSeconds(0)),
                metrics: ShardMetrics::new(ShardId(0), &ToolLabels::new([], 0)),
                now,
            }
        }

        fn send(&mut self, body: &[u8], closes: bool) -> Queued {
            self.metrics.in_flight.up();
            let mut buffer = self.writer.take_buffer();
            buffer.extend_from_slice(body);
            let outgoing = Outgoing {
                range: HEAD_RESERVE..buffer.len(),
                closes,
                is_counted: true,
                ..Outgoing::default()
            };
            let connection = self.table.connection(self.key).unwrap();
            let sending = Sending { buffer, outgoing };
            self.writer
                .send(&mut self.ring, self.key, connection, sending, self.now)
        }

        /// What became of the send that is in flight.
        fn sent(&mut self) -> Sent {
            self.ring.flush().unwrap();
            loop {
                if let Some(Completion::Sent { buffer, result, .. }) = self.ring.next_completion() {
                    let connection = self.table.connection(self.key).unwrap();
                    return self
                        .writer
                        .on_sent(self.key, connection, buffer, result, &self.metrics);
                }
                self.ring.flush().unwrap();
            }
        }

        fn send_rest(&mut self, sending: Sending) -> Result<(), OutOfMemory> {
            let connection = self.table.connection(self.key).unwrap();
            self.writer
                .send_rest(&mut self.ring, self.key, connection, sending, &self.metrics)
        }

        /// Sends until all is with the kernel, while the client reads; what it has read.
        fn finish(&mut self, mut sent: Sent) -> Vec<u8> {
            let mut read = self.peer.read();
            while let Sent::Rest(sending) = sent {
                self.send_rest(sending).unwrap();
                sent = self.sent();
                read.extend(self.peer.read());
            }
            assert!(matches!(sent, Sent::Done(OutgoingKind::Answer, _)));
            read
        }
    }

    #[test]
    fn an_answer_leaves_in_one_send_and_its_buffer_comes_back() {
        let mut rig = Rig::new(1 << 20);
        let queued = rig.send(b"whole", true);
        assert_eq!(
            queued,
            Queued {
                reads_on: false,
                is_timed: true
            }
        );
        assert_eq!(rig.table.connection(rig.key).unwrap().state, State::Answering);
        assert!(matches!(
            rig.sent(),
            Sent::Done(OutgoingKind::Answer, Closes::Yes)
        ));
        assert_eq!(rig.peer.read(), b"whole");
        assert_eq!((rig.metrics.in_flight.value(), rig.writer.heap.used()), (0, 0));
        assert!(!rig.table.connection(rig.key).unwrap().ring.is_sending);
        assert_eq!(rig.writer.buffers_high_water(), 1);
        assert!(rig.send(b"next", false).reads_on);
        assert!(matches!(rig.sent(), Sent::Done(OutgoingKind::Answer, Closes::No)));
    }

    #[test]
    fn what_a_slow_reader_leaves_lies_on_the_heap_until_it_is_read() {
        let mut rig = Rig::new(1 << 20);
        rig.peer.set_window(10);
        let body: Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
        rig.send(&body, false);
        let Sent::Rest(sending) = rig.sent() else {
            panic!("the window is smaller than the answer");
        };
        rig.send_rest(sending).unwrap();
        assert!(rig.writer.heap.used() > 0, "the rest is charged");
        assert_eq!(rig.metrics.in_flight.value(), 1);
        let mut read = rig.peer.read();
        rig.peer.set_window(1 << 16);
        let sent = rig.sent();
        read.extend(rig.finish(sent));
        assert_eq!(read, body);
        assert_eq!((rig.metrics.in_flight.value(), rig.writer.heap.used()), (0, 0));
    }

    #[test]
    fn without_memory_for_the_rest_the_answer_is_given_up() {
        let mut rig = Rig::new(100);
        rig.peer.set_window(10);
        rig.send(&[7; 1000], false);
        let Sent::Rest(sending) = rig.sent() else {
            panic!("the window is smaller than the answer");
        };
        assert!(rig.send_rest(sending).is_err());
        assert_eq!((rig.metrics.in_flight.value(), rig.writer.heap.used()), (0, 0));
        assert!(!rig.table.connection(rig.key).unwrap().ring.is_sending);
    }

    #[test]
    fn a_dead_connection_gives_its_buffer_back() {
        let mut rig = Rig::new(1 << 20);
        rig.send(b"never read", false);
        rig.table.connection(rig.key).unwrap().state = State::Dead;
        assert!(matches!(rig.sent(), Sent::Dead | Sent::Failed(_)));
        assert_eq!(rig.metrics.in_flight.value(), 0);
    }

    #[test]
    fn an_outbox_is_charged_for_what_it_has_outgrown() {
        let mut writer = Writer::new(1, BUFFER_BYTES, HeapBudget::new(100_000), UnixSeconds(0));
        let (mut buffer, mut charged) = (writer.take_buffer(), 0);
        writer.charge_growth(&buffer, &mut charged).unwrap();
        assert_eq!(charged, 0, "a buffer of the standard size costs nothing");
        buffer.resize(50_000, 0);
        writer.charge_growth(&buffer, &mut charged).unwrap();
        assert_eq!(
            (charged, writer.heap.used()),
            (buffer.capacity(), buffer.capacity())
        );
        buffer.resize(200_000, 0);
        assert!(writer.charge_growth(&buffer, &mut charged).is_err());
        assert!(!writer.has_room_for(&buffer));
        writer.put_charged(buffer, charged);
        assert_eq!(writer.heap.used(), 0);
    }

    #[test]
    fn an_outbox_grows_into_a_buffer_that_was_used_before() {
        let mut writer = Writer::new(1, BUFFER_BYTES, HeapBudget::new(1 << 20), UnixSeconds(0));
        let (mut buffer, mut charged) = (writer.take_buffer(), 0);
        let standard = buffer.as_ptr();
        writer.make_room(&mut buffer, 100);
        assert_eq!(buffer.as_ptr(), standard, "there is room for a small message");
        buffer.extend_from_slice(b"a message");
        let unsent = buffer.clone();
        writer.make_room(&mut buffer, 50_000);
        assert_eq!(buffer, unsent);
        assert!(buffer.capacity() > buffer.len() + 50_000);
        let free = writer.take_buffer();
        assert_eq!(free.as_ptr(), standard, "it is free again");
        writer.put_buffer(free);
        writer.charge_growth(&buffer, &mut charged).unwrap();
        assert_eq!(
            (charged, writer.heap.used()),
            (buffer.capacity(), buffer.capacity())
        );
        let large = buffer.as_ptr();
        writer.put_charged(buffer, charged);
        let mut again = writer.take_buffer();
        writer.make_room(&mut again, 50_000);
        assert_eq!(again.as_ptr(), large);
    }

    #[test]
    fn a_large_answer_has_a_buffer_of_its_size_that_is_used_again() {
        let mut writer = Writer::new(1, BUFFER_BYTES, HeapBudget::new(1 << 20), UnixSeconds(0));
        assert_eq!(writer.take_buffer_for(1000).capacity(), BUFFER_BYTES);
        let buffer = writer.take_buffer_for(100_000);
        assert_eq!(buffer.len(), HEAD_RESERVE);
        let (address, capacity) = (buffer.as_ptr(), buffer.capacity());
        assert!(capacity >= HEAD_RESERVE + 100_000);
        let charged = writer.charge(&buffer).unwrap();
        assert_eq!((charged, writer.heap.used()), (capacity, capacity));
        writer.put_charged(buffer, charged);
        assert_eq!((writer.heap.used(), writer.heap.reserved()), (0, capacity));
        let again = writer.take_buffer_for(90_000);
        assert_eq!((again.as_ptr(), again.len()), (address, HEAD_RESERVE));
    }

    #[test]
    fn large_answers_are_begun_after_few() {
        let mut rig = Rig::new(1 << 20);
        rig.peer.set_window(1 << 20);
        rig.send(&[7; SEND_BYTES_PER_FLUSH_MAX / 2], false);
        rig.sent();
        rig.send(&[7; SEND_BYTES_PER_FLUSH_MAX / 2 - 1], false);
        rig.sent();
        assert!(!rig.writer.is_full());
        rig.send(b"7", false);
        assert!(rig.writer.is_full());
        rig.sent();
        rig.writer.on_flush();
        assert!(!rig.writer.is_full());
    }

    #[test]
    fn a_large_answer_is_offered_in_pieces_and_waits_for_its_turn_between_them() {
        let mut rig = Rig::new(1 << 20);
        rig.peer.set_window(1 << 20);
        let body: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        rig.send(&body, false);
        let mut read = Vec::new();
        let mut pieces = Vec::new();
        loop {
            let sent = rig.sent();
            let came = rig.peer.read();
            pieces.push(came.len());
            read.extend(came);
            let Sent::Piece(sending) = sent else {
                assert!(matches!(sent, Sent::Done(OutgoingKind::Answer, Closes::No)));
                break;
            };
            let connection = rig.table.connection(rig.key).unwrap();
            rig.writer.await_turn(rig.key, connection, sending);
            assert!(connection.ring.is_sending && rig.writer.has_pieces());
            assert!(rig.writer.next_piece().is_none(), "no flush has begun");
            rig.writer.begin_flush();
            let (key, buffer) = rig.writer.next_piece().unwrap();
            let connection = rig.table.connection(key).unwrap();
            let turn = rig
                .writer
                .send_piece(&mut rig.ring, key, connection, buffer, &rig.metrics);
            assert_eq!(turn, Turn::Sent);
        }
        assert_eq!(pieces, [128 << 10, 64 << 10, 64 << 10, 300_000 - (256 << 10)]);
        assert_eq!(read, body);
        assert!(rig.writer.has_no_pieces());
    }

    #[test]
    fn sends_are_begun_after_so_many() {
        let mut rig = Rig::new(1 << 20);
        for _ in 0..SENDS_PER_FLUSH_MAX {
            assert!(!rig.writer.is_full());
            rig.send(b"one", false);
            rig.sent();
        }
        assert!(rig.writer.is_full());
        rig.writer.on_flush();
        assert!(!rig.writer.is_full());
    }
}
