//! The lines of a child: JSON-RPC messages, one to a line.

mod envelope;
mod message;
mod modern;
mod older;
mod outcome;
mod question;
mod reader;
mod splice;

pub use envelope::{write_as_modern, write_modern_request, write_own_meta};
pub use message::{Kind, Message, ResultParts, Unreadable};
pub use modern::{ModernTerms, write_modern_answer};
pub use older::write_legacy_answer;
pub use outcome::outcome_of;
pub use question::{
    capability_needed, params_of, sole_member, write_question, write_question_answer, write_request_of,
};
pub use reader::{Line, LineReader};
pub(super) use splice::write_without_breaks;
pub use splice::{write_answer, write_cancelled, write_progress, write_request};
