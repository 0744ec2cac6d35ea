//! A note of the server's own to the client, behind the tool's result.

use super::outcome::Outcome;
use crate::registry::asking::tool_error::ToolError;

/// An outcome with a note, if there is one.
pub(in crate::registry) fn noted(outcome: Outcome, note: Option<&str>) -> Outcome {
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
