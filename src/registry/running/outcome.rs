//! The end of an operation of any kind, made from a function's return value.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::collect_budget::CollectBudget;
use super::completion::{Completion, IntoCompletion};
use super::contents::{IntoContents, ReadOutput};
use super::messages::{IntoMessages, PromptOutput};
use super::output::{IntoOutput, ToolOutput};
use super::resource_page::ResourcePage;
use super::streamed::{AnswerSource, Collected};
use crate::registry::asking::tool_error::ToolError;
use crate::registry::info::resource_info::ResourceInfo;
use crate::registry::mount::Mount;
use crate::registry::schemas::argument_error::ArgumentError;
use crate::registry::schemas::deserialize::from_tape;
use crate::registry::schemas::schema::OutputSchema;
use crate::registry::schemas::tape::TapeNode;
use crate::registry::schemas::text::from_texts;

/// How an operation ended.
pub type Outcome = Result<Output, ToolError>;

/// The result of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A tool's result.
    Tool(ToolOutput),
    /// A resource's contents.
    Read(ReadOutput),
    /// Some of a lister's resources.
    Resources(ResourcePage),
    /// A prompt's messages.
    Prompt(PromptOutput),
    /// Proposals.
    Completion(Completion),
}

impl Output {
    /// Adds a note for the client to a tool's result.
    pub(in crate::registry) fn note(&mut self, note: &str) {
        if let Self::Tool(output) = self {
            output.note(note);
        }
    }

    /// Gives it the URIs that clients know, if it is of a mounted toolset.
    pub(super) fn serve_uris(&mut self, mount: &Mount) {
        match self {
            Self::Tool(output) => output.serve_uris(mount),
            Self::Read(output) => output.serve_uris(mount),
            Self::Resources(page) => {
                for uri in page.resources.iter_mut().map(ResourceInfo::address_mut) {
                    *uri = mount.uri(uri);
                }
            }
            Self::Prompt(output) => {
                let messages = output.messages.iter_mut();
                messages.for_each(|message| mount.serve_block(&mut message.content));
            }
            Self::Completion(_) => {}
        }
    }

    /// The bytes of its texts and data as far as they are known without a look at them: its JSON is hardly shorter.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Tool(output) => output.text_bytes(),
            Self::Read(output) => output.text_bytes(),
            Self::Resources(_) | Self::Prompt(_) | Self::Completion(_) => 0,
        }
    }

    /// Whether it is read while it is sent.
    #[inline]
    pub fn is_streamed(&self) -> bool {
        match self {
            Self::Tool(output) => output.is_streamed(),
            Self::Read(output) => output.is_streamed(),
            Self::Resources(_) | Self::Prompt(_) | Self::Completion(_) => false,
        }
    }

    /// Takes its source, once. What that holds is charged to `budget`.
    pub fn take_source(&self, budget: &Arc<CollectBudget>) -> Option<AnswerSource> {
        match self {
            Self::Tool(output) => output.take_source(budget),
            Self::Read(output) => output.take_source(budget),
            Self::Resources(_) | Self::Prompt(_) | Self::Completion(_) => None,
        }
    }

    /// Puts what was read into the place of its source; false if it was too long.
    pub fn put_collected(&mut self, collected: Collected) -> bool {
        match (self, collected) {
            (_, Collected::TooLong) => return false,
            (Self::Tool(output), Collected::Text(text)) => output.put_text(text),
            (Self::Read(output), Collected::Text(text)) => output.put_collected(Ok(text)),
            (Self::Read(output), Collected::Bytes(bytes)) => output.put_collected(Err(bytes)),
            // No other has a source.
            _ => {}
        }
        true
    }

    /// The text of a tool's result that is nothing else.
    pub fn sole_text(&mut self) -> Option<&mut String> {
        match self {
            Self::Tool(output) => output.sole_text(),
            _ => None,
        }
    }

    /// A tool's result, if this is one.
    #[cfg(test)]
    pub fn into_tool(self) -> Option<ToolOutput> {
        match self {
            Self::Tool(output) => Some(output),
            _ => None,
        }
    }
}

