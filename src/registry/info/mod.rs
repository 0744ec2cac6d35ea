//! What clients are told of registered things, and the places these have in their registry. Data only.

pub(super) mod caching;
pub(super) mod icon;
pub(super) mod index;
pub(super) mod operation;
pub(super) mod prompt_info;
pub(super) mod resource_info;
pub(super) mod tool_info;
