//! The request to a lister, and its page of resources.

use serde::Deserialize;

use crate::registry::info::resource_info::ResourceInfo;

/// The place at which a lister is to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ListRequest {
    /// The [`ResourcePage::next`] of the page before; `None` for the first page. It went through the client's hands,
    /// and may be anything.
    pub after: Option<String>,
}

/// Some of a lister's resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourcePage {
    /// Their descriptions; see [`ResourceBuilder::listed`](crate::ResourceBuilder::listed).
    pub resources: Vec<ResourceInfo>,
    /// The place at which the next page begins, if there is one.
    pub next: Option<String>,
}
