//! Content blocks of results, of messages and of requests to a client's model (MCP: `ContentBlock`).
//!
//! Writing never allocates beyond the buffer it appends to. The protocol layer knows which kinds of content, and which
//! members of them, a revision has.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::icon::Icon;
use super::meta::{Meta, MetaKeyError};
use crate::units::Timestamp;

/// One content block (MCP: `ContentBlock`), with hints for its readers if it has any:
///
/// ```
/// use weir::{ContentBlock, Role};
///
/// let chart = ContentBlock::image(b"\x89PNG", "image/png")
///     .audience([Role::User])
///     .priority(0.3)
///     .meta("com.example/dpi", 96);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
        /// Its `_meta`.
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta,
    },
    /// A picture.
    Image {
        /// Base64; see [`ContentBlock::image`].
        data: String,
        /// Such as `image/png`.
        mime_type: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
        /// Its `_meta`.
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta,
    },
    /// Sound. Since 2025-03-26; older clients read a line of text instead.
    Audio {
        /// Base64; see [`ContentBlock::audio`].
        data: String,
        /// Such as `audio/wav`.
        mime_type: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
        /// Its `_meta`.
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta,
    },
    /// A resource the client may read. Since 2025-06-18; older clients read a line of text instead.
    ResourceLink(ResourceLink),
    /// A resource with its contents.
    Resource {
        /// The contents.
        resource: ResourceContents,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
        /// The `_meta` of the block; the contents have one of their own.
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta,
    },
}

