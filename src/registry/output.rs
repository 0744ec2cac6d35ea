//! What a tool answers (MCP, Tools: `CallToolResult` without its envelope).
//!
//! Text, the common case, is one `String` and nothing around it. Writing never allocates beyond the buffer it
//! appends to. Which kinds of content a revision knows is the protocol layer's business.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::capabilities::ClientCapabilities;
use super::elicit::UrlElicit;
use super::question::{Question, QuestionRequest};
use super::schema;

/// Why an operation, of whatever kind, gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The tool says what went wrong, to the client.
    #[error("{0}")]
    Message(String),
    /// The tool panicked. What it said in panicking is not for the client.
    #[error("the tool failed unexpectedly")]
    Panicked,
    /// The call's time was up.
    #[error("the call timed out")]
    TimedOut,
    /// The call was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// What was asked for is not there. For resources the protocol has an answer of its own.
    #[error("not found")]
    NotFound,
    /// The arguments ask for what cannot be; the text says why, to the client.
    #[error("{0}")]
    InvalidArguments(String),
    /// The tool or its schema is at fault; the text is for the log only.
    #[error("internal error")]
    Internal(String),
    /// The client has to answer first, and then call again: what `ask` gives where there is no way back to a running
    /// call. A tool passes it on; the call's questions become its answer (MCP 2026-07-28, `InputRequiredResult`).
    #[error("the client has to answer first")]
    InputRequired,
    /// The client cannot be asked this. It lacks these capabilities, or this kind of request does not ask.
    #[error("the client cannot be asked; this needs: {0}")]
    MissingCapability(ClientCapabilities),
    /// The client's answer to a question cannot be used; the text says why, to the client, whose fault it is.
    #[error("{0}")]
    InvalidAnswer(String),
    /// The user has to go to these places first, then the client may call again (MCP 2025-11-25,
    /// `URLElicitationRequiredError`). See [`ToolError::url_elicitation_required`].
    #[error("the user has to open a URL first")]
    UrlElicitationRequired(Vec<QuestionRequest>),
}

impl ToolError {
    /// A failure the client reads.
    pub fn message(text: impl std::fmt::Display) -> Self {
        Self::Message(text.to_string())
    }

    /// Arguments that cannot be served, for the client to read.
    pub fn invalid_arguments(text: impl std::fmt::Display) -> Self {
        Self::InvalidArguments(text.to_string())
    }

    /// A failure whose details only the log gets.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::Internal(detail.to_string())
    }

    /// The user has to open these URLs first. Other revisions than 2025-11-25 have no such error: a tool does better
    /// to ask with [`Elicit::url`](super::Elicit::url) where the client can be asked.
    pub fn url_elicitation_required(places: impl IntoIterator<Item = UrlElicit>) -> Self {
        let requests = places
            .into_iter()
            .map(|place| place.request(ClientCapabilities::NONE));
        Self::UrlElicitationRequired(requests.collect())
    }

    /// The details for the log, where they differ from what the client reads.
    pub fn log_detail(&self) -> Option<&str> {
        match self {
            Self::Internal(detail) => Some(detail),
            _ => None,
        }
    }

    /// Appends the content of an `isError` result: this error's text for the client in one text block.
    pub fn write_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(TEXT_OPEN);
        match self {
            Self::Message(text) | Self::InvalidArguments(text) | Self::InvalidAnswer(text) => {
                write_string(out, text)
            }
            other => write_json(&mut *out, &format_args!("{other}")),
        }
        out.extend_from_slice(TEXT_CLOSE);
    }
}

impl From<String> for ToolError {
    fn from(text: String) -> Self {
        Self::Message(text)
    }
}

impl From<&str> for ToolError {
    fn from(text: &str) -> Self {
        Self::Message(text.to_owned())
    }
}

/// A tool's result.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    content: Content,
    structured: Option<Value>,
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
}

