//! A stream whose connection or message is here: what it is for, and how its messages become chunks of a response.
//!
//! Invariant: while a stream is open nothing but its chunks is sent on its connection, and a response that was begun is
//! ended by the last chunk or by the connection's end.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::jsonrpc::RequestId;
use crate::mcp::Revision;
use crate::session::live::{Stream, StreamId, StreamPlace, StreamState};
use crate::transport::http::{self, ResponseContext};
use crate::wire::sse;

use super::outbox::{SEND_BYTES, StreamOutbox};

/// When a client that lost its stream comes back for the rest.
const RETRY: Duration = Duration::from_secs(1);
/// A sign of life, in a chunk of its own.
pub(in crate::shard) const KEEP_ALIVE_CHUNK: &[u8] = b"3\r\n:\n\n\r\n";

/// What was ready of a stream, written behind room for a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Chunk {
    /// There is nothing to send now.
    Nothing,
    /// Some of the response, from here on in the buffer.
    Some(usize),
    /// The end of the response, from here on; there may be nothing left to send for it.
    Last(usize),
    /// The client has left too much unread.
    CutOff,
}

/// A stream whose connection is here.
#[derive(Debug)]
pub(in crate::shard) struct OpenStream {
    stream: Arc<Stream>,
    role: Role,
    has_head: bool,
    /// It begins with the place to come back to (since 2025-11-25).
    is_primed: bool,
    /// What its call has said here, if nobody can come back for it.
    pub outbox: Option<StreamOutbox>,
    /// The client has left too much of that unread.
    pub is_overfull: bool,
    /// The store has its last message, and until then nothing: only its call speaks on it.
    pub is_concluded: bool,
    /// The response ends behind what is there, whatever becomes of the stream; the client comes back after this time.
    cut: Option<Duration>,
}

impl OpenStream {
    pub(in crate::shard) fn new(stream: Arc<Stream>, role: Role, revision: Revision) -> OpenStream {
        OpenStream {
            is_primed: stream.is_resumable() && revision.has_stream_priming(),
            stream,
            role,
            has_head: false,
            outbox: None,
            is_overfull: false,
            is_concluded: false,
            cut: None,
        }
    }

    /// Writes what is ready behind what is in `buffer[data..]` already, and the head before the first of it.
    pub(in crate::shard) fn write_next(
        &mut self,
        place: StreamPlace,
        response: &ResponseContext,
        date: &[u8; 29],
        buffer: &mut Vec<u8>,
        data: usize,
    ) -> Chunk {
        let takes_chunks = response.takes_chunks;
        if self.is_primed && !self.has_head {
            sse::write_priming(buffer, &self.stream.position(), RETRY);
        }
        let state = self.write_stored(place, buffer);
        if state == StreamState::CutOff {
            return Chunk::CutOff;
        }
        let cut = self.cut.filter(|_| state == StreamState::Idle);
        if let Some(retry) = cut {
            sse::write_retry(buffer, retry);
            buffer.push(b'\n');
        }
        // Displaced: another connection has taken it up.
        let ends = cut.is_some() || matches!(state, StreamState::Ended | StreamState::Displaced);
        let mut start = end_chunk(buffer, data, takes_chunks, ends);
        if !std::mem::replace(&mut self.has_head, true) {
            start = http::write_stream_head_before(buffer, start, response, date);
        }
        if ends {
            Chunk::Last(start)
        } else if start == buffer.len() {
            Chunk::Nothing
        } else {
            Chunk::Some(start)
        }
    }

    /// Writes events of what the store has ready, up to one send's bytes; what is left then.
    fn write_stored(&mut self, place: StreamPlace, buffer: &mut Vec<u8>) -> StreamState {
        if self.is_overfull {
            return StreamState::CutOff;
        }
        if !self.is_in_store() {
            return StreamState::Idle;
        }
        self.stream.next(place, SEND_BYTES, &mut |event| {
            let id = event.id.as_ref().map(|id| id as &dyn Display);
            sse::write_event(buffer, id, |out| event.message.write(event.subscription, out));
        })
    }

    /// Whether there may be messages in the store.
    fn is_in_store(&self) -> bool {
        self.is_concluded || self.role != Role::Call || self.stream.is_resumable()
    }

    /// Whether there is nothing to send, and there need not be a look into the store.
    pub(in crate::shard) fn has_nothing(&self) -> bool {
        let is_idle = self.has_head && self.outbox.is_none() && self.cut.is_none();
        is_idle && !self.is_overfull && !self.is_in_store()
    }

    /// Whether its client has left too much unread.
    pub(in crate::shard) fn is_cut_off(&self) -> bool {
        self.is_overfull || self.is_in_store() && self.stream.is_cut_off()
    }

    /// Whether its response has begun.
    pub(in crate::shard) fn has_head(&self) -> bool {
        self.has_head
    }

    /// Which stream it is.
    pub(in crate::shard) fn id(&self) -> StreamId {
        self.stream.id()
    }

    /// The response ends behind what is there, whatever becomes of the stream; the client comes back after `retry`.
    pub(in crate::shard) fn cut(&mut self, retry: Duration) {
        self.cut = Some(retry);
    }

    /// What it is for.
    pub(in crate::shard) fn role(&self) -> &Role {
        &self.role
    }

    /// Where its messages lie.
    pub(in crate::shard) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Whether it is the answer to this request, which no call works for.
    pub(in crate::shard) fn is_listening(&self, request: &RequestId) -> bool {
        matches!(&self.role, Role::Subscription(id) | Role::TaskResult(id) if id == request)
    }

    /// Whether its end is an answer somebody waits for.
    pub(in crate::shard) fn is_answer(&self) -> bool {
        matches!(self.role, Role::Call | Role::Resumed | Role::TaskResult(_))
    }

    /// Whether it is `stream` that is open.
    pub(in crate::shard) fn is_of(&self, stream: &Arc<Stream>) -> bool {
        Arc::ptr_eq(&self.stream, stream)
    }
}

/// What a stream is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::shard) enum Role {
    /// The answer of a call, whether it runs still or is over.
    Call,
    /// The rest of a call's stream that broke, for a legacy session's GET.
    Resumed,
    /// A legacy session's GET.
    Session,
    /// `subscriptions/listen`, of this id.
    Subscription(RequestId),
    /// `tasks/result`, of this id.
    TaskResult(RequestId),
}

/// Ends the chunk of `buffer[data..]`, if there are chunks, and the body behind it if it `ends`; returns where what is
/// to be sent begins.
fn end_chunk(buffer: &mut Vec<u8>, data: usize, takes_chunks: bool, ends: bool) -> usize {
    if !takes_chunks {
        return data;
    }
    let is_empty = buffer.len() == data;
    let start = if is_empty {
        let start = data - sse::CHUNK_RESERVE;
        buffer.truncate(start);
        start
    } else {
        let end = buffer.len();
        sse::close_chunk(buffer, data..end)
    };
    if ends {
        buffer.extend_from_slice(sse::LAST_CHUNK);
    }
    start
}
