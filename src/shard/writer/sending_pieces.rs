//! Answers in pieces: the next one is sent, or written first, when it is its connection's turn.

use std::time::Instant;

use super::large_text::LargeText;
use super::sourced::{AtTurn, Next, Piece, PieceSource, Sourced};
use super::{Outgoing, OutgoingKind, Queued, Sending, State, Waiting, Writer};
use crate::mcp::Ticket;
use crate::metrics::ShardMetrics;
use crate::pool::OutOfMemory;
use crate::ring::{ConnectionKey, DataRing, SendMode};
use crate::shard::connections::Connection;
use crate::transport::http::{HEAD_RESERVE, Response, write_chunked_head_before};
use crate::workers::JobHandle;

/// Room for an answer's head, and for what is around its text.
const FRONT_BYTES: usize = HEAD_RESERVE + (1 << 10);

/// Room for text in a further piece at least, so that the longest escape fits.
const TEXT_ROOM_MIN: usize = 8;

/// What became of a connection's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Turn {
    /// A piece of what it sends was begun.
    Sent,
    /// Its text is still being measured.
    Measured,
    /// The next piece is still being read from its source.
    Parked,
    /// The connection is dead, and nothing of it is with the ring because of this send.
    Dead,
}

impl Writer {
    /// Whether a text of so many bytes is answered in pieces.
    #[inline]
    pub(in crate::shard) fn is_large(&self, text_bytes: usize) -> bool {
        text_bytes >= self.pieces.large_text_bytes_min()
    }

    /// A buffer for the front of an answer with a large text, and later for each piece of it; `None` if there is no
    /// memory for both.
    pub(in crate::shard) fn take_piece_buffer(&mut self, text_heap_bytes: usize) -> Option<Vec<u8>> {
        let bytes = self.pieces.piece_bytes().max(FRONT_BYTES);
        let mut buffer = self.heap.take(bytes);
        if !self.heap.has_room(text_heap_bytes + buffer.capacity()) {
            self.heap.put(buffer);
            return None;
        }
        buffer.resize(HEAD_RESERVE, 0);
        Some(buffer)
    }

    /// Charges such a buffer and its text: the one until it is put back, the other until it is freed.
    ///
    /// # Errors
    /// There is no memory for both.
    pub(in crate::shard) fn charge_text(
        &mut self,
        front: &Vec<u8>,
        text: &String,
    ) -> Result<(), OutOfMemory> {
        self.heap.charge(front.capacity() + text.capacity())
    }

    /// Begins an answer of which `front` has what comes before its text, behind the room for a head. Both are charged.
    pub(in crate::shard) fn begin_text<S>(
        &mut self,
        key: ConnectionKey,
        connection: &mut Connection<S>,
        front: Vec<u8>,
        text: LargeText,
        now: Instant,
    ) -> Queued {
        connection.state = State::Answering;
        connection.request.phase_began = now;
        connection.waiting = Waiting::Write;
        let closes = connection.response.closes();
        let outgoing = Outgoing {
            charged: front.capacity(),
            closes,
            kind: OutgoingKind::Answer,
            is_counted: true,
            has_text: true,
            ..Outgoing::default()
        };
        self.pieces.insert_text(key, text);
        let sending = Sending {
            buffer: front,
            outgoing,
        };
        self.await_turn(key, connection, sending);
        Queued {
            reads_on: !closes && connection.request.assembly.is_none(),
            is_timed: true,
        }
    }

    /// The socket has taken a piece: its connection goes to the end of the line.
    pub(in crate::shard) fn await_turn<S>(
        &mut self,
        key: ConnectionKey,
        connection: &mut Connection<S>,
        sending: Sending,
    ) {
        connection.ring.is_sending = true;
        connection.outgoing = sending.outgoing;
        self.pieces.push(key, sending.buffer);
    }

    /// Whether a flush has pieces to send, or texts to free.
    pub(in crate::shard) fn has_pieces(&self) -> bool {
        self.pieces.is_due()
    }

    /// A flush begins, which may send a few pieces.
    pub(in crate::shard) fn begin_flush(&mut self) {
        self.pieces.begin_flush(&self.heap);
    }

