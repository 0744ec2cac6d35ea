//! Operations of registered things. Labels, answers and starts follow from the operation.

use super::info::index::{CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, TemplateIndex, ToolIndex};

/// One operation of a registered thing: a small value that identifies the function to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `tools/call` of a registered tool.
    Tool(ToolIndex),
    /// `resources/read` of a registered resource.
    Resource(ResourceIndex),
    /// `resources/read` of a URI that a template matches.
    Template(TemplateIndex),
    /// `resources/list` by a lister.
    ResourceList(ListerIndex),
    /// `prompts/get`.
    Prompt(PromptIndex),
    /// `completion/complete`.
    Completion(CompleterIndex),
}

impl Operation {
    /// The tool, if the operation calls one.
    pub fn tool(self) -> Option<ToolIndex> {
        match self {
            Self::Tool(index) => Some(index),
            _ => None,
        }
    }
}
