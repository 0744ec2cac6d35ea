//! Answers whose text comes from a source: a worker reads it and writes the next piece while the one before is sent.
//!
//! ```text
//! reading (a worker) ──► ready ── its connection's turn ──► sent, while the next is being read
//! ```
//!
//! An answer begins with its first piece: until that is read, its call has it. So at most one piece is read ahead of
//! what the client takes, and no shard waits for a file. A piece leaves when it is full, or when a source has given
//! something and is slow to give more. The pieces are chunks of HTTP, because nobody knows how long the whole becomes.
//! What they take is charged once, before the first is read.
//!
//! Invariant: of a source either a worker has it, or its next piece is ready, or it was read to its end.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::mcp::{Reply, Ticket};
use crate::registry::{AnswerSource, Step};
use crate::ring::ConnectionKey;
use crate::shard::service::LocalService;
use crate::transport::http::HEAD_RESERVE;
use crate::wire::sse::{self, CHUNK_RESERVE, LAST_CHUNK};
use crate::workers::JobHandle;

/// Room in front of a piece: for the head of its chunk, and for that of the answer if it is the first.
const PIECE_RESERVE: usize = HEAD_RESERVE + CHUNK_RESERVE;

/// Room for a source's bytes in a piece at least.
const ROOM_MIN: usize = 64;

/// What a slow source has given waits for so long for more of it: long enough for a fast one to fill a piece, too short
/// for a reader to mind.
pub(in crate::shard) const PIECE_TIME: Duration = Duration::from_millis(100);

/// A source on its way through workers, and what is around its text.
pub(in crate::shard) struct PieceSource {
    front: Vec<u8>,
    source: AnswerSource,
    tail: Vec<u8>,
    piece_bytes: usize,
}

/// What a worker made of a source's next piece.
pub(in crate::shard) type PieceRead = Result<Piece, SourceFailure>;

/// Why a source cannot be read on.
#[derive(Debug)]
pub enum SourceFailure {
    /// There is no room for what it holds.
    Memory,
    /// In words for the log.
    Broken(String),
}

impl SourceFailure {
    /// In words for the log.
    pub(in crate::shard) fn reason(&self) -> &str {
        match self {
            Self::Memory => "there is no memory for what it holds",
            Self::Broken(reason) => reason,
        }
    }
}

impl From<io::Error> for SourceFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::OutOfMemory => Self::Memory,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// The beginning of an answer, which its call waits for.
pub struct Beginning {
    /// The outline of the answer.
    pub(in crate::shard) reply: Reply,
    /// What is around the text of the source.
    pub(in crate::shard) around: Vec<u8>,
    pub(in crate::shard) first: Piece,
}

/// Some of an answer, in chunks.
pub struct Piece {
    buffer: Vec<u8>,
    /// Where the chunks begin; room for a head is in front.
    start: usize,
    /// What comes behind it; `None` at the end.
    rest: Option<Box<PieceSource>>,
}

impl PieceSource {
    /// An answer of which `answer` has what is around the text, which is to stand at an index of it.
    pub(in crate::shard) fn new(
        mut answer: Vec<u8>,
        at: usize,
        source: AnswerSource,
        piece_bytes: usize,
    ) -> Self {
        Self {
            tail: answer.split_off(at),
            front: answer,
            source,
            piece_bytes,
        }
    }

    /// Bytes of the source's text in a piece: with the lines of its chunk, it is to leave in one send.
    fn room(&self) -> usize {
        self.piece_bytes.saturating_sub(CHUNK_RESERVE + 2).max(ROOM_MIN)
    }

    fn buffer_bytes(&self) -> usize {
        let around = self.front.len() + self.tail.len() + LAST_CHUNK.len();
        PIECE_RESERVE + self.piece_bytes.max(ROOM_MIN) + around + 2
    }

    /// The bytes that it and its pieces take at most: one that is sent, and one that is written.
    pub(in crate::shard) fn memory_bytes(&self) -> usize {
        2 * self.buffer_bytes() + AnswerSource::HELD_BYTES + self.front.len() + self.tail.len()
    }

    /// Reads on, on a worker: the next piece, in `buffer` if that is large enough. It has no bytes if the source has
    /// given too few for a character, or a group of three.
    ///
    /// # Errors
    /// The source failed: what was sent is not to be taken for the whole.
    pub(in crate::shard) fn read(
        mut self: Box<Self>,
        mut buffer: Vec<u8>,
        clock: fn() -> Instant,
    ) -> io::Result<Piece> {
        let began = clock();
        let mut is_time = || clock().saturating_duration_since(began) >= PIECE_TIME;
        buffer.clear();
        buffer.reserve_exact(self.buffer_bytes());
        buffer.resize(PIECE_RESERVE, 0);
        buffer.append(&mut self.front);
        let room = self.room();
        let is_last = self.source.write_next(&mut buffer, room, &mut is_time)? == Step::Last;
        if is_last {
            buffer.append(&mut self.tail);
        }
        let data = PIECE_RESERVE..buffer.len();
        if data.is_empty() {
            // A chunk without bytes would be the last.
            return Ok(Piece {
                start: data.start,
                buffer,
                rest: Some(self),
            });
        }
        let start = sse::close_chunk(&mut buffer, data);
        if is_last {
            buffer.extend_from_slice(LAST_CHUNK);
        }
        Ok(Piece {
            buffer,
            start,
            rest: (!is_last).then_some(self),
        })
    }
}

