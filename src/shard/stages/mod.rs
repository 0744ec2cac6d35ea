//! One request's way through a shard, step by step.
//!
//! Each file adds the functions of one step to `Shard`. A step looks things up in the owners, calls them in their
//! order, and acts on what they return; it keeps nothing itself.
//!
//! | file | its step |
//! |---|---|
//! | `accepting` | listener → connections |
//! | `reading` | bytes → requests |
//! | `dispatch`, `batches` | requests → calls |
//! | `callers` | what calls are told of who made them |
//! | `limited` | calls of tools that may run only so many at once |
//! | `waiting`, `moving`, `lingering` | requests that wait, connections that move, handlers that stay |
//! | `running` | calls → outcomes |
//! | `forwarding` | calls → children, and what children say → the client |
//! | `emissions`, `client_requests`, `task_calls` | what calls say before they end, what they ask their clients, and calls that go on as tasks |
//! | `encoding` | outcomes → answers |
//! | `answers`, `large_texts` | answers → sends, piece by piece if they are large |
//! | `event_streams`, `subscriptions` | answers in events; who listens |
//! | `sourced_answers` | results that are read while they are sent |
//! | `messaging` | the same way for messages of channels |
//! | `cancelling` | requests that are wanted no more |
//! | `hang_up`, `closing` | clients that hang up; the ways a connection ends |
//! | `deadlines`, `draining` | what time does |
//! | `request_log` | what the log is told of requests |

mod accepting;
mod answers;
mod batches;
mod callers;
mod cancelling;
mod client_requests;
mod closing;
mod deadlines;
mod dispatch;
mod draining;
mod emissions;
mod encoding;
mod event_streams;
mod forwarding;
mod hang_up;
mod large_texts;
mod limited;
mod lingering;
mod messaging;
mod moving;
mod reading;
mod request_log;
mod running;
mod sourced_answers;
mod subscriptions;
mod task_calls;
mod waiting;
