//! The request to a lister, and its page of resources.

use serde::Deserialize;

use crate::registry::app::{self, AppError};
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
    /// Their descriptions; see [`ResourceBuilder::listed`](crate::ResourceBuilder::listed). A page that describes an
    /// app wrongly ([`AppError`]) is an internal error.
    pub resources: Vec<ResourceInfo>,
    /// The place at which the next page begins, if there is one.
    pub next: Option<String>,
}

impl ResourcePage {
    /// # Errors
    /// What is said about one that is an app is wrong.
    pub(super) fn check_apps(&self) -> Result<(), AppError> {
        let mut resources = self.resources.iter();
        resources.try_for_each(|info| app::check_resource(info.address(), info.mime_type(), info.meta()))
    }
}
