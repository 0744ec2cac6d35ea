//! What can be asked to run: an operation of a registered thing. Labels, answers and starts follow from it.

use super::info::ToolIndex;

/// One registered thing's operation: a small value that names what runs, to find it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `tools/call` of a registered tool.
    Tool(ToolIndex),
}

impl Operation {
    /// The tool, if a tool is called.
    pub fn tool(self) -> Option<ToolIndex> {
        match self {
            Self::Tool(index) => Some(index),
        }
    }
}
