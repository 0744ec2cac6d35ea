//! The lines of a child: JSON-RPC messages, one to a line.

mod envelope;
mod log_level;
mod message;
mod modern;
mod modern_meta;
mod older;
mod outcome;
mod question;
mod reader;
mod renamed;
mod round;
mod splice;

pub use envelope::{EnvelopeTerms, write_as_modern, write_modern_request, write_own_meta};
pub use log_level::level_of;
pub use message::{Kind, Message, ResultParts, Unreadable};
pub use modern::{ModernTerms, write_modern_answer};
pub use modern_meta::older_notification;
pub use older::{LegacyTerms, write_legacy_answer};
pub use outcome::outcome_of;
pub use question::{
    capability_needed, params_of, sole_member, write_modern_question, write_question, write_question_answer,
    write_request_of,
};
pub(super) use question::{updated_uri, urls_required};
pub use reader::{Line, LineReader};
pub use renamed::{renamed_answer, renamed_request};
pub use round::{InputRequest, InputRequired, place_of_state, with_state, write_next_round};
pub use splice::{
    write_answer, write_cancelled, write_progress, write_request, write_task_request, write_without_breaks,
};
