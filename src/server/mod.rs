//! Starting and stopping a server: all its parts are made in order and ended in order.
//!
//! [`Server`] is the embedding API: it starts shards, workers and the admin listener from
//! [`Settings`](crate::config::Settings) and a [`Registry`](crate::registry::Registry), and drains them; a
//! [`ServerBuilder`] makes the settings. The rest of `weir serve` is in `cli`.
//!
//! ```
//! use std::time::Duration;
//!
//! use weir::{CallContext, NoArguments, Registry, Server, Tool};
//!
//! let mut tools = Registry::builder();
//! tools.add(Tool::new("hello").run(|_: CallContext, _: NoArguments| async { Ok("Hello!") }))?;
//! let server = Server::builder("greeter", "1.0.0")
//!     .listen("127.0.0.1:0".parse()?)
//!     .shards(1)
//!     .pool_size(8)
//!     .start(tools.build())?;
//! // The server has threads of its own; this one is free for other work.
//! println!("serving on {}", server.url());
//! assert!(server.metrics().contains("weir_connections"));
//!
//! let drained = server.drain(Duration::from_secs(5), |_| false);
//! assert!(drained.is_clean);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! Starting ─ all shards accept ─► Serving ─ drain ─► Draining ─ all shards finished ─► (gone)
//!                                    └─ dropped ────────────────────────────────────────▲
//! ```
//!
//! Invariant: a server that failed to start, or is gone, has ended every thread it had started, except for those that
//! tool code blocks.
#![allow(
    clippy::disallowed_methods,
    reason = "starting and stopping happens on threads that are no shards"
)]

mod accounts;
mod builder;
#[cfg(test)]
mod caller_tests;
mod cause;
mod children;
#[cfg(test)]
mod discarding_tests;
mod failure;
mod figures;
#[cfg(test)]
mod limit_tests;
mod link;
mod listening;
mod program;
mod running;
mod service;
mod shards;
mod signals;
mod start_error;
#[cfg(feature = "testing")]
mod stepped;
#[cfg(test)]
mod test_client;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[cfg(feature = "tokio")]
mod tokio_tests;
#[cfg(feature = "cli")]
mod trial;
mod views;
#[cfg(test)]
mod waiting_tests;
mod watchdog;

pub use builder::{ServeError, ServerBuilder};
pub use cause::Cause;
pub use running::{Drained, Server};
pub use start_error::StartError;
#[cfg(feature = "testing")]
pub(crate) use stepped::{Connection, Stepped, Waited};

#[cfg(feature = "cli")]
pub use trial::try_start;
#[cfg(feature = "cli")]
pub(crate) use {accounts::user_of, failure::NO_THREADS, service::check_tools, signals::Signals};