/// An answer that is being sent from a source.
pub(in crate::shard) struct Sourced {
    key: ConnectionKey,
    /// Whose answer it is, for the log.
    pub service: LocalService,
    pub ticket: Ticket,
    /// The outline of the answer, until its head is written.
    reply: Option<Reply>,
    /// What is to be read next.
    unread: Option<Box<PieceSource>>,
    /// The worker's job, while it is read.
    job: Option<JobHandle>,
    ready: Option<Piece>,
    /// The connection's turn has come, and nothing was ready.
    is_parked: bool,
    /// The buffer of a piece that was sent.
    spare: Vec<u8>,
}

impl Sourced {
    /// Whether its connection waits for a piece.
    pub(in crate::shard) fn is_parked(&self) -> bool {
        self.is_parked
    }

    /// An answer whose first piece is ready, and has its turn.
    pub(in crate::shard) fn new(
        key: ConnectionKey,
        (service, ticket): (LocalService, Ticket),
        reply: Reply,
        first: Piece,
    ) -> Self {
        Self {
            key,
            service,
            ticket,
            reply: Some(reply),
            unread: None,
            job: None,
            ready: Some(first),
            is_parked: false,
            spare: Vec::new(),
        }
    }

    /// Whether more is to come of the source, or to be sent, than is on its way.
    fn has_more(&self) -> bool {
        self.unread.is_some() || self.job.is_some() || self.ready.is_some()
    }
}

/// The answers of a shard that are sent from sources, by the slots of their connections.
#[derive(Default)]
pub(super) struct SourcedAnswers(HashMap<u32, Sourced>);

/// What a connection is to send at its turn.
pub(super) enum AtTurn {
    /// Its answer has no source, or no more of it.
    Other,
    /// The next piece is being read; the connection is parked.
    Parked,
    /// This.
    Piece(Next),
}

/// A piece that is to be sent.
pub(super) struct Next {
    pub buffer: Vec<u8>,
    /// Where its chunks begin.
    pub start: usize,
    /// The outline of the answer, whose head comes before the first piece.
    pub reply: Option<Reply>,
    pub is_last: bool,
}

impl SourcedAnswers {
    pub(super) fn insert(&mut self, sourced: Sourced) {
        self.0.insert(sourced.key.slot, sourced);
    }

    fn of(&mut self, key: ConnectionKey) -> Option<&mut Sourced> {
        self.0.get_mut(&key.slot).filter(|sourced| sourced.key == key)
    }

    /// What is to be read next of a connection's answer, and a buffer for it.
    pub(super) fn take_unread(&mut self, key: ConnectionKey) -> Option<(Box<PieceSource>, Vec<u8>)> {
        let sourced = self.of(key)?;
        let source = sourced.unread.take()?;
        Some((source, std::mem::take(&mut sourced.spare)))
    }

    /// A worker reads on.
    pub(super) fn on_reading(&mut self, key: ConnectionKey, job: JobHandle) {
        if let Some(sourced) = self.of(key) {
            sourced.job = Some(job);
        }
    }

    /// A piece is ready, or nothing of one yet. Whether its connection waits for it, and is to have its turn.
    pub(super) fn on_piece(&mut self, key: ConnectionKey, piece: Piece) -> bool {
        let Some(sourced) = self.of(key) else {
            return false;
        };
        sourced.job = None;
        if piece.start == piece.buffer.len() {
            (sourced.unread, sourced.spare) = (piece.rest, piece.buffer);
            return false;
        }
        sourced.ready = Some(piece);
        std::mem::take(&mut sourced.is_parked)
    }

    /// Whose answer is being sent on a connection, if more of it is to come.
    pub(super) fn unfinished(&self, key: ConnectionKey) -> Option<&Ticket> {
        let sourced = self.0.get(&key.slot).filter(|sourced| sourced.key == key)?;
        sourced.has_more().then_some(&sourced.ticket)
    }

    /// Whether a connection waits for a piece.
    pub(super) fn is_parked(&self, key: ConnectionKey) -> bool {
        let sourced = self.0.get(&key.slot).filter(|sourced| sourced.key == key);
        sourced.is_some_and(Sourced::is_parked)
    }

    /// A connection has its turn, and its last piece was in `sent`.
    pub(super) fn at_turn(&mut self, key: ConnectionKey, sent: &mut Vec<u8>) -> AtTurn {
        let Some(sourced) = self.of(key) else {
            return AtTurn::Other;
        };
        let Some(Piece { buffer, start, rest }) = sourced.ready.take() else {
            sourced.is_parked = true;
            return AtTurn::Parked;
        };
        sourced.spare = std::mem::take(sent);
        let is_last = rest.is_none();
        sourced.unread = rest;
        AtTurn::Piece(Next {
            buffer,
            start,
            reply: sourced.reply.take(),
            is_last,
        })
    }

    /// Whether a connection waits for its next piece; it does so no more.
    pub(super) fn unpark(&mut self, key: ConnectionKey) -> bool {
        self.of(key)
            .is_some_and(|sourced| std::mem::take(&mut sourced.is_parked))
    }

    /// The answer of a connection is over, or given up: nobody reads on.
    #[inline]
    pub(super) fn end(&mut self, key: ConnectionKey) -> Option<Sourced> {
        // Most answers have no source, and most shards none of them.
        if self.0.is_empty() {
            return None;
        }
        self.remove(key)
    }

    #[cold]
    fn remove(&mut self, key: ConnectionKey) -> Option<Sourced> {
        self.of(key)?;
        let mut sourced = self.0.remove(&key.slot)?;
        if let Some(job) = sourced.job.take() {
            job.abandon();
        }
        Some(sourced)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
