//! Running tool code so that a panic ends only its own call.

use crate::registry::asking::tool_error::ToolError;
use crate::registry::panics::catch;

/// Runs tool code; a panic becomes the failure of this call alone.
pub(in crate::registry) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, ToolError> {
    catch(run).map_err(|_| ToolError::Panicked)
}
