//! The admission of requests, decided on the head alone, before any byte of the body is looked at.
//!
//! The first rule that is broken gives the answer, in the order origin, host, path, method, expectation, size, media
//! types. Foreign origins and hosts come first because they are how a web page reaches a server on the reader's own
//! machine (DNS rebinding; MCP, Streamable HTTP, *Security*). A browser's question whether a page may send something
//! (`cors`) stands between hosts and paths; health has no host of its own, since probes call it by any name. The module
//! knows nothing of sessions, eras' bodies or credentials. Invariant: a name is compared after parsing, whole, never by
//! prefix or suffix.

mod accept;
mod cors;
mod endpoint;
mod health;
mod hosts;
mod policy;
mod refusal;
mod sse_legacy;
pub mod websocket;

#[cfg(test)]
mod tests;

pub use accept::takes_json;
pub use cors::write_preflight_answer;
pub use endpoint::{Endpoint, Probe};
pub use hosts::{HostRules, HostRulesError, UnlistedAddresses};
pub use policy::{ALLOW_WITHOUT_STREAM, AdmissionPolicy, AdmissionPolicyError};
pub use refusal::Refusal;
pub use sse_legacy::{SSE_NAME_PARAMETER, sse_messages_reference, sse_stream_name};
