//! Weir: an MCP (Model Context Protocol) server for Linux. One process, one pinned executor per core,
//! nothing shared on the hot path.
//!
//! # One request's way
//!
//! `accept → park → read → decode → queue → route → execute → encode → write → park`
//!
//! The kernel spreads connections over the shards' listeners. Bytes arrive in a ring buffer and are decoded
//! there; what can be answered from memory (*control*) is answered at once; *work*, which runs user code,
//! leases a preallocated handler from the shard's pool until its answer is on its way. No free handler:
//! it waits in order, moves to a shard that has one, or is told an honest "not now".
//!
//! # Layers
//!
//! A module uses its own level's right-hand neighbours and lower levels, never upward, and inside a folder
//! neither files nor subfolders import each other in a circle; `tests/layers.rs` reads the `use` lines and
//! paths, and fails otherwise.
//!
//! | level | modules | knows |
//! |---|---|---|
//! | 8 | `main`, [`cli`] | the command line |
//! | 7 | this file, [`server`], [`admin`] | embedding; health, metrics and drain on a thread of their own |
//! | 6 | [`shard`] | the executor |
//! | 5 | [`transport`] | one connection's conversation |
//! | 4 | [`pool`], [`workers`], [`session`], [`timers`] | who may run now |
//! | 3 | [`mcp`], [`files`], [`demo`] | the protocol, as values |
//! | 2 | [`registry`], [`jsonrpc`], [`wire`] | bytes ↔ values; no runtime, no clock, no I/O |
//! | 1 | [`ring`], [`metrics`], [`config`], [`units`], [`slab`] | the kernel; numbers |
//!
//! # Cargo features
//!
//! All are on by default; a program that embeds a server needs none of them.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | the `weir` command, its configuration file and its log: the module `cli` |
//! | `files` | the toolset that serves a directory's files, read-only: the module `files` |
//! | `demo` | tools for trials, tests and benchmarks: the module `demo` |
//!
//! Deliberately absent: any platform but Linux, any executor but glommio, locks on the hot path.

// Tests may block, and look at the clock.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod admin;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "files")]
pub mod files;
pub mod guide;
pub mod jsonrpc;
pub mod mcp;
pub mod metrics;
pub mod pool;
pub mod registry;
pub mod ring;
pub mod server;
pub mod session;
pub mod shard;
pub mod slab;
pub mod timers;
pub mod transport;
pub mod units;
pub mod wire;
pub mod workers;

/// The README's Rust examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
