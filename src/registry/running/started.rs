//! A call that is ready to run on a shard or a worker.

use super::blocking_call::BlockingCall;
use super::call::CallFuture;

/// A call that is ready to run.
#[must_use = "a started call does nothing until it is polled or run"]
pub enum Started {
    /// A future to be polled on this shard.
    Future(CallFuture),
    /// A function to be run on a worker.
    Blocking(BlockingCall),
}

impl Started {
    /// The same call, whose result gets a note for the client at its end.
    pub(in crate::registry) fn with_note(mut self, note: Option<Box<str>>) -> Self {
        match &mut self {
            Self::Future(call) => call.note = note,
            Self::Blocking(call) => call.note = note,
        }
        self
    }
}
