//! What is done to a call's outcome before clients see it.

use std::sync::Arc;

use super::outcome::Outcome;
use crate::registry::asking::tool_error::ToolError;
use crate::registry::mount::Mount;

/// What is done to a call's outcome; nothing, as a rule. It is small, for it is moved a few times with its call.
#[derive(Default)]
pub(in crate::registry) struct Ending {
    /// A note of the server's own to the client, behind the tool's result.
    pub(super) note: Option<Box<Note>>,
    /// The place of the toolset whose URIs are in it.
    pub(super) mount: Option<Arc<Mount>>,
}

/// The text of a note.
pub(super) struct Note(pub(super) Box<str>);

impl Ending {
    /// Whether outcomes stay as they are.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        self.note.is_none() && self.mount.is_none()
    }

    pub(super) fn of(&self, outcome: Outcome) -> Outcome {
        let note = self.note.as_ref().map(|note| &*note.0);
        noted(served(outcome, self.mount.as_deref()), note)
    }
}

fn served(mut outcome: Outcome, mount: Option<&Mount>) -> Outcome {
    if let (Ok(output), Some(mount)) = (&mut outcome, mount) {
        output.serve_uris(mount);
    }
    outcome
}

fn noted(outcome: Outcome, note: Option<&str>) -> Outcome {
    let Some(note) = note else {
        return outcome;
    };
    match outcome {
        Ok(mut output) => {
            output.note(note);
            Ok(output)
        }
        // The ignored arguments may be the reason.
        Err(ToolError::Message(text)) => Err(ToolError::Message(format!("{text}\n{note}"))),
        Err(ToolError::InvalidArguments(text)) => Err(ToolError::InvalidArguments(format!("{text}\n{note}"))),
        Err(other) => Err(other),
    }
}
