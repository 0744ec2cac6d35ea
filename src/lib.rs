//! Weir: an MCP (Model Context Protocol) server for Linux, to run your own tools in.
//!
//! One process, one pinned executor per core, nothing shared on the hot path. The pools of handlers are sized on
//! purpose, clients get an honest "not now" when they are full, and no client's calls are in another's way.
//!
//! # A whole server
//!
//! The package is called `weir-mcp`, its library `weir`. The command writes a program to begin with: `weir new
//! greeter`. A server of your own needs two more packages, for the types of arguments:
//!
//! ```sh
//! cargo add weir-mcp                  # or `--path ../weir`, a clone; `--no-default-features` leaves the command out
//! cargo add serde --features derive
//! cargo add schemars@1
//! ```
//!
//! This is a whole one, with a tool of either kind, a resource and a prompt:
//!
//! ```no_run
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir::{
//!     BlockingContext, CallContext, Prompt, PromptArgument, Registry, Resource, Server, Tool, ToolError,
//! };
//!
//! /// A tool's arguments. Clients see the schema; a call that breaks it never reaches the function.
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet {
//!     /// The person to greet.
//!     name: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Count {
//!     /// The file whose lines are counted.
//!     path: String,
//! }
//!
//! /// A prompt's arguments, which clients send as strings.
//! #[derive(Deserialize)]
//! struct Review {
//!     language: String,
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut registry = Registry::builder();
//!     // Asynchronous: runs on the shard that read the request, and must not block it.
//!     registry.add(
//!         Tool::new("greet")
//!             .description("Greets somebody.")
//!             .read_only()
//!             .run(|_: CallContext, args: Greet| async move { Ok(format!("Hello, {}!", args.name)) }),
//!     )?;
//!     // Blocking: runs on a pool of threads.
//!     registry.add(
//!         Tool::new("count_lines")
//!             .description("Counts the lines of a file.")
//!             .run_blocking(|_: &BlockingContext, args: Count| {
//!                 // The client reads a tool's error, so it says no more than the client may know.
//!                 let text = std::fs::read_to_string(&args.path)
//!                     .map_err(|_| ToolError::message("there is no such text file"))?;
//!                 Ok(text.lines().count().to_string())
//!             }),
//!     )?;
//!     // A resource has a URI of any scheme; `read_blocking` is for one that has to block.
//!     registry.add(
//!         Resource::new("counter://about", "about")
//!             .mime_type("text/plain")
//!             .read(|_: CallContext| async { Ok("This server greets and counts.") }),
//!     )?;
//!     // A prompt becomes one message of the user, or as many messages as the function returns.
//!     registry.add(
//!         Prompt::new("review")
//!             .description("Asks for a review.")
//!             .argument(PromptArgument::required("language").description("Such as `rust`."))
//!             .run(|_: CallContext, args: Review| async move {
//!                 Ok(format!("Review my {} code.", args.language))
//!             }),
//!     )?;
//!     Server::builder("counter", "1.0.0")
//!         .listen("127.0.0.1:8080".parse()?)
//!         .serve_until_signal(registry.build(), |server| println!("serving on {}", server.url()))?;
//!     Ok(())
//! }
//! ```
//!
//! Clients connect to `http://127.0.0.1:8080/mcp`; with [`ServerBuilder::stdio`] the program serves the one client that
//! starts it. Without a client, `curl` shows whether it works, with requests as clients of 2026-07-28 send them: each
//! is for itself, and says in its head what it is about (`ask METHOD NAME PARAMS`). Each is answered with one line of
//! JSON:
//!
//! ```sh
//! ask() {
//!   meta='"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
//!   curl -sS http://127.0.0.1:8080/mcp -H 'Content-Type: application/json' \
//!     -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' \
//!     -H "Mcp-Method: $1" ${2:+-H "Mcp-Name: $2"} \
//!     -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":{${3:+$3,}$meta}}"
//!   echo
//! }
//! ask tools/list
//! ask tools/call greet '"name":"greet","arguments":{"name":"Ada"}'
//! ask tools/call count_lines '"name":"count_lines","arguments":{"path":"Cargo.toml"}'
//! ask resources/read counter://about '"uri":"counter://about"'
//! ask prompts/get review '"name":"review","arguments":{"language":"rust"}'
//! ```
//!
//! Older clients introduce themselves first, and send the session that they get with each request:
//!
//! ```sh
//! post() {
//!   curl -sS http://127.0.0.1:8080/mcp -H 'Content-Type: application/json' \
//!     -H 'Accept: application/json, text/event-stream' "$@"
//!   echo
//! }
//! session=$(post -o /dev/null -w '%header{mcp-session-id}' -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":
//!   {"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}')
//! in_session() { post -H "Mcp-Session-Id: $session" -H 'MCP-Protocol-Version: 2025-11-25' -d "$1"; }
//! in_session '{"jsonrpc":"2.0","method":"notifications/initialized"}'
//! in_session '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"greet","arguments":{"name":"Ada"}}}'
//! ```
//!
//! From here:
//!
//! | to | see |
//! |---|---|
//! | describe a tool, its hints, results and errors | [`Tool`], [`ToolOutput`], [`Structured`], [`ToolError`] |
//! | report progress, log, ask the user or the client's model | [`CallContext`], [`Elicit`], [`Sample`] |
//! | know who calls | [`Caller`], [`FromClient`] |
//! | serve resources and prompts, and complete their arguments | [`Resource`], [`ResourceTemplate`], [`Prompt`] |
//! | change tools while the server runs | [`ServerHandle`] |
//! | configure, start, watch and drain a server | [`ServerBuilder`], [`options`], [`Server`] |
//! | test all of it, without a network and without waiting | [`testing`] |
//! | learn the rest | [`guide`] |
//!
//! # One request's way
//!
//! `accept → park → read → decode → queue → route → execute → encode → write → park`
//!
//! The kernel spreads connections over the shards' listeners. Bytes arrive in a ring buffer and are decoded
//! there; what can be answered from memory (*control*) is answered at once; *work*, which runs user code,
//! leases a preallocated handler from the shard's pool until its answer is on its way. If no handler is free,
//! the request waits in order, moves to a shard that has a free one, or is refused with a time to try again.
//!
//! # Layers
//!
//! A module uses its own level's right-hand neighbours and lower levels, never upward, and inside a folder
//! neither files nor subfolders import each other in a circle; `tests/layers.rs` reads the `use` lines and
//! paths, and fails otherwise.
//!
//! | level | modules | knows |
//! |---|---|---|
//! | 8 | `main`, `cli`, `tune`, `load` | the command line; the search behind `weir tune`; the load generator behind `weir bench` |
//! | 7 | this file, `testing`, `server`, `admin` | embedding; health, metrics and drain on a thread of their own |
//! | 6 | `shard` | the executor |
//! | 5 | `transport` | one connection's conversation |
//! | 4 | `children`, `pool`, `workers`, `tokio_runtime`, `session`, `timers` | who may run now |
//! | 3 | `mcp`, `files`, `demo` | the protocol, as values |
//! | 2 | `registry`, `jsonrpc`, `wire` | bytes ↔ values; no runtime, no clock, no I/O |
//! | 1 | `ring`, `metrics`, `page`, `scrape`, `config`, `launcher`, `units`, `slab`, `clock` | the kernel, and other programs; numbers |
//!
//! # Cargo features
//!
//! All but `internals` are on by default; a program that embeds a server needs none of them.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | the `weir` command, its configuration file, its log and its load generator: the module `cli` |
//! | `files` | the toolset that serves a directory's files, read-only: the module `files` |
//! | `tokio` | tools that run on a tokio runtime: [`ToolBuilder::run_tokio`] |
//! | `testing` | tests of tools without a network: the module `testing` |
//! | `demo` | tools for trials, tests and benchmarks: the module `demo` |
//! | `internals` | what benches and tests of this crate need of its insides; it promises nothing |
//!
//! # Versions
//!
//! The minimum Rust version is 1.95; a minor version may raise it, a patch never does. What this documentation shows
//! follows semantic versioning: before 1.0 a minor version may change it, a patch does not. The feature `internals`,
//! and the texts of logs and errors, promise nothing.
//!
//! Deliberately absent: any platform but Linux, any executor but glommio, locks on the hot path.

// What a private module shows is for the feature that shows the insides, too; with it, these lints see all there is.
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub, unused_imports))]
// The command reads settings from more places, and says more about them, than a program that sets them itself; and only
// with tokio is anything spawned.
#![cfg_attr(not(all(feature = "cli", feature = "tokio")), allow(dead_code))]
// Tests may block, and look at the clock.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

