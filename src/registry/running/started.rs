//! A call that is ready to run, wherever that is.

use super::blocking_call::BlockingCall;
use super::call::CallFuture;

/// A call that is ready to run.
#[must_use = "a started call does nothing until it is polled or run"]
pub enum Started {
    /// To be polled on this shard.
    Future(CallFuture),
    /// To be run on a worker.
    Blocking(BlockingCall),
}

impl Started {
    /// The same call, whose result has a note for the client behind what the tool says.
    pub(in crate::registry) fn with_note(mut self, note: Option<Box<str>>) -> Self {
        match &mut self {
            Self::Future(call) => call.note = note,
            Self::Blocking(call) => call.note = note,
        }
        self
    }
}
