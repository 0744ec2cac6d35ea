//! The result of a tool (MCP, Tools: `CallToolResult` without its envelope).
//!
//! Text, the common case, is one `String` and nothing around it. Writing never allocates beyond the buffer it appends
//! to.

use std::io::{self, Write};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::collect_budget::CollectBudget;
use super::streamed::{AnswerSource, StreamedText};
use crate::jsonrpc::{write_json, write_string};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::content::{ContentBlock, ResourceLink, TEXT_CLOSE, TEXT_OPEN};
use crate::registry::meta::{Meta, MetaKeyError};
use crate::registry::mount::Mount;
use crate::registry::schemas::schema;

/// A tool's result.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    content: Content,
    structured: Option<Value>,
    meta: Meta,
}

/// The unstructured part of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// One text block.
    Text(String),
    /// Any blocks.
    Blocks(Vec<ContentBlock>),
    /// One text block that repeats the structured part as JSON, for clients that read only text.
    StructuredAsText,
    /// One text block whose text is read while it is sent, and perhaps a text of the server's own behind it.
    // Boxed, since other results are moved a few times and would be larger.
    Streamed(Box<(StreamedText, Option<String>)>),
}

impl ToolOutput {
    /// One text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: Content::Text(text.into()),
            structured: None,
            meta: Meta::NONE,
        }
    }

    /// Any content blocks.
    pub fn blocks(blocks: Vec<ContentBlock>) -> Self {
        Self {
            content: Content::Blocks(blocks),
            structured: None,
            meta: Meta::NONE,
        }
    }

    /// A structured result, repeated as text. It must match the tool's output schema.
    pub fn structured(value: Value) -> Self {
        Self {
            content: Content::StructuredAsText,
            structured: Some(value),
            meta: Meta::NONE,
        }
    }

    /// The same structured result with other content than its JSON text, such as a picture. Clients of revisions
    /// without structured results (before 2025-06-18) get the content alone.
    #[must_use]
    pub fn with_content(mut self, blocks: Vec<ContentBlock>) -> Self {
        self.content = Content::Blocks(blocks);
        self
    }

    /// The same structured result with this text instead of its JSON text, such as a summary for the model. Clients of
    /// revisions without structured results (before 2025-06-18) get the text alone.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.content = Content::Text(text.into());
        self
    }

    /// A member of the result's `_meta`, which hosts read and models do not; may be called more than once. Keys look
    /// like `com.example/cost`; a result with a key that is none ([`MetaKeyError`](crate::MetaKeyError)) is an internal
    /// error.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.meta.insert(key, value);
        self
    }

    /// The members of the result's `_meta`.
    pub fn meta_members(&self) -> &Meta {
        &self.meta
    }

    /// # Errors
    /// A key of its `_meta`, or of a block's, is none.
    #[inline]
    pub(in crate::registry) fn check(&self) -> Result<(), MetaKeyError> {
        self.meta.check()?;
        match &self.content {
            Content::Blocks(blocks) => blocks.iter().try_for_each(ContentBlock::check),
            Content::Text(_) | Content::StructuredAsText | Content::Streamed(..) => Ok(()),
        }
    }

    /// One text block whose text is read while it is sent.
    pub fn streamed(text: StreamedText) -> Self {
        Self {
            content: Content::Streamed(Box::new((text, None))),
            structured: None,
            meta: Meta::NONE,
        }
    }

    /// Adds a text block behind the others.
    pub(in crate::registry) fn note(&mut self, note: &str) {
        if let Content::Streamed(streamed) = &mut self.content {
            streamed.1 = Some(note.to_owned());
            return;
        }
        let mut blocks = match std::mem::replace(&mut self.content, Content::Blocks(Vec::new())) {
            Content::Text(text) => vec![ContentBlock::text(text)],
            Content::Blocks(blocks) => blocks,
            Content::Streamed(..) => Vec::new(),
            Content::StructuredAsText => {
                let structured = self.structured.as_ref().map(Value::to_string);
                vec![ContentBlock::text(structured.unwrap_or_default())]
            }
        };
        blocks.push(ContentBlock::text(note));
        self.content = Content::Blocks(blocks);
    }

    /// Gives its blocks the URIs that clients know.
    pub(super) fn serve_uris(&mut self, mount: &Mount) {
        if let Content::Blocks(blocks) = &mut self.content {
            blocks.iter_mut().for_each(|block| mount.serve_block(block));
        }
    }

    /// The unstructured part.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// `structuredContent`, if there is any.
    pub fn structured_content(&self) -> Option<&Value> {
        self.structured.as_ref()
    }

    /// The bytes of its texts and data, without those of a structured part.
    pub(in crate::registry) fn text_bytes(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Blocks(blocks) => blocks.iter().map(ContentBlock::text_bytes).sum(),
            Content::StructuredAsText | Content::Streamed(..) => 0,
        }
    }

    /// The text of a result that is nothing else.
    pub(in crate::registry) fn sole_text(&mut self) -> Option<&mut String> {
        match &mut self.content {
            Content::Text(text) if self.structured.is_none() && self.meta.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether its text is read while it is sent.
    #[inline]
    pub(in crate::registry) fn is_streamed(&self) -> bool {
        matches!(self.content, Content::Streamed(..))
    }

    /// Takes the source of its text, once. What that holds is charged to `budget`.
    pub(in crate::registry) fn take_source(&self, budget: &Arc<CollectBudget>) -> Option<AnswerSource> {
        match &self.content {
            Content::Streamed(streamed) => streamed.0.0.take(budget),
            _ => None,
        }
    }

    /// Puts the whole text into the place of its source.
    pub(in crate::registry) fn put_text(&mut self, text: String) {
        let note = match &mut self.content {
            Content::Streamed(streamed) => streamed.1.take(),
            _ => None,
        };
        self.content = Content::Text(text);
        if let Some(note) = note {
            self.note(&note);
        }
    }

    /// Appends the `content` array of a result that is streamed, but for its text, which is to stand at the index that
    /// is returned.
    pub fn write_around_source(&self, out: &mut Vec<u8>) -> usize {
        let at = Self::write_around_text(out);
        if let Content::Streamed(streamed) = &self.content
            && let Some(note) = &streamed.1
        {
            out.pop();
            out.push(b',');
            write_json(&mut *out, &ContentBlock::text(note));
            out.push(b']');
        }
        at
    }

    /// Appends the `content` array around a text that is to stand at the index which is returned.
    pub fn write_around_text(out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(TEXT_OPEN);
        out.push(b'"');
        let at = out.len();
        out.push(b'"');
        out.extend_from_slice(TEXT_CLOSE);
        at
    }

    /// Appends the `content` array.
    pub fn write_content(&self, out: &mut Vec<u8>) {
        match &self.content {
            Content::Text(text) => {
                out.extend_from_slice(TEXT_OPEN);
                write_string(out, text);
                out.extend_from_slice(TEXT_CLOSE);
            }
            Content::Blocks(blocks) => write_json(out, blocks),
            Content::Streamed(..) => {
                self.write_around_source(out);
            }
            Content::StructuredAsText => {
                out.extend_from_slice(TEXT_OPEN);
                out.push(b'"');
                if let Some(value) = &self.structured {
                    write_json(EscapedJson(out), value);
                }
                out.push(b'"');
                out.extend_from_slice(TEXT_CLOSE);
            }
        }
    }

    /// Appends the value of `structuredContent`, if there is one, and returns whether it did.
    pub fn write_structured(&self, out: &mut Vec<u8>) -> bool {
        match &self.structured {
            Some(value) => {
                write_json(out, value);
                true
            }
            None => false,
        }
    }
}

/// A type that a tool's function may return.
#[diagnostic::on_unimplemented(
    message = "a tool's function cannot return `{Self}`",
    label = "not a tool's result",
    note = "return a `String`, a `ContentBlock` or several, a `ToolOutput`, or `Structured(value)` of a type that derives `Serialize` and `JsonSchema`"
)]
pub trait IntoOutput {
    /// The schema of the structured part, for a type that has one.
    fn output_schema() -> Option<Value> {
        None
    }

