//! Descriptions of registered things for clients, and their indices in the registry. Data only.

pub(super) mod caching;
pub(super) mod index;
pub(super) mod prompt_info;
pub(super) mod resource_info;
pub(super) mod tool_info;
