//! What can be asked to run: an operation of a registered thing. Labels, answers and starts follow from it.

use super::index::{CompleterIndex, ListerIndex, PromptIndex, ResourceIndex, TemplateIndex, ToolIndex};

/// One registered thing's operation: a small value that names what runs, to find it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `tools/call` of a registered tool.
    Tool(ToolIndex),
    /// `resources/read` of a registered resource.
    Resource(ResourceIndex),
    /// `resources/read` of what a template matches.
    Template(TemplateIndex),
    /// `resources/list` by a lister.
    ResourceList(ListerIndex),
    /// `prompts/get`.
    Prompt(PromptIndex),
    /// `completion/complete`.
    Completion(CompleterIndex),
}

impl Operation {
    /// The tool, if a tool is called.
    pub fn tool(self) -> Option<ToolIndex> {
        match self {
            Self::Tool(index) => Some(index),
            _ => None,
        }
    }
}
