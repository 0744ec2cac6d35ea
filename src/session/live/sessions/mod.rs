//! Sessions with something live: the state of each, the sharded map of them, and their eviction.

mod question;
mod session_state;
mod session_table;
mod sharded_map;

pub(in crate::session::live) use question::Question;
pub use question::QuestionId;
pub(in crate::session::live) use session_table::SessionTable;
