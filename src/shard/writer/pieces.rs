//! Large answers leave in pieces: how large those are, and whose turn it is.
//!
//! A piece that the socket has taken puts its connection at the end of a line, and each flush sends a few from the
//! front. So a shard that sends a hundred large answers still looks at everybody else's requests after every few tens
//! of microseconds, and the answers share what they get.
//!
//! Invariant: a connection is in the line at most once, and only while it counts as sending and the ring does not have
//! its buffer.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::Outgoing;
use super::large_text::LargeText;
use crate::pool::HeapBudget;
use crate::ring::ConnectionKey;

/// Bytes of a piece: the kernel copies so many in about twenty microseconds (measured), and the cost of a send beside
/// that is small. A slow reader's deadline moves with each.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces in the first send of an answer, when nothing waits in its socket: most large answers are no larger.
const FIRST_PIECES: usize = 2;

/// Bytes of pieces that one flush begins, about; at least one piece.
const BYTES_PER_FLUSH_MAX: usize = PIECE_BYTES;

/// Bytes of a text that one flush frees: to unmap their pages takes about as long as sending a piece (measured).
const FREED_BYTES_PER_FLUSH: usize = 512 << 10;

/// A text with fewer bytes is answered in one piece.
pub(in crate::shard) const LARGE_TEXT_BYTES_MIN: usize = FIRST_PIECES * PIECE_BYTES;

/// What large answers have left to send.
pub(super) struct Pieces {
    /// Who sends the next piece, and of what, oldest first.
    due: VecDeque<(ConnectionKey, Vec<u8>)>,
    /// Texts that are not written yet, by the slots of their connections.
    texts: HashMap<u32, LargeText>,
    /// Texts that were written, and are freed step by step.
    spent: Vec<Vec<u8>>,
    piece_bytes: usize,
    /// What this flush may still begin.
    flush_bytes_left: usize,
}

impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            due: VecDeque::new(),
            texts: HashMap::new(),
            spent: Vec::new(),
            piece_bytes: PIECE_BYTES,
            flush_bytes_left: 0,
        }
    }
}

impl Pieces {
    /// The first piece of what is to be sent.
    pub(super) fn first_of(&self, outgoing: &mut Outgoing) -> Range<usize> {
        offer(outgoing, FIRST_PIECES * self.piece_bytes)
    }

    /// A further piece of it.
    pub(super) fn next_of(&self, outgoing: &mut Outgoing) -> Range<usize> {
        offer(outgoing, self.piece_bytes)
    }

    /// Puts a connection at the end of the line.
    pub(super) fn push(&mut self, key: ConnectionKey, buffer: Vec<u8>) {
        self.due.push_back((key, buffer));
    }

    /// Whether a flush has something to send, or to free.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty() || !self.spent.is_empty()
    }

    /// A flush begins: what it frees is refunded to `heap`.
    pub(super) fn begin_flush(&mut self, heap: &HeapBudget) {
        self.flush_bytes_left = BYTES_PER_FLUSH_MAX;
        let Some(text) = self.spent.last_mut() else {
            return;
        };
        let before = text.capacity();
        text.truncate(text.len().min(before.saturating_sub(FREED_BYTES_PER_FLUSH)));
        text.shrink_to_fit();
        heap.refund(before - text.capacity());
        if text.capacity() == 0 {
            self.spent.pop();
        }
    }

    /// Keeps the text of what a connection sends.
    pub(super) fn insert_text(&mut self, key: ConnectionKey, text: LargeText) {
        self.texts.insert(key.slot, text);
    }

    /// The text of what a connection sends, as far as it is not written.
    pub(super) fn text(&mut self, key: ConnectionKey) -> Option<&mut LargeText> {
        self.texts.get_mut(&key.slot)
    }

    /// The text of what a connection sends is written, or not wanted any more. It stays charged until it is freed.
    pub(super) fn end_text(&mut self, key: ConnectionKey) {
        self.spent
            .extend(self.texts.remove(&key.slot).map(LargeText::into_spent));
    }

    /// Bytes of a piece.
    pub(super) fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// The least bytes of a text that is answered in pieces.
    pub(super) fn large_text_bytes_min(&self) -> usize {
        FIRST_PIECES * self.piece_bytes
    }

    /// Whose turn it is, while the flush may begin more.
    pub(super) fn pop(&mut self) -> Option<(ConnectionKey, Vec<u8>)> {
        if self.flush_bytes_left == 0 {
            return None;
        }
        let (key, buffer) = self.due.pop_front()?;
        self.flush_bytes_left = self.flush_bytes_left.saturating_sub(self.piece_bytes);
        Some((key, buffer))
    }

    /// Whether nothing waits to be sent or freed.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.texts.is_empty() && self.spent.is_empty()
    }

    /// Pieces of so many bytes instead.
    #[cfg(test)]
    pub(super) fn set_piece_bytes(&mut self, bytes: usize) {
        self.piece_bytes = bytes;
    }
}

/// The front of what is left, at most so many bytes.
fn offer(outgoing: &mut Outgoing, bytes_max: usize) -> Range<usize> {
    let Range { start, end } = outgoing.range;
    let end = end.min(start + bytes_max);
    outgoing.offered = u32::try_from(end - start).unwrap_or(u32::MAX);
    start..end
}
