//! Answers in events: the streams of calls that speak before they end, and those that clients listen on.
//!
//! ```text
//! Calling ── speaks, or takes long ──► Calling with a stream ── ends ──► Streaming ─┐
//! Open ───── GET, subscriptions/listen ───────────────────────────────► Streaming ─┴ last chunk ──► Answering
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::mcp::Revision;
use crate::metrics::Eviction;
use crate::pool::HandlerKey;
use crate::ring::{ConnectionKey, HangUp};
use crate::session::live::{Message, Stream};
use crate::transport::http::Persistence;
use crate::wire::sse;

use crate::shard::connections::{Outgoing, OutgoingKind, State, Waiting};
use crate::shard::streams::{Chunk, KEEP_ALIVE_CHUNK, OpenStream, Role, StreamOutbox, stream_reserve};
use crate::shard::{Shard, ShardRing};

/// Streams that are looked at before other work has its turn.
const STREAMS_PER_TURN: usize = 64;

impl<R: ShardRing> Shard<R> {
    /// Answers a request by a stream. Unless it is a call, the request is no longer counted in flight.
    pub(in crate::shard) fn begin_stream(
        &mut self,
        key: ConnectionKey,
        stream: Arc<Stream>,
        role: Role,
        revision: Revision,
        after: Option<u64>,
    ) {
        self.open_stream(key, stream, role, revision, after);
        self.pump_stream(key);
    }

