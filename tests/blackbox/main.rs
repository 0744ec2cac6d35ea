//! The real `weir` binary, started on free ports and called over raw sockets.
//!
//! These tests know the command line and the wire, and nothing of the library. There is one module for each class of
//! rules; `harness` starts servers, speaks HTTP and, in one place that no test can go around, checks every answer
//! against the specification's own schemas. Tests assert order and counts, and durations only as generous upper bounds;
//! they wait for what can be observed, and never sleep for it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod harness;

mod admin;
mod ask;
mod bench;
mod bench_peers;
mod bridge;
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
mod get_stream;
mod heads;
mod idle;
mod isolation;
mod json;
mod legacy;
mod limits;
mod linger;
mod listen;
mod logs;
mod modern;
mod pages;
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
mod starting;
mod stdio;
mod steal;
mod steal_races;
mod streams;
mod subscribe;
mod tasks;
mod top;
mod transcripts;
mod tune;
mod unix_sockets;
mod websocket;
