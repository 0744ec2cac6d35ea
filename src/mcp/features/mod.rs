//! What can be asked of a server in both eras: `methods` of tools, resources, prompts and completion, and listening.

pub(in crate::mcp) mod listen;
pub(in crate::mcp) mod methods;