impl ContentBlock {
    /// The bytes of its text or data.
    pub(in crate::registry) fn text_bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Image { data, .. } | Self::Audio { data, .. } => data.len(),
            Self::Resource { resource, .. } => resource.text_bytes(),
            Self::ResourceLink { .. } => 0,
        }
    }

    /// The URI of the resource that it links or holds.
    pub(in crate::registry) fn uri_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::ResourceLink(link) => Some(&mut link.uri),
            Self::Resource { resource, .. } => Some(resource.uri_mut()),
            Self::Text { .. } | Self::Image { .. } | Self::Audio { .. } => None,
        }
    }

    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            annotations: None,
            meta: Meta::NONE,
        }
    }

    /// A picture from its bytes.
    pub fn image(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::Image {
            data: STANDARD.encode(bytes),
            mime_type: mime_type.into(),
            annotations: None,
            meta: Meta::NONE,
        }
    }

    /// Sound from its bytes.
    pub fn audio(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::Audio {
            data: STANDARD.encode(bytes),
            mime_type: mime_type.into(),
            annotations: None,
            meta: Meta::NONE,
        }
    }

    /// A link with nothing but a URI and a name; [`ResourceLink`] has more.
    pub fn resource_link(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self::ResourceLink(ResourceLink::new(uri, name))
    }

    /// A resource with its contents.
    pub fn resource(resource: ResourceContents) -> Self {
        Self::Resource {
            resource,
            annotations: None,
            meta: Meta::NONE,
        }
    }

    /// Its intended readers.
    #[must_use]
    pub fn audience(self, readers: impl IntoIterator<Item = Role>) -> Self {
        self.annotate(|hints| hints.audience(readers))
    }

    /// Its importance, from 0, optional, to 1, required.
    #[must_use]
    pub fn priority(self, priority: f64) -> Self {
        self.annotate(|hints| hints.priority(priority))
    }

    /// The time of its last change. Since 2025-06-18.
    #[must_use]
    pub fn last_modified(self, time: SystemTime) -> Self {
        self.annotate(|hints| hints.last_modified(time))
    }

    /// All hints at once.
    #[must_use]
    pub fn annotations(self, annotations: ContentAnnotations) -> Self {
        self.annotate(|_| annotations)
    }

    /// A member of its `_meta`, since 2025-06-18; may be called more than once. Keys look like `com.example/source`.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let (Self::Text { meta, .. }
        | Self::Image { meta, .. }
        | Self::Audio { meta, .. }
        | Self::ResourceLink(ResourceLink { meta, .. })
        | Self::Resource { meta, .. }) = &mut self;
        meta.insert(key, value);
        self
    }

    fn annotate(mut self, change: impl FnOnce(ContentAnnotations) -> ContentAnnotations) -> Self {
        let (Self::Text { annotations, .. }
        | Self::Image { annotations, .. }
        | Self::Audio { annotations, .. }
        | Self::ResourceLink(ResourceLink { annotations, .. })
        | Self::Resource { annotations, .. }) = &mut self;
        *annotations = Some(change(annotations.take().unwrap_or_default()));
        self
    }

    /// Whether a member of it came with 2025-06-18: `_meta`, or the time of the last change.
    pub(crate) fn has_meta_or_date(&self) -> bool {
        let (Self::Text {
            annotations, meta, ..
        }
        | Self::Image {
            annotations, meta, ..
        }
        | Self::Audio {
            annotations, meta, ..
        }
        | Self::ResourceLink(ResourceLink {
            annotations, meta, ..
        })
        | Self::Resource {
            annotations, meta, ..
        }) = self;
        let is_dated = |hints: &ContentAnnotations| hints.last_modified.is_some();
        let has_contents_meta = match self {
            Self::Resource { resource, .. } => resource.has_meta(),
            _ => false,
        };
        has_contents_meta || !meta.is_empty() || annotations.as_ref().is_some_and(is_dated)
    }

    /// The same block without them.
    pub(crate) fn without_meta_and_date(&self) -> Self {
        let mut block = self.clone();
        if let Self::Resource { resource, .. } = &mut block {
            *resource = resource.without_meta();
        }
        let (Self::Text {
            annotations, meta, ..
        }
        | Self::Image {
            annotations, meta, ..
        }
        | Self::Audio {
            annotations, meta, ..
        }
        | Self::ResourceLink(ResourceLink {
            annotations, meta, ..
        })
        | Self::Resource {
            annotations, meta, ..
        }) = &mut block;
        *meta = Meta::NONE;
        if let Some(hints) = annotations {
            hints.last_modified = None;
        }
        block
    }

    /// # Errors
    /// A key of its `_meta`, or of its contents', is none.
    pub(in crate::registry) fn check(&self) -> Result<(), MetaKeyError> {
        match self {
            Self::Resource { resource, meta, .. } => meta.check().and_then(|()| resource.check()),
            Self::Text { meta, .. }
            | Self::Image { meta, .. }
            | Self::Audio { meta, .. }
            | Self::ResourceLink(ResourceLink { meta, .. }) => meta.check(),
        }
    }
}

/// A link to a resource, which need not be one that the server lists (MCP: `ResourceLink`):
///
/// ```
/// use weir::{ContentBlock, ResourceLink};
///
/// let log = ResourceLink::new("file:///var/log/build.txt", "build.txt")
///     .mime_type("text/plain")
///     .size_bytes(1_204);
/// let block = ContentBlock::from(log).priority(0.2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLink {
    pub(crate) uri: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) icons: Vec<Icon>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<ContentAnnotations>,
    #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
    meta: Meta,
}

impl ResourceLink {
    /// A link to this URI, with a name for programs.
    pub fn new(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            size_bytes: None,
            icons: Vec::new(),
            annotations: None,
            meta: Meta::NONE,
        }
    }

    /// The name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// A description for the model.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The MIME type of the contents, such as `text/plain`.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// The size in bytes, before any encoding.
    #[must_use]
    pub fn size_bytes(mut self, size_bytes: u64) -> Self {
        self.size_bytes = Some(size_bytes);
        self
    }

    /// An icon, since 2025-11-25; may be called more than once.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icons.push(icon);
        self
    }
}

impl From<ResourceLink> for ContentBlock {
    fn from(link: ResourceLink) -> Self {
        Self::ResourceLink(link)
    }
}

