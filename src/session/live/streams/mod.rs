//! Streams of messages to clients: what is queued on them, how it is named for replay, and who hears that it is there.

mod event_id;
mod message;
mod queue;
mod stream;

pub use event_id::{EventId, StreamId, StreamKind};
pub use message::Message;
pub use queue::StreamState;
pub use stream::{Event, Stream};
pub(in crate::session::live) use stream::{Owner, StreamContext, StreamIndex, StreamKeeper};
