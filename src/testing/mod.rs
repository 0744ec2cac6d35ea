//! Tests of tools: a client of a server in the same process, without a network, by a clock that jumps.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//! use weir::{CallContext, Registry, RegistryError, Tool};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet {
//!     name: String,
//! }
//!
//! fn registry() -> Result<Registry, RegistryError> {
//!     let mut registry = Registry::builder();
//!     registry.add(
//!         Tool::new("greet")
//!             .run(|_: CallContext, args: Greet| async move { Ok(format!("Hello, {}!", args.name)) }),
//!     )?;
//!     Ok(registry.build())
//! }
//!
//! // #[test]
//! fn greets() {
//!     let mut client = weir::testing::Client::new(registry().unwrap());
//!     let answer = client.call("greet", json!({"name": "Ada"}));
//!     assert_eq!(answer.text(), "Hello, Ada!");
//! }
//! # greets();
//! ```
//!
//! The server runs the code that it runs elsewhere, from the bytes of a request to those of its answer, in any
//! [`Revision`]; everything that it sends is checked against the specification's schemas, and structured results
//! against those of their tools. [`Client::connect`] makes the same client of a server over TCP.
//!
//! The page [testing](crate::guide::testing) says more. The parts:
//!
//! | file | its part |
//! |---|---|
//! | `client`, `conversation`, `listening` | the client, and what it does to get an answer or to be told |
//! | `tasks` | calls that go on as tasks |
//! | `answer`, `question` | what came back; what a tool asks, and a test answers |
//! | `request`, `exchange`, `wire` | requests as each revision wants them; HTTP; connections |
//! | `schemas` | the specification's schemas |
#![allow(
    clippy::disallowed_methods,
    reason = "a test may block, and waits by the real clock for servers elsewhere"
)]

mod answer;
mod client;
mod conversation;
mod exchange;
mod listening;
mod question;
mod request;
mod schemas;
mod tasks;
#[cfg(test)]
mod tests;
mod wire;

pub use crate::mcp::Revision;
pub use answer::{Answer, Log, Progress};
pub use client::{Client, PendingCall};
pub use question::{Question, Reply};
pub use tasks::Task;
