//! Words of the protocol and the registry that the live store speaks.

pub use crate::mcp::{Announcement, Interest, LiveRefused, LiveState, OpenSession, SessionToken};
pub use crate::registry::{AnswerError, LogLevel};
