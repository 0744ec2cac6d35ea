//! The result of reading a resource (MCP, Resources: `ReadResourceResult` without its envelope).
//!
//! The usual result is one text or one run of bytes under the requested URI; bytes become base64 only when they are
//! written.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::collect_budget::CollectBudget;
use super::output::Structured;
use super::streamed::{AnswerSource, StreamedBytes, StreamedText};
use crate::jsonrpc::write_json;
use crate::registry::app::{self, AppError};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::content::ResourceContents;
use crate::registry::info::resource_info::ResourceInfo;
use crate::registry::meta::{Meta, MetaKeyError};
use crate::registry::mount::Mount;

/// The contents of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOutput {
    contents: Contents,
    mime_type: Option<String>,
    contents_meta: Meta,
    meta: Meta,
}

#[derive(Debug, Clone, PartialEq)]
enum Contents {
    Text(String),
    Blob(Vec<u8>),
    Parts(Vec<ResourceContents>),
    StreamedText(StreamedText),
    StreamedBytes(StreamedBytes),
}

impl ReadOutput {
    /// One text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Contents::Text(text.into()))
    }

    /// Bytes that are not text.
    pub fn blob(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(Contents::Blob(bytes.into()))
    }

    /// One text that is read while it is sent.
    pub fn streamed_text(text: StreamedText) -> Self {
        Self::of(Contents::StreamedText(text))
    }

    /// Bytes that are read while they are sent.
    pub fn streamed_bytes(bytes: StreamedBytes) -> Self {
        Self::of(Contents::StreamedBytes(bytes))
    }

    /// Several contents, each with a URI of its own.
    pub fn parts(parts: Vec<ResourceContents>) -> Self {
        Self::of(Contents::Parts(parts))
    }

    /// The MIME type of this text or these bytes, instead of the registered one. Parts have their own.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// A member of the `_meta` of the result; may be called more than once. Keys look like `com.example/cost`; a result
    /// with a key that is none ([`MetaKeyError`](crate::MetaKeyError)) is an internal error.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.meta.insert(key, value);
        self
    }

    /// A member of the `_meta` of this text or these bytes, since 2025-06-18; may be called more than once. Parts have
    /// their own. What `ui` says about an app is checked as it is when a resource is added ([`AppError`]); contents
    /// with a wrong one are an internal error.
    #[must_use]
    pub fn contents_meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.contents_meta.insert(key, value);
        self
    }

    fn of(contents: Contents) -> Self {
        Self {
            contents,
            mime_type: None,
            contents_meta: Meta::NONE,
            meta: Meta::NONE,
        }
    }

    /// The bytes of its texts, and of its data in base64.
    pub(in crate::registry) fn text_bytes(&self) -> usize {
        match &self.contents {
            Contents::Text(text) => text.len(),
            Contents::Blob(bytes) => bytes.len().div_ceil(3) * 4,
            Contents::Parts(parts) => parts.iter().map(ResourceContents::text_bytes).sum(),
            Contents::StreamedText(_) | Contents::StreamedBytes(_) => 0,
        }
    }

    /// Gives its parts the URIs that clients know.
    pub(super) fn serve_uris(&mut self, mount: &Mount) {
        if let Contents::Parts(parts) = &mut self.contents {
            for uri in parts.iter_mut().map(ResourceContents::uri_mut) {
                *uri = mount.uri(uri);
            }
        }
    }

    /// The members of the result's `_meta`.
    pub fn meta_members(&self) -> &Meta {
        &self.meta
    }

    /// # Errors
    /// A key of one `_meta` is none.
    pub(in crate::registry) fn check(&self) -> Result<(), MetaKeyError> {
        self.meta.check()?;
        self.contents_meta.check()?;
        match &self.contents {
            Contents::Parts(parts) => parts.iter().try_for_each(ResourceContents::check),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// One `_meta` says something about an app that hosts do not read so.
    pub(in crate::registry) fn check_app(&self) -> Result<(), AppError> {
        app::check(&self.contents_meta)?;
        match &self.contents {
            Contents::Parts(parts) => parts.iter().try_for_each(|part| app::check(part.meta_members())),
            _ => Ok(()),
        }
    }

    /// Whether it is read while it is sent.
    pub(in crate::registry) fn is_streamed(&self) -> bool {
        matches!(
            self.contents,
            Contents::StreamedText(_) | Contents::StreamedBytes(_)
        )
    }

    /// Takes its source, once. What that holds is charged to `budget`.
    pub(in crate::registry) fn take_source(&self, budget: &Arc<CollectBudget>) -> Option<AnswerSource> {
        match &self.contents {
            Contents::StreamedText(StreamedText(place)) | Contents::StreamedBytes(StreamedBytes(place)) => {
                place.take(budget)
            }
            _ => None,
        }
    }

    /// Puts what was read into the place of its source.
    pub(in crate::registry) fn put_collected(&mut self, text: Result<String, Vec<u8>>) {
        self.contents = match text {
            Ok(text) => Contents::Text(text),
            Err(bytes) => Contents::Blob(bytes),
        };
    }

    /// Appends the `contents` array of a resource that is streamed, as [`write_contents`](Self::write_contents) does;
    /// what is streamed is to stand at the index that is returned.
    pub fn write_around_source(
        &self,
        uri: &str,
        registered: Option<&ResourceInfo>,
        has_meta: bool,
        out: &mut Vec<u8>,
    ) -> usize {
        self.write_contents(uri, registered, has_meta, out);
        out.len() - br#""}]"#.len()
    }

    /// Appends the `contents` array of an answer to a client that asked for `uri`, which is registered so. Older
    /// clients know no `_meta` of contents.
    pub fn write_contents(
        &self,
        uri: &str,
        registered: Option<&ResourceInfo>,
        has_meta: bool,
        out: &mut Vec<u8>,
    ) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct One<'a> {
            uri: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            mime_type: Option<&'a str>,
            #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
            meta: Option<Cow<'a, Meta>>,
            // The last member: what is streamed goes in before the closing quote.
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            blob: Option<String>,
        }
        let (text, blob) = match &self.contents {
            Contents::StreamedText(_) => (Some(""), None),
            Contents::StreamedBytes(_) => (None, Some(String::new())),
            Contents::Text(text) => (Some(text.as_str()), None),
            Contents::Blob(bytes) => (None, Some(STANDARD.encode(bytes))),
            Contents::Parts(parts) if has_meta => return write_json(out, parts),
            Contents::Parts(parts) => {
                let parts: Vec<_> = parts.iter().map(ResourceContents::without_meta).collect();
                return write_json(out, &parts);
            }
        };
        let mime_type = self.mime_type.as_deref();
        let mime_type = mime_type.or(registered.and_then(ResourceInfo::mime_type));
        let meta = registered.map_or(Cow::Borrowed(&self.contents_meta), |registered| {
            app::meta_of_contents(&self.contents_meta, registered.meta())
        });
        write_json(
            out,
            &[One {
                uri,
                mime_type,
                text,
                blob,
                meta: Some(meta).filter(|meta| has_meta && !meta.is_empty()),
            }],
        );
    }
}

