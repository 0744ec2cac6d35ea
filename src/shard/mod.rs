//! One core's world: its data ring, connections, handlers, deadlines and inbox.
//!
//! A shard is a synchronous state machine. The pump inside an executor, or a test on the
//! simulated ring, drives it: it hands it the ring's completions, polls the calls it started and ticks its clock:
//!
//! ```text
//! begin_pass ─► handle_completions ─► next_started ─ poll ─► settle | suspend ─► flush ─► …
//! ```
//!
//! No borrow of the shard is held while tool code runs. Nothing in it is `Send` but its inbox.
//!
//! Its parts are *owners*, each a struct with fields of its own that changes nothing but itself, and *stages*, the
//! steps of a request, which call the owners in their order.
//!
//! | file | its part |
//! |---|---|
//! | `state`, `turn` | what a shard consists of; the order in which things are handled |
//! | `inbox`, `events` | what other threads say, and what is done about it |
//! | `pump`, `executor_waker` | the executor's side |
//! | `stepper` | the same without an executor, for tests of tools |
//! | `stages` | one request's way, step by step |
//!
//! | owner | of what |
//! |---|---|
//! | `acceptor`, `clients` | the listener, and the caps over all shards on who comes in, and since when |
//! | `connections` | the table of connections, of messages on channels, and of tasks |
//! | `intake` | where bytes are kept until they are served |
//! | `admission` | who runs, who waits, who moves to another shard, and who is refused |
//! | `calls` | the calls that run, wait or are to be polled |
//! | `writer` | bytes on their way out, and the buffers for them |
//! | `streams` | streams of events that have something to send |
//! | `channels` | connections that carry messages both ways, many at once |
//! | `children` | child processes whose pipes are on this shard's ring, and calls that are with them |
//! | `tasks` | calls that go on as tasks |
//! | `service` | what is served, and its replacement |
//! | `clock`, `telemetry` | what "now" is and what is due; what is counted and measured |
//! | `access` | what the log says of requests |
//! | `drain` | where a drain stands |
//! | `sync`, `shard_ring` | the primitives that shards share through; the data ring as a shard uses it |

mod acceptor;
mod access;
mod admission;
mod calls;
mod channels;
mod children;
mod clients;
mod clock;
mod connections;
mod drain;
mod events;
mod executor_waker;
mod inbox;
mod intake;
#[cfg(test)]
mod models;
mod pump;
mod service;
mod shard_ring;
mod stages;
mod state;
#[cfg(feature = "testing")]
mod stepper;
mod streams;
mod sync;
mod tasks;
mod telemetry;
#[cfg(test)]
mod tests;
mod turn;
mod writer;

pub use acceptor::{ConnectionCap, Newcomer, Spread, UnixPeers};
pub use admission::Mesh;
pub use calls::{Awaits, Call};
pub use channels::ChannelLimits;
pub use children::{
    Caller, ChildWord, ClientTerms, ForwardedCall, ForwardedWord, ParkedName, QuestionName, Resumption,
};
pub use clients::Clients;
pub use executor_waker::ExecutorWaker;
pub use inbox::{Inbox, MessageEnd, Moved, MovedMessage, Relayed, ShardEvent, Waker};
pub use pump::run;
pub use service::{Common, OwnServices, Served, Service};
pub use shard_ring::ShardRing;
pub use state::{Shard, ShardParts, ShardSizes};
#[cfg(feature = "testing")]
pub use stepper::Stepper;
pub use sync::{Queue, StdSync, SyncTypes};
