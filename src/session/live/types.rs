//! Words of the protocol and the registry that the live store speaks.

pub use crate::mcp::{
    Announced, Announcement, Interest, LiveRefused, LiveState, OpenSession, SessionToken, write_announcement,
};
pub use crate::registry::{AnswerError, LogLevel};
