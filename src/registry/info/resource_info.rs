//! A registered resource or template as clients see it (MCP, Resources: `Resource`, `ResourceTemplate`).

use serde::Serialize;

use super::caching::Caching;
use crate::registry::content::ContentAnnotations;
use crate::registry::icon::Icon;
use crate::registry::meta::Meta;

/// A registered resource or template as clients see it. Serialises as MCP's `Resource` or `ResourceTemplate`,
/// newest revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    #[serde(flatten)]
    pub(in crate::registry) address: Address,
    pub(in crate::registry) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) mime_type: Option<String>,
    #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::registry) icons: Vec<Icon>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::registry) annotations: Option<ContentAnnotations>,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    pub(in crate::registry) meta: Meta,
    #[serde(skip)]
    pub(in crate::registry) caching: Caching,
}

/// The place of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::registry) enum Address {
    Uri(String),
    UriTemplate(String),
}

impl ResourceInfo {
    pub(in crate::registry) fn new(address: Address, name: impl Into<String>) -> Self {
        Self {
            address,
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            size_bytes: None,
            icons: Vec::new(),
            annotations: None,
            meta: Meta::NONE,
            caching: Caching::default(),
        }
    }

    /// The URI, or the text of the template.
    pub fn address(&self) -> &str {
        match &self.address {
            Address::Uri(text) | Address::UriTemplate(text) => text,
        }
    }

    pub(in crate::registry) fn address_mut(&mut self) -> &mut String {
        match &mut self.address {
            Address::Uri(text) | Address::UriTemplate(text) => text,
        }
    }

    /// The name, which programs read, and people too if there is no title.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The MIME type, if it is always the same.
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    /// Its `_meta` in lists.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// How long its contents may be kept.
    pub fn caching(&self) -> Caching {
        self.caching
    }
}
