//! One core's world: its data ring, connections, handlers, deadlines and inbox.
//!
//! A shard is a synchronous state machine. Whoever drives it (the pump inside an executor, or a test on
//! the simulated ring) hands it the ring's completions, polls the calls it started and ticks its clock:
//!
//! ```text
//! begin_pass ─► handle_completions ─► next_started ─ poll ─► settle | suspend ─► flush ─► …
//! ```
//!
//! No borrow of the shard is held while tool code runs. Nothing in it is `Send` but its inbox.
//!
//! | file | its part |
//! |---|---|
//! | `state`, `turn` | what a shard consists of; the order in which things are handled |
//! | `acceptor`, `accepting` | new connections |
//! | `gate`, `addresses` | who may come in: caps over all shards |
//! | `connections` | the connection table |
//! | `intake`, `reading` | where bytes are kept until they are served; bytes → requests |
//! | `dispatch`, `running`, `batches` | requests → calls → outcomes |
//! | `calls` | the calls that run, wait or are to be polled |
//! | `hang_up` | clients that hang up while their request is in progress |
//! | `admission` | who runs, who waits, who moves to another shard, and who is refused |
//! | `waiting`, `moving`, `lingering` | requests that wait, connections that move, handlers that stay |
//! | `replies` | outcomes → answers |
//! | `answers`, `writer` | answers → bytes, and bytes on their way |
//! | `closing` | the ways a connection ends |
//! | `event_streams`, `streams`, `subscriptions` | answers in events; who listens |
//! | `channels`, `messaging` | connections that carry messages both ways, many at once |
//! | `emissions`, `client_requests` | what calls say before they end, and what they ask their clients |
//! | `tasks`, `task_calls` | calls that go on as tasks |
//! | `service` | what is served, and its replacement |
//! | `clock`, `telemetry` | what "now" is and what is due; what is counted and measured |
//! | `deadlines`, `drain`, `draining` | what time does |
//! | `access`, `request_log` | what the log says of requests |
//! | `inbox`, `events` | what other threads say, and what is done about it |
//! | `alarm` | waking an executor that should not sleep |
//! | `sync` | the primitives that shards share through |
//! | `pump` | the executor's side |

mod accepting;
mod acceptor;
mod access;
mod addresses;
mod admission;
mod alarm;
mod answers;
mod batches;
mod calls;
mod channels;
mod client_requests;
mod clock;
mod closing;
mod connections;
mod deadlines;
mod dispatch;
mod drain;
mod draining;
mod emissions;
mod event_streams;
mod events;
mod gate;
mod hang_up;
mod inbox;
mod intake;
mod lingering;
mod messaging;
#[cfg(test)]
mod models;
mod moved;
mod moving;
mod pump;
mod reading;
mod replies;
mod request_log;
mod running;
mod service;
mod shard_ring;
mod state;
mod streams;
mod subscriptions;
mod sync;
mod task_calls;
mod tasks;
mod telemetry;
#[cfg(test)]
mod tests;
mod turn;
mod waiting;
mod writer;

pub use admission::Mesh;
pub use alarm::Alarm;
pub use calls::Call;
pub use channels::ChannelLimits;
pub use gate::Gate;
pub use inbox::{Inbox, ShardEvent, Waker};
pub use moved::Moved;
pub use pump::run;
pub use service::{Served, Service, Waits};
pub use shard_ring::ShardRing;
pub use state::{Shard, ShardParts, ShardSizes};
pub use sync::{Queue, StdSync, SyncTypes};
