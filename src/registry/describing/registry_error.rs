//! The reasons why something cannot be registered.

use std::fmt;
use std::time::Duration;

use super::uri_template::TemplateError;
use crate::registry::app::AppError;
use crate::registry::caller::headers::HEADERS_MAX;
use crate::registry::meta::MetaKeyError;
use crate::registry::schemas::param_header::ParamHeaderError;
use crate::registry::schemas::schema_error::SchemaError;
use crate::registry::schemas::text_type::TextTypeError;
use crate::units::with_causes;

/// The longest name of a tool (MCP, Tools: tool names), and here of a prompt too.
pub(super) const NAME_CHARS_MAX: usize = 128;

/// The longest prefix of a mounted toolset. It leaves half of the longest name that every client takes.
pub(super) const PREFIX_CHARS_MAX: usize = 32;

/// The shortest time for which tasks are kept, of a tool as of a server.
pub(super) const TASK_TTL_MIN: Duration = Duration::from_secs(1);

/// Why something cannot be registered. Its author is at fault in each case.
///
/// Its `Debug` is its text, too, for programs whose `main` returns it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is empty, too long or has other characters than `[A-Za-z0-9_.-]`.
    #[error("name {0:?} is not 1 to {NAME_CHARS_MAX} characters of [A-Za-z0-9_.-]")]
    Name(String),
    /// The tool's name is taken.
    #[error("a tool named {0:?} is already registered")]
    Duplicate(String),
    /// The tool may run no call.
    #[error("concurrency of tool {0:?} is 0; at least one call has to be able to run")]
    Concurrency(String),
    /// Tasks of the tool are kept for less than a second, in which no client comes back for one.
    #[error("task_ttl of tool {tool:?} is {ttl:?}; a task has to be kept for at least {TASK_TTL_MIN:?}")]
    TaskTtl {
        /// The tool.
        tool: String,
        /// The time.
        ttl: Duration,
    },
    /// The arguments' schema cannot be used.
    #[error("input schema of tool {tool:?}: {source}")]
    InputSchema {
        /// The tool.
        tool: String,
        /// The fault.
        source: SchemaError,
    },
    /// The arguments' schema has `x-mcp-header` in a place or form that is not allowed.
    #[error("input schema of tool {tool:?}: {source}")]
    ParamHeader {
        /// The tool.
        tool: String,
        /// The fault.
        source: ParamHeaderError,
    },
    /// The results' schema cannot be used.
    #[error("output schema of tool {tool:?}: {source}")]
    OutputSchema {
        /// The tool.
        tool: String,
        /// The fault.
        source: SchemaError,
    },
    /// The URI has no scheme, or has characters that no URI has.
    #[error("{0:?} is not an absolute URI")]
    Uri(String),
    /// The URI is taken.
    #[error("a resource at {0:?} is already registered")]
    DuplicateUri(String),
    /// URIs cannot be matched against the template.
    #[error("resource template {template:?}: {source}")]
    Template {
        /// The template.
        template: String,
        /// The fault.
        source: TemplateError,
    },
    /// The type that the template's function takes cannot be made of its variables.
    #[error("resource template {template:?}: {source}")]
    Variables {
        /// The template.
        template: String,
        /// The fault.
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
        /// The fault.
        source: SchemaError,
    },
    /// The type that the prompt's function takes cannot be made of its arguments.
    #[error("arguments of prompt {prompt:?}: {source}")]
    ArgumentType {
        /// The prompt.
        prompt: String,
        /// The fault.
        source: TextTypeError,
    },
    /// A completion function is for an argument that does not exist, or that has one already.
    #[error("{owner:?} has no argument {argument:?} to complete, or completes it already")]
    Completion {
        /// The prompt's name or the template.
        owner: String,
        /// The argument.
        argument: String,
    },
    /// A key of the `_meta` of a tool, resource, template or prompt is none.
    #[error("`_meta` of {owner:?}: {source}")]
    Meta {
        /// The name, URI or template.
        owner: String,
        /// The fault.
        source: MetaKeyError,
    },
    /// An app is wrong: its URI, or an origin in its settings.
    #[error("{owner:?}: {source}")]
    App {
        /// The tool's name, the resource's URI or the template.
        owner: String,
        /// The fault.
        source: AppError,
    },
    /// A header that is to be read has a name that no header has, or is one more than 16.
    #[error(
        "{owner:?} cannot read the header {header:?}: names are tokens of RFC 9110, at most {HEADERS_MAX}"
    )]
    Header {
        /// The name of the tool or prompt, the URI, or the template.
        owner: String,
        /// The header.
        header: String,
    },
    /// The prefix cannot begin names and URIs.
    #[error(
        "prefix {0:?} is not 1 to {PREFIX_CHARS_MAX} characters of [A-Za-z0-9_-] that begin with a letter"
    )]
    Prefix(String),
    /// A mounted toolset has a prefix that cannot be told from this one in URIs, which begin with it in lower case and
    /// with `-` for `_`.
    #[error(
        "prefix {prefix:?} begins the same URIs as {other:?}, which is taken; take one that differs in more than case, `_` \
         and `-`"
    )]
    PrefixAlike {
        /// The prefix.
        prefix: String,
        /// The one that is taken.
        other: String,
    },
    /// A function borrows a value of a type of which the registry has none.
    #[error(
        "{item} borrows a `{state}`, and the registry has none: call `.state(Arc::new(…))` before it is added"
    )]
    State {
        /// What it is a function of.
        item: String,
        /// The type.
        state: &'static str,
    },
    /// A registry is edited without a server.
    #[error("there is no server whose registry could change")]
    NoServer,
}

impl fmt::Debug for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(self))
    }
}
