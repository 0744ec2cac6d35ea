//! The lines of a child: JSON-RPC messages, one to a line.

mod message;
mod reader;
mod splice;

pub use message::{Kind, Message, Unreadable};
pub use reader::{Line, LineReader};
pub(super) use splice::write_without_breaks;
pub use splice::{write_answer, write_cancelled, write_progress, write_request};
