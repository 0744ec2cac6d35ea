//! A server's own note to the client, behind what a tool says.

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
        // What was ignored may be why.
        Err(ToolError::Message(text)) => Err(ToolError::Message(format!("{text}\n{note}"))),
        Err(ToolError::InvalidArguments(text)) => Err(ToolError::InvalidArguments(format!("{text}\n{note}"))),
        Err(other) => Err(other),
    }
}
