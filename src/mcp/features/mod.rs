//! The methods that both eras have: `methods` for tools, resources, prompts and completion, and `listen` for
//! subscriptions.

pub(in crate::mcp) mod listen;
pub(in crate::mcp) mod methods;
