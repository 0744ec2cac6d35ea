//! The writing side of server-sent events (HTML Standard, section 9.2), and the chunks they travel in.
//!
//! Every event is a JSON text, which has no line breaks of its own, so one `data` line holds it. Events are gathered
//! behind room for one chunk head, so that everything ready leaves as one chunk in one send. Only the events of
//! HTTP+SSE (2024-11-05) have names: Streamable HTTP uses the default, `message`. Deliberately absent: reading.

use std::fmt::Display;
use std::io::Write;
use std::ops::Range;
use std::time::Duration;

/// A comment, which clients skip and proxies take as a sign of life.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// Room to leave in front of a chunk's data: its size in eight digits, and a line end (RFC 9112, section 7.1).
pub const CHUNK_RESERVE: usize = 10;
/// The text before the data of an event named `message`.
const MESSAGE_LEAD: &[u8] = b"event: message\ndata: ";
/// Room to leave in front of the data of an event named `message`.
#[cfg(test)]
pub const MESSAGE_EVENT_RESERVE: usize = MESSAGE_LEAD.len() + CHUNK_RESERVE;
/// The chunk that ends a body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends an event whose data, without line breaks, `write_data` appends.
pub fn write_event(out: &mut Vec<u8>, id: Option<&dyn Display>, write_data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(id) = id {
        write_id(out, id);
    }
    out.extend_from_slice(b"data: ");
    write_data(out);
    out.extend_from_slice(b"\n\n");
}

/// Appends the bytes that `write` appends, as a chunk of their own.
pub fn write_chunk(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let data = start + CHUNK_RESERVE;
    out.resize(data, 0);
    write(out);
    let end = out.len();
    let begin = close_chunk(out, data..end);
    debug_assert_eq!(begin, start, "the chunk's head fills its room");
}

/// Makes an event named `message` of the data `buffer[data..]`, in a chunk of its own or without one. At least
/// [`MESSAGE_EVENT_RESERVE`] bytes of room must be in front of the data. Returns where the event begins.
pub fn close_message_event(buffer: &mut Vec<u8>, data: usize, is_chunked: bool) -> usize {
    let event = data.saturating_sub(MESSAGE_LEAD.len());
    if let Some(room) = buffer.get_mut(event..data)
        && let Some(lead) = MESSAGE_LEAD.get(MESSAGE_LEAD.len() - room.len()..)
    {
        room.copy_from_slice(lead);
    }
    buffer.extend_from_slice(b"\n\n");
    let end = buffer.len();
    if is_chunked {
        close_chunk(buffer, event..end)
    } else {
        event
    }
}

/// Appends an event with a name (MCP 2024-11-05, *HTTP with SSE*), whose data, without line breaks, `write_data`
/// appends.
pub fn write_named_event(out: &mut Vec<u8>, name: EventName, write_data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.line());
    write_event(out, None, write_data);
}

/// The names of events in HTTP+SSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    /// The first event, which says where the client sends its messages.
    Endpoint,
    /// A message.
    Message,
}

impl EventName {
    const fn line(self) -> &'static [u8] {
        match self {
            EventName::Endpoint => b"event: endpoint\n",
            EventName::Message => b"event: message\n",
        }
    }
}

/// Appends an event that tells the client only from which event and after which time to resume the stream (MCP
/// 2025-11-25, Streamable HTTP, *Sending Messages to the Server*).
pub fn write_priming(out: &mut Vec<u8>, id: &dyn Display, retry: Duration) {
    write_retry(out, retry);
    write_id(out, id);
    out.extend_from_slice(b"data:\n\n");
}

/// Appends the time after which a client that loses the stream comes back.
pub fn write_retry(out: &mut Vec<u8>, retry: Duration) {
    out.extend_from_slice(b"retry: ");
    let millis = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
    out.extend_from_slice(itoa::Buffer::new().format(millis).as_bytes());
    out.push(b'\n');
}

