//! What listing resources asks for and gives.

use serde::Deserialize;

use crate::registry::info::resource_info::ResourceInfo;

/// What a lister is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ListFrom {
    /// What the page before said in [`ResourcePage::next`]; none for the first page. It went through the
    /// client's hands, and may be anything.
    pub after: Option<String>,
}

/// Some of a lister's resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourcePage {
    /// Their descriptions; see [`ResourceBuilder::listed`](crate::ResourceBuilder::listed).
    pub resources: Vec<ResourceInfo>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}
