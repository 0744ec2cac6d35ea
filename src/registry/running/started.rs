//! A call that is ready to run on a shard or a worker.

use std::sync::Arc;

use super::blocking_call::BlockingCall;
use super::call::CallFuture;
use super::call_guard::CallGuard;
use super::ending::{Ending, Note};
use super::readied_call::ReadiedCall;
use crate::registry::mount::Mount;

/// A call that is ready to run.
#[must_use = "a started call does nothing until it is polled or run"]
pub enum Started {
    /// A future to be polled on this shard.
    Future(CallFuture),
    /// A function to be run on a worker.
    Blocking(BlockingCall),
    /// A function that may be over at once, on this shard.
    Readied(ReadiedCall),
}

impl Started {
    /// Keeps this until the function is over, if that may be later than this call is dropped: on another thread.
    pub(crate) fn keep(&mut self, guard: CallGuard) {
        match self {
            Self::Future(call) => call.keep(guard),
            Self::Blocking(call) => call.guard = Some(guard),
            Self::Readied(call) => call.guard = Some(guard),
        }
    }

    /// The same call, whose result gets a note for the client at its end.
    pub(in crate::registry) fn with_note(mut self, note: Option<Box<str>>) -> Self {
        self.ending().note = note.map(|note| Box::new(Note(note)));
        self
    }

    /// The same call of a toolset that is mounted there, if it is one's.
    #[inline]
    pub(in crate::registry) fn within(mut self, mount: Option<&Arc<Mount>>) -> Self {
        if let Some(mount) = mount {
            self.ending().mount = Some(Arc::clone(mount));
        }
        self
    }

    fn ending(&mut self) -> &mut Ending {
        match self {
            Self::Future(call) => &mut call.ending,
            Self::Blocking(call) => &mut call.ending,
            Self::Readied(call) => &mut call.ending,
        }
    }
}
