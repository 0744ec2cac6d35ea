//! What clients say: the messages of each revision, arguments with places to fill in, mixes of calls, and the order in
//! which one client sends them.

mod calls;
mod message;
mod param_fields;
mod session;
mod template;

pub(crate) use calls::{Call, Calls};
pub(crate) use message::{About, Dialect, Speaker};
pub(crate) use session::{Advance, Script, Work};
pub(crate) use template::Template;
