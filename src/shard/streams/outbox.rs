//! What a call has said on its own connection and the ring has not taken: events, framed where they are sent from.

use crate::pool::HeapBudget;
use crate::transport::http::HEAD_RESERVE;
use crate::wire::sse;

/// Bytes of messages that go into one send; one message more, however long.
pub(in crate::shard) const SEND_BYTES: usize = 16 << 10;

/// Events of one stream that wait for the poll in which they are said to end, or for the send before them.
#[derive(Debug)]
pub(in crate::shard) struct StreamOutbox {
    pub buffer: Vec<u8>,
    /// Where the events begin. In front of them is room for what has to precede them.
    pub data: usize,
    /// Heap bytes charged for the buffer.
    pub charged: usize,
    messages: usize,
    /// Bytes of the messages, without what is around them.
    message_bytes: usize,
}

/// Room in front of a stream's events: for a chunk's head, and for that of the response if it is to come.
pub(in crate::shard) fn stream_reserve(has_head: bool, takes_chunks: bool) -> usize {
    let head = if has_head { 0 } else { HEAD_RESERVE };
    let chunk = if takes_chunks { sse::CHUNK_RESERVE } else { 0 };
    head + chunk
}

impl StreamOutbox {
    /// An empty one in `buffer`.
    pub(in crate::shard) fn new(mut buffer: Vec<u8>, data: usize) -> StreamOutbox {
        buffer.resize(data, 0);
        StreamOutbox {
            buffer,
            data,
            charged: 0,
            messages: 0,
            message_bytes: 0,
        }
    }

    /// Appends a message. False if its client has left too much unread: of what is here, and of `on_its_way` bytes that
    /// are being sent. A message that finds nothing unsent is taken however large it is.
    pub(in crate::shard) fn push(
        &mut self,
        message: &[u8],
        on_its_way: usize,
        (bytes_max, messages_max): (usize, usize),
    ) -> bool {
        let has_unsent = self.messages > 0 || on_its_way > 0;
        let unsent_bytes = self.message_bytes + on_its_way + message.len();
        if has_unsent && (unsent_bytes > bytes_max || self.messages >= messages_max) {
            return false;
        }
        sse::write_event(&mut self.buffer, None, |out| out.extend_from_slice(message));
        self.messages += 1;
        self.message_bytes += message.len();
        true
    }

    /// Charges the buffer if it is larger than `free_bytes`; false if there is no memory.
    pub(in crate::shard) fn charge(&mut self, heap: &HeapBudget, free_bytes: usize) -> bool {
        let owed = if self.buffer.capacity() > free_bytes {
            self.buffer.capacity()
        } else {
            0
        };
        if owed <= self.charged {
            return true;
        }
        let is_paid = heap.charge(owed - self.charged).is_ok();
        if is_paid {
            self.charged = owed;
        }
        is_paid
    }
}