/// A type that a function that reads a resource may return.
#[diagnostic::on_unimplemented(
    message = "a function that reads a resource cannot return `{Self}`",
    label = "not a resource's contents",
    note = "return a `String`, a `Vec<u8>`, a `Structured` value as JSON, or a `ReadOutput` with a MIME type of its own"
)]
pub trait IntoContents {
    /// The contents.
    ///
    /// # Errors
    /// The value cannot be written as contents.
    fn into_contents(self) -> Result<ReadOutput, ToolError>;
}

impl IntoContents for ReadOutput {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(self)
    }
}

impl IntoContents for String {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(ReadOutput::text(self))
    }
}

impl IntoContents for &'static str {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(ReadOutput::text(self))
    }
}

impl IntoContents for Vec<u8> {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(ReadOutput::blob(self))
    }
}

impl IntoContents for StreamedText {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(ReadOutput::streamed_text(self))
    }
}

impl IntoContents for StreamedBytes {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(ReadOutput::streamed_bytes(self))
    }
}

impl IntoContents for Vec<ResourceContents> {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        Ok(ReadOutput::parts(self))
    }
}

/// The value as JSON text, of the MIME type `application/json`.
impl<T: Serialize> IntoContents for Structured<T> {
    fn into_contents(self) -> Result<ReadOutput, ToolError> {
        serde_json::to_string(&self.0)
            .map(|text| ReadOutput::text(text).mime_type("application/json"))
            .map_err(|error| ToolError::internal(format_args!("the contents are not JSON: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_structured_value_is_read_as_json() {
        let contents = Structured(json!({"id": 7})).into_contents().expect("it is JSON");
        let mut out = Vec::new();
        contents.write_contents("tracker://issue/7", None, true, &mut out);
        let written: Value = serde_json::from_slice(&out).expect("it is JSON");
        let expected =
            json!([{"uri": "tracker://issue/7", "mimeType": "application/json", "text": r#"{"id":7}"#}]);
        assert_eq!(written, expected);
    }
}
