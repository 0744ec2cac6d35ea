//! Registering: everything that can be wrong with a tool, resource or prompt is wrong here, before a server starts.

use std::sync::Arc;

use super::builder::Tool;
use super::catalog::{Registered, RegisteredPrompt, RegisteredResource, RegisteredTemplate, RegistryBuilder};
use super::completion::Completers;
use super::info::ToolIndex;
use super::operation::{PromptIndex, ResourceIndex};
use super::param_header::{self, ParamHeaderError};
use super::prompt::Prompt;
use super::resource::{Resource, ResourceLister, ResourceTemplate};
use super::schema::{InputSchema, OutputSchema, SchemaError};
use super::text_type::TextTypeError;
use super::unknown::{KnownArguments, UnknownArguments};
use super::uri_template::{TemplateError, UriTemplate};

/// The longest name of a tool (MCP, Tools: tool names), and here of a prompt too.
const NAME_CHARS_MAX: usize = 128;

/// Something that cannot be registered. Its author's fault, in each case.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The name is empty, too long or has other characters than `[A-Za-z0-9_.-]`.
    #[error("name {0:?} is not 1 to {NAME_CHARS_MAX} characters of [A-Za-z0-9_.-]")]
    Name(String),
    /// The tool's name is taken.
    #[error("a tool named {0:?} is already registered")]
    Duplicate(String),
    /// The arguments' schema cannot be used.
    #[error("input schema of tool {tool:?}: {source}")]
    InputSchema {
        /// The tool.
        tool: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// The arguments' schema has `x-mcp-header` where or as it may not.
    #[error("input schema of tool {tool:?}: {source}")]
    ParamHeader {
        /// The tool.
        tool: String,
        /// What is wrong.
        source: ParamHeaderError,
    },
    /// The results' schema cannot be used.
    #[error("output schema of tool {tool:?}: {source}")]
    OutputSchema {
        /// The tool.
        tool: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// The URI has no scheme, or characters that no URI has.
    #[error("{0:?} is not an absolute URI")]
    Uri(String),
    /// The URI is taken.
    #[error("a resource at {0:?} is already registered")]
    DuplicateUri(String),
    /// The template cannot be read backwards.
    #[error("resource template {template:?}: {source}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong.
        source: TemplateError,
    },
    /// The type that the template's function takes cannot be made of its variables.
    #[error("resource template {template:?}: {source}")]
    Variables {
        /// The template.
        template: String,
        /// What is wrong.
        source: TextTypeError,
    },
    /// The template is registered already.
    #[error("the resource template {0:?} is already registered")]
    DuplicateTemplate(String),
    /// The prompt's name is taken.
    #[error("a prompt named {0:?} is already registered")]
    DuplicatePrompt(String),
    /// A prompt has two arguments of one name.
    #[error("prompt {prompt:?} has more than one argument {argument:?}")]
    DuplicateArgument {
        /// The prompt.
        prompt: String,
        /// The argument.
        argument: String,
    },
    /// A prompt's arguments cannot be checked.
    #[error("arguments of prompt {prompt:?}: {source}")]
    Arguments {
        /// The prompt.
        prompt: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// The type that the prompt's function takes cannot be made of its arguments.
    #[error("arguments of prompt {prompt:?}: {source}")]
    ArgumentType {
        /// The prompt.
        prompt: String,
        /// What is wrong.
        source: TextTypeError,
    },
    /// A completion function for an argument that is not there, or that has one.
    #[error("{owner:?} has no argument {argument:?} to complete, or completes it already")]
    Completion {
        /// The prompt's name or the template.
        owner: String,
        /// The argument.
        argument: String,
    },
    /// An edit of a server's registry without a server.
    #[error("there is no server whose registry could change")]
    NoServer,
}

/// What a registry can hold.
pub trait Registrable: sealed::Sealed {
    /// Checks it and adds it.
    #[doc(hidden)]
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError>;
}

mod sealed {
    /// Only what the protocol layer knows how to serve.
    pub trait Sealed {}
}

impl sealed::Sealed for Tool {}

impl Registrable for Tool {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let Tool {
            mut info,
            checked_input,
            checked_output,
            unknown_arguments,
            handler,
        } = self;
        let name = checked_name(&info.name)?;
        if to.inner.tools_by_name.contains_key(&name) {
            return Err(RegistryError::Duplicate(name));
        }
        let checked = checked_input.as_ref().unwrap_or(&info.input_schema);
        let input = InputSchema::compile(checked).map_err(|source| RegistryError::InputSchema {
            tool: name.clone(),
            source,
        })?;
        let known = match unknown_arguments {
            UnknownArguments::Report => KnownArguments::of(checked),
            UnknownArguments::Ignore | UnknownArguments::Refuse => None,
        };
        info.param_headers =
            param_header::of_schema(&info.input_schema).map_err(|source| RegistryError::ParamHeader {
                tool: name.clone(),
                source,
            })?;
        let output = checked_output
            .as_ref()
            .or(info.output_schema.as_ref())
            .map(OutputSchema::compile)
            .transpose()
            .map_err(|source| RegistryError::OutputSchema {
                tool: name.clone(),
                source,
            })?
            .map(Arc::new);
        let index = ToolIndex(to.inner.tools.len() as u32);
        to.inner.tools.push(Arc::new(Registered {
            info,
            input,
            known,
            output,
            handler,
        }));
        to.inner.tools_by_name.insert(name, index);
        Ok(())
    }
}