/// Ids are the server's own, and have no line breaks.
fn write_id(out: &mut Vec<u8>, id: &dyn Display) {
    // Writing to a `Vec` cannot fail.
    let _ = writeln!(out, "id: {id}");
}

/// Makes a chunk of `buffer[data]`, with [`CHUNK_RESERVE`] bytes of room in front and nothing behind; returns where the
/// chunk begins. The data must be less than 4 GiB.
pub fn close_chunk(buffer: &mut Vec<u8>, data: Range<usize>) -> usize {
    debug_assert!(
        data.start >= CHUNK_RESERVE && data.end == buffer.len(),
        "{data:?}"
    );
    let mut size = data.len();
    let start = data.start - CHUNK_RESERVE;
    if let Some(head) = buffer.get_mut(start..data.start)
        && let Some((digits, line_end)) = head.split_last_chunk_mut::<2>()
    {
        for digit in digits.iter_mut().rev() {
            // The index is within bounds, because it is taken modulo the length.
            *digit = b"0123456789abcdef"[size % 16];
            size /= 16;
        }
        *line_end = *b"\r\n";
    }
    buffer.extend_from_slice(b"\r\n");
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{BodyLimits, ChunkDecoder};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_end_with_an_empty_line() {
        assert_eq!(
            text(|out| write_event(out, Some(&"c1-2"), |out| out.extend_from_slice(b"{}"))),
            "id: c1-2\ndata: {}\n\n"
        );
        assert_eq!(
            text(|out| write_event(out, None, |out| out.extend_from_slice(b"[]"))),
            "data: []\n\n"
        );
        assert_eq!(
            text(|out| write_priming(out, &"s0-0", Duration::from_millis(1500))),
            "retry: 1500\nid: s0-0\ndata:\n\n"
        );
        let named = |name, data: &str| {
            text(|out| write_named_event(out, name, |out| out.extend_from_slice(data.as_bytes())))
        };
        assert_eq!(
            named(EventName::Endpoint, "messages?sessionId=1"),
            "event: endpoint\ndata: messages?sessionId=1\n\n"
        );
        assert_eq!(named(EventName::Message, "{}"), "event: message\ndata: {}\n\n");
    }

    #[test]
    fn a_message_becomes_an_event_where_it_lies() {
        for is_chunked in [true, false] {
            let (mut written, mut closed) = (b"before".to_vec(), vec![b'?'; MESSAGE_EVENT_RESERVE + 3]);
            let event = |out: &mut Vec<u8>| {
                write_named_event(out, EventName::Message, |out| out.extend_from_slice(b"{\"a\":1}"));
            };
            if is_chunked {
                write_chunk(&mut written, event)
            } else {
                event(&mut written)
            }
            closed.extend_from_slice(b"{\"a\":1}");
            let start = close_message_event(&mut closed, MESSAGE_EVENT_RESERVE + 3, is_chunked);
            assert_eq!(closed[start..], written[6..], "chunked: {is_chunked}");
            assert_eq!((&written[..6], &closed[..3]), (&b"before"[..], &b"???"[..]));
        }
    }

    #[test]
    fn chunks_are_what_a_decoder_reads() {
        for length in [1, 15, 16, 17, 4095, 70_000] {
            let mut buffer = vec![0; 3 + CHUNK_RESERVE];
            buffer.resize(3 + CHUNK_RESERVE + length, b'x');
            let start = close_chunk(&mut buffer, 3 + CHUNK_RESERVE..3 + CHUNK_RESERVE + length);
            assert_eq!(start, 3);
            buffer.extend_from_slice(LAST_CHUNK);
            let mut data = Vec::new();
            let decoded = ChunkDecoder::default()
                .decode(&buffer[start..], &mut data, &BodyLimits::default())
                .unwrap();
            assert!(decoded.is_done && decoded.consumed == buffer.len() - start);
            assert_eq!(data, vec![b'x'; length]);
        }
    }
}
