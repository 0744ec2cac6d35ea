//! A large text on its way: it is escaped piece by piece, each just before it is sent.
//!
//! So it is never there twice, and no step takes long, however large it is. Its length as JSON must be known before the
//! first byte leaves; a worker has measured the text that it made, any other is measured here, likewise in steps.

use crate::jsonrpc::{escaped_bytes, write_string_part};
use crate::mcp::Reply;

/// Bytes of a text that are measured in one step: it takes about as long as sending a piece (measured).
const MEASURED_BYTES_PER_STEP: usize = 256 << 10;

/// What is left of an answer whose text is large.
pub(in crate::shard) struct LargeText {
    text: Vec<u8>,
    /// How many bytes of it were written.
    written: usize,
    /// How many bytes of it were measured, and what these are as JSON.
    measured: usize,
    escaped_bytes: usize,
    /// What follows the text.
    tail: Vec<u8>,
    tail_written: usize,
    /// The outline of the answer, until its head is written.
    reply: Option<Reply>,
}

impl LargeText {
    /// A text whose length as JSON may be known already. Its answer is in `answer`, but for the text, which is to stand
    /// at an index of it; what is behind that is taken.
    pub(in crate::shard) fn new(
        text: String,
        escaped_bytes: Option<usize>,
        answer: &mut Vec<u8>,
        at: usize,
        reply: Reply,
    ) -> LargeText {
        let tail = answer[at..].to_vec();
        answer.truncate(at);
        LargeText {
            measured: escaped_bytes.map_or(0, |_| text.len()),
            escaped_bytes: escaped_bytes.unwrap_or_default(),
            text: text.into_bytes(),
            written: 0,
            tail,
            tail_written: 0,
            reply: Some(reply),
        }
    }

    /// The text, whose memory is to be freed.
    pub(super) fn into_spent(self) -> Vec<u8> {
        self.text
    }

    /// What its head is made of, once: the outline of the answer, and how many bytes follow its front.
    pub(super) fn take_outline(&mut self) -> Option<(Reply, usize)> {
        let rest_bytes = self.escaped_bytes + self.tail.len();
        Some((self.reply.take()?, rest_bytes))
    }

    /// Whether all of it stands for itself.
    fn is_plain(&self) -> bool {
        self.escaped_bytes == self.text.len()
    }

    /// Measures some of the text, if not all of it is measured.
    pub(super) fn measure(&mut self) {
        let rest = &self.text[self.measured..];
        let step = &rest[..rest.len().min(MEASURED_BYTES_PER_STEP)];
        self.escaped_bytes += escaped_bytes(step);
        self.measured += step.len();
    }

    /// Whether its length as JSON is known.
    pub(super) fn is_measured(&self) -> bool {
        self.measured == self.text.len()
    }

    /// Appends what comes next, up to about `room` bytes; whether that was the last of it.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, room: usize) -> bool {
        let end = out.len() + room;
        let rest = &self.text[self.written..];
        self.written += if self.is_plain() {
            let part = &rest[..rest.len().min(room)];
            out.extend_from_slice(part);
            part.len()
        } else {
            write_string_part(out, rest, room)
        };
        if self.written < self.text.len() {
            return false;
        }
        let rest = &self.tail[self.tail_written..];
        let part = &rest[..rest.len().min(end - out.len())];
        out.extend_from_slice(part);
        self.tail_written += part.len();
        part.len() == rest.len()
    }
}