mod admin;
mod children;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod config;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "files")]
pub mod files;
pub mod guide;
mod jsonrpc;
mod launcher;
#[cfg(feature = "cli")]
mod load;
mod mcp;
mod metrics;
mod page;
mod pool;
mod registry;
mod ring;
#[cfg(feature = "cli")]
mod scrape;
mod server;
mod session;
mod shard;
mod slab;
#[cfg(feature = "testing")]
pub mod testing;
mod timers;
#[cfg(feature = "tokio")]
mod tokio_runtime;
mod transport;
#[cfg(feature = "cli")]
mod tune;
mod units;
mod wire;
mod workers;

pub use launcher::launcher;
pub use metrics::Report;
#[cfg(feature = "tokio")]
pub use registry::TokioFunction;
pub use registry::{
    APP_MIME_TYPE, Annotations, AppError, AppSettings, Ask, AsyncFunction, BlockingContext, BlockingFunction,
    COMPLETION_VALUES_MAX, CacheScope, Caching, CallContext, Caller, CallerSession, Cancellation,
    ClientCapabilities, ClientInfo, Completion, CompletionRequest, Content, ContentAnnotations, ContentBlock,
    DerivedSchema, Elicit, ElicitAnswer, Execution, ExplicitSchema, ForClient, FromClient, FunctionResult,
    HeaderFault, Icon, IconTheme, IncludeContext, IntoCompletion, IntoContents, IntoMessages, IntoOutput,
    ListRequest, ListRoots, ListUpdates, LogLevel, Meta, MetaKeyError, NoArguments, ParamHeader,
    ParamHeaderError, ParamKind, PendingAnswer, Principal, Progress, Prompt, PromptArgument, PromptArguments,
    PromptBuilder, PromptIndex, PromptInfo, PromptMessage, PromptOutput, Property, Question, QuestionMethod,
    QuestionRequest, ReadOutput, Registrable, Registry, RegistryBuilder, RegistryError, Resource,
    ResourceBuilder, ResourceContents, ResourceIndex, ResourceInfo, ResourceLink, ResourceLister,
    ResourcePage, ResourceTemplate, ResourceTemplateBuilder, Role, Root, Sample, SampleAnswer, SampleContent,
    SchemaError, ServerHandle, StreamedBytes, StreamedText, Structured, StructuredWithText, TaskSupport,
    TemplateError, TemplateIndex, TextFormat, TextTypeError, Tool, ToolBuilder, ToolChoice, ToolError,
    ToolIndex, ToolInfo, ToolOutput, ToolVisibility, Toolset, TraceContext, Transport, UnknownArguments,
    Updates, UrlElicit, Violation, Violations, unportable_input, unportable_output,
};
pub use ring::{Credentials, Peer};
pub use server::{Cause, Drained, ServeError, Server, ServerBuilder, StartError};
pub use units::ShardId;