impl sealed::Sealed for Resource {}

impl Registrable for Resource {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let Resource { info, handler, watch } = self;
        let uri = info.address().to_owned();
        if !is_absolute_uri(&uri) {
            return Err(RegistryError::Uri(uri));
        }
        if to.inner.resources_by_uri.contains_key(&uri) {
            return Err(RegistryError::DuplicateUri(uri));
        }
        let index = ResourceIndex::after(to.inner.resources.len());
        let entry = RegisteredResource { info, handler, watch };
        to.inner.resources.push(Arc::new(entry));
        to.inner.resources_by_uri.insert(uri, index);
        Ok(())
    }
}

impl sealed::Sealed for ResourceTemplate {}

impl Registrable for ResourceTemplate {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let ResourceTemplate {
            info,
            handler,
            variables,
            completers,
            watch,
        } = self;
        let text = info.address().to_owned();
        let template = UriTemplate::parse(&text).map_err(|source| RegistryError::Template {
            template: text.clone(),
            source,
        })?;
        if to
            .inner
            .templates
            .iter()
            .any(|other| other.info.address() == text)
        {
            return Err(RegistryError::DuplicateTemplate(text));
        }
        variables(&template.variables(), &[]).map_err(|source| RegistryError::Variables {
            template: text.clone(),
            source,
        })?;
        let completers = checked_completers(&text, completers, |name| template.has_variable(name))?;
        to.inner.templates.push(Arc::new(RegisteredTemplate {
            info,
            template,
            handler,
            completers,
            watch,
        }));
        Ok(())
    }
}

impl sealed::Sealed for ResourceLister {}

impl Registrable for ResourceLister {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        to.inner.listers.push(Arc::new(self));
        Ok(())
    }
}

impl sealed::Sealed for Prompt {}

impl Registrable for Prompt {
    fn register(self, to: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let Prompt {
            info,
            handler,
            texts,
            completers,
        } = self;
        let name = checked_name(&info.name)?;
        if to.inner.prompts_by_name.contains_key(&name) {
            return Err(RegistryError::DuplicatePrompt(name));
        }
        let names = || info.arguments.iter().map(|argument| &argument.name);
        if let Some(argument) = names().find(|one| names().filter(|other| other == one).count() > 1) {
            return Err(RegistryError::DuplicateArgument {
                prompt: name,
                argument: argument.clone(),
            });
        }
        let (required, optional) = info.argument_names();
        texts(&required, &optional).map_err(|source| RegistryError::ArgumentType {
            prompt: name.clone(),
            source,
        })?;
        let arguments = InputSchema::compile(&info.schema()).map_err(|source| RegistryError::Arguments {
            prompt: name.clone(),
            source,
        })?;
        let is_argument = |argument: &str| names().any(|known| known == argument);
        let completers = checked_completers(&name, completers, is_argument)?;
        let index = PromptIndex::after(to.inner.prompts.len());
        to.inner.prompts.push(Arc::new(RegisteredPrompt {
            info,
            arguments,
            handler,
            completers,
        }));
        to.inner.prompts_by_name.insert(name, index);
        Ok(())
    }
}

/// The completion functions of `owner`, one for an argument at most.
fn checked_completers(
    owner: &str,
    completers: Completers,
    is_argument: impl Fn(&str) -> bool,
) -> Result<Completers, RegistryError> {
    let names = || completers.0.iter().map(|(name, _)| name);
    let is_wrong = |name: &&String| !is_argument(name) || names().filter(|other| other == name).count() > 1;
    match names().find(is_wrong) {
        None => Ok(completers),
        Some(argument) => Err(RegistryError::Completion {
            owner: owner.to_owned(),
            argument: argument.clone(),
        }),
    }
}

fn checked_name(name: &str) -> Result<String, RegistryError> {
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    match is_name {
        true => Ok(name.to_owned()),
        false => Err(RegistryError::Name(name.to_owned())),
    }
}

/// A scheme, a colon and something behind it, in characters that URIs have (RFC 3986).
pub(super) fn is_absolute_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    let is_uri = |byte: u8| byte.is_ascii_graphic() && !br#"<>"{}|\^`"#.contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme)
        && !rest.is_empty()
        && rest.bytes().all(is_uri)
}