impl From<ToolOutput> for Output {
    fn from(output: ToolOutput) -> Self {
        Self::Tool(output)
    }
}

/// A kind of operation: which types its functions may return, and how these become its output.
pub trait Kind<T>: 'static {
    /// Whether arguments are strings from which typed ones are made: a URI's variables, a prompt's arguments.
    const TAKES_TEXTS: bool = false;

    /// Converts a value, and checks structured results against their tool's schema.
    #[doc(hidden)]
    fn output(value: T, schema: Option<&OutputSchema>) -> Outcome;
}

/// The arguments of an operation of kind `K` as the type that its function takes.
pub(in crate::registry) fn typed<K: Kind<T>, T, A: DeserializeOwned>(
    arguments: TapeNode<'_>,
) -> Result<A, ArgumentError> {
    if K::TAKES_TEXTS {
        from_texts(arguments)
    } else {
        from_tape(arguments)
    }
}

/// Tools.
pub(in crate::registry) struct ToolKind;

impl<T: IntoOutput> Kind<T> for ToolKind {
    fn output(value: T, schema: Option<&OutputSchema>) -> Outcome {
        let answer = value.into_output()?;
        answer.check().map_err(ToolError::internal)?;
        if let Some(schema) = schema {
            schema
                .check(answer.structured_content())
                .map_err(ToolError::Internal)?;
        }
        Ok(Output::Tool(answer))
    }
}

/// Reading resources.
pub(in crate::registry) struct ReadKind;

impl<T: IntoContents> Kind<T> for ReadKind {
    const TAKES_TEXTS: bool = true;

    fn output(value: T, _: Option<&OutputSchema>) -> Outcome {
        let contents = value.into_contents()?;
        contents.check().map_err(ToolError::internal)?;
        contents.check_app().map_err(ToolError::internal)?;
        Ok(Output::Read(contents))
    }
}

/// Listing resources.
pub(in crate::registry) struct ListKind;

impl Kind<ResourcePage> for ListKind {
    fn output(value: ResourcePage, _: Option<&OutputSchema>) -> Outcome {
        value.check_apps().map_err(ToolError::internal)?;
        Ok(Output::Resources(value))
    }
}

/// Getting prompts.
pub(in crate::registry) struct PromptKind;

impl<T: IntoMessages> Kind<T> for PromptKind {
    const TAKES_TEXTS: bool = true;

    fn output(value: T, _: Option<&OutputSchema>) -> Outcome {
        let prompt = value.into_messages();
        prompt.check().map_err(ToolError::internal)?;
        Ok(Output::Prompt(prompt))
    }
}

/// CompletionRequest.
pub(in crate::registry) struct CompletionKind;

impl<T: IntoCompletion> Kind<T> for CompletionKind {
    fn output(value: T, _: Option<&OutputSchema>) -> Outcome {
        Ok(Output::Completion(value.into_completion()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_that_breaks_its_tools_schema_is_an_internal_error() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let schema = OutputSchema::compile(&schema).unwrap();
        let output = |given| <ToolKind as Kind<ToolOutput>>::output(given, Some(&schema));
        assert!(output(ToolOutput::structured(json!({"n": 1}))).is_ok());
        assert!(matches!(
            output(ToolOutput::text("")),
            Err(ToolError::Internal(_))
        ));
        let broken = output(ToolOutput::structured(json!({"n": "secret"}))).unwrap_err();
        assert!(broken.log_detail().unwrap().contains("/n"), "{broken:?}");
        assert_eq!(broken.to_string(), "internal error");
    }

    #[test]
    fn other_kinds_make_a_tools_result_no_heavier() {
        assert!(size_of::<Output>() <= size_of::<ToolOutput>() + size_of::<usize>());
    }
}