    /// The connection whose turn it is to send a piece, and the buffer that this is in.
    pub(in crate::shard) fn next_piece(&mut self) -> Option<(ConnectionKey, Vec<u8>)> {
        self.pieces.pop()
    }

    /// Sends a piece on the connection whose turn it is.
    pub(in crate::shard) fn send_piece<R: DataRing>(
        &mut self,
        ring: &mut R,
        key: ConnectionKey,
        connection: &mut Connection<R::Socket>,
        buffer: Vec<u8>,
        metrics: &ShardMetrics,
    ) -> Turn {
        let outgoing = std::mem::take(&mut connection.outgoing);
        let mut sending = Sending { buffer, outgoing };
        if connection.state == State::Dead {
            connection.ring.is_sending = false;
            self.give_up(key, sending, metrics);
            return Turn::Dead;
        }
        if sending.outgoing.range.is_empty() {
            match self.sourced.at_turn(key, &mut sending.buffer) {
                AtTurn::Parked => {
                    connection.ring.is_sending = true;
                    connection.outgoing = sending.outgoing;
                    return Turn::Parked;
                }
                AtTurn::Piece(next) => self.put_piece(connection, &mut sending, next),
                AtTurn::Other if !self.write_piece(key, connection, &mut sending) => {
                    self.await_turn(key, connection, sending);
                    return Turn::Measured;
                }
                AtTurn::Other => {}
            }
        }
        self.send_next(ring, key, connection, sending);
        Turn::Sent
    }

    /// Makes a piece of its source what a connection sends next.
    fn put_piece<S>(&self, connection: &Connection<S>, sending: &mut Sending, next: Next) {
        let Sending { buffer, outgoing } = sending;
        *buffer = next.buffer;
        let mut start = next.start;
        if let Some(reply) = next.reply {
            let date = self.date.text();
            start = write_chunked_head_before(buffer, start, &reply, &connection.response, date);
            outgoing.closes |= connection.response.closes();
        }
        outgoing.range = start..buffer.len();
        outgoing.has_text = !next.is_last;
    }

    /// Begins an answer that comes from a source, and for which so many bytes are charged.
    pub(in crate::shard) fn begin_sourced<S>(
        &mut self,
        key: ConnectionKey,
        connection: &mut Connection<S>,
        sourced: Sourced,
        charged: usize,
        now: Instant,
    ) -> Queued {
        connection.state = State::Answering;
        connection.request.phase_began = now;
        connection.waiting = Waiting::Write;
        let closes = connection.response.closes();
        let outgoing = Outgoing {
            charged,
            closes,
            kind: OutgoingKind::Answer,
            is_counted: true,
            has_text: true,
            ..Outgoing::default()
        };
        self.sourced.insert(sourced);
        let buffer = Vec::new();
        self.await_turn(key, connection, Sending { buffer, outgoing });
        Queued {
            reads_on: !closes && connection.request.assembly.is_none(),
            is_timed: true,
        }
    }

    /// What is to be read next of a connection's answer, and a buffer for it.
    pub(in crate::shard) fn take_unread(
        &mut self,
        key: ConnectionKey,
    ) -> Option<(Box<PieceSource>, Vec<u8>)> {
        self.sourced.take_unread(key)
    }

    /// A worker reads on for a connection's answer.
    pub(in crate::shard) fn on_reading(&mut self, key: ConnectionKey, job: JobHandle) {
        self.sourced.on_reading(key, job);
    }

    /// The next piece of a connection's answer is ready: it is sent when it is its turn.
    pub(in crate::shard) fn on_piece(&mut self, key: ConnectionKey, piece: Piece) {
        if self.sourced.on_piece(key, piece) {
            self.pieces.push(key, Vec::new());
        }
    }

    /// Whose answer is being sent from a source on a connection, if more of it is to come than is on its way.
    pub(in crate::shard) fn unfinished_source(&self, key: ConnectionKey) -> Option<&Ticket> {
        self.sourced.unfinished(key)
    }

