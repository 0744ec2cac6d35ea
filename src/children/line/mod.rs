//! The lines of a child: JSON-RPC messages, one to a line.

mod members;
mod message;
mod reader;
mod span;
mod splice;

pub use members::{Member, members};
pub use message::{Kind, Message, Unreadable};
pub use reader::{Line, LineReader};
pub use span::Span;
pub(super) use splice::write_without_breaks;
pub use splice::{write_answer, write_cancelled, write_progress, write_request};