    /// The same, but nothing is sent yet.
    fn open_stream(
        &mut self,
        key: ConnectionKey,
        stream: Arc<Stream>,
        role: Role,
        revision: Revision,
        after: Option<u64>,
    ) {
        let keep_alive_at = self.clock.now() + self.service.timeouts.keep_alive;
        let place = self.streams.place(key);
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
            self.table.watch(key, &mut self.ring);
            self.clock.set_deadline(key, keep_alive_at);
        }
    }

    /// Opens the stream of what a legacy session on a channel is told without asking.
    pub(in crate::shard) fn open_announcements_on_channel(
        &mut self,
        key: ConnectionKey,
        stream: Arc<Stream>,
        revision: Revision,
    ) {
        let place = self.streams.place(key);
        stream.attach(place, None);
        if let Some(connection) = self.table.connection(key) {
            connection.request.stream = Some(Box::new(OpenStream::new(stream, Role::Session, revision)));
            self.metrics.streams_open.up();
            self.pump_on_channel(key);
        }
    }

    /// Sends what is ready of a stream, unless a send is in flight: then that one's end comes back here.
    pub(in crate::shard) fn pump_stream(&mut self, key: ConnectionKey) {
        let is_draining = self.drain.is_begun();
        let place = self.streams.place(key);
        let Some(connection) = self.table.connection(key).filter(|c| c.channel.is_none()) else {
            return self.pump_on_channel(key);
        };
        let is_streaming = matches!(connection.state, State::Calling(_) | State::Streaming);
        if !is_streaming {
            return;
        }
        if connection.ring.is_sending {
            // The client may never take the send that is in flight.
            let open = connection.request.stream.as_ref();
            if open.is_some_and(|open| open.is_cut_off()) {
                self.cut_off(key);
            }
            return;
        }
        if is_draining || !connection.response.takes_chunks {
            connection.response.persistence = Persistence::Close;
        }
        let closes = connection.response.closes();
        let Some(open) = connection.request.stream.as_mut() else {
            return;
        };
        if open.has_nothing() {
            return;
        }
        let outbox = match open.outbox.take() {
            Some(outbox) => outbox,
            None => {
                let reserve = stream_reserve(false, connection.response.takes_chunks);
                StreamOutbox::new(self.writer.take_buffer(), reserve)
            }
        };
        let (mut buffer, charged) = (outbox.buffer, outbox.charged);
        let date = self.writer.date();
        let chunk = open.write_next(place, &connection.response, date, &mut buffer, outbox.data);
        let (start, ends) = match chunk {
            Chunk::Some(start) => (start, false),
            Chunk::Last(start) => (start, true),
            Chunk::Nothing => return self.writer.put_charged(buffer, charged),
            Chunk::CutOff => {
                self.writer.put_charged(buffer, charged);
                return self.cut_off(key);
            }
        };
        let outgoing = Outgoing {
            range: start..buffer.len(),
            charged,
            closes: ends && closes,
            kind: if ends {
                OutgoingKind::Answer
            } else {
                OutgoingKind::Stream
            },
            ..Outgoing::default()
        };
        if ends {
            self.end_response(key);
        }
        if outgoing.range.is_empty() {
            self.writer.put_charged(buffer, charged);
            return self.begin_close(key);
        }
        self.send(key, buffer, outgoing);
    }

    /// The client of a stream has left too much unread.
    fn cut_off(&mut self, key: ConnectionKey) {
        self.metrics.count_eviction(Eviction::SlowReader);
        self.client_gone(key);
    }

    /// The stream's last bytes are about to go out: from here on it is an answer like any other.
    fn end_response(&mut self, key: ConnectionKey) {
        let now = self.clock.now();
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let Some(open) = connection.request.stream.take() else {
            return;
        };
        if *open.role() != Role::Call {
            // The time for which a client listened is not a latency.
            connection.request.began = now;
        }
        self.leave_stream(key, *open);
    }

    /// A chunk of a stream is with the kernel: the next one follows.
    pub(in crate::shard) fn continue_stream(&mut self, key: ConnectionKey) {
        let keep_alive_at = self.clock.now() + self.service.timeouts.keep_alive;
        if let Some(connection) = self.table.connection(key) {
            connection.waiting = Waiting::KeepAlive;
        }
        self.clock.set_deadline(key, keep_alive_at);
        self.pump_stream(key);
    }

    /// Nothing was sent for a while: sends a comment, so that proxies between the server and the client keep the
    /// connection.
    pub(in crate::shard) fn keep_stream_alive(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.ring.is_sending || connection.request.stream.is_none() {
            return;
        }
        let comment = if connection.response.takes_chunks {
            KEEP_ALIVE_CHUNK.to_vec()
        } else {
            sse::KEEP_ALIVE.to_vec()
        };
        let outgoing = Outgoing {
            range: 0..comment.len(),
            kind: OutgoingKind::Stream,
            ..Outgoing::default()
        };
        self.send(key, comment, outgoing);
    }

    /// The stream that a call speaks on; opened now if it has none. `None` if nobody could hear it: the client has
    /// left and cannot come back to it, the call is one of a batch, or there is no room for streams.
    pub(in crate::shard) fn call_stream(&mut self, handler: HandlerKey) -> Option<Arc<Stream>> {
        if let Some(key) = self.open_call_stream(handler) {
            self.pump_stream(key);
        }
        self.calls.at(handler)?.stream.clone()
    }

    /// Opens the stream that a call speaks on, if it has none and can have one; the connection whose response now has
    /// to begin.
    pub(in crate::shard) fn open_call_stream(&mut self, handler: HandlerKey) -> Option<ConnectionKey> {
        let call = self.calls.at(handler)?;
        if call.stream.is_some() || call.batch.is_some() {
            return None;
        }
        let key = self.calls.holder(handler).filter(|key| {
            let connection = self.table.connection(*key);
            connection.is_some_and(|connection| connection.state == State::Calling(handler))
        })?;
        let call = self.calls.at(handler)?;
        let (ticket, live) = (&call.ticket, call.service.store.live());
        let session = ticket.session().map(|token| (token, ticket.principal()));
        let revision = ticket.revision();
        let stream = live.open_call_stream(session, ticket.is_resumable()).ok()?;
        call.stream = Some(Arc::clone(&stream));
        self.open_stream(key, stream, Role::Call, revision, None);
        Some(key)
    }

    /// Whether a client can receive what a call emits; a stream is opened for it where one is needed.
    pub(in crate::shard) fn is_heard(&mut self, handler: HandlerKey) -> bool {
        let holder = self.calls.holder(handler);
        let is_of_channel = holder.is_some_and(|key| self.table.is_message(key));
        is_of_channel || self.calls.is_task(handler) || self.call_stream(handler).is_some()
    }

    /// The call whose stream this is, or will be, goes on, but the connection is to be free: the client will come back
    /// after `retry`. One that was not told where to go on could not, and is kept.
    pub(in crate::shard) fn cut_response(&mut self, handler: HandlerKey, retry: Duration) {
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
            open.cut(retry);
            connection.state = State::Streaming;
            self.pump_stream(key);
        }
    }

    /// A call is over without an answer: its stream ends.
    pub(in crate::shard) fn end_stream_of(&mut self, key: ConnectionKey, stream: Option<Arc<Stream>>) {
        let Some(stream) = stream else { return };
        stream.end();
        if let Some(entry) = self.table.connection(key)
            && let Some(open) = entry.request.stream.as_mut()
            && open.is_of(&stream)
        {
            open.is_concluded = true;
            entry.state = State::Streaming;
            self.pump_stream(key);
        }
    }

    /// A connection and its stream part: the stream may go on without it, and another connection may take it up.
    pub(in crate::shard) fn leave_stream(&mut self, key: ConnectionKey, mut open: OpenStream) {
        if let Some(outbox) = open.outbox.take() {
            self.writer.put_charged(outbox.buffer, outbox.charged);
        }
        self.metrics.streams_open.down();
        self.streams.detach(key, &open);
    }

    /// A client that reads a stream or waits for an answer is gone. In the modern era that cancels its call; in the
    /// legacy era the call runs on.
    pub(in crate::shard) fn client_gone(&mut self, key: ConnectionKey) {
        if let Some(State::Calling(handler)) = self.table.connection(key).map(|connection| connection.state)
            && self.calls.is_cancelled_by_leaving(handler)
        {
            self.cancel_call(handler);
        }
        self.abort(key);
    }

    /// The peer of a stream without a running call hung up. If an answer is on its way and the peer may only have
    /// finished sending, that is still sent.
    pub(in crate::shard) fn listener_gone(&mut self, key: ConnectionKey, outcome: &HangUp) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let has_answer = connection
            .request
            .stream
            .as_ref()
            .is_some_and(|open| open.is_answer());
        if has_answer && matches!(outcome, HangUp::ReadClosed) {
            return connection.on_half_closed(self.ring.unread_bytes(&connection.socket));
        }
        self.abort(key);
    }

    /// A drain begins: clients that only listen are told that their stream is over, in the words of their era. The
    /// announcements of a channel end with the channel, which may stay for a task.
    pub(in crate::shard) fn end_subscriptions(&mut self) {
        let is_listening = |open: &OpenStream| matches!(open.role(), Role::Session | Role::Subscription(_));
        let mut keys = self.table.connections_where(|connection| {
            connection.channel.is_none() && connection.request.stream.as_deref().is_some_and(is_listening)
        });
        keys.extend(
            self.table
                .exchanges_where(|exchange| exchange.request.stream.as_deref().is_some_and(is_listening)),
        );
        for key in keys {
            let service = self.view_of(key);
            let Some(open) = self.table.stream(key) else {
                continue;
            };
            match open.role() {
                Role::Subscription(id) => {
                    let mut end = Vec::new();
                    service.protocol.write_listen_end(id, &mut end);
                    open.stream().conclude(Message::new(end));
                }
                _ => open.stream().end(),
            }
            self.pump_stream(key);
        }
    }

    /// Sends on streams that have something to send: some of them now, the rest when others had their turn.
    pub(in crate::shard) fn pump_ready_streams(&mut self) {
        for _ in 0..STREAMS_PER_TURN {
            let Some(key) = self.streams.next_ready() else {
                return;
            };
            self.pump_stream(key);
        }
        if self.streams.has_ready() {
            self.inbox.wake();
        }
    }
}
