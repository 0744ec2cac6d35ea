//! What the shard that serves a message tells the shard of its channel.

use crate::mcp::OverloadReason;
use crate::ring::ConnectionKey;

/// News of a message, or of the task that was made of it. The keys are those of the shard that is told.
pub enum Relayed {
    /// The call of a message has said something to the client.
    Said {
        /// The entry of the message.
        exchange: ConnectionKey,
        /// What it said, without a frame.
        message: Vec<u8>,
        /// The client can do without it.
        may_be_dropped: bool,
    },
    /// A message is over.
    Over {
        /// The entry of the message.
        exchange: ConnectionKey,
        /// How it ended.
        end: MessageEnd,
    },
    /// A message of this channel goes on as a task. Its answer, which says so, comes next.
    TaskBegun(ConnectionKey),
    /// A task that was asked for on this channel is over.
    TaskOver(ConnectionKey),
}

/// How the service of a message has ended.
pub enum MessageEnd {
    /// Without an answer: there is none to it, or its client wants none.
    Silent,
    /// With this answer.
    Answer {
        /// The answer behind room for a head.
        buffer: Vec<u8>,
        /// Heap bytes charged for it, until they are said to be [taken](super::ShardEvent::AnswerTaken).
        charged: usize,
        /// The shard where they are charged.
        shard: u16,
    },
    /// It could not be answered there: the channel's shard refuses it.
    Refused(OverloadReason),
}
