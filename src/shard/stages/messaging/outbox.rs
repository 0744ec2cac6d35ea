//! A channel's messages on their way out: gathered while a send is in flight, then sent together.

use crate::metrics::Eviction;
use crate::ring::ConnectionKey;
use crate::transport::http::HEAD_RESERVE;

use crate::shard::channels::{Framing, OUTBOX_FULL_BYTES, OUTBOX_HIGH_BYTES, Outbox};
use crate::shard::connections::{Outgoing, OutgoingKind, State};
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Puts the message in `buffer[HEAD_RESERVE..]` behind all others of a channel; gives a buffer back, which may be
    /// another one.
    pub(super) fn post(&mut self, key: ConnectionKey, mut buffer: Vec<u8>) -> Vec<u8> {
        let Some(channel) = self.table.channel(key) else {
            return buffer;
        };
        if let Some(outbox) = &mut channel.outbox {
            let message_bytes = buffer.len().saturating_sub(HEAD_RESERVE);
            self.writer.make_room(&mut outbox.buffer, message_bytes);
            self.append(key, |framing, out| {
                framing.append(out, buffer.get(HEAD_RESERVE..).unwrap_or_default());
            });
            return buffer;
        }
        // Most often the outbox is empty: the message is sent from where it is.
        let start = channel.framing.close(&mut buffer, HEAD_RESERVE);
        let outbox = Outbox {
            buffer,
            start,
            charged: 0,
        };
        channel.outbox = Some(outbox);
        self.charge_outbox(key);
        self.flush_channel(key);
        self.writer.take_buffer()
    }

    /// Begins what goes out on a channel with `buffer[HEAD_RESERVE..]`, as it is.
    pub(super) fn begin_outbox(&mut self, key: ConnectionKey, buffer: Vec<u8>) {
        if let Some(channel) = self.table.channel(key) {
            channel.outbox = Some(Outbox {
                buffer,
                start: HEAD_RESERVE,
                charged: 0,
            });
        }
        self.flush_channel(key);
    }

    /// Appends what `write` frames to what goes out on a channel.
    pub(super) fn append(&mut self, key: ConnectionKey, write: impl FnOnce(&Framing, &mut Vec<u8>)) {
        let Some(channel) = self
            .table
            .connection(key)
            .and_then(|entry| entry.channel.as_deref_mut())
        else {
            return;
        };
        let outbox = channel.outbox.get_or_insert_with(|| Outbox {
            buffer: self.writer.take_buffer(),
            start: HEAD_RESERVE,
            charged: 0,
        });
        write(&channel.framing, &mut outbox.buffer);
        self.charge_outbox(key);
        self.flush_channel(key);
    }

    /// Appends an emission to what goes out on a channel, unless it `may_be_dropped` and too much is waiting already.
    pub(in crate::shard) fn emit_on_channel(
        &mut self,
        key: ConnectionKey,
        message: &[u8],
        may_be_dropped: bool,
    ) {
        let connection = self.table.connection(key);
        let unsent_bytes = connection.map_or(0, |connection| connection.unsent_bytes());
        if may_be_dropped && unsent_bytes + message.len() > OUTBOX_FULL_BYTES {
            return;
        }
        self.append(key, |framing, out| framing.append(out, message));
    }

    /// Whether so much is waiting for a client that nothing more is to be done for it now.
    pub(super) fn is_outbox_high(&mut self, key: ConnectionKey) -> bool {
        let connection = self.table.connection(key);
        connection.is_some_and(|connection| connection.unsent_bytes() >= OUTBOX_HIGH_BYTES)
    }

    /// Charges an outbox that has outgrown its buffer to the heap.
    fn charge_outbox(&mut self, key: ConnectionKey) {
        let Some(channel) = self
            .table
            .connection(key)
            .and_then(|entry| entry.channel.as_deref_mut())
        else {
            return;
        };
        let Some(outbox) = &mut channel.outbox else { return };
        let charged = self.writer.charge_growth(&outbox.buffer, &mut outbox.charged);
        if charged.is_err() {
            self.cut_off_channel(key);
        }
    }

    /// A client leaves more unread than there is room for.
    pub(super) fn cut_off_channel(&mut self, key: ConnectionKey) {
        self.metrics.count_eviction(Eviction::SlowReader);
        self.abort(key);
    }

    /// Sends what there is, unless a send is in flight: then that one's end comes back here.
    pub(super) fn flush_channel(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.ring.is_sending || connection.state != State::Open {
            return;
        }
        let Some(channel) = connection.channel.as_deref_mut() else {
            return;
        };
        let Some(outbox) = channel.outbox.take() else {
            return self.close_if_over(key);
        };
        let outgoing = Outgoing {
            range: outbox.start..outbox.buffer.len(),
            charged: outbox.charged,
            kind: OutgoingKind::Channel,
            ..Outgoing::default()
        };
        self.send(key, outbox.buffer, outgoing);
    }

    /// A send of a channel is with the kernel: the next one follows.
    pub(in crate::shard) fn continue_channel(&mut self, key: ConnectionKey) {
        self.flush_channel(key);
        if self.is_outbox_high(key) {
            return self.on_channel_progress(key);
        }
        let Some(channel) = self.table.channel(key) else {
            return;
        };
        let was_stalled = std::mem::take(&mut channel.is_stalled);
        if std::mem::take(&mut channel.has_more) {
            self.pump_channel(key);
        }
        if was_stalled {
            self.serve_kept(key)
        } else {
            self.await_channel(key)
        }
    }
}
