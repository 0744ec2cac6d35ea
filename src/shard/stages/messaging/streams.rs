//! Streams on a channel: the announcements of a legacy session, and subscriptions.

use std::sync::Arc;

use crate::mcp::{RequestContext, SessionToken, Via};
use crate::ring::ConnectionKey;
use crate::session::live::StreamState;

use crate::shard::{Shard, ShardRing};

/// Bytes of messages that are taken at once.
const TAKEN_BYTES: usize = 16 << 10;

impl<R: ShardRing> Shard<R> {
    /// Opens the stream of announcements to a legacy session on its channel, with the message behind `initialize`: from
    /// then on a client may be told anything.
    pub(super) fn open_announcements(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let channel = connection.channel.as_ref();
        let context = channel.map(|channel| channel.context());
        let Some((context, session)) = context.and_then(|context| Some((context, context.session?))) else {
            return;
        };
        if connection.request.stream.is_some() {
            return;
        }
        let view = self.view_of(key);
        // If there is no room for the stream, the client gets no announcements, like one that opens no stream.
        if let Ok(attached) = view.store.live().open_get_stream(&session, None) {
            let request_context = RequestContext {
                via: Via::Channel(context),
                principal: self.service.principal(),
                now: self.clock.unix_now(),
            };
            let client = view.protocol.client_of_request(&request_context, &*view.state);
            if let Some(client) = client {
                view.store.live().listen_as(&attached.stream, client);
            }
            self.open_announcements_on_channel(key, attached.stream, session.session.revision);
        }
    }

    /// Sends what is ready on the streams of a channel.
    pub(super) fn pump_channel(&mut self, key: ConnectionKey) {
        let Some(channel) = self.table.channel(key) else {
            return;
        };
        let exchanges = channel.exchanges.clone();
        self.pump_on_channel(key);
        for exchange in exchanges {
            self.pump_on_channel(exchange);
        }
    }

    /// Moves what is ready of the stream of a channel, or of one of its exchanges, into the channel's outbox.
    pub(in crate::shard) fn pump_on_channel(&mut self, key: ConnectionKey) {
        let parent = self.table.parent(key).unwrap_or(key);
        let place = self.streams.place(key);
        while !self.is_outbox_high(parent) {
            let Some(stream) = self.table.stream(key).map(|open| Arc::clone(open.stream())) else {
                return;
            };
            let mut said = Vec::new();
            let mut ends = Vec::new();
            let state = stream.next(place, TAKEN_BYTES, &mut |event| {
                event.message.write(event.subscription, &mut said);
                ends.push(said.len());
            });
            let mut start = 0;
            for end in ends {
                let message = said.get(start..end).unwrap_or_default();
                self.append(parent, |framing, out| framing.append(out, message));
                start = end;
            }
            match state {
                StreamState::More => {}
                StreamState::Idle => return,
                StreamState::CutOff => return self.cut_off_channel(parent),
                StreamState::Ended | StreamState::Displaced => return self.end_stream_on_channel(key),
            }
        }
        if let Some(channel) = self.table.channel(parent) {
            channel.has_more = true;
        }
    }

    fn end_stream_on_channel(&mut self, key: ConnectionKey) {
        let open = self.table.request(key).and_then(|request| request.stream.take());
        if let Some(open) = open {
            self.leave_stream(key, *open);
        }
        self.end_exchange(key);
    }

    /// A client cancels its subscription, if this message is one of its own.
    pub(super) fn cancel_subscription(&mut self, key: ConnectionKey, conversation: SessionToken) {
        let parent = self.table.parent(key);
        let channel = parent.and_then(|parent| self.table.channel(parent));
        if channel.is_some_and(|channel| channel.token == conversation) {
            self.end_stream_on_channel(key);
        }
    }
}