impl ToolOutput {
    /// One text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: Content::Text(text.into()),
            structured: None,
        }
    }

    /// Any content blocks.
    pub fn blocks(blocks: Vec<ContentBlock>) -> Self {
        Self {
            content: Content::Blocks(blocks),
            structured: None,
        }
    }

    /// A structured result, repeated as text. It must match the tool's output schema.
    pub fn structured(value: Value) -> Self {
        Self {
            content: Content::StructuredAsText,
            structured: Some(value),
        }
    }

    /// The same structured result with other content than its JSON text, say a summary for people.
    pub fn with_content(mut self, blocks: Vec<ContentBlock>) -> Self {
        self.content = Content::Blocks(blocks);
        self
    }

    /// Adds a text block behind the others.
    pub(super) fn note(&mut self, note: &str) {
        let mut blocks = match std::mem::replace(&mut self.content, Content::Blocks(Vec::new())) {
            Content::Text(text) => vec![ContentBlock::text(text)],
            Content::Blocks(blocks) => blocks,
            Content::StructuredAsText => {
                let structured = self.structured.as_ref().map(Value::to_string);
                vec![ContentBlock::text(structured.unwrap_or_default())]
            }
        };
        blocks.push(ContentBlock::text(note));
        self.content = Content::Blocks(blocks);
    }

    /// The unstructured part.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// `structuredContent`, if there is any.
    pub fn structured_content(&self) -> Option<&Value> {
        self.structured.as_ref()
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

    /// Appends the value of `structuredContent` and says so, or appends nothing.
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

/// One content block (MCP: `ContentBlock`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
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
    },
    /// Sound. Since 2025-03-26.
    Audio {
        /// Base64; see [`ContentBlock::audio`].
        data: String,
        /// Such as `audio/wav`.
        mime_type: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
    },
    /// A resource the client may read. Since 2025-06-18.
    ResourceLink {
        /// Where it is.
        uri: String,
        /// Its name.
        name: String,
        /// Its name for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// What it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Its type, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// Its size in bytes, if known.
        #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
        size_bytes: Option<u64>,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
    },
    /// A resource with its contents.
    Resource {
        /// The contents.
        resource: ResourceContents,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<ContentAnnotations>,
    },
}

impl ContentBlock {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            annotations: None,
        }
    }

    /// A picture from its bytes.
    pub fn image(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::Image {
            data: STANDARD.encode(bytes),
            mime_type: mime_type.into(),
            annotations: None,
        }
    }

    /// Sound from its bytes.
    pub fn audio(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::Audio {
            data: STANDARD.encode(bytes),
            mime_type: mime_type.into(),
            annotations: None,
        }
    }

    /// A link with nothing but a place and a name.
    pub fn resource_link(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self::ResourceLink {
            uri: uri.into(),
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            size_bytes: None,
            annotations: None,
        }
    }

    /// A resource with its contents.
    pub fn resource(resource: ResourceContents) -> Self {
        Self::Resource {
            resource,
            annotations: None,
        }
    }
}

/// Contents of an embedded resource (MCP: `TextResourceContents`, `BlobResourceContents`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ResourceContents {
    /// Text.
    Text {
        /// Where it is.
        uri: String,
        /// Its type, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// The text.
        text: String,
    },
    /// Bytes.
    Blob {
        /// Where it is.
        uri: String,
        /// Its type, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// Base64; see [`ResourceContents::blob`].
        blob: String,
    },
}

impl ResourceContents {
    /// Text contents.
    pub fn text(uri: impl Into<String>, mime_type: Option<String>, text: impl Into<String>) -> Self {
        Self::Text {
            uri: uri.into(),
            mime_type,
            text: text.into(),
        }
    }

    /// Contents from their bytes.
    pub fn blob(uri: impl Into<String>, mime_type: Option<String>, bytes: &[u8]) -> Self {
        Self::Blob {
            uri: uri.into(),
            mime_type,
            blob: STANDARD.encode(bytes),
        }
    }
}

/// Hints on a content block (MCP: `Annotations`).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentAnnotations {
    /// Whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<Role>>,
    /// From 0, optional, to 1, required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// Whom content is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// What a tool's function may return.
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

impl IntoOutput for Vec<ContentBlock> {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::blocks(self))
    }
}

/// A structured result: the tool gets an output schema from `T`, the client `structuredContent` and its text.
///
/// `T` must be an object in JSON, as every revision up to 2025-11-25 demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structured<T>(pub T);

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

