//! Streams of events: the answers of calls that speak before they end, and what sessions and subscriptions listen on.
//!
//! A stream's messages lie in the live store, where any thread may add to them; the shard that has its connection is
//! told, takes what is ready and sends it as one chunk. One send is in flight at a time, so a client that does not
//! read keeps its messages waiting in the store, bounded there, and nobody else.
//!
//! ```text
//! Calling ── speaks, or takes long ──► Calling with a stream ── ends ──► Streaming ─┐
//! Open ───── GET, subscriptions/listen ───────────────────────────────► Streaming ─┴ last chunk ──► Answering
//! ```
//!
//! An open stream holds no handler and no buffer. Invariant: while a stream is open nothing but its chunks is sent
//! on its connection, and a response that was begun is ended by the last chunk or by the connection's end.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::jsonrpc::RequestId;
use crate::mcp::Revision;
use crate::metrics::Eviction;
use crate::pool::HandlerKey;
use crate::ring::{ConnectionKey, HangUp, SendMode};
use crate::session::live::{Message, Stream, StreamPlace, StreamState};
use crate::transport::http::{self, HEAD_RESERVE, Persistence};
use crate::wire::sse;

use super::connections::{Outgoing, OutgoingKind, State, Waiting};
use super::{Shard, ShardRing};

/// Bytes of messages that go into one send; one message more, however long.
const SEND_BYTES: usize = 16 << 10;
/// Streams that are looked at before other work has its turn.
const STREAMS_PER_TURN: usize = 64;
/// When a client that lost its stream comes back for the rest.
const RETRY: Duration = Duration::from_secs(1);
/// A sign of life, in a chunk of its own.
const KEEP_ALIVE_CHUNK: &[u8] = b"3\r\n:\n\n\r\n";

/// A stream whose connection is here.
#[derive(Debug)]
pub(super) struct OpenStream {
    stream: Arc<Stream>,
    role: Role,
    has_head: bool,
    /// It begins with the place to come back to (since 2025-11-25).
    is_primed: bool,
    /// The response ends behind what is there, whatever becomes of the stream; the client comes back after this time.
    cut: Option<Duration>,
}

impl OpenStream {
    fn new(stream: Arc<Stream>, role: Role, revision: Revision) -> OpenStream {
        OpenStream {
            is_primed: stream.is_resumable() && revision.has_stream_priming(),
            stream,
            role,
            has_head: false,
            cut: None,
        }
    }

    /// Where its messages lie.
    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Whether it is the answer to this request, which no call works for.
    pub(super) fn is_listening(&self, request: &RequestId) -> bool {
        matches!(&self.role, Role::Listening(id) | Role::Awaiting(id) if id == request)
    }

    /// Whether its end is an answer somebody waits for.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.role, Role::Call | Role::Resumed | Role::Awaiting(_))
    }

    /// Whether it is `stream` that is open.
    pub(super) fn is_of(&self, stream: &Arc<Stream>) -> bool {
        Arc::ptr_eq(&self.stream, stream)
    }
}

/// What a stream is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// The answer of a call, whether it runs still or is over.
    Call,
    /// The rest of a call's stream that broke, for a legacy session's GET.
    Resumed,
    /// A legacy session's GET.
    Standing,
    /// `subscriptions/listen`, of this id.
    Listening(RequestId),
    /// `tasks/result`, of this id.
    Awaiting(RequestId),
}

impl<R: ShardRing> Shard<R> {
    /// Answers a connection's request by a stream. Whatever it was, it is now no longer in flight, but for a call.
    pub(super) fn begin_stream(
        &mut self,
        key: ConnectionKey,
        stream: Arc<Stream>,
        role: Role,
        revision: Revision,
        after: Option<u64>,
    ) {
        let keep_alive_at = self.clock.now + self.service.timeouts.keep_alive;
        let place = self.stream_place(key);
        if role != Role::Call {
            self.metrics.in_flight.down();
        }
        if role != Role::Call {
            self.table.begin_streaming(key);
        }
        let Some(request) = self.table.request(key) else {
            return;
        };
        stream.attach(place, after);
        request.stream = Some(Box::new(OpenStream::new(stream, role, revision)));
        self.metrics.streams_open.up();
        if let Some(connection) = self.table.connection(key) {
            connection.waiting = Waiting::KeepAlive;
            self.watch(key);
            self.set_deadline(key, keep_alive_at);
        }
        self.pump_stream(key);
    }

