//! What every registered function gives.

use crate::registry::asking::tool_error::ToolError;

/// The result of a registered function: a value that its kind can answer with, or a [`ToolError`].
#[diagnostic::on_unimplemented(
    message = "a registered function gives a `Result<_, ToolError>`, not `{Self}`",
    label = "this function gives something else",
    note = "end it with `Ok(…)`; in it, `?` works on any `std::error::Error`"
)]
pub trait FunctionResult: 'static {
    /// The value.
    type Value: 'static;

    /// The same as a plain result.
    ///
    /// # Errors
    /// Fails as the function did.
    fn into_result(self) -> Result<Self::Value, ToolError>;
}

impl<T: 'static> FunctionResult for Result<T, ToolError> {
    type Value = T;

    #[inline]
    fn into_result(self) -> Self {
        self
    }
}
