//! Running tool code, whose panic ends its own call alone.

use crate::registry::asking::tool_error::ToolError;
use crate::registry::panics::catch;

/// Runs tool code; a panic is the call's failure and nobody else's.
pub(in crate::registry) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, ToolError> {
    catch(run).map_err(|_| ToolError::Panicked)
}
