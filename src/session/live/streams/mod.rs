//! Streams of messages to clients.
//!
//! | file | its part |
//! |---|---|
//! | `stream` | one sequence of messages, which any thread pushes and one shard takes |
//! | `queue` | the messages of a stream, under its lock |
//! | `message` | a message that many streams share |
//! | `event_id` | the names of streams and of events, for replay |

mod event_id;
mod message;
mod queue;
mod stream;

pub use event_id::{EventId, StreamId, StreamKind};
pub use message::Message;
pub use queue::StreamState;
pub use stream::{Event, Stream};
pub(in crate::session::live) use stream::{Owner, StreamContext, StreamIndex, StreamKeeper};
