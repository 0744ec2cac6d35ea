//! Descriptions of tools, resources and prompts with their functions, the checks of them, and the registry that holds
//! them.

#[cfg(test)]
mod called;
pub(super) mod catalog;
pub(super) mod client_rules;
mod completers;
mod editing;
mod entries;
pub(super) mod foreign;
pub(super) mod foreign_entries;
#[cfg(test)]
mod foreign_tests;
pub(super) mod lister;
pub(super) mod merged;
mod names;
#[cfg(feature = "tokio")]
mod on_tokio;
pub(super) mod prompt;
pub(super) mod registration;
pub(super) mod registry_builder;
pub(super) mod registry_error;
pub(super) mod resource;
pub(super) mod resource_template;
pub(super) mod tool;
pub(super) mod toolset;
pub(super) mod uri_template;
pub(super) mod watch;
