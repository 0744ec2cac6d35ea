//! What goes out on a channel: gathered while a send is in flight, then sent together.

/// Framed messages, `buffer[start..]`.
#[derive(Debug)]
pub(in crate::shard) struct Outbox {
    pub buffer: Vec<u8>,
    pub start: usize,
    /// Heap bytes charged for it.
    pub charged: usize,
}

impl Outbox {
    pub(in crate::shard) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }
}