/// Contents of an embedded resource (MCP: `TextResourceContents`, `BlobResourceContents`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ResourceContents {
    /// Text.
    Text {
        /// The URI.
        uri: String,
        /// Its type, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// The text.
        text: String,
        /// Its `_meta`.
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta,
    },
    /// Bytes.
    Blob {
        /// The URI.
        uri: String,
        /// Its type, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// Base64; see [`ResourceContents::blob`].
        blob: String,
        /// Its `_meta`.
        #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
        meta: Meta,
    },
}

impl ResourceContents {
    /// The bytes of its text, or of its data in base64.
    pub(in crate::registry) fn text_bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Blob { blob, .. } => blob.len(),
        }
    }

    pub(in crate::registry) fn uri_mut(&mut self) -> &mut String {
        match self {
            Self::Text { uri, .. } | Self::Blob { uri, .. } => uri,
        }
    }

    /// Text contents.
    pub fn text(uri: impl Into<String>, mime_type: Option<String>, text: impl Into<String>) -> Self {
        Self::Text {
            uri: uri.into(),
            mime_type,
            text: text.into(),
            meta: Meta::NONE,
        }
    }

    /// Contents from their bytes.
    pub fn blob(uri: impl Into<String>, mime_type: Option<String>, bytes: &[u8]) -> Self {
        Self::Blob {
            uri: uri.into(),
            mime_type,
            blob: STANDARD.encode(bytes),
            meta: Meta::NONE,
        }
    }

    /// A member of the `_meta` of these contents, since 2025-06-18; may be called more than once. Keys look like
    /// `com.example/source`.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let (Self::Text { meta, .. } | Self::Blob { meta, .. }) = &mut self;
        meta.insert(key, value);
        self
    }

    /// Whether it has `_meta`.
    pub(crate) fn has_meta(&self) -> bool {
        let (Self::Text { meta, .. } | Self::Blob { meta, .. }) = self;
        !meta.is_empty()
    }

    pub(in crate::registry) fn meta_members(&self) -> &Meta {
        let (Self::Text { meta, .. } | Self::Blob { meta, .. }) = self;
        meta
    }

    /// The same without it.
    pub(crate) fn without_meta(&self) -> Self {
        let mut contents = self.clone();
        let (Self::Text { meta, .. } | Self::Blob { meta, .. }) = &mut contents;
        *meta = Meta::NONE;
        contents
    }

    /// # Errors
    /// A key of its `_meta` is none.
    pub(in crate::registry) fn check(&self) -> Result<(), MetaKeyError> {
        let (Self::Text { meta, .. } | Self::Blob { meta, .. }) = self;
        meta.check()
    }
}

/// Hints on a content block or a resource (MCP: `Annotations`).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentAnnotations {
    /// The intended readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<Role>>,
    /// The importance, from 0, optional, to 1, required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// The time of the last change, in ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl ContentAnnotations {
    /// No hints.
    pub fn new() -> Self {
        Self::default()
    }

    /// The intended readers.
    #[must_use]
    pub fn audience(mut self, readers: impl IntoIterator<Item = Role>) -> Self {
        self.audience = Some(readers.into_iter().collect());
        self
    }

    /// The importance, from 0, optional, to 1, required. A number beyond is brought to the nearer of the two; what is
    /// no number says nothing.
    #[must_use]
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = (!priority.is_nan()).then(|| priority.clamp(0.0, 1.0));
        self
    }

    /// The time of the last change, to milliseconds. Since 2025-06-18.
    #[must_use]
    pub fn last_modified(mut self, time: SystemTime) -> Self {
        self.last_modified = Some(Timestamp::from(time).to_string());
        self
    }
}

/// The reader or speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

pub(super) const TEXT_OPEN: &[u8] = br#"[{"type":"text","text":"#;
pub(super) const TEXT_CLOSE: &[u8] = b"}]";