    /// What a legacy session on a channel hears without asking.
    pub(super) fn begin_standing_on_channel(
        &mut self,
        key: ConnectionKey,
        stream: Arc<Stream>,
        revision: Revision,
    ) {
        let place = self.stream_place(key);
        stream.attach(place, None);
        if let Some(connection) = self.table.connection(key) {
            connection.request.stream = Some(Box::new(OpenStream::new(stream, Role::Standing, revision)));
            self.metrics.streams_open.up();
            self.pump_on_channel(key);
        }
    }

    pub(super) fn stream_place(&self, key: ConnectionKey) -> StreamPlace {
        StreamPlace {
            shard: self.metrics.shard.0,
            connection: key,
        }
    }

    /// Sends what is ready of a stream, unless a send is in flight: then that one's end comes back here.
    pub(super) fn pump_stream(&mut self, key: ConnectionKey) {
        let is_draining = self.is_draining();
        let place = self.stream_place(key);
        let Some(connection) = self.table.connection(key).filter(|c| c.channel.is_none()) else {
            return self.pump_on_channel(key);
        };
        let is_streaming = matches!(connection.state, State::Calling(_) | State::Streaming);
        if !is_streaming {
            return;
        }
        if connection.ring.is_sending {
            // What is on its way may never arrive.
            let open = connection.request.stream.as_ref();
            if open.is_some_and(|open| open.stream.is_cut_off()) {
                self.cut_off(key);
            }
            return;
        }
        let takes_chunks = connection.response.takes_chunks;
        if is_draining || !takes_chunks {
            connection.response.persistence = Persistence::Close;
        }
        let closes = connection.response.closes();
        let Some(open) = connection.request.stream.as_mut() else {
            return;
        };
        let mut buffer = self.spares.take();
        let data = HEAD_RESERVE + if takes_chunks { sse::CHUNK_RESERVE } else { 0 };
        buffer.resize(data, 0);
        if open.is_primed && !open.has_head {
            sse::write_priming(&mut buffer, &open.stream.position(), RETRY);
        }
        let state = open.stream.next(place, SEND_BYTES, &mut |event| {
            let id = event.id.as_ref().map(|id| id as &dyn Display);
            sse::write_event(&mut buffer, id, |out| {
                event.message.write(event.subscription, out)
            });
        });
        if state == StreamState::CutOff {
            self.spares.put(buffer);
            return self.cut_off(key);
        }
        let cut = open.cut.filter(|_| state == StreamState::Idle);
        if let Some(retry) = cut {
            sse::write_retry(&mut buffer, retry);
            buffer.push(b'\n');
        }
        // Displaced: another connection has taken it up.
        let ends = cut.is_some() || matches!(state, StreamState::Ended | StreamState::Displaced);
        let mut start = end_chunk(&mut buffer, data, takes_chunks, ends);
        if !std::mem::replace(&mut open.has_head, true) {
            start =
                http::write_stream_head_before(&mut buffer, start, &connection.response, self.date.text());
        }
        if !ends && start == buffer.len() {
            return self.spares.put(buffer);
        }
        let outgoing = Outgoing {
            range: start..buffer.len(),
            closes: ends && closes,
            kind: match ends {
                true => OutgoingKind::Answer,
                false => OutgoingKind::Stream,
            },
            ..Outgoing::default()
        };
        if ends {
            self.end_response(key);
        }
        if outgoing.range.is_empty() {
            self.spares.put(buffer);
            return self.begin_close(key);
        }
        self.send(key, buffer, outgoing, SendMode::Attempt);
    }

