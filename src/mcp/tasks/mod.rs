//! Tasks: calls that go on while their client does other things (experimental in 2025-11-25; the extension
//! `io.modelcontextprotocol/tasks` since 2026-07-28).
//!
//! `task` has the values that describe a task. `terms` says which calls become tasks, `requests` has the methods about
//! tasks, `encode` writes tasks, and `ending` ends them. Tasks of both eras have the same life; only the words differ.
//! Nothing here runs or remembers anything.

mod encode;
mod ending;
mod requests;
mod terms;

pub use encode::{write_task_end, write_task_notification};
pub(super) use requests::{ModernRequest, TaskReply, legacy_request};
pub(super) use terms::ask_first;
