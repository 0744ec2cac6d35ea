//! What can be asked to run: an operation of a registered thing. Labels, answers and starts follow from it.

use super::info::ToolIndex;

/// Declares places in a registry, in order of registration.
macro_rules! indices {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub(super) u32);

            impl $name {
                /// As an index into a table with one row for each.
                pub fn as_usize(self) -> usize {
                    self.0 as usize
                }

                /// The place after `count` others.
                pub(super) fn after(count: usize) -> Self {
                    Self(count as u32)
                }
            }
        )+
    };
}

indices! {
    /// A resource's place in its registry.
    ResourceIndex,
    /// A resource template's place in its registry.
    TemplateIndex,
    /// A resource lister's place in its registry.
    ListerIndex,
    /// A prompt's place in its registry.
    PromptIndex,
    /// A completion function's place in its registry.
    CompleterIndex,
}

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
