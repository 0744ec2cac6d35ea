//! Everything that is written to clients, as their revision has it: answers, emissions and questions.

pub(in crate::mcp) mod answer;
pub(in crate::mcp) mod content;
pub(in crate::mcp) mod emission;
pub(in crate::mcp) mod foreign;
pub(in crate::mcp) mod input_required;
pub(in crate::mcp) mod parked;
pub(in crate::mcp) mod question_compat;
pub(in crate::mcp) mod related_task;
