//! The live state of the process: streams, subscriptions, log levels, questions in flight, replayable events.
//!
//! A legacy session takes no memory until it holds one of these, and then one entry in a sharded map; modern
//! subscriptions belong to their stream alone. Any shard may have a request of any session, and any thread may push a
//! message to any stream, so this is one of the few places with locks. A lock is held for a look-up or the copy of some
//! pointers, never while other code is called, and never on the way of a plain request and its answer.
//!
//! The store is bounded in sessions (in all and per principal), in bytes, and per stream. Before it refuses anything it
//! evicts idle sessions, least recently used first: their ids are unknown from then on, so that their clients start
//! anew rather than miss something. The store has no clock: [`Live::tick`] tells it the time, in seconds.
//!
//! A file uses those below it:
//!
//! | file | its part |
//! |---|---|
//! | `broadcaster` | the thread that broadcasts notifications, watches resources and brings the time |
//! | `feature_state` | what the protocol's features keep for a session |
//! | `live_store` | the store: the ways in for shards, calls and requests |
//! | `sessions/` | sessions with something live: a sharded map of their states, and eviction |
//! | `streams/` | one client's messages, shared bodies, ids for replay |
//! | `shared_context` | what all streams share |
//! | `shard_events` | what a shard is told, and the way into its inbox |
//! | `sse_inbox` | messages for channels of HTTP+SSE, which come by other connections |
//! | `subscriptions` | who listens to what |
//! | `pending_notifications` | what the broadcaster has to do |
//! | `budget`, `options`, `places` | bytes; limits; connections and calls that events are for |

mod broadcaster;
mod budget;
mod feature_state;
mod live_store;
mod options;
mod pending_notifications;
mod places;
mod sessions;
mod shard_events;
mod shared_context;
mod sse_inbox;
mod streams;
mod subscriptions;
#[cfg(test)]
mod tests;

#[cfg(feature = "testing")]
pub use broadcaster::SteppedBroadcaster;
pub use broadcaster::{Broadcaster, BroadcasterHandle, Watchers};
pub use live_store::{Attached, Live, LiveStats, StreamRefused};
pub use options::LiveOptions;
pub use places::{CallPlace, ChildAsker, ChildPlace, StreamPlace};
pub use sessions::QuestionId;
#[cfg(test)]
pub(in crate::session) use shard_events::Collected;
pub use shard_events::{LiveEvent, ShardInbox};
pub use sse_inbox::{ChannelName, DeliverRefused, SseInbox, SseMessage};
pub use streams::{Event, EventId, Message, Stream, StreamId, StreamKind, StreamState};