/// Arguments of a tool that takes none; members a client sends all the same are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct NoArguments {}

const TEXT_OPEN: &[u8] = br#"[{"type":"text","text":"#;
const TEXT_CLOSE: &[u8] = b"}]";

fn write_string(out: &mut Vec<u8>, text: &str) {
    write_json(out, text);
}

/// Writing to a `Vec` does not fail, and none of the types written here has a fallible `Serialize`.
fn write_json(out: impl Write, value: &(impl Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// JSON text inside a JSON string. The text serde_json writes has no control characters outside its own
/// escapes, so only quotes and backslashes need one here.
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
    use super::super::specification::{REVISIONS, assert_matches};
    use super::*;
    use serde_json::json;

    fn written(output: &ToolOutput) -> Value {
        let mut text = Vec::new();
        output.write_content(&mut text);
        serde_json::from_slice(&text).unwrap()
    }

    fn every_block() -> Vec<ContentBlock> {
        let annotations = ContentAnnotations {
            audience: Some(vec![Role::User, Role::Assistant]),
            priority: Some(0.5),
            last_modified: Some("2026-01-01T00:00:00Z".into()),
        };
        vec![
            ContentBlock::text("text"),
            ContentBlock::Text {
                text: "annotated".into(),
                annotations: Some(annotations),
            },
            ContentBlock::image(b"\0\xff", "image/png"),
            ContentBlock::resource(ResourceContents::text(
                "file:///a",
                Some("text/plain".into()),
                "a",
            )),
            ContentBlock::resource(ResourceContents::blob("file:///b", None, b"b")),
            ContentBlock::audio(b"sound", "audio/wav"),
            ContentBlock::resource_link("file:///c", "c"),
        ]
    }

    #[test]
    fn results_match_each_revision() {
        for revision in REVISIONS {
            // Sound and links came later.
            let known = match revision {
                "2024-11-05" => 5,
                "2025-03-26" => 6,
                _ => 7,
            };
            let mut blocks = every_block();
            blocks.truncate(known);
            let result = |content: Value| match revision {
                "2026-07-28" => json!({"content": content, "resultType": "complete"}),
                _ => json!({"content": content}),
            };
            let content = written(&ToolOutput::blocks(blocks));
            assert_eq!(content.as_array().map(Vec::len), Some(known));
            assert_matches(revision, "CallToolResult", &result(content));
            assert_matches(
                revision,
                "CallToolResult",
                &result(written(&ToolOutput::text("\"\\\n\u{1}🦀"))),
            );
        }
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
            let value = super::super::random::document(&mut rng, 4);
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
    fn internal_details_stay_inside() {
        let error = ToolError::internal("/etc/secret");
        let mut text = Vec::new();
        error.write_content(&mut text);
        assert_eq!(text, br#"[{"type":"text","text":"internal error"}]"#);
        assert_eq!(error.log_detail(), Some("/etc/secret"));
    }

    #[test]
    fn what_a_call_needs_of_its_client_is_said_in_words() {
        use crate::registry::{Elicit, QuestionMethod};
        let needs = ClientCapabilities::SAMPLING.with(ClientCapabilities::SAMPLING_TOOLS);
        assert_eq!(
            ToolError::MissingCapability(needs).to_string(),
            "the client cannot be asked; this needs: sampling, sampling.tools"
        );
        let mut text = Vec::new();
        ToolError::InvalidAnswer("not a name".into()).write_content(&mut text);
        let content: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(content, json!([{"type": "text", "text": "not a name"}]));

        let places = ["https://a.example/1", "https://a.example/2"].map(|url| Elicit::url("Go there.", url));
        let ids = places.each_ref().map(|place| place.id().to_owned());
        let ToolError::UrlElicitationRequired(requests) = ToolError::url_elicitation_required(places) else {
            panic!("another error");
        };
        assert_eq!(requests.len(), 2);
        for (request, id) in requests.iter().zip(ids) {
            assert_eq!(request.method, QuestionMethod::Elicit);
            assert_matches("2025-11-25", "ElicitRequestURLParams", &request.params);
            assert_eq!(request.params["elicitationId"], json!(id));
        }
    }
}
