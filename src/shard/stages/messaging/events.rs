//! HTTP+SSE (MCP 2024-11-05): a GET becomes a channel that sends events, and its messages come by POSTs on other
//! connections, of this shard or another, through the channel's inbox in the live store.
//!
//! ```text
//! GET /sse ─► channel ─ event `endpoint`: messages?sessionId=NAME ─► client
//! POST there ─► checked, delivered, 202 ─ event ─► exchange ─► event `message`
//! ```
//!
//! The name in the query says which channel, and nothing else: what `initialize` agreed on belongs to the channel and
//! ends with it, so a name never expires while its stream is open, and is worth nothing afterwards. While a client has
//! not taken what there is for it, its messages wait here; the inbox counts them, and refuses POSTs beyond its bound.

use std::collections::VecDeque;
use std::time::Duration;

use crate::jsonrpc::RequestId;
use crate::mcp::{NoChannel, OverloadReason, Reply, SsePost};
use crate::ring::ConnectionKey;
use crate::session::live::{DeliverRefused, SseMessage};
use crate::transport::http::admission;
use crate::transport::http::{self, HEAD_RESERVE, Request, Response};

use super::super::answers::Answer;
use crate::shard::channels::{Channel, Events, Framing};
use crate::shard::service::LocalService;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Answers a GET by a stream without end: from here on the connection is a channel.
    pub(in crate::shard) fn open_events(&mut self, key: ConnectionKey, request: &Request<'_, '_>) {
        if self.drain.is_begun() {
            return self.refuse_undecoded(key, OverloadReason::Draining);
        }
        let place = self.streams.place(key);
        let view = self.view_of(key);
        let Ok(inbox) = view.store.live().open_sse_inbox(self.service.principal(), place) else {
            return self.refuse_undecoded(key, OverloadReason::Memory);
        };
        let events = Events {
            inbox,
            waiting: VecDeque::new(),
            is_chunked: request.takes_chunks(),
        };
        let mut out = self.writer.take_buffer();
        if let Some(connection) = self.table.connection(key) {
            http::append_events_head(&mut out, &connection.response, self.writer.date());
        }
        events.append_endpoint(&mut out, admission::sse_messages_reference(request.head));
        self.log().opened(key, "GET", 200, None);
        self.end_hold(key);
        let lines = request.head.lines();
        self.begin_channel(key, Framing::Events(Box::new(events)), Some(lines));
        self.begin_outbox(key, out);
    }

    /// Takes a POST for a channel, wherever that is, and answers it; `out` is for the answer.
    pub(in crate::shard) fn post_to_events(
        &mut self,
        key: ConnectionKey,
        request: &Request<'_, '_>,
        mut out: Vec<u8>,
    ) {
        let service = self.view_of(key);
        let mut unchunked = self.intake.take_unchunked();
        let body = request.body(&mut unchunked, &service.http);
        let refused = self.deliver(&service, admission::sse_stream_name(request.head), body, &mut out);
        self.intake.put_unchunked(unchunked, self.calls.buffer_bytes());
        match refused {
            None => {
                self.log().opened(key, "POST", 202, None);
                self.answer(key, Answer::counted(out, Response::Delivered));
            }
            Some(reply) => {
                self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
                self.reply(key, out, None, &reply);
            }
        }
    }

    /// Leaves a message for the channel of this name; none, or the refusal, whose body was appended to `out`.
    fn deliver(
        &mut self,
        service: &LocalService,
        name: Option<&str>,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Reply> {
        let protocol = &service.protocol;
        let Some(name) = name else {
            return Some(protocol.refuse_sse_post(NoChannel::Unnamed, out));
        };
        let mut scratch = self.intake.take_scratch();
        let post = protocol.check_sse_post(body, &mut scratch, out);
        self.intake.put_scratch(scratch);
        let live = service.store.live();
        let id = match post {
            SsePost::Message(id) => id,
            SsePost::Refused { reply, is_awaited } => {
                if is_awaited {
                    // The channel refuses it once more, because its client waits there. A channel that is gone has no
                    // client.
                    let _ = live.deliver_message(name.as_bytes(), self.service.principal(), body);
                }
                return Some(reply);
            }
        };
        match live.deliver_message(name.as_bytes(), self.service.principal(), body) {
            Ok(()) => None,
            Err(DeliverRefused::Unknown) => Some(protocol.refuse_sse_post(NoChannel::Unknown, out)),
            Err(DeliverRefused::Full) => {
                let overload = self.overload(OverloadReason::Connections);
                Some(protocol.refuse(id.as_ref().map(RequestId::as_id), &overload, out))
            }
        }
    }

    /// A message came for the channel on this connection; if the channel is gone, it is dropped.
    pub(in crate::shard) fn handle_sse_message(&mut self, key: ConnectionKey, message: SseMessage) {
        if let Some(events) = self.table.channel(key).and_then(Channel::events) {
            events.waiting.push_back(message);
            self.serve_sse_messages(key);
        }
    }

    /// Serves what was delivered, as far as the client takes what there is for it.
    pub(super) fn serve_sse_messages(&mut self, key: ConnectionKey) {
        let now = self.clock.now();
        loop {
            let is_high = self.is_outbox_high(key);
            let Some(channel) = self.table.channel(key) else {
                return;
            };
            let takes_messages = channel.is_open();
            let Some(events) = channel.events() else { return };
            if !takes_messages {
                events.waiting.clear();
            }
            if is_high {
                channel.is_stalled = true;
                return;
            }
            let Some(message) = events.waiting.pop_front() else {
                events.waiting.shrink_to(0);
                return;
            };
            if self.is_to_be_interrupted(key) {
                if let Some(events) = self.table.channel(key).and_then(Channel::events) {
                    events.waiting.push_front(message);
                }
                return self.interrupt(key);
            }
            if let Some(connection) = self.table.connection(key) {
                // The time of the request begins here, since no read of this connection brought it.
                connection.request.began = now;
            }
            self.take_message(key, message.as_bytes());
        }
    }
}
