//! Schemas of arguments and results: derived from types, compiled, shown to clients, and checked on each call.
//!
//! A call's arguments stay on the tape that the parser made; validators and deserialisers read them there. Nothing here
//! knows a tool or a call.

pub(super) mod argument_error;
pub(super) mod arguments;
mod complexity;
pub(super) mod deserialize;
mod explain;
pub(super) mod listed;
mod nulls;
pub(super) mod param_header;
pub(super) mod portable;
#[cfg(test)]
pub(super) mod random;
pub(super) mod schema;
pub(super) mod schema_error;
pub(super) mod tape;
pub(super) mod text;
pub(super) mod text_type;
pub(super) mod unknown;
pub(super) mod violations;
