//! How an operation ends, whatever its kind, and how a function's return value becomes that.

use super::output::{IntoOutput, ToolError, ToolOutput};
use super::schema::OutputSchema;

/// How an operation ended.
pub type Outcome = Result<Output, ToolError>;

/// What an operation gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A tool's result.
    Tool(ToolOutput),
}

impl Output {
    /// A tool's result, if this is one.
    pub fn into_tool(self) -> Option<ToolOutput> {
        match self {
            Self::Tool(output) => Some(output),
        }
    }
}

impl From<ToolOutput> for Output {
    fn from(output: ToolOutput) -> Self {
        Self::Tool(output)
    }
}

/// A kind of operation: what its functions may return and what becomes of that.
pub(super) trait Kind<T>: 'static {
    /// Converts, and holds structured results to their tool's own schema.
    fn output(value: T, schema: Option<&OutputSchema>) -> Outcome;
}

/// Tools.
pub(super) struct ToolKind;

impl<T: IntoOutput> Kind<T> for ToolKind {
    fn output(value: T, schema: Option<&OutputSchema>) -> Outcome {
        let answer = value.into_output()?;
        if let Some(schema) = schema {
            schema.check(answer.structured_content())?;
        }
        Ok(Output::Tool(answer))
    }
}
