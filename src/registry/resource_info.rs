//! A registered resource or template as clients see it (MCP, Resources: `Resource`, `ResourceTemplate`).

use serde::Serialize;

use super::caching::Caching;
use super::content::ContentAnnotations;
use super::icon::Icon;

/// A registered resource or template as clients see it. Serialises as MCP's `Resource` or `ResourceTemplate`,
/// newest revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    #[serde(flatten)]
    pub(super) address: Address,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) icons: Vec<Icon>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<ContentAnnotations>,
    #[serde(skip)]
    pub(super) caching: Caching,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Address {
    Uri(String),
    UriTemplate(String),
}

impl ResourceInfo {
    pub(super) fn new(address: Address, name: impl Into<String>) -> Self {
        Self {
            address,
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            size_bytes: None,
            icons: Vec::new(),
            annotations: None,
            caching: Caching::default(),
        }
    }

    /// Its URI or its template's text.
    pub fn address(&self) -> &str {
        match &self.address {
            Address::Uri(text) | Address::UriTemplate(text) => text,
        }
    }

    /// Its name, for programs and, without a title, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type, if it is always the same.
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    /// How long its contents may be kept.
    pub fn caching(&self) -> Caching {
        self.caching
    }
}