/// Time, as tools should see it: [`sleep`](time::sleep) and [`timeout`](time::timeout) work in `.run` and in
/// `.run_tokio`, and tests step through them.
pub mod time {
    pub use crate::ring::{Elapsed, Sleep, sleep, timeout};

    /// The time on this thread: the system's or, in a tool [under test](crate::testing), the test's.
    pub fn now() -> std::time::Instant {
        crate::clock::now()
    }
}

/// Every option of a server, as values: what [`ServerBuilder::configure`] changes, and the types of its fields.
pub mod options {
    #[cfg(feature = "cli")]
    pub use crate::config::LogSettings;
    pub use crate::config::{
        AccessLog, AccessSettings, Account, AdminSettings, AllowList, ChannelSettings, ChildOptions,
        ConfigError, ConnectionOptions, CpuList, EndpointSettings, FilePlace, HttpLimits, Linger,
        ListenAddress, LogFormat, LogLevel, MachineOptions, Options, OutputOptions, QueueOptions,
        ReportFormat, ReportTarget, RunOptions, SessionSettings, TaskSettings, Timeouts, ToolOptions,
        ToolOverride, ToolOverrides, Toolset, ToolsetSettings, TransportKind, UnixMode, UnixName, UnixOwner,
        UnixUsers, WorkerOptions,
    };
    pub use crate::units::{ByteSize, CpuId, TimeLimit, UnitError};
}

/// What benches and tests of this crate need of its insides. Nothing here is promised: any of it may change or go with
/// any version.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub mod admin {
        pub use crate::admin::*;
    }
    pub mod children {
        pub use crate::children::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod jsonrpc {
        pub use crate::jsonrpc::*;
    }
    pub mod launcher {
        pub use crate::launcher::*;
    }
    pub mod mcp {
        pub use crate::mcp::*;
    }
    pub mod metrics {
        pub use crate::metrics::*;
    }
    pub mod pool {
        pub use crate::pool::*;
    }
    pub mod registry {
        pub use crate::registry::*;
    }
    pub mod ring {
        pub use crate::ring::*;
    }
    #[cfg(feature = "cli")]
    pub mod scrape {
        pub use crate::scrape::*;
    }
    pub mod server {
        pub use crate::server::*;
    }
    pub mod session {
        pub use crate::session::*;
    }
    pub mod shard {
        pub use crate::shard::*;
    }
    pub mod slab {
        pub use crate::slab::*;
    }
    pub mod timers {
        pub use crate::timers::*;
    }
    pub mod transport {
        pub use crate::transport::*;
    }
    pub mod units {
        pub use crate::units::*;
    }
    pub mod wire {
        pub use crate::wire::*;
    }
    pub mod workers {
        pub use crate::workers::*;
    }
}

/// The README's Rust examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