    /// The result.
    ///
    /// # Errors
    /// A value that cannot be JSON is an internal error.
    fn into_output(self) -> Result<ToolOutput, ToolError>;
}

impl IntoOutput for ToolOutput {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(self)
    }
}

impl IntoOutput for String {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::text(self))
    }
}

impl IntoOutput for &'static str {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::text(self))
    }
}

/// No content.
impl IntoOutput for () {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::blocks(Vec::new()))
    }
}

impl IntoOutput for ContentBlock {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::blocks(vec![self]))
    }
}

impl IntoOutput for ResourceLink {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        ContentBlock::from(self).into_output()
    }
}

impl IntoOutput for StreamedText {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::streamed(self))
    }
}

impl IntoOutput for Vec<ContentBlock> {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::blocks(self))
    }
}

/// A structured result: the tool gets an output schema from `T`, and the client gets `structuredContent` and its text:
/// every revision wants the JSON as text, too, unless there is a better one ([`Structured::with_text`]).
///
/// `T` must be an object in JSON, as every revision up to 2025-11-25 demands: a struct or a map. A list goes into a
/// struct, `struct Found { items: Vec<Item> }`; a tool that returns `Structured<Vec<Item>>` is refused when it is
/// added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structured<T>(pub T);

impl<T> Structured<T> {
    /// The same result with a text of the tool's choice, such as a summary, instead of the JSON: nothing is sent twice.
    /// Clients of revisions without structured results (before 2025-06-18) get the text alone.
    pub fn with_text(self, text: impl Into<String>) -> StructuredWithText<T> {
        StructuredWithText {
            value: self.0,
            text: text.into(),
        }
    }
}