    /// A client has left too much unread.
    fn cut_off(&mut self, key: ConnectionKey) {
        self.metrics.count_eviction(Eviction::SlowReader);
        self.lose_client(key);
    }

    /// The stream's last bytes are about to go out: from here on it is an answer like any other.
    fn end_response(&mut self, key: ConnectionKey) {
        let now = self.clock.now;
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let Some(open) = connection.request.stream.take() else {
            return;
        };
        if open.role != Role::Call {
            // How long somebody listened is no latency.
            connection.request.began = now;
        }
        self.leave_stream(key, *open);
    }

    /// Some of a stream is with the kernel.
    pub(super) fn go_on_streaming(&mut self, key: ConnectionKey) {
        let keep_alive_at = self.clock.now + self.service.timeouts.keep_alive;
        if let Some(connection) = self.table.connection(key) {
            connection.waiting = Waiting::KeepAlive;
        }
        self.set_deadline(key, keep_alive_at);
        self.pump_stream(key);
    }

    /// Nothing was sent for a while: a comment, so that whoever is between us and the client keeps the connection.
    pub(super) fn keep_stream_alive(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.ring.is_sending || connection.request.stream.is_none() {
            return;
        }
        let comment = match connection.response.takes_chunks {
            true => KEEP_ALIVE_CHUNK.to_vec(),
            false => sse::KEEP_ALIVE.to_vec(),
        };
        let outgoing = Outgoing {
            range: 0..comment.len(),
            kind: OutgoingKind::Stream,
            ..Outgoing::default()
        };
        self.send(key, comment, outgoing, SendMode::Attempt);
    }

    /// The stream that a call speaks on; opened now if it has none. `None` if nobody could hear it: the client has
    /// left and cannot come back to it, the call is one of a batch, or there is no room for streams.
    pub(super) fn call_stream(&mut self, handler: HandlerKey) -> Option<Arc<Stream>> {
        let connection = self.calls.holder(handler);
        let call = self.calls.at(handler)?;
        if let Some(stream) = &call.stream {
            return Some(Arc::clone(stream));
        }
        if call.batch.is_some() {
            return None;
        }
        let key = connection.filter(|key| {
            let connection = self.table.connection(*key);
            connection.is_some_and(|connection| connection.state == State::Calling(handler))
        })?;
        let (ticket, live) = (&call.ticket, call.service.store.live());
        let session = ticket.session().map(|token| (token, ticket.principal()));
        let revision = ticket.revision();
        let stream = live.open_call_stream(session, ticket.is_resumable()).ok()?;
        call.stream = Some(Arc::clone(&stream));
        self.begin_stream(key, Arc::clone(&stream), Role::Call, revision, None);
        Some(stream)
    }

    /// Puts one message on a call's stream, if it can have one.
    pub(super) fn say_on_stream(&mut self, handler: HandlerKey, message: Vec<u8>) {
        if let Some(stream) = self.call_stream(handler) {
            stream.push(Message::new(message));
        }
    }

    /// Whether what a call says reaches anybody; a stream is opened for it where one is needed.
    pub(super) fn is_heard(&mut self, handler: HandlerKey) -> bool {
        let holder = self.calls.holder(handler);
        let is_of_channel = holder.is_some_and(|key| self.parent_of(key).is_some());
        is_of_channel || self.calls.is_task(handler) || self.call_stream(handler).is_some()
    }

    /// A call has taken long: its client is told that it is being worked on.
    pub(super) fn stream_answer(&mut self, handler: HandlerKey) {
        // Without a stream the client simply waits on.
        let _ = self.call_stream(handler);
    }

    /// The call whose stream this is, or will be, goes on, but the connection is to be free: the client will come back
    /// after `retry`. One that was not told where to go on could not, and is kept.
    pub(super) fn cut_response(&mut self, handler: HandlerKey, retry: Duration) {
        let call = self.calls.at(handler);
        let comes_back = call.is_some_and(|call| call.ticket.wants_stream_priming());
        if !comes_back || self.call_stream(handler).is_none() {
            return;
        }
        let Some(key) = self.calls.holder(handler) else {
            return;
        };
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.state != State::Calling(handler) {
            return;
        }
        if let Some(open) = connection.request.stream.as_mut() {
            open.cut = Some(retry);
            connection.state = State::Streaming;
            self.pump_stream(key);
        }
    }

