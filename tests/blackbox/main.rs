//! The real `weir` binary, started on free ports and spoken to over raw sockets.
//!
//! Knows the command line and the wire, nothing of the library. One module for each class of rules; `harness`
//! starts servers, speaks HTTP and, in one place that no test can go around, checks every answer against the
//! specification's own schemas. Order and counts are asserted, durations only as generous upper bounds; whatever can
//! be observed is waited for, never slept for.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod harness;

mod admin;
mod ask;
mod browsers;
mod calls;
mod cancel;
mod caps;
mod crowd;
mod dead_clients;
mod deadlines;
mod drain;
mod edge;
mod endpoints;
mod era_matrix;
mod features;
mod file_resources;
mod file_roots;
mod files;
mod framing;
mod heads;
mod isolation;
mod json;
mod legacy;
mod linger;
mod listen;
mod logs;
mod modern;
mod pipelining;
mod pool;
mod proxy;
mod queue;
mod queue_pipelines;
mod resources;
mod schemas;
mod sessions;
mod slow_readers;
mod splits;
mod sse_legacy;
mod standing;
mod starting;
mod stdio;
mod steal;
mod steal_races;
mod streams;
mod subscribe;
mod tasks;
mod transcripts;
mod websocket;