impl<T: Serialize + JsonSchema> IntoOutput for Structured<T> {
    fn output_schema() -> Option<Value> {
        Some(schema::of_output::<T>())
    }

    fn into_output(self) -> Result<ToolOutput, ToolError> {
        serde_json::to_value(&self.0)
            .map(ToolOutput::structured)
            .map_err(|error| ToolError::internal(format_args!("the result is not JSON: {error}")))
    }
}

/// A structured result with a text of its own; see [`Structured::with_text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructuredWithText<T> {
    value: T,
    text: String,
}

impl<T: Serialize + JsonSchema> IntoOutput for StructuredWithText<T> {
    fn output_schema() -> Option<Value> {
        Structured::<T>::output_schema()
    }

    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(Structured(self.value).into_output()?.with_text(self.text))
    }
}

/// The arguments of a tool that takes none; members that a client sends all the same are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct NoArguments {}

/// JSON text inside a JSON string. The text that serde_json writes has no control characters outside its own escapes,
/// so only quotes and backslashes need an escape here.
struct EscapedJson<'a>(&'a mut Vec<u8>);

impl Write for EscapedJson<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut rest = text;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            let (plain, special) = rest.split_at(at);
            self.0.extend_from_slice(plain);
            self.0.push(b'\\');
            self.0.extend_from_slice(&special[..1]);
            rest = &special[1..];
        }
        self.0.extend_from_slice(rest);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(output: &ToolOutput) -> Value {
        let mut text = Vec::new();
        output.write_content(&mut text);
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn text_survives_every_escape() {
        let text: String = (0..=0x2030).filter_map(char::from_u32).collect();
        assert_eq!(
            written(&ToolOutput::text(text.clone())),
            json!([{"type": "text", "text": text}])
        );
        let failed = ToolError::message(&text);
        let mut error = Vec::new();
        failed.write_content(&mut error);
        let error: Value = serde_json::from_slice(&error).unwrap();
        assert_eq!(error, json!([{"type": "text", "text": text}]));
    }

    #[test]
    fn structured_results_repeat_as_text() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let value = crate::registry::schemas::random::document(&mut rng, 4);
            let value = json!({"quote \" and \\": value, "control \u{1}\n": [1.5, -0.0]});
            let output = ToolOutput::structured(value.clone());
            let text = written(&output)[0]["text"].as_str().unwrap().to_owned();
            assert_eq!(text, value.to_string());
            let mut structured = Vec::new();
            assert!(output.write_structured(&mut structured));
            assert_eq!(serde_json::from_slice::<Value>(&structured).unwrap(), value);
        }
        assert!(!ToolOutput::text("").write_structured(&mut Vec::new()));
    }

    #[test]
    fn a_text_of_the_tools_own_takes_the_place_of_the_json() {
        #[derive(Serialize, JsonSchema)]
        struct Count {
            count: u32,
        }
        let output = Structured(Count { count: 3 })
            .with_text("three")
            .into_output()
            .unwrap();
        assert_eq!(written(&output), json!([{"type": "text", "text": "three"}]));
        assert_eq!(output.structured_content(), Some(&json!({"count": 3})));
        assert_eq!(
            StructuredWithText::<Count>::output_schema(),
            Structured::<Count>::output_schema()
        );
    }
}
