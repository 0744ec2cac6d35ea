//! What is written to clients in the words of their revision: answers, what calls say meanwhile, and questions.

pub(in crate::mcp) mod answer;
pub(in crate::mcp) mod emission;
pub(in crate::mcp) mod input_required;
pub(in crate::mcp) mod question_compat;
pub(in crate::mcp) mod related_task;