    /// Whether a connection waits for a piece of its source.
    pub(in crate::shard) fn awaits_source(&self, key: ConnectionKey) -> bool {
        self.sourced.is_parked(key)
    }

    /// Nothing more comes from the source of a connection's answer. A connection that waited for it has its turn, in
    /// which it is found dead.
    pub(in crate::shard) fn end_source(&mut self, key: ConnectionKey) -> Option<Sourced> {
        if self.sourced.unpark(key) {
            self.pieces.push(key, Vec::new());
        }
        self.sourced.end(key)
    }

    /// The source of a connection's answer has failed. The connection waits for its turn, which is to be
    /// [passed](Self::pass_turn) to it.
    pub(in crate::shard) fn take_failed(&mut self, key: ConnectionKey) -> Option<Sourced> {
        self.sourced.end(key)
    }

    /// A connection that waited for a piece has its turn with this.
    pub(in crate::shard) fn pass_turn(&mut self, key: ConnectionKey, buffer: Vec<u8>) {
        self.pieces.push(key, buffer);
    }

    /// Bytes of a piece.
    pub(in crate::shard) fn piece_bytes(&self) -> usize {
        self.pieces.piece_bytes()
    }

    /// Writes the next piece of a connection's text; false while the text is not measured.
    fn write_piece<S>(
        &mut self,
        key: ConnectionKey,
        connection: &mut Connection<S>,
        sending: &mut Sending,
    ) -> bool {
        let piece_bytes = self.pieces.piece_bytes();
        let date = self.date.text();
        let Sending { buffer, outgoing } = sending;
        let Some(text) = self.pieces.text(key) else {
            outgoing.has_text = false;
            return true;
        };
        if !text.is_measured() {
            text.measure();
            return false;
        }
        let room = match text.take_outline() {
            Some((reply, rest_bytes)) => {
                let front = Response::Front {
                    reply: &reply,
                    rest_bytes,
                };
                outgoing.range = front.write(buffer, &connection.response, date);
                outgoing.closes |= connection.response.closes();
                piece_bytes.saturating_sub(buffer.len())
            }
            None => {
                buffer.clear();
                outgoing.range = 0..0;
                piece_bytes.max(TEXT_ROOM_MIN)
            }
        };
        let capacity = buffer.capacity();
        let is_all = text.write(buffer, room);
        debug_assert_eq!(
            buffer.capacity(),
            capacity,
            "a piece outgrew its buffer, which is charged"
        );
        if is_all {
            self.pieces.end_text(key);
            outgoing.has_text = false;
        }
        outgoing.range.end = buffer.len();
        true
    }

    /// Sends a further piece. A large buffer waits with the ring until its socket has taken that; a response buffer of
    /// the standard size does not.
    pub(super) fn send_next<R: DataRing>(
        &mut self,
        ring: &mut R,
        key: ConnectionKey,
        connection: &mut Connection<R::Socket>,
        sending: Sending,
    ) {
        let Sending { buffer, mut outgoing } = sending;
        let piece = self.pieces.next_of(&mut outgoing);
        let mode = if outgoing.charged == 0 {
            SendMode::Attempt
        } else {
            SendMode::All
        };
        self.on_queued(piece.len());
        connection.ring.is_sending = true;
        connection.outgoing = outgoing;
        ring.send(key, &connection.socket, buffer, piece, mode);
    }

    /// Bytes whose sending is over, and what was to follow them.
    pub(super) fn give_up(&mut self, key: ConnectionKey, sending: Sending, metrics: &ShardMetrics) {
        if sending.outgoing.has_text {
            self.pieces.end_text(key);
        }
        self.sourced.end(key);
        self.reclaim(sending, metrics);
    }

    /// Whether nothing is left of any answer that left in pieces.
    #[cfg(test)]
    pub(in crate::shard) fn has_no_pieces(&self) -> bool {
        self.pieces.is_empty() && self.sourced.is_empty()
    }

    /// Pieces of so many bytes instead.
    #[cfg(test)]
    pub(in crate::shard) fn set_piece_bytes(&mut self, bytes: usize) {
        self.pieces.set_piece_bytes(bytes);
    }
}
