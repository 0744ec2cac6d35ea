//! The events' side of a channel of HTTP+SSE: events out, in a response without end; messages in, from other
//! connections.

use std::collections::VecDeque;

use crate::session::live::{SseInbox, SseMessage};
use crate::transport::http::admission::SSE_NAME_PARAMETER;
use crate::wire::sse::{self, EventName};

/// The events' side of a channel.
#[derive(Debug)]
pub(in crate::shard) struct Events {
    pub inbox: SseInbox,
    /// Messages that were delivered while the client had too much to read.
    pub waiting: VecDeque<SseMessage>,
    /// Whether the response is in chunks: not for HTTP/1.0, where it ends with the connection.
    pub is_chunked: bool,
}

impl Events {
    /// Frames `buffer[body..]`, in front of which is room; returns where the event begins.
    pub(in crate::shard) fn close(&self, buffer: &mut Vec<u8>, body: usize) -> usize {
        sse::close_message_event(buffer, body, self.is_chunked)
    }

    /// Appends one message.
    pub(in crate::shard) fn append(&self, out: &mut Vec<u8>, message: &[u8]) {
        self.write(out, |out| {
            sse::write_named_event(out, EventName::Message, |out| out.extend_from_slice(message));
        });
    }

    /// Appends a sign of life.
    pub(in crate::shard) fn append_keep_alive(&self, out: &mut Vec<u8>) {
        self.write(out, |out| out.extend_from_slice(sse::KEEP_ALIVE));
    }

    /// Appends the end of the response.
    pub(in crate::shard) fn append_end(&self, out: &mut Vec<u8>) {
        if self.is_chunked {
            out.extend_from_slice(sse::LAST_CHUNK);
        }
    }

    /// Appends where the client is to POST: a relative reference, since nobody here knows what the server is called,
    /// nor under which prefix a proxy shows it.
    pub(in crate::shard) fn append_endpoint(&self, out: &mut Vec<u8>, messages: &str) {
        let name = self.inbox.name();
        self.write(out, |out| {
            sse::write_named_event(out, EventName::Endpoint, |out| {
                for part in [messages, "?", SSE_NAME_PARAMETER, "=", name.as_str()] {
                    out.extend_from_slice(part.as_bytes());
                }
            });
        });
    }

    pub(in crate::shard) fn write(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_chunked {
            sse::write_chunk(out, write)
        } else {
            write(out)
        }
    }
}