    /// The call whose stream this was is over without an answer.
    pub(super) fn end_stream_of(&mut self, key: ConnectionKey, stream: Option<Arc<Stream>>) {
        let Some(stream) = stream else { return };
        stream.end();
        if let Some(entry) = self.table.connection(key)
            && entry
                .request
                .stream
                .as_ref()
                .is_some_and(|open| open.is_of(&stream))
        {
            entry.state = State::Streaming;
            self.pump_stream(key);
        }
    }

    /// A connection and its stream part: the stream may go on without it, and another connection may take it up.
    pub(super) fn leave_stream(&mut self, key: ConnectionKey, open: OpenStream) {
        self.metrics.streams_open.down();
        open.stream.detach(self.stream_place(key));
        if let Role::Listening(_) = open.role {
            open.stream.end();
        }
    }

    /// A client that is read to or waits for an answer is gone. Modern: that cancels its call. Legacy: the call runs
    /// on.
    pub(super) fn lose_client(&mut self, key: ConnectionKey) {
        if let Some(State::Calling(handler)) = self.table.connection(key).map(|connection| connection.state)
            && self.is_cancelled_by_leaving(handler)
        {
            self.cancel_call(handler);
        }
        self.kill(key);
    }

    /// The peer of a stream without a running call hung up. If an answer is on its way and the peer may only have
    /// finished sending, that is still sent.
    pub(super) fn lose_listener(&mut self, key: ConnectionKey, outcome: &HangUp) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let has_answer = connection
            .request
            .stream
            .as_ref()
            .is_some_and(|open| open.is_answer());
        if has_answer && matches!(outcome, HangUp::ReadClosed) {
            return self.note_half_close(key);
        }
        self.kill(key);
    }

    /// A drain begins: who only listens is told that it is over, in the words of its era. What a channel hears beside
    /// its answers ends with the channel, which may stay for a task.
    pub(super) fn end_listening(&mut self) {
        let is_listening = |open: &OpenStream| matches!(open.role, Role::Standing | Role::Listening(_));
        let mut keys = self.table.connections_where(|connection| {
            connection.channel.is_none() && connection.request.stream.as_deref().is_some_and(is_listening)
        });
        keys.extend(
            self.table
                .exchanges_where(|exchange| exchange.request.stream.as_deref().is_some_and(is_listening)),
        );
        for key in keys {
            let Some(open) = self.table.stream(key) else {
                continue;
            };
            match &open.role {
                Role::Listening(id) => {
                    let mut end = Vec::new();
                    self.service.protocol.write_listen_end(id, &mut end);
                    open.stream.conclude(Message::new(end));
                }
                _ => open.stream.end(),
            }
            self.pump_stream(key);
        }
    }

    /// Sends on streams that have something to send: some of them now, the rest when others had their turn.
    pub(super) fn pump_ready_streams(&mut self) {
        for _ in 0..STREAMS_PER_TURN {
            let Some(key) = self.ready_streams.pop_front() else {
                return;
            };
            self.pump_stream(key);
        }
        if !self.ready_streams.is_empty() {
            self.wake();
        }
    }
}

/// Ends the chunk of `buffer[data..]`, if there are chunks, and the body behind it if it `ends`; returns where what is
/// to be sent begins.
fn end_chunk(buffer: &mut Vec<u8>, data: usize, takes_chunks: bool, ends: bool) -> usize {
    if !takes_chunks {
        return data;
    }
    let is_empty = buffer.len() == data;
    let start = if is_empty {
        buffer.truncate(HEAD_RESERVE);
        HEAD_RESERVE
    } else {
        let end = buffer.len();
        sse::close_chunk(buffer, data..end)
    };
    if ends {
        buffer.extend_from_slice(sse::LAST_CHUNK);
    }
    start
}
