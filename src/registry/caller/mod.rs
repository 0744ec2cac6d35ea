//! Who calls: what a call is told of the request that it serves and of the client that sent it.
//!
//! | file | what it is |
//! |---|---|
//! | `identity` | what the server knows for itself: transport, session or channel, principal |
//! | `from_client` | the mark of what a client said and nobody has checked |
//! | `client_info` | a client's name and version, and their form in the id of a session |
//! | `trace` | the trace that a request belongs to |
//! | `headers` | the headers that a tool's author wants to read, and what a client sent in them |
//! | `origin` | what is kept of the request that opened a channel |
//! | `facts` | all of it for one call, in memory that the next call uses again |
//! | `view` | what a tool sees |
//!
//! Nothing is parsed before a tool asks for it: a call that does not ask pays for a copy of its message.

pub(super) mod client_info;
pub(super) mod facts;
pub(super) mod from_client;
pub(super) mod headers;
pub(super) mod identity;
pub(super) mod origin;
pub(super) mod trace;
pub(super) mod view;
