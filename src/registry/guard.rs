//! Running tool code, whose panic ends its own call alone.

use super::panics::catch;
use super::tool_error::ToolError;

/// Runs tool code; a panic is the call's failure and nobody else's.
pub(super) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, ToolError> {
    catch(run).map_err(|_| ToolError::Panicked)
}
