//! Tasks: calls that go on without whoever asked for them (2025-11-25 experimentally; the extension
//! `io.modelcontextprotocol/tasks` since 2026-07-28).
//!
//! The values a task is known by are in `task`. Which calls become tasks is in `terms`, the methods about tasks in
//! `requests`, how tasks are written and end in `words` and `ending`. Both kinds have the same life; only the words
//! differ. Nothing here runs anything, and nothing remembers.

mod ending;
mod requests;
mod terms;
mod timestamp;
mod words;

pub(super) use requests::{ModernRequest, TaskReply, legacy_request};
pub(super) use terms::ask_first;
pub use words::{write_task_end, write_task_notification};
