//! One child: what it says, what it is to read, and what waits for it.
//!
//! ```text
//! Starting ─ handshake, lists ─► Serving ─ begin_ending ─► Ending ─ its process is gone ─► abandon
//!     └──────── refused, too slow ─────────┴── a full stdin, an unanswered ping ──┘
//! ```

mod call_terms;
mod calls;
mod ending;
mod error_lines;
mod event;
mod handshake;
mod handshake_error;
mod introduction;
mod items;
mod limits;
mod listening;
mod log_state;
mod outgoing;
mod own_tasks;
mod questions;
mod recording;
mod serving;
mod warming;

pub use call_terms::CallTerms;
pub use calls::{CallKey, CallTimes, Ended, Expired, InFlight, OWN_IDS_MAX};
pub use ending::{Ending, EndingStep};
pub use error_lines::{ErrorLine, ErrorLines};
pub use event::{Abandoned, Answer, Asked, ChildEvent, ChildFailure};
pub use handshake::{ChildProfile, Handshake, HandshakeStep};
pub use handshake_error::HandshakeError;
pub use introduction::{Introduction, ServerCapabilities};
pub use items::{ChildLists, ItemList, ListName};
pub use limits::ChildLimits;
pub use log_state::LogWish;
pub use outgoing::{Outgoing, PipeWrite};
pub use questions::QuestionRefusal;
pub use recording::{Recording, Tape};
pub use serving::{Child, ChildCounters, QuestionAnswer};
pub use warming::WarmupCall;
