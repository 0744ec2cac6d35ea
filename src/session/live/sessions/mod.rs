//! Sessions with something live.
//!
//! | file | its part |
//! |---|---|
//! | `session_table` | the table of these sessions: how they come, leave and are evicted |
//! | `sharded_map` | the sessions by token, and the order of idle ones |
//! | `session_state` | what is live of one session |
//! | `question` | its questions that wait for an answer |

mod question;
mod session_state;
mod session_table;
mod sharded_map;

pub use question::QuestionId;
pub(in crate::session::live) use question::{Asker, Question};
pub(in crate::session::live) use session_table::SessionTable;
