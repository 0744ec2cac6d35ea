//! Emissions of calls: progress, log messages and questions, on their way from a call's link to its client.
//!
//! The emissions of a tool that is polled here are taken right after the poll. A tool on a worker, or one that hands
//! its context to another task, posts a [`ShardEvent::Spoke`](crate::shard::ShardEvent::Spoke). What is said is put
//! into the words of the request's revision at once and written where it is sent from, without a lock, a wake-up or a
//! place in the live store. A stream that its client can come back to is the exception: its messages lie in the store,
//! which keeps them.
//!
//! ```text
//! polled, emits ─► outbox ─ poll over ─► one send ─ in flight ─► emits ─► outbox ─► the next send
//! ```
//!
//! The outbox is bounded as a stream in the store is: a client that leaves too much unread is cut off. What outgrows a
//! response buffer, and what waits for a send in flight, is charged to the shard's heap budget.

use std::sync::Arc;

use crate::pool::HandlerKey;
use crate::registry::{CallLink, Emission};
use crate::ring::ConnectionKey;
use crate::session::live::{Message, StreamId, StreamPlace};

use crate::shard::streams::{SEND_BYTES, StreamOutbox, stream_reserve};
use crate::shard::{Shard, ShardRing};

/// The first size of an outbox that waits for a send in flight.
const WAITING_BYTES: usize = 512;

impl<R: ShardRing> Shard<R> {
    /// A call was polled, or is about to be settled: passes its emissions on.
    pub(in crate::shard) fn emit_polled(&mut self, handler: HandlerKey) {
        let link = self.calls.at(handler).and_then(|call| call.link.as_ref());
        let spoken = link.filter(|link| link.end_poll()).map(Arc::clone);
        if let Some(link) = spoken {
            self.emit_from(handler, &link);
        }
    }

    /// Passes the emissions of a call on.
    pub(in crate::shard) fn emit(&mut self, handler: HandlerKey) {
        let Some(link) = self
            .calls
            .speaker(handler)
            .and_then(|(call, _)| call.link.clone())
        else {
            return;
        };
        // A shelved call has to have a handler to ask something.
        if link.has_requests() && self.calls.wake_shelved(handler) {
            return;
        }
        self.emit_from(handler, &link);
        // One that runs elsewhere asks between two polls.
        self.shelve_if_asking(handler);
    }

    fn emit_from(&mut self, handler: HandlerKey, link: &Arc<CallLink>) {
        let mut emissions = self.calls.take_emissions(link);
        for emission in &emissions {
            match emission {
                Emission::Question(question) => self.ask(handler, link, question.clone()),
                Emission::CloseStream { retry } => self.cut_response(handler, *retry),
                Emission::Returned => self.calls.wake(handler),
                _ if self.calls.is_task(handler) => self.emit_of_task(handler, emission),
                _ => {
                    self.send_emission(handler, emission, "");
                }
            }
        }
        emissions.clear();
        self.calls.put_emissions(emissions);
        self.flush_emissions(handler);
    }

    /// Puts one emission of a call on its stream or channel, if its client is to have it; whether it is.
    pub(in crate::shard) fn send_emission(
        &mut self,
        handler: HandlerKey,
        emission: &Emission,
        question_id: &str,
    ) -> bool {
        let mut message = self.calls.take_message();
        let Some((call, holder)) = self.calls.speaker(handler) else {
            return false;
        };
        let (protocol, store) = (&call.service.protocol, &*call.service.store);
        let is_wanted = protocol.write_emission(&call.ticket, emission, question_id, store, &mut message);
        if is_wanted {
            self.say(handler, holder, &message, emission.is_droppable());
        }
        self.calls.put_message(message);
        is_wanted
    }

    /// Puts one message of a call, which `holder` holds, on its stream or channel.
    pub(in crate::shard) fn say(
        &mut self,
        handler: HandlerKey,
        holder: ConnectionKey,
        message: &[u8],
        may_be_dropped: bool,
    ) {
        match self.table.parent(holder) {
            Some(parent) => self.emit_on_channel(parent, message, may_be_dropped),
            None if self.table.is_message(holder) => self.say_elsewhere(holder, message, may_be_dropped),
            None => self.emit_on_stream(handler, message),
        }
    }

    /// Puts one message on a call's stream, if it can have one. It leaves with [`Shard::flush_emissions`].
    fn emit_on_stream(&mut self, handler: HandlerKey, message: &[u8]) {
        // A stream that has just begun is looked into in any case.
        let begun = self.open_call_stream(handler);
        if let Some(key) = begun {
            self.streams.on_ready(key);
        }
        let Some((call, key)) = self.calls.speaker(handler) else {
            return;
        };
        let Some(stream) = &call.stream else {
            return;
        };
        if stream.is_resumable() {
            let told = stream.push_quietly(Message::new(message.to_vec()));
            match told {
                Some(place) if self.streams.is_here(place) => self.streams.on_ready(place.connection),
                Some(place) => self.service.main().store.live().tell(place),
                None => {}
            }
        } else {
            let stream = stream.id();
            self.emit_on_connection(key, stream, message);
        }
    }

    fn emit_on_connection(&mut self, key: ConnectionKey, stream: StreamId, message: &[u8]) {
        let backlog_max = self.service.main().store.live().backlog_max();
        let writer = &mut self.writer;
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        // A client that has left, and cannot come back, misses it.
        let open = connection.request.stream.as_deref_mut();
        let Some(open) = open.filter(|open| open.id() == stream) else {
            return;
        };
        let (is_sending, takes_chunks) = (connection.ring.is_sending, connection.response.takes_chunks);
        let has_head = open.has_head();
        let outbox = open.outbox.get_or_insert_with(|| {
            // A response buffer is for a moment: a client that does not read holds none.
            let buffer = if is_sending {
                Vec::with_capacity(WAITING_BYTES)
            } else {
                writer.take_buffer()
            };
            StreamOutbox::new(buffer, stream_reserve(has_head && is_sending, takes_chunks))
        });
        let on_its_way = if is_sending {
            connection.outgoing.range.len().saturating_sub(SEND_BYTES)
        } else {
            0
        };
        let free_bytes = if is_sending { 0 } else { writer.buffer_bytes() };
        let is_kept = outbox.push(message, on_its_way, backlog_max);
        open.is_overfull |= !is_kept || !outbox.charge(writer.heap(), free_bytes);
    }

    /// Sends the emissions of a call that wait on its connection, or in the store for a stream that is here.
    pub(in crate::shard) fn flush_emissions(&mut self, handler: HandlerKey) {
        if self.streams.has_ready() {
            self.pump_ready_streams();
        }
        let Some((_, key)) = self.calls.speaker(handler) else {
            return;
        };
        if self.table.stream(key).is_some_and(|open| open.outbox.is_some()) {
            self.pump_stream(key);
        }
    }

    /// There is something on the stream of this connection: it is looked into, here or on the connection's shard.
    pub(in crate::shard) fn tell_stream(&mut self, place: StreamPlace) {
        if self.streams.is_here(place) {
            self.pump_stream(place.connection);
        } else {
            self.service.main().store.live().tell(place);
        }
    }
}
